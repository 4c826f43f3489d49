// Who calls whom in the whole mesh, from what sidecars report. A caller's sidecar is believed about calls to a Service of one
// workload: it knows also what never arrived. Otherwise the called one is, which knows exactly who called and who was.
// Pure but for its own memory, which is bounded; time comes in.

import {
  unpackTraffic,
  type Statistics,
  type TrafficCounters,
} from '../../proxy/api/statistics.ts';
import { parseSpiffeId } from '../../proxy/api/spiffe.ts';
import type { GraphEdge, SeriesPoint, WorkloadRef } from '../console/api.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import { objectKey, podAt } from '../model/view.ts';
import type { PodEntry, View } from '../model/view.ts';
import { statisticsIntervalMs } from '../translate/mesh-settings.ts';
import { figuresOf } from './edge-history.ts';
import { EdgeTable, type EdgeRef, type ObservedEdge, type Teller } from './edge-table.ts';
import { addSums, difference, emptySums, type Sums } from './recent.ts';
import { ObservedWindow, type Window } from './window.ts';

/** Kind of what is not of the mesh. */
const outsideKind = 'Outside';
/** An hour without traffic, and an edge is forgotten. */
const forgetMs = 3_600_000;
/** How long a called sidecar is not asked about calls of which the caller's tells. */
const toldMs = 120_000;

/** A counter of a sidecar, by a name that stays the same from report to report. */
interface Reported {
  name: string;
  counters: TrafficCounters;
}

/** Whose sidecar tells of the calls of an edge. */

/** What a sidecar counted from one report to the next. */
interface News {
  pod: PodEntry;
  changes: ReadonlyMap<string, TrafficCounters>;
  fromMs: number;
  toMs: number;
}

interface Last {
  startedAtMs: number;
  atMs: number;
  seenMs: number;
  counters: Map<string, TrafficCounters>;
}

export class GraphObserver {
  readonly #startedMs: number;
  readonly #last = new Map<string, Last>();
  readonly #edges = new EdgeTable();
  /** When the caller's sidecar last told of calls from one workload to another. */
  readonly #told = new Map<string, number>();
  readonly #window: ObservedWindow;
  #nowMs: number;

  constructor(nowMs: number) {
    this.#startedMs = nowMs;
    this.#nowMs = nowMs;
    this.#window = new ObservedWindow(nowMs);
  }

  /** Takes in what sidecars reported since the last call. To be called every few seconds. */
  observe(view: View, streams: readonly StreamState[], nowMs: number): void {
    this.#nowMs = nowMs;
    const news = streams.flatMap((stream) => this.#newsOf(view, stream));
    // What callers say first: it decides whether the called are asked.
    for (const one of news) this.#takeCalls(view, one);
    for (const one of news) this.#takeCallers(view, one);
    this.#window.observe(streams, statisticsIntervalMs(view), nowMs);
    this.#forget(nowMs);
  }

  #forget(nowMs: number): void {
    for (const [id, last] of this.#last) {
      if (nowMs - last.seenMs > forgetMs) this.#last.delete(id);
    }
    this.#edges.advance(nowMs, forgetMs);
    for (const [key, atMs] of this.#told) {
      if (nowMs - atMs > forgetMs) this.#told.delete(key);
    }
  }

  edges(): ObservedEdge[] {
    return this.#edges.list();
  }

  /** Edges for which there is no room; beyond as many as have some the number stands still. */
  get omitted(): number {
    return this.#edges.omitted(() => true);
  }

  /** Of these, that begin or end in a namespace. */
  omittedIn(namespace: string): number {
    return this.#edges.omitted((ref) => touches(ref, namespace));
  }

  /** What figures are of: the last minute, or as much of it as was looked at. */
  get window(): Window {
    return this.#window.current();
  }

