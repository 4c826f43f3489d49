// Who has to follow when the roots of the mesh change, and which roots each of them says it trusts: the
// sidecars of meshed pods and the replicas of the operator. Pure; what it means is decided by rotation.

import { systemNamespace } from '../../proxy/api/constants.ts';
import { operatorServiceAccount } from '../ca/operator-identity.ts';
import type { Follower } from '../ca/rotation.ts';
import type { Trust } from '../ca/trust.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import { objectKey } from '../model/view.ts';
import type { ObjectKey, PodEntry, View } from '../model/view.ts';

export interface FollowerInputs {
  view: View;
  streams: readonly StreamState[];
  /** This replica, which leads. */
  self: { name: string; trust: Trust | null };
  /** The others, as they relay. */
  replicas: ReadonlyMap<string, Trust | null>;
}

export function followersOf(inputs: FollowerInputs): Follower[] {
  const { view, self, replicas } = inputs;
  const streams = new Map(
    inputs.streams.map((one) => [objectKey(one.pod.namespace, one.pod.name), one]),
  );
  const followers: Follower[] = [
    { name: `operator ${self.name}`, state: 'connected', trust: self.trust },
  ];
  for (const pod of view.pods.values()) {
    if (!pod.alive) continue;
    if (isReplica(pod)) {
      if (pod.name !== self.name) followers.push(...replicaOf(pod, replicas));
    } else if (pod.meshed) followers.push(...sidecarOf(pod, streams));
  }
  return followers;
}

function isReplica(pod: PodEntry): boolean {
  return pod.namespace === systemNamespace && pod.serviceAccount === operatorServiceAccount;
}

/** One that starts reads the CA that is in force then. */
function replicaOf(pod: PodEntry, replicas: ReadonlyMap<string, Trust | null>): Follower[] {
  const name = `operator ${pod.name}`;
  const trust = replicas.get(pod.name);
  if (trust !== undefined) return [{ name, state: 'connected', trust }];
  return pod.terminating ? [] : [{ name, state: stateOf(pod), trust: null }];
}

/** One that goes counts as long as it is connected: it still calls, and is called. */
function sidecarOf(pod: PodEntry, streams: ReadonlyMap<ObjectKey, StreamState>): Follower[] {
  const name = `pod ${pod.key}`;
  const stream = streams.get(pod.key);
  if (stream !== undefined && stream.pod.uid === pod.uid) {
    return [{ name, state: 'connected', trust: trustIn(stream) }];
  }
  return pod.terminating ? [] : [{ name, state: stateOf(pod), trust: null }];
}

/** A pod whose app is not ready, but whose sidecar is, may call others. */
function stateOf(pod: PodEntry): 'disconnected' | 'starting' {
  return pod.ready || pod.proxyReady ? 'disconnected' : 'starting';
}

function trustIn({ statistics }: StreamState): Trust | null {
  const { underRoot, trustedRoots } = statistics?.certificate ?? {};
  if (underRoot === undefined || trustedRoots === undefined) return null;
  return { underRoot, trustedRoots };
}
