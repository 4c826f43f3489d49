// Objects of a live cluster, read with the user's own rights: only in the namespaces that a question names, so
// that the rights to view them are enough.

import { createUserClient, type UserClient } from '../kube/user-client.ts';
import { ApiError, type Kind } from '../resources/api-client.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { errorText } from '../resources/logger.ts';
import { meshWideNamespace } from '../translate/authorization.ts';
import { CliError } from './errors.ts';
import type { World } from './world.ts';
import type { LiveObjects } from './world-view.ts';

export interface ClusterChoice {
  kubeconfig?: string;
  context?: string;
}

export interface OpenCluster {
  /** Of the context. */
  namespace: string;
  /** Rejects with a CliError of code NoCluster or Forbidden. */
  read(namespaces: readonly string[]): Promise<{ objects: LiveObjects; notes: string[] }>;
  /** Of one namespace for somebody who may read that one only: what holds everywhere is left out then, which a note says. */
  readOne(namespace: string): Promise<{ objects: LiveObjects; notes: string[] }>;
  /** Of every namespace; of those named where the right is missing for all, which a note says. */
  readAll(namespaces: readonly string[]): Promise<{ objects: LiveObjects; notes: string[] }>;
  client: UserClient;
  close(): void;
}

const listedKinds = ['Pod', 'Service', 'EndpointSlice'] as const satisfies readonly Kind[];
const policyKinds = [
  'PeerAuthentication',
  'TrafficPolicy',
  'AuthorizationPolicy',
] as const satisfies readonly Kind[];

export function openCluster(choice: ClusterChoice, world: World): OpenCluster {
  const client = connect(choice, world);
  return {
    namespace: client.namespace,
    read: (namespaces) => readCluster(client, namespaces),
    readOne: (namespace) => readNamespace(client, namespace),
    readAll: (namespaces) => readWholeCluster(client, namespaces),
    client,
    close: () => client.close(),
  };
}

export function connect(choice: ClusterChoice, world: World): UserClient {
  const { clock, random } = world;
  const { kubeconfig, context } = choice;
  try {
    return createUserClient({ kubeconfig, context, clock, random });
  } catch (error) {
    throw new CliError('NoCluster', errorText(error));
  }
}

interface Found {
  kind: Kind;
  objects: KubeObject[];
  /** The cluster does not know the kind. */
  unknown: boolean;
}

async function readCluster(
  client: UserClient,
  namespaces: readonly string[],
): Promise<{ objects: LiveObjects; notes: string[] }> {
  // One first: what cannot be reached is said once and soon.
  const mesh = await getOne(client, 'Mesh', 'default');
  const rest = [...meshWide(client, namespaces), ...inNamespaces(client, namespaces)];
  return gathered([mesh, ...(await Promise.all(rest))]);
}

async function readNamespace(
  client: UserClient,
  namespace: string,
): Promise<{ objects: LiveObjects; notes: string[] }> {
  const found = await Promise.all(inNamespaces(client, [namespace]));
  const missing: string[] = [];
  const everywhere = [getOne(client, 'Mesh', 'default'), ...meshWide(client, [namespace])];
  for (const one of everywhere) {
    await one.then(
      (some) => void found.push(some),
      (error: unknown) => {
        if (!(error instanceof CliError) || error.code !== 'Forbidden') throw error;
        missing.push(error.message.replace(/: .*/, ''));
      },
    );
  }
  const { objects, notes } = gathered(found);
  const lacking = missing.map((what) => `${what}: what it says is not in this`);
  return { objects, notes: missing.length > 0 ? lacking : notes };
}

function meshWide(client: UserClient, namespaces: readonly string[]): Promise<Found>[] {
  return namespaces.includes(meshWideNamespace)
    ? []
    : [listIn(client, 'AuthorizationPolicy', meshWideNamespace)];
}

function inNamespaces(client: UserClient, namespaces: readonly string[]): Promise<Found>[] {
  return namespaces.flatMap((namespace) => [
    getOne(client, 'Namespace', namespace),
    ...[...listedKinds, ...policyKinds].map((kind) => listIn(client, kind, namespace)),
  ]);
}

function gathered(found: readonly Found[]): { objects: LiveObjects; notes: string[] } {
  const objects = new Map<Kind, KubeObject[]>();
  for (const { kind, objects: some } of found)
    objects.set(kind, [...(objects.get(kind) ?? []), ...some]);
  const unknown = [...new Set(found.filter((one) => one.unknown).map(({ kind }) => kind))];
  const notes = unknown.map((kind) => `the cluster does not know the kind ${kind}`);
  if ((objects.get('Mesh') ?? []).length === 0)
    notes.push('there is no Mesh default: its defaults are assumed');
  return { objects, notes };
}

async function readWholeCluster(
  client: UserClient,
  namespaces: readonly string[],
): Promise<{ objects: LiveObjects; notes: string[] }> {
  const mesh = await getOne(client, 'Mesh', 'default');
  try {
    const kinds = ['Namespace', ...listedKinds, ...policyKinds] as const;
    const found = await Promise.all(kinds.map((kind) => listIn(client, kind, '')));
    return {
      objects: new Map([mesh, ...found].map(({ kind, objects }) => [kind, objects])),
      notes: [],
    };
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== 'Forbidden') throw error;
    const { objects, notes } = await readCluster(client, namespaces);
    const said = `only of ${namespaces.join(', ')}: the right is missing to list all namespaces`;
    return { objects, notes: [...notes, said] };
  }
}

async function getOne(client: UserClient, kind: Kind, name: string): Promise<Found> {
  const object = await asking(client, `get ${kind} ${name}`, () => client.api.get(kind, '', name));
  return { kind, objects: object === null ? [] : [object], unknown: false };
}

async function listIn(client: UserClient, kind: Kind, namespace: string): Promise<Found> {
  const what = `list ${kind} in namespace ${namespace}`;
  const listed = await asking(client, what, async () => {
    try {
      return await client.api.list(kind, namespace);
    } catch (error) {
      // A namespace that is not there lists as empty; this is a kind that is not there.
      if (error instanceof ApiError && error.code === 'NotFound') return null;
      throw error;
    }
  });
  return { kind, objects: listed ?? [], unknown: listed === null };
}

export async function asking<T>(
  client: UserClient,
  what: string,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const said = errorText(error);
    if (error instanceof ApiError && error.code === 'Forbidden') {
      if (error.status === 401) {
        const hint = 'log in again, or name another --context';
        throw new CliError('Forbidden', `${client.server} does not know this user`, { hint });
      }
      throw new CliError('Forbidden', `the right is missing to ${what}: ${said}`);
    }
    throw new CliError('NoCluster', `cannot ${what} at ${client.server}: ${said}`);
  }
}
