// `tsmesh tap`: requests as they happen, from the sidecars themselves. Finds the pods, watches them, prints.

import { podEntry } from '../../model/pod-entry.ts';
import type { PodEntry } from '../../model/view.ts';
import type { UserClient } from '../../kube/user-client.ts';
import type { Pod } from '../../resources/kubernetes.ts';
import {
  clusterOptions,
  commonOptions,
  optionHelp,
  readWords,
  wantsJson,
  type OptionTable,
  type ValuesOf,
} from '../arguments.ts';
import type { Command } from '../command.ts';
import { CliError, exitCodes, type ExitCode } from '../errors.ts';
import { podsNamed } from '../explain/parties.ts';
import { readName } from '../explain/question.ts';
import { asking, connect } from '../live.ts';
import { styleOf } from '../style.ts';
import { tapText } from '../tap/lines.ts';
import { tapQuery } from '../tap/question.ts';
import { watchPods, type WatchEvents, type Watched } from '../tap/watch.ts';
import type { World } from '../world.ts';

const options = {
  method: { type: 'string', short: 'X', value: 'METHOD', help: 'only requests with it' },
  path: { type: 'string', value: 'PATH', help: 'only requests whose path begins so' },
  status: { type: 'string', value: 'STATUS', help: 'only 404, 5xx, or 400-499; 0: broken off' },
  'min-duration': { type: 'string', value: 'TIME', help: 'only what took as long: 250ms, 2s' },
  from: {
    type: 'string',
    value: 'WHO',
    help: 'only what comes in from a namespace, or NAMESPACE/SERVICE-ACCOUNT, that proved it',
  },
  to: {
    type: 'string',
    value: 'WHAT',
    help: 'only what goes out to a Service: [NAMESPACE/]NAME[:PORT]; namespace/NAME: to all of it',
  },
  flag: {
    type: 'string',
    value: 'FLAG',
    help: 'only what the sidecar answered or ended with it, as in the access log; any: with any',
  },
  direction: { type: 'string', value: 'inbound|outbound', help: 'only one; both by default' },
  max: { type: 'string', value: 'N', help: 'end after as many lines' },
  for: {
    type: 'string',
    value: 'TIME',
    help: 'end after: 30s, 5m (the default is 10m), 1h at most',
  },
  rate: {
    type: 'string',
    value: 'N',
    help: 'lines a second of each sidecar; 50 by default, 500 at most',
  },
  ...clusterOptions,
  ...commonOptions,
} as const satisfies OptionTable;

type Values = ValuesOf<typeof options>;

/** What the API server says to whoever may not exec. */
const forbidden = /forbidden|403/i;
/** Each is a connection through the API server. */
const mostPods = 50;

export const tap: Command = {
  name: 'tap',
  summary: 'requests as they happen, from the sidecars themselves',
  options,
  help: (program) => [
    `${program} tap [POD | [NAMESPACE/][KIND/]NAME] [-n NAMESPACE] [--path PATH] [--status 5xx]...`,
    '',
    'Of a pod, of the pods of a workload (deploy/cart), or of a namespace. Each line is a request, or a connection, that came to its',
    'end: → went out from the pod, ← came in. It asks each sidecar by exec in its container: who may create pods/exec there may',
    'watch (ClusterRole tsmesh-tap). No headers, queries or bodies are shown. What a sidecar has no room to tell is counted.',
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 0 ended as asked, 1 some pod could not be watched to the end, 2 bad input, 4 the cluster cannot be reached, or a',
    'right is missing.',
  ],
  async run(args, world) {
    const { values, words } = readWords(args, options, 1);
    const named = words[0] ?? null;
    const json = wantsJson(values.output);
    const lines = linesIn(values.max);
    const client = connect(values, world);
    try {
      const query = tapQuery(values, values.namespace ?? client.namespace);
      const pods = await findPods(client, { named, values }, world);
      return await watch(client, { pods, query, json, lines }, world);
    } finally {
      client.close();
    }
  },
};

function linesIn(text: string | undefined): number {
  if (text === undefined) return Infinity;
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new CliError('Usage', `max: ${text} is no number of lines`);
}