  #newsOf(view: View, stream: StreamState): News[] {
    const { statistics, statisticsAtMs: atMs } = stream;
    const pod = view.pods.get(objectKey(stream.pod.namespace, stream.pod.name));
    if (statistics === null || pod === undefined) return [];
    const last = this.#last.get(stream.pod.uid);
    if (last?.atMs === atMs) {
      last.seenMs = this.#nowMs;
      return [];
    }
    const { startedAtMs } = statistics;
    const before = last?.startedAtMs === startedAtMs ? last.counters : null;
    const reported = reportedBy(statistics);
    const counters = new Map(reported.map(({ name, counters: now }) => [name, now]));
    this.#last.set(stream.pod.uid, { startedAtMs, atMs, seenMs: this.#nowMs, counters });
    // Counters of a process that began before this observer looked are of no known time.
    if (before === null && startedAtMs < this.#startedMs) {
      this.#window.noteFirstReport(atMs);
      return [];
    }
    const changes = new Map<string, TrafficCounters>();
    for (const { name, counters: now } of reported) {
      const then = before?.get(name);
      const began = then === undefined || then.requests > now.requests;
      const change = began ? now : difference(now, then);
      if (change.requests + change.connections + change.denied > 0) changes.set(name, change);
    }
    const fromMs = before === null ? Math.max(startedAtMs, last?.atMs ?? 0) : last!.atMs;
    return [{ pod, changes, fromMs, toMs: Math.min(atMs, this.#nowMs) }];
  }

  #takeCalls(view: View, news: News): void {
    const { pod } = news;
    const from = workloadOf(pod);
    for (const [name, change] of news.changes) {
      const [, destination] = /^to (.+)$/.exec(name) ?? [];
      if (destination === undefined) continue;
      const { to, service } = calledBy(view, destination);
      if (to === null) continue;
      const identity = identityOf(view, pod);
      if (to.kind !== outsideKind) {
        // What the called told of these calls before its caller did is told twice now.
        if (!this.#isTold(from, to))
          this.#edges.delete({ from, to, identity, service: null }, 'called');
        this.#told.set(pairOf(from, to), this.#nowMs);
      }
      this.#note({ from, to, identity, service }, 'caller', change, news);
    }
  }

  #takeCallers(view: View, news: News): void {
    const to = workloadOf(news.pod);
    for (const [name, change] of news.changes) {
      const [, identity, address] = /^from (.*) (.*)$/.exec(name) ?? [];
      if (identity === undefined || address === undefined) continue;
      const from = callerOf(view, identity, address);
      const ref = { from, to, identity: identity === '' ? null : identity, service: null };
      if (!this.#isTold(from, to)) this.#note(ref, 'called', change, news);
    }
  }

  #isTold(from: WorkloadRef, to: WorkloadRef): boolean {
    return this.#nowMs - (this.#told.get(pairOf(from, to)) ?? -Infinity) < toldMs;
  }

  #note(ref: EdgeRef, teller: Teller, change: TrafficCounters, news: News): void {
    const edge = this.#edges.at(ref, { teller, toldIn: news.pod.namespace }, this.#nowMs);
    edge?.history.add(change, news.fromMs, news.toMs);
  }
}

export function touches({ from, to }: EdgeRef, namespace: string): boolean {
  return from.namespace === namespace || to.namespace === namespace;
}

function reportedBy({ callers = [], destinations = [] }: Statistics): Reported[] {
  const all = [
    ...callers.map((packed) => ({ name: `from ${packed.identity} ${packed.address}`, packed })),
    ...destinations.map((packed) => ({ name: `to ${packed.name}`, packed })),
  ];
  return all.flatMap(({ name, packed }) => {
    const counters = unpackTraffic(packed);
    return counters === null ? [] : [{ name, counters }];
  });
}

