// `tsmesh proxy`: what one sidecar has in force, straight from its admin socket by exec. Asks and prints.

import { text } from 'node:stream/consumers';
import { adminProgram, containerNames } from '../../../proxy/api/constants.ts';
import type { UserClient } from '../../kube/user-client.ts';
import { podEntry } from '../../model/pod-entry.ts';
import type { PodEntry } from '../../model/view.ts';
import { errorText } from '../../resources/logger.ts';
import type { Pod } from '../../resources/kubernetes.ts';
import {
  clusterOptions,
  commonOptions,
  optionHelp,
  readArguments,
  wantsJson,
  type OptionTable,
} from '../arguments.ts';
import type { Command } from '../command.ts';
import { CliError, exitCodes, type ExitCode } from '../errors.ts';
import { podsNamed } from '../explain/parties.ts';
import { readName } from '../explain/question.ts';
import { asking, connect } from '../live.ts';
import { configText, connectionsText, endpointsText, fieldsText } from '../proxy/views.ts';
import type { World } from '../world.ts';

const options = {
  seconds: {
    type: 'string',
    value: 'N',
    help: 'of profile and allocations: how long, 1 to 60; 5 by default',
  },
  worker: {
    type: 'string',
    value: 'N',
    help: 'of profiles and heap: which thread; 0, the main one, by default',
  },
  ...clusterOptions,
  ...commonOptions,
} as const satisfies OptionTable;

interface Topic {
  help: string;
  path: string;
  /** Null: the answer is a file for a tool. */
  print: ((view: unknown) => string[]) | null;
}

const topics: Readonly<Record<string, Topic>> = {
  status: { help: 'version, discovery, readiness, addresses', path: '/status', print: fieldsText },
  endpoints: {
    help: 'endpoints with zone, health, open requests, mean time to answer',
    path: '/endpoints',
    print: endpointsText,
  },
  config: {
    help: 'what is in force, and which objects in which generation shaped it (-o json: all of it)',
    path: '/config',
    print: configText,
  },
  certificates: {
    help: 'identity, serial, validity, roots; never a key',
    path: '/identity',
    print: fieldsText,
  },
  connections: {
    help: 'open connections with their other ends, and those kept to endpoints',
    path: '/connections/list',
    print: connectionsText,
  },
  'event-loop': {
    help: 'how late each thread was in the last minute, in milliseconds',
    path: '/event-loop',
    print: fieldsText,
  },
  'log-level': {
    help: 'of its own log; with error, warn, info or debug behind: until it restarts',
    path: '/log-level',
    print: fieldsText,
  },
  profile: {
    help: 'CPU, for Chrome or speedscope: > a.cpuprofile',
    path: '/profile/cpu',
    print: null,
  },
  allocations: {
    help: 'who allocates what stays in the heap, for Chrome: > a.heapprofile',
    path: '/profile/allocations',
    print: null,
  },
  heap: {
    help: 'snapshot, for Chrome: > a.heapsnapshot; refused where the memory limit leaves no room',
    path: '/profile/heap',
    print: null,
  },
};

export const proxy: Command = {
  name: 'proxy',
  summary: 'what one sidecar has in force: endpoints, configuration, certificates, profiles',
  options,
  help: (program) => [
    `${program} proxy [NAMESPACE/][KIND/]NAME TOPIC [LEVEL] [-n NAMESPACE] [-o json]`,
    '',
    'Of a pod, or of the first pod of a workload. It asks the sidecar by exec in its container: who may create pods/exec there may.',
    '',
    ...Object.entries(topics).map(([name, { help }]) => `  ${name.padEnd(14)}${help}`),
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 0 answered, 2 bad input, 4 the cluster or the sidecar cannot be reached, or a right is missing.',
  ],
  async run(args, world) {
    const words = args.slice(0, firstOption(args));
    const values = readArguments(args.slice(words.length), options);
    const json = wantsJson(values.output);
    const [named, about = '', level, ...more] = words;
    const topic = topics[about];
    const known = Object.keys(topics).join(', ');
    if (named === undefined) throw new CliError('Usage', 'which pod?');
    if (topic === undefined) throw new CliError('Usage', `no topic ${about}; there are: ${known}`);
    if (more.length > 0 || (level !== undefined && about !== 'log-level'))
      throw new CliError('Usage', `what is ${more[0] ?? level}?`);
    if (topic.print === null && world.terminal !== null)
      throw new CliError('Usage', `${about} answers a file: send it to one, with > NAME`);
    const client = connect(values, world);
    try {
      const pod = await findPod(client, named, values.namespace ?? client.namespace);
      const answer = await ask(client, pod, questionOf(topic, level, values));
      return print(answer, json ? null : topic.print, world);
    } finally {
      client.close();
    }
  },
};

function firstOption(args: readonly string[]): number {
  const at = args.findIndex((one) => one.startsWith('-'));
  return at < 0 ? args.length : at;
}

function questionOf(
  { path, print: shown }: Topic,
  level: string | undefined,
  { seconds, worker }: { seconds?: string; worker?: string },
): string[] {
  if (level !== undefined) return ['PUT', `${path}?${new URLSearchParams({ level }).toString()}`];
  if (shown !== null) return ['GET', path];
  const query = new URLSearchParams();
  if (seconds !== undefined) query.set('seconds', seconds);
  if (worker !== undefined) query.set('worker', worker);
  return ['POST', `${path}?${query.toString()}`];
}

async function findPod(client: UserClient, named: string, own: string): Promise<PodEntry> {
  const wanted = readName('proxy', named, own);
  const { namespace } = wanted;
  const listed = await asking(client, `list Pod in namespace ${namespace}`, () =>
    client.api.list<Pod>('Pod', namespace),
  );
  const pods = new Map(listed.map(podEntry).map((pod) => [pod.key, pod]));
  const found = podsNamed({ pods }, wanted);
  const pod = found.find(({ meshed }) => meshed);
  if (pod !== undefined) return pod;
  const what = found.length === 0 ? `there is no ${named}` : `no pod of ${named} has a sidecar`;
  throw new CliError('NotFound', `${what} in namespace ${namespace}`);
}

async function ask(client: UserClient, pod: PodEntry, question: string[]): Promise<string> {
  const { namespace, name } = pod;
  const command = [...adminProgram, ...question];
  const of = { namespace, pod: name, container: containerNames.proxy, command };
  const running = await client.exec(of).catch((error: unknown) => {
    const why = errorText(error);
    if (!/forbidden|403/i.test(why)) throw new CliError('NoCluster', `${pod.key}: ${why}`);
    throw new CliError('Forbidden', `the right is missing to create pods/exec in ${namespace}`);
  });
  const [answer, why] = await Promise.all([text(running.output), running.ended]);
  if (why === '') return answer;
  const { error } = parsed(answer) as { error?: string };
  if (error !== undefined) throw new CliError('BadInput', `${pod.key}: ${error}`);
  throw new CliError('NoCluster', `${pod.key}: ${why}`);
}

function parsed(answer: string): object {
  try {
    return JSON.parse(answer) as object;
  } catch {
    return {};
  }
}

function print(answer: string, shown: Topic['print'], world: World): ExitCode {
  world.out(shown === null ? answer.trimEnd() : shown(JSON.parse(answer)).join('\n'));
  return exitCodes.ok;
}
