// Every pod that should have a sidecar, and how that sidecar stands with the operator: connected, current, refusing
// something. Pure; for the console, which people ask through the command line.

import type { StreamState } from '../discovery/stream-state.ts';
import { compareText } from '../model/order.ts';
import type { ObjectKey, PodEntry, View } from '../model/view.ts';
import { meshedNamespaces } from './meshed-namespaces.ts';
import { indexOfStreams } from './streams.ts';

export type SidecarState =
  /** Has acknowledged all that it is to have. */
  | 'synced'
  /** Connected; something is on its way to it. */
  | 'syncing'
  /** Refused a resource, and goes on with the last good one. */
  | 'rejected'
  /** Running without a stream to the operator. */
  | 'disconnected'
  /** Not ready yet. */
  | 'starting'
  /** Going; wants no more configuration. */
  | 'draining'
  /** A pod of a meshed namespace that was started before, or opted out: its traffic is not in the mesh. */
  | 'none';

export interface SidecarRow {
  namespace: string;
  pod: string;
  /** `Deployment/cart`. */
  workload: string;
  state: SidecarState;
  /** Of the sidecar; empty while it is not connected. */
  version: string;
  /** Replica of the operator that it is connected to; empty: none. */
  replica: string;
  /** Unix milliseconds; null: not connected, or none yet. */
  connectedAtMs: number | null;
  certificateEndMs: number | null;
  /** Destinations that it knows. */
  destinations: number;
  /** What it refused: resource, place and reason. */
  rejections: string[];
}

export interface SidecarInputs {
  view: View;
  streams: readonly StreamState[];
  inSync: ReadonlySet<ObjectKey>;
}

/** Sorted by namespace and name. */
export function sidecarRows(inputs: SidecarInputs): SidecarRow[] {
  const { view } = inputs;
  const meshed = meshedNamespaces(view);
  const streams = indexOfStreams(inputs.streams);
  return [...view.pods.values()]
    .filter((pod) => pod.alive && (pod.meshed || (meshed.has(pod.namespace) && !pod.hostNetwork)))
    .map((pod) => rowOf(pod, streams.get(pod.key), inputs.inSync))
    .toSorted((a, b) => compareText(`${a.namespace}/${a.pod}`, `${b.namespace}/${b.pod}`));
}

function rowOf(
  pod: PodEntry,
  found: StreamState | undefined,
  inSync: ReadonlySet<ObjectKey>,
): SidecarRow {
  const stream = found?.pod.uid === pod.uid ? found : undefined;
  const rejections = (stream?.resources ?? []).flatMap(({ key, rejected }) =>
    rejected === null ? [] : [`${key} at ${rejected.path || '/'}: ${rejected.message}`],
  );
  return {
    namespace: pod.namespace,
    pod: pod.name,
    workload: pod.workload,
    state: stateOf(pod, stream, { rejects: rejections.length > 0, synced: inSync.has(pod.key) }),
    version: stream?.proxyVersion ?? '',
    replica: stream?.replica ?? '',
    connectedAtMs: stream?.connectedAtMs ?? null,
    certificateEndMs: stream?.statistics?.certificate?.notAfterMs ?? null,
    destinations: stream?.subscriptions.length ?? 0,
    rejections,
  };
}

function stateOf(
  pod: PodEntry,
  stream: StreamState | undefined,
  { rejects, synced }: { rejects: boolean; synced: boolean },
): SidecarState {
  if (!pod.meshed) return 'none';
  if (stream === undefined) {
    if (pod.terminating) return 'draining';
    return pod.proxyReady || pod.ready ? 'disconnected' : 'starting';
  }
  if (stream.draining || pod.terminating) return 'draining';
  if (rejects) return 'rejected';
  return synced ? 'synced' : 'syncing';
}
