// What could stand next on a command line, for the scripts of `tsmesh completion`: names from the cluster. Hidden from the help; whatever
// goes wrong, it offers nothing.

import { parseArgs } from 'node:util';
import type { UserClient } from '../../kube/user-client.ts';
import { podEntry } from '../../model/pod-entry.ts';
import type { Pod } from '../../resources/kubernetes.ts';
import type { Completable } from './completion.ts';
import { connect } from '../live.ts';
import type { World } from '../world.ts';

export const completeName = '__complete';

/** `words`: between the program's name and the word that is written. */
export async function complete(
  words: readonly string[],
  commands: readonly Completable[],
  world: World,
): Promise<void> {
  const [name = '', ...args] = words;
  if (name === 'help') return offer(commands.map((one) => one.name).concat('version'), world);
  const command = commands.find((one) => one.name === name);
  if (command === undefined) return;
  const kind = asked(command, args);
  if (Array.isArray(kind)) return offer(kind, world);
  try {
    offer(await namesOf(kind, args, world), world);
  } catch {
    // Nobody waits for an error behind a tab.
  }
}

function offer(names: readonly string[], world: World): void {
  if (names.length > 0) world.out(names.join('\n'));
}

type Kind = 'namespaces' | 'services' | 'pods' | 'workloads' | 'nothing';

/** Of what kind the next word is, or the words that it can be. */
function asked({ name, options }: Completable, args: readonly string[]): Kind | string[] {
  const option = optionOf(options, args.at(-1) ?? '');
  if (option !== null && options[option]?.type === 'string') {
    if (option === 'namespace') return 'namespaces';
    if (option === 'output') return (options[option].value ?? '').split('|');
    if (name === 'explain' && option === 'from') return 'workloads';
    return option === 'to' ? 'services' : 'nothing';
  }
  const positionals = valuesOf(args).positionals;
  if (name === 'describe') return describedOf(positionals);
  const named = ['tap', 'top', 'proxy'].includes(name) && positionals.length === 0;
  return named ? 'workloads' : 'nothing';
}

function describedOf([kind, ...names]: readonly string[]): Kind | string[] {
  if (kind === undefined) return ['service', 'pod'];
  if (names.length > 0) return 'nothing';
  return /^(po|pods?)$/.test(kind) ? 'pods' : 'services';
}

function optionOf(options: Completable['options'], word: string): string | null {
  if (!word.startsWith('-')) return null;
  const found = Object.entries(options).find(
    ([name, { short }]) => word === `--${name}` || word === `-${short}`,
  );
  return found?.[0] ?? '';
}

function valuesOf(args: readonly string[]) {
  const type = 'string';
  const options = {
    namespace: { type, short: 'n' },
    kubeconfig: { type },
    context: { type },
  } as const;
  return parseArgs({ args: [...args], options, strict: false, allowPositionals: true });
}

async function namesOf(kind: Kind, args: readonly string[], world: World): Promise<string[]> {
  if (kind === 'nothing') return [];
  const { kubeconfig, context, namespace } = valuesOf(args).values;
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const choice = { kubeconfig: text(kubeconfig), context: text(context) };
  const client = connect(choice, world);
  try {
    return [...new Set(await listed(client, kind, text(namespace) ?? client.namespace))].toSorted();
  } finally {
    client.close();
  }
}

async function listed(client: UserClient, kind: Kind, namespace: string): Promise<string[]> {
  const named = (list: { metadata: { name: string } }[]) =>
    list.map(({ metadata }) => metadata.name);
  if (kind === 'namespaces') return named(await client.api.list('Namespace', ''));
  if (kind === 'services') return named(await client.api.list('Service', namespace));
  const pods = await client.api.list<Pod>('Pod', namespace);
  if (kind === 'pods') return named(pods);
  return pods.map((pod) => {
    const [of = '', name = ''] = podEntry(pod).workload.split('/');
    return `${of.toLowerCase()}/${name}`;
  });
}
