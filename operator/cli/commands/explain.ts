// `tsmesh explain`: may A call B, and which rule says so. Gathers objects, asks, prints; decides nothing.

import {
  clusterOptions,
  commonOptions,
  optionHelp,
  readArguments,
  wantsJson,
  type OptionTable,
  type ValuesOf,
} from '../arguments.ts';
import type { Command } from '../command.ts';
import { CliError, exitCodes, type ExitCode } from '../errors.ts';
import type { Answer, Verdict } from '../explain/answer.ts';
import { judgeAll, printOutcomes } from '../explain/expect.ts';
import { inPlace, readExpectations } from '../explain/expectations.ts';
import { judge } from '../explain/judge.ts';
import { answerText } from '../explain/print.ts';
import { readCall, type Call, type CallSpec } from '../explain/question.ts';
import { gather } from '../gather.ts';
import { styleOf } from '../style.ts';
import type { World } from '../world.ts';

const options = {
  from: {
    type: 'string',
    value: 'WHO',
    help: 'the caller: shop/web (a pod or workload), deployment/web, sa/web, or outside (no sidecar)',
  },
  to: {
    type: 'string',
    value: 'WHAT',
    help: 'what is called: shop/cart:80 (a Service with port number or name), pod/cart-0:8080, deployment/cart:8080',
  },
  method: { type: 'string', short: 'X', value: 'METHOD', help: 'of the request; GET by default' },
  path: { type: 'string', value: 'PATH', help: 'as sent, with its query; / by default' },
  header: {
    type: 'string',
    short: 'H',
    multiple: true,
    value: 'NAME=VALUE',
    help: 'a header of the request; several times: several',
  },
  host: { type: 'string', value: 'HOST', help: "Host header; the Service's name by default" },
  tcp: { type: 'boolean', help: 'a TCP connection instead of a request' },
  identity: {
    type: 'string',
    value: 'SPIFFE-ID',
    help: 'the caller proves this identity; alone or with --from',
  },
  ip: { type: 'string', value: 'ADDRESS', help: "the caller's address; the pod's by default" },
  file: {
    type: 'string',
    short: 'f',
    multiple: true,
    value: 'PATH',
    help: 'a manifest, a folder of manifests, or - for standard input; the cluster is not asked then',
  },
  live: { type: 'boolean', help: 'with -f: the files laid over the cluster, as if applied' },
  expect: {
    type: 'string',
    value: 'FILE',
    help: 'a list of calls and what is expected of each, instead of --from and --to',
  },
  ...clusterOptions,
  ...commonOptions,
} as const satisfies OptionTable;

type Values = ValuesOf<typeof options>;

export const explain: Command = {
  name: 'explain',
  summary: 'may A call B, by which route, and which rule says so',
  options,
  help: (program) => [
    `${program} explain --from WHO --to WHAT [-X METHOD] [--path PATH] [-f PATH]...`,
    `${program} explain --expect FILE [-f PATH]...`,
    '',
    'Asks the code that decides in the sidecars, from the objects of the cluster or from manifests.',
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 0 allowed (or all expectations met), 3 refused by all or some of the pods,',
    '1 an expectation not met, 2 bad input, 4 the cluster cannot be reached or read.',
  ],
  async run(args, world) {
    const values = readArguments(args, options);
    const json = wantsJson(values.output);
    if (values.expect === undefined) return await explainOne(values, json, world);
    return await explainExpected(values, values.expect, { json, world });
  },
};

async function explainOne(values: Values, json: boolean, world: World): Promise<ExitCode> {
  const spec = specOf(values);
  const { scene, namespace } = await gather(values, world, (fallback) => [
    readCall(spec, fallback),
  ]);
  const answer = judge(scene, readCall(spec, namespace));
  world.out(json ? JSON.stringify(answer, null, 2) : answerText(answer, styleOf(world.colour)));
  return codeOf(answer);
}

const codes: Record<Verdict, ExitCode> = {
  allowed: exitCodes.ok,
  denied: exitCodes.denied,
  mixed: exitCodes.denied,
};

function codeOf({ verdict }: Answer): ExitCode {
  return codes[verdict];
}

function specOf(values: Values): CallSpec {
  const { to, header, ...rest } = values;
  if (to === undefined)
    throw new CliError('Usage', 'to: is missing; say what is called, such as --to shop/cart:80');
  return { ...rest, to, ...(header === undefined ? {} : { headers: header }) };
}

async function explainExpected(
  values: Values,
  path: string,
  how: { json: boolean; world: World },
): Promise<ExitCode> {
  const { json, world } = how;
  const asked = [
    'from',
    'to',
    'method',
    'path',
    'header',
    'identity',
    'ip',
    'tcp',
    'host',
  ] as const;
  const both = asked.find((name) => values[name] !== undefined);
  if (both !== undefined)
    throw new CliError('Usage', `--${both}: the calls stand in the file of --expect`);
  const expectations = await readExpectations(path, values.file ?? [], world);
  const calls = (namespace: string): Call[] =>
    expectations.map(({ call, place }) => inPlace(place, () => readCall(call, namespace)));
  const { scene, namespace } = await gather(values, world, calls);
  const { notes } = scene;
  const outcomes = judgeAll(scene, expectations, calls(namespace));
  if (json) world.out(JSON.stringify({ outcomes, notes }, null, 2));
  else printOutcomes(outcomes, notes, world);
  return outcomes.every((one) => one.met) ? exitCodes.ok : exitCodes.mismatch;
}
