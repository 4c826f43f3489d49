// The configuration in force: takes what the operator (or the local file) says, resource by resource,
// and swaps one immutable snapshot. A bad resource is refused alone and its last good one stays.
// It asks nobody for anything.

import type { ResourceError, VersionedResource } from '../api/discovery.ts';
import type { ResourceKey } from '../api/resources.ts';
import { resourceKey } from '../api/resources.ts';
import { createAuthorizers } from './authorizers.ts';
import { createBalanced } from './balanced.ts';
import { Draft } from './draft.ts';
import { createHandles } from './handles.ts';
import { keepToNode } from './node-local.ts';
import { prepare, type Held, type Prepared } from './prepare.ts';
import type { Snapshot } from './prepared.ts';
import { keptBalancers } from './prepare-balancing.ts';
import { createRateLimits } from './prepare-protection.ts';
import { ShapeError } from './reader.ts';
import { DestinationUse } from '../policy/limits.ts';
import { newRetryBudget } from '../policy/retry-budget.ts';

export interface Store {
  /** What is in force. Read it once per decision. */
  snapshot(): Snapshot;
  /** Puts all good resources in force in one swap; returns what was wrong with the others. */
  apply(resources: readonly VersionedResource[], removed: readonly ResourceKey[]): ResourceError[];
  /**
   * Drops Destinations that nobody uses. Their Endpoints stay until the operator removes them: it may be
   * about to send another Destination that refers to the same.
   */
  forget(names: readonly string[]): void;
  /** Versions of what is in force, for the Hello of a discovery stream. */
  held(): Record<ResourceKey, string>;
  /** The good resources as they came, for the snapshot on disk. */
  resources(): VersionedResource[];
  /** Called after each swap; returns how to stop. */
  onSwap(listener: (snapshot: Snapshot) => void): () => void;
}

const empty: Snapshot = { workload: null, destinations: new Map(), endpoints: new Map() };

/** Which of how many threads share the traffic of a sidecar. */
export interface ThreadShare {
  index: number;
  threads: number;
}

const alone: ThreadShare = { index: 0, threads: 1 };

/** `ownAddresses`: the IPs of this pod. */
export function createStore(
  ownAddresses: ReadonlySet<string> = new Set(),
  { index, threads }: ThreadShare = alone,
): Store {
  let current: Snapshot = empty;
  const raw = new Map<ResourceKey, VersionedResource>();
  const handles = createHandles(ownAddresses);
  const held: Held = {
    handle: (facts) => handles.of(facts),
    authorizer: createAuthorizers(),
    rateLimits: createRateLimits(index, threads),
  };
  const balanced = createBalanced();
  const listeners = new Set<(snapshot: Snapshot) => void>();

  function take(draft: Draft, one: VersionedResource): ResourceError | null {
    const key = keyOf(one);
    try {
      if (key === null) throw new ShapeError('', 'has no type and name');
      put(draft, prepare(one.resource, held));
      raw.set(key, one);
      return null;
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      return { key: key ?? 'Workload/?', path: error.path, message: error.message };
    }
  }

  function swap(draft: Draft): void {
    keepToNode(draft);
    const next = draft.snapshot();
    handles.sweep(next.endpoints);
    balanced.ready(draft, current);
    current = next;
    for (const listener of listeners) listener(current);
  }

  return {
    snapshot: () => current,
    apply(resources, removed) {
      const draft = new Draft(current);
      for (const key of removed) remove(draft, raw, key);
      const errors: ResourceError[] = [];
      for (const one of resources) {
        const error = take(draft, one);
        if (error !== null) errors.push(error);
      }
      swap(draft);
      return errors;
    },
    forget(names) {
      const draft = new Draft(current);
      for (const name of names) remove(draft, raw, `Destination/${name}`);
      swap(draft);
    },
    held: () =>
      Object.fromEntries([...raw].map(([key, { version }]) => [key, version])) as Record<
        ResourceKey,
        string
      >,
    resources: () => [...raw.values()],
    onSwap(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function keyOf(one: VersionedResource): ResourceKey | null {
  const { resource } = one as { resource?: { type?: unknown; name?: unknown } };
  if (typeof resource?.type !== 'string' || typeof resource.name !== 'string') return null;
  return resourceKey(resource as Parameters<typeof resourceKey>[0]);
}

function put(draft: Draft, prepared: Prepared): void {
  switch (prepared.type) {
    case 'Workload':
      draft.workload = prepared.value;
      return;
    case 'Destination': {
      const { value } = prepared;
      const before = draft.destinations.get(value.name);
      const budget = before?.budget ?? newRetryBudget();
      const balancing = keptBalancers(value.balancing, before?.balancing);
      const use = before?.use ?? new DestinationUse(value.name);
      use.limits = value.limits;
      draft.putDestination({ ...value, balancing, budget, use });
      return;
    }
    case 'Endpoints':
      draft.putEndpoints(prepared.value);
  }
}

function remove(draft: Draft, raw: Map<ResourceKey, VersionedResource>, key: ResourceKey): void {
  const slash = key.indexOf('/');
  const type = key.slice(0, slash);
  const name = key.slice(slash + 1);
  if (type === 'Destination') draft.removeDestination(name);
  else if (type === 'Endpoints') draft.removeEndpoints(name);
  else draft.workload = null;
  raw.delete(key);
}
