// The lists of a MeshStatus row: workloads, edges, stale sidecars, problems of policies; bounded, so that a row never grows
// beyond what is good for the API server, whatever there is in the cluster. Pure.

import type { StreamState } from '../discovery/stream-state.ts';
import { compareText } from '../model/order.ts';
import { objectKey } from '../model/view.ts';
import type { ObjectKey } from '../model/view.ts';
import type { GraphEdge, TrafficFigures, WorkloadRef } from '../console/api.ts';
import type {
  EdgeStatus,
  MeshStatusStatus,
  PolicyProblem,
  StaleSidecar,
  WorkloadStatus,
} from '../resources/tsmesh.ts';
import { figuresText, rfc3339 } from './figures.ts';
import { endsSoon } from './healthy.ts';
import type { SidecarRow, SidecarState } from './sidecars.ts';

/** A row as JSON, 256 KiB less what the API server adds: name, times, who wrote which field. */
const maxRowBytes = 248 << 10;
const maxWorkloadBytes = 96 << 10;
const maxStale = 50;
const maxProblems = 50;
/** Of a reason or a message, in characters. */
const maxWords = 300;
const maxNamedResources = 3;

/** As many as fit, from the first on. */
export function fitting<T>(all: readonly T[], maxBytes: number): T[] {
  let bytes = 2;
  const count = all.findIndex((one) => (bytes += bytesOf(one) + 1) > maxBytes);
  return count < 0 ? [...all] : all.slice(0, count);
}

/** As the API server's encoder writes it: six characters for what could be taken for markup. */
export function bytesOf(value: unknown): number {
  const text = JSON.stringify(value);
  let more = 0;
  for (const _ of text.matchAll(/[<>&]/g)) more += 5;
  return Buffer.byteLength(text) + more;
}

/** Those with most traffic where not all fit; sorted by name. */
export function workloadList(
  entries: readonly WorkloadStatus[],
  figuresOf: (workload: string) => TrafficFigures,
): Pick<MeshStatusStatus, 'workloads' | 'workloadsOmitted'> {
  const seen = new Set<string>();
  const weighed = entries.map((entry) => {
    const first = !seen.has(entry.workload);
    seen.add(entry.workload);
    const figures = figuresOf(entry.workload);
    const { ports, ...rest } = entry;
    const traffic = first ? { traffic: figuresText(figures) } : {};
    return { weight: weightOf(figures), one: { ...rest, ...traffic, ports } };
  });
  const ranked = weighed.toSorted((a, b) => b.weight - a.weight).map(({ one }) => one);
  const kept = new Set(fitting(ranked, maxWorkloadBytes));
  const workloads = weighed.map(({ one }) => one).filter((one) => kept.has(one));
  return { workloads, ...omitted('workloadsOmitted', entries.length - workloads.length) };
}

/** Of which sidecars of the namespace itself tell, and sidecars of others. */
export interface EdgesToShow {
  own: readonly GraphEdge[];
  others: readonly GraphEdge[];
  /** How many are not known here. */
  beyond: number;
}

/** Most traffic first. Where not all fit, what others tell of does not take the place of what the namespace's own do. */
export function edgeList(
  { own, others, beyond }: EdgesToShow,
  rest: object,
): Pick<MeshStatusStatus, 'edges' | 'edgesOmitted'> {
  const all = [...ranked(own), ...ranked(others)];
  const kept = new Set(
    fitting(
      all.map(({ one }) => one),
      maxRowBytes - bytesOf(rest),
    ),
  );
  const edges = byWeight(all.filter(({ one }) => kept.has(one))).map(({ one }) => one);
  return { edges, ...omitted('edgesOmitted', beyond + all.length - edges.length) };
}

interface Ranked {
  weight: number;
  one: EdgeStatus;
}

