// The rows of `kubectl get meshstatus`, from the view, the streams and what was observed. Pure.

import type { WorkloadResource } from '../../proxy/api/resources.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import { objectKey } from '../model/view.ts';
import type { ObjectKey, PodEntry, View } from '../model/view.ts';
import type { MeshStatusStatus } from '../resources/tsmesh.ts';
import { columnsOf } from './columns.ts';
import { effectiveModes } from './effective-modes.ts';
import { meshedNamespaces } from './meshed-namespaces.ts';
import { healthyVerdict } from './healthy.ts';
import { sidecarRows, type SidecarRow } from './sidecars.ts';
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
  const sidecars = sidecarRows(inputs);
  const ofNamespace = Map.groupBy(sidecars, (row) => row.namespace);
  const rows = [...namespaces].toSorted().map((name): MeshStatusRow => {
    const own = { pods: byNamespace.get(name) ?? [], sidecars: ofNamespace.get(name) ?? [] };
    return {
      name: `namespace.${name}`,
      status: {
        ...statusOf(inputs, own, traffic.of(name, nowMs)),
        ...modesOf(inputs, own.pods),
      },
      verdicts: [healthyVerdict(own.sidecars, nowMs)],
    };
  });
  const whole: MeshStatusRow = {
    name: 'mesh.default',
    status: statusOf(inputs, { pods, sidecars }, traffic.all(nowMs)),
    verdicts: [healthyVerdict(sidecars, nowMs)],
  };
  return [whole, ...rows];
}

/** A pod that is to have a working sidecar: it neither ended nor is going. */
function isWanted(pod: PodEntry): boolean {
  return pod.meshed && pod.alive && !pod.terminating;
}

interface Counted {
  pods: readonly PodEntry[];
  sidecars: readonly SidecarRow[];
}

function statusOf(
  inputs: MeshStatusInputs,
  { pods, sidecars }: Counted,
  traffic: Traffic,
): MeshStatusStatus {
  const ready = pods.filter((pod) => pod.proxyReady).length;
  const expiry = nearestExpiryMs(inputs.streams, new Set(pods.map((pod) => pod.key)));
  const { recent, recentMs, total } = traffic;
  const inSync = pods.filter((pod) => inputs.inSync.has(pod.key)).length;
  const requestsPerSecond = recent.requests / (recentMs / 1000);
  const p99Ms = quantileMs(recent.latency, 0.99);
  return {
    columns: columnsOf({
      sidecars,
      wanted: pods.length,
      inSync,
      nearestExpiryMs: expiry,
      nowMs: inputs.nowMs,
      requestsPerSecond,
      mtlsShare: mtlsShare(traffic),
      failedShare: failedShare(traffic),
      p99Ms,
    }),
    proxies: `${ready}/${pods.length}`,
    readyProxies: ready,
    wantedProxies: pods.length,
    inSync,
    mtlsPercent: mtlsPercent(traffic),
    ...(expiry === null ? {} : { nearestExpiry: rfc3339(expiry) }),
    requestRate: String(Number(requestsPerSecond.toPrecision(5))),
    successRate: successRate(traffic),
    p99: formatMs(p99Ms),
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

/** Of the last minute; null without traffic. */
function mtlsShare({ recent }: Traffic): number | null {
  const all = recent.requests + recent.connections;
  return all === 0 ? null : (recent.mtlsRequests + recent.mtlsConnections) / all;
}

function failedShare({ recent }: Traffic): number | null {
  return recent.requests === 0 ? null : recent.failures / recent.requests;
}

function mtlsPercent(traffic: Traffic): string {
  const share = mtlsShare(traffic);
  return share === null ? '' : percent(share);
}

function successRate(traffic: Traffic): string {
  const failed = failedShare(traffic);
  return failed === null ? '-' : percent(1 - failed);
}

/** Never rounded up to 100: `99.99` says that something failed. */
function percent(share: number): string {
  // A share such as 0.999 is a little less than that in binary.
  const floored = Math.floor(share * 10_000 + 1e-9) / 100;
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
