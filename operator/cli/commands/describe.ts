// `tsmesh describe`: everything that applies to a Service or a pod, in sentences. Reads, asks describe/, prints.

import {
  clusterOptions,
  commonOptions,
  optionHelp,
  readWords,
  wantsJson,
  type OptionTable,
} from '../arguments.ts';
import { objectKey } from '../../model/view.ts';
import type { Command } from '../command.ts';
import { describePod, describeService } from '../describe/describe.ts';
import { podText, serviceText } from '../describe/print.ts';
import { CliError, exitCodes } from '../errors.ts';
import { openCluster } from '../live.ts';
import { styleOf, type Style } from '../style.ts';
import { clusterOf, type Cluster } from '../world-view.ts';

const options = { ...clusterOptions, ...commonOptions } as const satisfies OptionTable;

type Describe = (
  cluster: Cluster,
  namespace: string,
  name: string,
) => { value: object; text: (style: Style) => string[] };

const kinds: Readonly<Record<string, Describe>> = {
  service: ({ view }, namespace, name) => {
    const value = describeService(view, namespace, name);
    return { value, text: (style) => serviceText(value, style) };
  },
  pod: ({ view, pods }, namespace, name) => {
    const value = describePod(view, [namespace, name], pods.get(objectKey(namespace, name)));
    return { value, text: (style) => podText(value, style) };
  },
};
const shortNames: Readonly<Record<string, string>> = {
  svc: 'service',
  services: 'service',
  po: 'pod',
  pods: 'pod',
};

export const describe: Command = {
  name: 'describe',
  summary: 'everything that applies to a Service or a pod',
  options,
  help: (program) => [
    `${program} describe service|pod [NAMESPACE/]NAME`,
    '',
    'Of a Service: its routes as sidecars get them, balancing, limits, and the pods behind it. Of a pod: its identity, the mTLS mode',
    'of each port and who decided it, the policies that select it with their rules, the rate limits, the access log, tracing, and what',
    'becomes of calls to what the cluster does not know. What is wrong with a policy stands below it, after a !.',
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 0 found, 2 bad input or not there, 4 the cluster cannot be reached or read.',
  ],
  async run(args, world) {
    const { values, words } = readWords(args, options, 2);
    // As kubectl takes it: `service/cart` for `service cart`.
    const [kind = '', name = ''] = words.length === 1 ? words[0]!.split('/') : words;
    const ask = kinds[shortNames[kind] ?? kind];
    if (ask === undefined || name === '')
      throw new CliError('Usage', 'say what: describe service NAME, or describe pod NAME');
    const json = wantsJson(values.output);
    const cluster = openCluster(values, world);
    try {
      const slash = name.indexOf('/');
      const said = slash < 0 ? (values.namespace ?? cluster.namespace) : name.slice(0, slash);
      const { objects, notes } = await cluster.readOne(said);
      const made = clusterOf([], objects, world.clock);
      const { value, text } = ask(made, said, name.slice(slash + 1));
      const remarks = [...notes, ...made.notes];
      if (json) world.out(JSON.stringify({ ...value, notes: remarks }, null, 2));
      else
        world.out(
          [...text(styleOf(world.colour)), ...remarks.map((one) => `note: ${one}`)].join('\n'),
        );
      return exitCodes.ok;
    } finally {
      cluster.close();
    }
  },
};