/** `to` null: the called sidecars tell it, for there are several workloads behind the Service. */
function calledBy(
  view: View,
  destination: string,
): { to: WorkloadRef | null; service: string | null } {
  const host = destination.replace(/:\d+$/, '');
  const pod = podAt(view, host.replace(/^\[|\]$/g, ''));
  if (pod !== null) return { to: workloadOf(pod), service: null };
  const [name = '', namespace = ''] = host.split('.');
  const service = objectKey(namespace, name);
  if (!view.services.has(service)) return { to: outside(destination), service: null };
  const behind = workloadsBehind(view, service);
  if (behind.length > 1) return { to: null, service };
  return { to: behind[0] ?? { namespace, kind: 'Service', name }, service };
}

function workloadsBehind(view: View, service: string): WorkloadRef[] {
  const found = new Map<string, WorkloadRef>();
  for (const slice of view.slices.get(service) ?? []) {
    for (const { addresses } of slice.endpoints ?? []) {
      const pod = podAt(view, addresses[0] ?? '');
      if (pod !== null) found.set(`${pod.namespace}/${pod.workload}`, workloadOf(pod));
    }
  }
  return [...found.values()];
}

/** An identity proves a service account; the address says which of its workloads, where it is a pod of that account. */
function callerOf(view: View, identity: string, address: string): WorkloadRef {
  const pod = podAt(view, address);
  const proved = parseSpiffeId(identity);
  if (proved === null) return pod === null ? outside('(not in the cluster)') : workloadOf(pod);
  const { namespace, serviceAccount } = proved;
  if (pod?.namespace === namespace && pod.serviceAccount === serviceAccount) return workloadOf(pod);
  return { namespace, kind: 'ServiceAccount', name: serviceAccount };
}

function identityOf(view: View, pod: PodEntry): string | null {
  if (!pod.meshed) return null;
  const domain = view.mesh?.spec.trustDomain ?? 'cluster.local';
  return `spiffe://${domain}/ns/${pod.namespace}/sa/${pod.serviceAccount}`;
}

function workloadOf(pod: PodEntry): WorkloadRef {
  const [kind = '', name = ''] = pod.workload.split('/');
  return { namespace: pod.namespace, kind, name };
}

function outside(name: string): WorkloadRef {
  return { namespace: '', kind: outsideKind, name };
}

function pairOf(from: WorkloadRef, to: WorkloadRef): string {
  return [from, to].map(({ namespace, kind, name }) => `${namespace}/${kind}/${name}`).join(' ');
}

export function graphEdge({ ref, history }: ObservedEdge, window: Window): GraphEdge {
  const sums = history.recent(window);
  return { ...ref, protocol: protocolsOf(sums), figures: figuresOf(sums, window) };
}

/** What was seen; `http` where nothing was. */
function protocolsOf({ requests, grpcRequests, connections }: Sums): string {
  const seen = [
    ...(requests > grpcRequests ? ['http'] : []),
    ...(grpcRequests > 0 ? ['grpc'] : []),
    ...(connections > 0 ? ['tcp'] : []),
  ];
  return seen.join(', ') || 'http';
}

/** What came in over all of these edges. */
export function servedBy(edges: readonly ObservedEdge[], window: Window): GraphEdge['figures'] {
  const sum = emptySums();
  for (const { history } of edges) addSums(sum, history.recent(window));
  return figuresOf(sum, window);
}

/** Of several callers together; times are those of the slowest. */
export function seriesOf(edges: readonly ObservedEdge[]): SeriesPoint[] {
  const all = edges.map(({ history }) => history.series());
  const [first = [], ...rest] = all;
  return rest.reduce((sum, one) => sum.map((point, index) => addPoints(point, one[index]!)), first);
}

function addPoints(a: SeriesPoint, b: SeriesPoint): SeriesPoint {
  const requestsPerSecond = a.requestsPerSecond + b.requestsPerSecond;
  const good = (a.success ?? 0) * a.requestsPerSecond + (b.success ?? 0) * b.requestsPerSecond;
  return {
    requestsPerSecond,
    success: requestsPerSecond === 0 ? null : good / requestsPerSecond,
    p50Ms: slower(a.p50Ms, b.p50Ms),
    p99Ms: slower(a.p99Ms, b.p99Ms),
  };
}

function slower(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}
