// What a replica that is not leader tells the leader of its streams: all of them at first, then what
// changed. Only the operator's own identity may speak here, so shapes are checked only roughly.

import type { PolicyRef } from '../../proxy/api/resources.ts';
import type { Statistics } from '../../proxy/api/statistics.ts';
import type { Trust } from '../ca/trust.ts';
import type { ObjectKey, View } from '../model/view.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { policyKey, shapedBy } from '../translate/translated.ts';
import type { StreamState } from './stream-state.ts';

export interface RelayMessage {
  hello?: { replica: string };
  streams?: StreamState[];
  statistics?: { pod: ObjectKey; statistics: Statistics | null; statisticsAtMs: number }[];
  gone?: ObjectKey[];
  /** Policies as this replica's view has them: `kind/namespace/name` → `uid@generation`. */
  observed?: Record<string, string>;
  /** Of the replica's own certificate: told at first and after each change. */
  trust?: Trust;
}

/** Streams in one message; a state is some kilobytes. */
export const streamsPerMessage = 200;
export const maxRelayMessageBytes = 64 << 20;

export function parseRelayMessage(text: string): RelayMessage | null {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

/** Which policies a view has, and at which generation. */
export function observedPolicies(view: View): Record<string, string> {
  const all: [string, string][] = [];
  const note = (kind: PolicyRef['kind'], object: KubeObject) => {
    const ref = shapedBy(kind, object);
    all.push([policyKey(ref), `${ref.uid}@${ref.generation}`]);
  };
  if (view.mesh !== null) note('Mesh', view.mesh);
  for (const list of view.peerAuthentications.values()) {
    for (const one of list) note('PeerAuthentication', one);
  }
  for (const list of view.trafficPolicies.values()) {
    for (const one of list) note('TrafficPolicy', one);
  }
  for (const list of view.authorizationPolicies.values()) {
    for (const one of list) note('AuthorizationPolicy', one);
  }
  return Object.fromEntries(all);
}
