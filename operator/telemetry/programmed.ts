// Programmed: has every affected sidecar put a generation of a policy in force? Pure; from the current
// translations and what sidecars acknowledged. When in doubt it says no.

import type { ResourceKey } from '../../proxy/api/resources.ts';
import type { ObservedPolicies } from '../discovery/api.ts';
import { observedPolicies } from '../discovery/relay-messages.ts';
import type { HeldResource, StreamState } from '../discovery/stream-state.ts';
import { objectKey } from '../model/view.ts';
import type { ObjectKey, PodEntry } from '../model/view.ts';
import { policyKey } from '../translate/translated.ts';
import type { ShapedBy } from '../translate/translated.ts';
import type { Translations, Versioned } from '../translate/translations.ts';
import type { ProgrammedResult } from './types.ts';

export interface ProgrammedInputs {
  translations: Translations;
  streams: readonly StreamState[];
  /** Of the other replicas: DiscoveryServer.observed(). */
  observed: ReadonlyMap<string, ObservedPolicies>;
}

/** One sidecar that a policy concerns, and how far it is with it. */
interface Concern {
  pod: ObjectKey;
  state: ConcernState;
}

type ConcernState = 'done' | 'pending' | { key: ResourceKey; path: string; message: string };

export interface ProgrammedIndex {
  /** For the policy at this generation (metadata.uid and metadata.generation of what the caller read). */
  status(policy: ShapedBy): ProgrammedResult;
  /** Pods whose sidecars have acknowledged all they are to have. */
  readonly inSync: ReadonlySet<ObjectKey>;
}

const maxNames = 10;

/** Looks at every resource of every stream once; answers for any number of policies after that. */
export function indexProgrammed(inputs: ProgrammedInputs): ProgrammedIndex {
  const { translations, streams } = inputs;
  const { view } = translations;
  const concerns = new Map<string, Concern[]>();
  const inSync = new Set<ObjectKey>();
  const connected = new Set<ObjectKey>();
  for (const stream of streams) {
    const pod = view.pods.get(objectKey(stream.pod.namespace, stream.pod.name));
    if (pod === undefined || pod.uid !== stream.pod.uid) continue;
    connected.add(pod.key);
    if (noteStream(concerns, stream, pod, translations)) inSync.add(pod.key);
  }
  const seen = observedPolicies(view);
  const missing = [...view.pods.values()]
    .filter((pod) => isAffectable(pod) && !pod.terminating && !connected.has(pod.key))
    .map((pod) => pod.key);
  return {
    inSync,
    status: (policy) => {
      const early = notSeen(seen, inputs.observed, policy);
      if (early !== null) return early;
      const own = concerns.get(policyKey(policy)) ?? [];
      return verdict([...own, ...(concerns.get(anyPolicy) ?? [])], missing);
    },
  };
}

function isAffectable(pod: PodEntry): boolean {
  return pod.meshed && pod.ready && pod.alive;
}

/** Adds what the stream says of each policy; true where it holds all it should. */
function noteStream(
  concerns: Map<string, Concern[]>,
  stream: StreamState,
  pod: PodEntry,
  translations: Translations,
): boolean {
  const held = new Map(stream.resources.map((one) => [one.key, one]));
  const desired = desiredOf(stream, pod, translations);
  let synced = true;
  const states = new Map<string, ConcernState>();
  for (const [key, versioned] of desired) {
    const mine = held.get(key);
    synced &&= mine?.acked === versioned.version;
    noteResource(states, versioned, mine);
  }
  for (const mine of stream.resources) {
    if (!desired.has(mine.key)) noteLeaving(states, mine, leavingNow(mine.key, pod, translations));
  }
  if (isAffectable(pod) && !stream.draining) {
    for (const [policy, state] of states) {
      const list = concerns.get(policy);
      if (list === undefined) concerns.set(policy, [{ pod: pod.key, state }]);
      else list.push({ pod: pod.key, state });
    }
  }
  return synced;
}

/** The Workload, the Destinations subscribed to and the Endpoints they refer to. */
export function desiredOf(
  stream: Pick<StreamState, 'subscriptions'>,
  pod: Pick<PodEntry, 'key' | 'namespace'>,
  translations: Translations,
): Map<ResourceKey, Versioned> {
  const desired = new Map<ResourceKey, Versioned>();
  const add = (one: Versioned | null) => {
    if (one !== null) desired.set(one.key, one);
    return one;
  };
  add(translations.workload(pod.key));
  for (const name of stream.subscriptions) {
    const destination = add(translations.destination(pod.namespace, name));
    for (const endpoints of destination?.endpoints ?? []) add(translations.endpoints(endpoints));
  }
  return desired;
}

/** Stands for every policy: a version is in force of which nothing is known. */
const anyPolicy = '*';

interface Version {
  version: string;
  /** Null: not known. */
  shapedBy: Map<string, ShapedBy> | null;
}

/**
 * A policy is in force where the sidecar has, and is on its way to, the desired version, or one that the
 * policy shaped at the same generation, or (like the desired one) not at all.
 */