function ranked(edges: readonly GraphEdge[]): Ranked[] {
  return byWeight(
    edges
      .filter(({ figures }) => weightOf(figures) > 0)
      .map((edge) => ({ weight: weightOf(edge.figures), one: edgeText(edge) })),
  );
}

function byWeight(edges: readonly Ranked[]): Ranked[] {
  return edges.toSorted(
    (a, b) => b.weight - a.weight || compareText(edgeKey(a.one), edgeKey(b.one)),
  );
}

/** What makes it the same edge from row to row. */
export function edgeKey({ from, to, identity = '', service = '' }: EdgeStatus): string {
  return `${from} ${to} ${identity} ${service}`;
}

function edgeText({ from, to, identity, service, protocol, figures }: GraphEdge): EdgeStatus {
  return {
    from: refText(from),
    to: refText(to),
    ...(identity === null ? {} : { identity }),
    ...(service === null ? {} : { service }),
    protocol,
    ...figuresText(figures),
  };
}

function refText({ namespace, kind, name }: WorkloadRef): string {
  return namespace === '' ? `${kind}/${name}` : `${namespace}/${kind}/${name}`;
}

function weightOf({ requestsPerSecond, connectionsPerSecond, deniedPerSecond }: TrafficFigures) {
  return requestsPerSecond + connectionsPerSecond + deniedPerSecond;
}

function omitted<Name extends string>(name: Name, count: number): Partial<Record<Name, number>> {
  return count === 0 ? {} : ({ [name]: count } as Partial<Record<Name, number>>);
}

const words: Partial<Record<SidecarState, string>> = {
  disconnected: 'runs, but is not connected to the operator',
  starting: 'is not ready yet',
};

/** Sidecars with which something is wrong, and what. */
export function staleList(
  sidecars: readonly SidecarRow[],
  streams: ReadonlyMap<ObjectKey, StreamState>,
  nowMs: number,
): Pick<MeshStatusStatus, 'staleSidecars' | 'staleSidecarsOmitted'> {
  const stale = sidecars.flatMap((row): StaleSidecar[] => {
    const pod = objectKey(row.namespace, row.pod);
    const reason = staleReason(row, streams.get(pod), nowMs);
    return reason === null ? [] : [{ pod, workload: row.workload, reason: clip(reason) }];
  });
  const staleSidecars = stale.slice(0, maxStale);
  return stale.length === 0
    ? {}
    : { staleSidecars, ...omitted('staleSidecarsOmitted', stale.length - staleSidecars.length) };
}

function staleReason(
  { state, rejections, certificateEndMs }: SidecarRow,
  stream: StreamState | undefined,
  nowMs: number,
): string | null {
  if (state === 'rejected') return `refuses ${rejections.join('; ')}`;
  if (endsSoon(certificateEndMs, nowMs)) {
    return `its certificate is not renewed, and ends at ${rfc3339(certificateEndMs!)}`;
  }
  if (state === 'syncing') return waitingFor(stream);
  return words[state] ?? null;
}

function waitingFor(stream: StreamState | undefined): string {
  const sent = (stream?.resources ?? []).filter((one) => one.sent !== null).map(({ key }) => key);
  if (sent.length === 0) return 'connected, and what is new has yet to be sent to it';
  const more =
    sent.length > maxNamedResources ? ` and ${sent.length - maxNamedResources} more` : '';
  return `has yet to acknowledge ${sent.slice(0, maxNamedResources).join(', ')}${more}`;
}

export function problemList(
  problems: readonly PolicyProblem[],
): Pick<MeshStatusStatus, 'policyProblems' | 'policyProblemsOmitted'> {
  if (problems.length === 0) return {};
  const policyProblems = problems
    .slice(0, maxProblems)
    .map((one) => ({ ...one, message: clip(one.message) }));
  return {
    policyProblems,
    ...omitted('policyProblemsOmitted', problems.length - policyProblems.length),
  };
}

function clip(text: string): string {
  return text.length <= maxWords ? text : `${text.slice(0, maxWords)}…`;
}
