// The rows of `kubectl get meshstatus`, from the view, the streams and what was observed. Pure.

import type { WorkloadResource } from '../../proxy/api/resources.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import { objectKey } from '../model/view.ts';
import type { ObjectKey, PodEntry, View } from '../model/view.ts';
import type { MeshStatusStatus } from '../resources/tsmesh.ts';
import { effectiveModes } from './effective-modes.ts';
import { meshedNamespaces } from './meshed-namespaces.ts';
import { quantileMs } from './traffic.ts';
import type { Traffic, TrafficObserver } from './traffic.ts';
import type { MeshStatusRow } from './types.ts';

export interface MeshStatusInputs {
  view: View;
  streams: readonly StreamState[];
  /** ProgrammedIndex.inSync. */
  inSync: ReadonlySet<ObjectKey>;
  traffic: TrafficObserver;
  nowMs: number;
  /** What a pod's sidecar is sent. */
  inboundOf: (pod: PodEntry) => WorkloadResource['inbound'] | null;
}

/** Row `mesh.default`, and one per meshed namespace: annotated, or with meshed pods. */
export function meshStatusRows(inputs: MeshStatusInputs): MeshStatusRow[] {
  const { view, traffic, nowMs } = inputs;
  const pods = [...view.pods.values()].filter(isWanted);
  const byNamespace = Map.groupBy(pods, (pod) => pod.namespace);
  const namespaces = meshedNamespaces(view).union(new Set(byNamespace.keys()));
  const rows = [...namespaces].toSorted().map((name) => ({
    name: `namespace.${name}`,
    status: {
      ...statusOf(inputs, byNamespace.get(name) ?? [], traffic.of(name, nowMs)),
      ...modesOf(inputs, byNamespace.get(name) ?? []),
    },
  }));
  return [{ name: 'mesh.default', status: statusOf(inputs, pods, traffic.all(nowMs)) }, ...rows];
}

/** A pod that is to have a working sidecar: it neither ended nor is going. */
function isWanted(pod: PodEntry): boolean {
  return pod.meshed && pod.alive && !pod.terminating;
}

function statusOf(
  inputs: MeshStatusInputs,
  pods: readonly PodEntry[],
  traffic: Traffic,
): MeshStatusStatus {
  const ready = pods.filter((pod) => pod.proxyReady).length;
  const expiry = nearestExpiryMs(inputs.streams, new Set(pods.map((pod) => pod.key)));
  const { recent, recentMs, total } = traffic;
  return {
    proxies: `${ready}/${pods.length}`,
    readyProxies: ready,
    wantedProxies: pods.length,
    inSync: pods.filter((pod) => inputs.inSync.has(pod.key)).length,
    mtlsPercent: mtlsPercent(traffic),
    ...(expiry === null ? {} : { nearestExpiry: rfc3339(expiry) }),
    requestRate: (recent.requests / (recentMs / 1000)).toFixed(1),
    successRate: successRate(traffic),
    p99: formatMs(quantileMs(recent.latency, 0.99)),
    requests: total.requests,
    failures: total.failures,
    connections: total.connections,
    denied: total.denied,
  };
}

function modesOf(
  inputs: MeshStatusInputs,
  pods: readonly PodEntry[],
): Pick<MeshStatusStatus, 'workloads' | 'workloadsOmitted'> {
  const { workloads, omitted } = effectiveModes(pods, inputs.inboundOf);
  return { workloads, ...(omitted === 0 ? {} : { workloadsOmitted: omitted }) };
}

function nearestExpiryMs(
  streams: readonly StreamState[],
  pods: ReadonlySet<ObjectKey>,
): number | null {
  let nearest: number | null = null;
  for (const { pod, statistics } of streams) {
    const end = statistics?.certificate?.notAfterMs;
    if (end === undefined || !pods.has(objectKey(pod.namespace, pod.name))) continue;
    nearest = Math.min(nearest ?? end, end);
  }
  return nearest;
}

/** Of the last minute; empty without traffic. */
function mtlsPercent({ recent }: Traffic): string {
  const all = recent.requests + recent.connections;
  if (all === 0) return '';
  return percent((recent.mtlsRequests + recent.mtlsConnections) / all);
}

function successRate({ recent }: Traffic): string {
  if (recent.requests === 0) return '-';
  return percent((recent.requests - recent.failures) / recent.requests);
}

/** Never rounded up to 100: `99.99` says that something failed. */
function percent(share: number): string {
  const floored = Math.floor(share * 10_000) / 100;
  return String(Math.max(0, floored));
}

function formatMs(ms: number | null): string {
  if (ms === null) return '-';
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)}s` : `${ms.toFixed(1)}ms`;
}

/** Whole seconds, as Kubernetes writes times. */
function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