async function findPods(
  client: UserClient,
  { named, values }: { named: string | null; values: Values },
  world: World,
): Promise<PodEntry[]> {
  const own = values.namespace ?? client.namespace;
  const [, whole] = /^(?:ns|namespace)\/([^/]+)$/.exec(named ?? '') ?? [];
  const wanted = named === null || whole !== undefined ? null : readName('tap', named, own);
  const namespace = whole ?? wanted?.namespace ?? own;
  const listed = await asking(client, `list Pod in namespace ${namespace}`, () =>
    client.api.list<Pod>('Pod', namespace),
  );
  const all = listed.map(podEntry).filter((pod) => pod.alive && !pod.terminating);
  const byKey = new Map(all.map((pod) => [pod.key, pod]));
  const found = wanted === null ? all : podsNamed({ pods: byKey }, wanted);
  const meshed = found.filter((pod) => pod.meshed);
  if (meshed.length === 0) throw nothingToWatch(named ?? `namespace/${namespace}`, found, all);
  if (meshed.length > mostPods)
    world.err(`watching ${mostPods} of ${meshed.length} pods: name a workload to see it whole`);
  return meshed.slice(0, mostPods);
}

function nothingToWatch(what: string, found: readonly PodEntry[], all: readonly PodEntry[]) {
  if (found.length > 0) {
    const hint = 'mesh the namespace, and restart the pods: tsmesh status says which have none';
    return new CliError('NotFound', `no pod of ${what} has a sidecar`, { hint });
  }
  const names = [...new Set(all.filter(({ meshed }) => meshed).map(({ workload }) => workload))];
  const hint =
    names.length === 0
      ? 'no pod there has a sidecar'
      : `there are: ${names.slice(0, 8).join(', ')}`;
  return new CliError('NotFound', `there is no ${what}`, { hint });
}

interface Asked {
  pods: readonly PodEntry[];
  query: string;
  json: boolean;
  lines: number;
}

async function watch(client: UserClient, asked: Asked, world: World): Promise<ExitCode> {
  const { pods, query, lines } = asked;
  let shown = 0;
  let leftOut = 0;
  const failed: { pod: Watched; why: string }[] = [];
  const print = printerOf(asked, world);
  const events: WatchEvents = {
    line(pod, line) {
      if (shown >= lines) return;
      print(pod, line);
      shown += 1;
      if (shown >= lines) running.stop();
    },
    leftOut(pod, count) {
      leftOut += count;
      world.err(`… ${count} more at ${pod.name} not shown (--rate, or a narrower filter)`);
    },
    ended(pod, why) {
      if (why === '') return;
      failed.push({ pod, why });
      // What is missing everywhere is said once, at the end.
      if (!forbidden.test(why)) world.err(`${pod.namespace}/${pod.name}: ${why}`);
    },
  };
  if (!asked.json)
    world.err(`watching ${pods.length === 1 ? '1 pod' : `${pods.length} pods`}; end with Ctrl-C`);
  const running = watchPods(client, { pods, query }, events);
  await running.over;
  if (failed.length === pods.length && shown === 0) throw notWatched(failed);
  world.err(`${shown} shown, ${leftOut} not shown`);
  return failed.length === 0 ? exitCodes.ok : exitCodes.mismatch;
}

function printerOf({ pods, json }: Asked, world: World): WatchEvents['line'] {
  const style = styleOf(world.colour);
  const width = Math.max(...pods.map(({ name }) => name.length));
  return ({ namespace, name }, line) => {
    if (json) world.out(JSON.stringify({ namespace, pod: name, ...line }));
    else world.out(tapText(name, line, style, width));
  };
}

function notWatched(failed: readonly { pod: Watched; why: string }[]): CliError {
  const { pod, why } = failed[0]!;
  if (!forbidden.test(why))
    return new CliError('NoCluster', `no sidecar can be watched: ${why}`, { hint: '' });
  const what = `create pods/exec in namespace ${pod.namespace}`;
  const hint = `kubectl create rolebinding NAME -n ${pod.namespace} --clusterrole=tsmesh-tap --user=USER`;
  return new CliError('Forbidden', `the right is missing to ${what}`, { hint });
}
