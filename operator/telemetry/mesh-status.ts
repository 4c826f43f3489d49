// The rows of `kubectl get meshstatus`, from the view, the streams and what was observed. Pure; each row is made when it is
// asked for, since most are looked at without being written.

import type { WorkloadResource } from '../../proxy/api/resources.ts';
import type { TrafficFigures } from '../console/api.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import type { ObjectKey, PodEntry, View } from '../model/view.ts';
import type { MeshStatusStatus, PolicyProblem } from '../resources/tsmesh.ts';
import { columnsOf } from './columns.ts';
import { figuresOf } from './edge-history.ts';
import { effectiveModes } from './effective-modes.ts';
import { figuresText, rfc3339 } from './figures.ts';
import { graphEdge, touches, type GraphObserver } from './graph.ts';
import { healthyVerdict } from './healthy.ts';
import { meshedNamespaces } from './meshed-namespaces.ts';
import { sidecarRows, type SidecarRow } from './sidecars.ts';
import { edgeList, problemList, staleList, workloadList } from './status-lists.ts';
import { indexOfStreams } from './streams.ts';
import type { Traffic, TrafficObserver } from './traffic.ts';
import type { MeshStatusRow, MeshStatusTable } from './types.ts';

export interface MeshStatusInputs {
  view: View;
  streams: readonly StreamState[];
  /** ProgrammedIndex.inSync. */
  inSync: ReadonlySet<ObjectKey>;
  traffic: TrafficObserver;
  graph: GraphObserver;
  nowMs: number;
  /** What a pod's sidecar is sent. */
  inboundOf: (pod: PodEntry) => WorkloadResource['inbound'] | null;
}

const meshRow = 'mesh.default';
const namespacePrefix = 'namespace.';

/** Row `mesh.default`, and one per meshed namespace: annotated, or with meshed pods. */
export function meshStatusTable(inputs: MeshStatusInputs): MeshStatusTable {
  const { view } = inputs;
  const pods = [...view.pods.values()].filter(isWanted);
  const podsOf = Map.groupBy(pods, (pod) => pod.namespace);
  const sidecars = sidecarRows(inputs);
  const sidecarsOf = Map.groupBy(sidecars, (row) => row.namespace);
  const namespaces = meshedNamespaces(view).union(new Set(podsOf.keys()));
  const streams = indexOfStreams(inputs.streams);
  return {
    names: [meshRow, ...[...namespaces].toSorted().map((name) => `${namespacePrefix}${name}`)],
    row(name, problems) {
      if (name === meshRow) {
        const part = { pods, sidecars, streams, problems, traffic: inputs.traffic.all() };
        return rowOf(inputs, part, null);
      }
      const namespace = name.slice(namespacePrefix.length);
      const part = {
        pods: podsOf.get(namespace) ?? [],
        sidecars: sidecarsOf.get(namespace) ?? [],
        streams,
        problems: problems.filter(({ policy }) => policy.startsWith(`${namespace}/`)),
        traffic: inputs.traffic.of(namespace),
      };
      return rowOf(inputs, part, namespace);
    },
  };
}

/** A pod that is to have a working sidecar: it neither ended nor is going. */
function isWanted(pod: PodEntry): boolean {
  return pod.meshed && pod.alive && !pod.terminating;
}

/** What a row is of. */
interface Part {
  pods: readonly PodEntry[];
  sidecars: readonly SidecarRow[];
  streams: ReadonlyMap<ObjectKey, StreamState>;
  problems: readonly PolicyProblem[];
  traffic: Traffic;
}

function rowOf(inputs: MeshStatusInputs, part: Part, namespace: string | null): MeshStatusRow {
  const { nowMs } = inputs;
  const status: MeshStatusStatus = {
    ...summaryOf(inputs, part),
    ...staleList(part.sidecars, part.streams, nowMs),
    ...problemList(part.problems),
    ...(namespace === null ? {} : workloadsOf(inputs, part, namespace)),
  };
  const verdicts = [healthyVerdict(part.sidecars, nowMs)];
  const edges = namespace === null ? {} : edgesOf(inputs, namespace, { ...status, verdicts });
  const name = namespace === null ? meshRow : `${namespacePrefix}${namespace}`;
  return { name, status: { ...status, ...edges }, verdicts };
}

function summaryOf(inputs: MeshStatusInputs, part: Part): MeshStatusStatus {
  const { pods, sidecars, traffic, problems } = part;
  const { total, recent, window } = traffic;
  const ready = pods.filter((pod) => pod.proxyReady).length;
  const inSync = pods.filter((pod) => inputs.inSync.has(pod.key)).length;
  const nearestExpiryMs = nearestExpiry(part);
  const figures = figuresOf(recent, window);
  const shown = { sidecars, wanted: pods.length, inSync, nearestExpiryMs, nowMs: inputs.nowMs };
  return {
    columns: columnsOf({ ...shown, figures, problems: problems.length }),
    window: { end: rfc3339(window.endMs), seconds: (window.endMs - window.startMs) / 1000 },
    proxies: `${ready}/${pods.length}`,
    readyProxies: ready,
    wantedProxies: pods.length,
    inSync,
    ...(nearestExpiryMs === null ? {} : { nearestExpiry: rfc3339(nearestExpiryMs) }),
    ...figuresText(figures),
    requests: total.requests,
    failures: total.failures,
    connections: total.connections,
    denied: total.denied,
  };
}

function workloadsOf(inputs: MeshStatusInputs, { pods, traffic }: Part, namespace: string) {
  const figures = (workload: string): TrafficFigures =>
    figuresOf(inputs.traffic.ofWorkload(namespace, workload), traffic.window);
  return workloadList(effectiveModes(pods, inputs.inboundOf), figures);
}

function edgesOf({ graph }: MeshStatusInputs, namespace: string, rest: object) {
  const edges = graph.edges().filter(({ ref }) => touches(ref, namespace));
  const told = (own: boolean) =>
    edges
      .filter(({ toldIn }) => (toldIn === namespace) === own)
      .map((edge) => graphEdge(edge, graph.window));
  const beyond = graph.omittedIn(namespace);
  return edgeList({ own: told(true), others: told(false), beyond }, rest);
}

function nearestExpiry({ pods, streams }: Part): number | null {
  let nearest: number | null = null;
  for (const pod of pods) {
    const end = streams.get(pod.key)?.statistics?.certificate?.notAfterMs;
    if (end !== undefined) nearest = Math.min(nearest ?? end, end);
  }
  return nearest;
}