function noteResource(
  states: Map<string, ConcernState>,
  desired: Versioned,
  held: HeldResource | undefined,
): void {
  const { rejected = null } = held ?? {};
  const behind: ConcernState =
    rejected?.version === desired.version
      ? { key: desired.key, path: rejected.path, message: rejected.message }
      : 'pending';
  const wanted = byPolicy(desired.shapedBy);
  const versions = versionsOf(held);
  const strangers = versions.some((one) => one.shapedBy === null);
  if (strangers) worsen(states, anyPolicy, 'pending');
  const policies = versions.flatMap((one) => [...(one.shapedBy?.keys() ?? [])]);
  for (const policy of new Set([...policies, ...wanted.keys()])) {
    const inForce = versions.every(
      ({ version, shapedBy }) =>
        version === desired.version || isSame(shapedBy?.get(policy), wanted.get(policy)),
    );
    const has = held?.acked != null || !wanted.has(policy);
    worsen(states, policy, inForce && has ? 'done' : behind);
  }
}

/** What a Destination would be now that the sidecar may hold although it does not want it any more. */
function leavingNow(
  key: ResourceKey,
  pod: Pick<PodEntry, 'namespace'>,
  translations: Translations,
): Versioned | null {
  const [, name] = /^Destination\/(.+)$/.exec(key) ?? [];
  return name === undefined ? null : translations.destination(pod.namespace, name);
}

/**
 * What is to go is in force until the sidecar says that it is not; Endpoints only through a Destination. A policy is not in
 * force there that shaped it then, nor one that would now.
 */
function noteLeaving(
  states: Map<string, ConcernState>,
  held: HeldResource,
  now: Versioned | null,
): void {
  if (!held.key.startsWith('Destination/')) return;
  const wouldShape = now === null ? [] : [...byPolicy(now.shapedBy).keys()];
  for (const { shapedBy } of versionsOf(held)) {
    for (const policy of shapedBy?.keys() ?? [anyPolicy]) worsen(states, policy, 'pending');
    for (const policy of wouldShape) worsen(states, policy, 'pending');
  }
}

function versionsOf(held: HeldResource | undefined): Version[] {
  const { acked = null, ackedBy = null, sent = null, sentBy = null } = held ?? {};
  const versions: Version[] = [];
  if (acked !== null) versions.push({ version: acked, shapedBy: ackedBy && byPolicy(ackedBy) });
  if (sent !== null) versions.push({ version: sent, shapedBy: byPolicy(sentBy ?? []) });
  return versions;
}

function byPolicy(list: readonly ShapedBy[]): Map<string, ShapedBy> {
  return new Map(list.map((ref) => [policyKey(ref), ref]));
}

function isSame(a: ShapedBy | undefined, b: ShapedBy | undefined): boolean {
  return a?.uid === b?.uid && a?.generation === b?.generation;
}

function worsen(states: Map<string, ConcernState>, policy: string, state: ConcernState): void {
  const known = states.get(policy);
  if (known === undefined || known === 'done' || typeof state === 'object') {
    if (typeof known !== 'object') states.set(policy, state);
  }
}

/** The generation must be in the view here and on every replica that sidecars may ask. */
function notSeen(
  seen: Record<string, string>,
  observed: ReadonlyMap<string, ObservedPolicies>,
  policy: ShapedBy,
): ProgrammedResult | null {
  const key = policyKey(policy);
  const expected = `${policy.uid}@${policy.generation}`;
  if (seen[key] !== expected) {
    const message = `Generation ${policy.generation} is not translated yet.`;
    return { status: 'Unknown', reason: 'Pending', message };
  }
  const behind = [...observed]
    .filter(([, policies]) => policies.get(key) !== expected)
    .map(([replica]) => replica);
  if (behind.length === 0) return null;
  const message = `Replicas of the operator that have not seen this generation: ${names(behind)}.`;
  return { status: 'Unknown', reason: 'ReplicasBehind', message };
}

function verdict(concerns: readonly Concern[], missing: readonly ObjectKey[]): ProgrammedResult {
  const refused = concerns.find(({ state }) => typeof state === 'object');
  if (refused !== undefined && typeof refused.state === 'object') {
    const { key, path, message } = refused.state;
    const text = `The sidecar of pod ${refused.pod} refused ${key} at ${path || '/'}: ${message}`;
    return { status: 'False', reason: 'Rejected', message: text };
  }
  const pending = concerns.filter(({ state }) => state === 'pending').map(({ pod }) => pod);
  if (pending.length > 0) {
    const message = `${pending.length} of ${concerns.length} sidecars have not acknowledged it yet: ${names(pending)}.`;
    return { status: 'Unknown', reason: 'Pending', message };
  }
  if (missing.length > 0) {
    const message = `Ready pods whose sidecars are not connected: ${names(missing)}.`;
    return { status: 'Unknown', reason: 'SidecarsDisconnected', message };
  }
  const count = concerns.length === 1 ? '1 sidecar has' : `${concerns.length} sidecars have`;
  const message =
    concerns.length === 0
      ? 'No running sidecar uses what it shapes; those that come to will get it.'
      : `${count} it in force.`;
  return { status: 'True', reason: 'Programmed', message };
}

function names(list: readonly string[]): string {
  const shown = list.toSorted().slice(0, maxNames).join(', ');
  return list.length > maxNames ? `${shown} and ${list.length - maxNames} more` : shown;
}
