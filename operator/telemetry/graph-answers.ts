// The graph of who calls whom, and a workload's last hour, as the console answers them. Pure.

import type {
  GraphAnswer,
  GraphEdge,
  GraphNode,
  WorkloadAnswer,
  WorkloadRef,
} from '../console/api.ts';
import { stepMs } from './edge-history.ts';
import { graphEdge, seriesOf, servedBy, touches, type GraphObserver } from './graph.ts';
import type { SidecarRow } from './sidecars.ts';

type Bare<T> = Omit<T, 'operator' | 'atMs' | 'policies'>;

/** What one answer holds: more than anybody can read. */
const maxEdges = 1000;

/** Empty namespace: all. Edges without traffic in the last minute are left out. `graph` was brought up to date. */
export function graphAnswer(
  graph: GraphObserver,
  sidecars: readonly SidecarRow[],
  namespace: string,
): Bare<GraphAnswer> {
  const observed = graph.edges().filter(({ ref }) => namespace === '' || touches(ref, namespace));
  const { window } = graph;
  const edges = observed.map((one) => graphEdge(one, window)).filter(hasTraffic);
  const shown = edges
    .toSorted((a, b) => b.figures.requestsPerSecond - a.figures.requestsPerSecond)
    .slice(0, maxEdges);
  return {
    windowMs: window.endMs - window.startMs,
    nodes: nodesOf(graph, shown, sidecars, namespace),
    edges: shown,
    omittedEdges: graph.omitted + edges.length - shown.length,
  };
}

function hasTraffic({ figures }: GraphEdge): boolean {
  const { requestsPerSecond, connectionsPerSecond, deniedPerSecond } = figures;
  return requestsPerSecond + connectionsPerSecond + deniedPerSecond > 0;
}

function nodesOf(
  graph: GraphObserver,
  edges: readonly GraphEdge[],
  sidecars: readonly SidecarRow[],
  namespace: string,
): GraphNode[] {
  const refs = new Map<string, WorkloadRef>();
  for (const { from, to } of edges) refs.set(textOf(from), from).set(textOf(to), to);
  for (const row of sidecars) {
    const ref = refOfRow(row);
    if (namespace === '' || row.namespace === namespace) refs.set(textOf(ref), ref);
  }
  const served = Map.groupBy(graph.edges(), ({ ref }) => textOf(ref.to));
  const pods = Map.groupBy(sidecars, (row) => textOf(refOfRow(row)));
  return [...refs].map(([text, workload]) => {
    const own = pods.get(text) ?? [];
    return {
      workload,
      ready: own.filter(({ state }) => state === 'synced' || state === 'syncing').length,
      wanted: own.length,
      served: servedBy(served.get(text) ?? [], graph.window),
    };
  });
}

/** Null: nothing is known of it. `text` is `shop/Deployment/cart`. */
export function workloadAnswer(
  graph: GraphObserver,
  sidecars: readonly SidecarRow[],
  text: string,
): Bare<WorkloadAnswer> | null {
  const pods = sidecars.filter((row) => textOf(refOfRow(row)) === text);
  const all = graph.edges();
  const callers = all.filter(({ ref }) => textOf(ref.to) === text);
  const called = all.filter(({ ref }) => textOf(ref.from) === text);
  const [namespace = '', kind = '', name = ''] = text.split('/');
  if (pods.length + callers.length + called.length === 0) return null;
  return {
    workload: { namespace, kind, name },
    stepMs,
    series: seriesOf(callers),
    callers: callers.slice(0, maxEdges).map((one) => graphEdge(one, graph.window)),
    called: called.slice(0, maxEdges).map((one) => graphEdge(one, graph.window)),
    pods: pods.map(({ pod, state, version, certificateEndMs }) => ({
      name: pod,
      state,
      version: version === '' ? null : version,
      certificateNotAfterMs: certificateEndMs,
    })),
  };
}

function refOfRow({ namespace, workload }: SidecarRow): WorkloadRef {
  const [kind = '', name = ''] = workload.split('/');
  return { namespace, kind, name };
}

function textOf({ namespace, kind, name }: WorkloadRef): string {
  return `${namespace}/${kind}/${name}`;
}
