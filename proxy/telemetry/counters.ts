// The counters of a sidecar: cumulative totals per direction for the operator, and a bounded number
// of series per destination for Prometheus. Recording is a few additions; nothing is allocated.

import { latencyBoundsMs, type TrafficCounters } from '../api/statistics.ts';
import { CallerTable } from './callers.ts';
import { createOutsideCounters, type OutsideCounters } from './outside.ts';
import type { EjectionReason } from '../policy/outlier.ts';
import { errorSpec, type ProxyErrorCode } from '../errors.ts';

export type Direction = 'inbound' | 'outbound';

/** Destinations that get a series of their own, per direction; later ones share the last. */
export const maxSeries = 200;
/** Name of the series that later destinations share. */
export const otherSeries = '(other)';
/** Name of the one series for all places outside the mesh: outside.ts tells them apart. */
export const outsideSeries = '(outside)';
/** Name of the one series for addresses that nobody could say anything about. */
export const unknownSeries = '(unknown)';

/** Policies and rules that get a count of their own; later ones share one per kind. */
export const maxDecisions = 500;
/** Names what later policies and rules share. */
export const otherPolicy = '(other)';

/** What a policy did: refused, asked to be told of it, or would refuse if it were not a dry run. */
export type DecisionKind = 'denied' | 'audit' | 'would-deny';

/** Of a copy: `failed` by the mirror, `dropped` because it did not keep up or there were too many. */
export const mirrorResults = ['answered', 'failed', 'dropped'] as const;
export type MirrorResult = (typeof mirrorResults)[number];

/** `kind`, policy, rule and reason of a decision as one key, so that counts are a flat map. */
export type DecisionKey = string;

/** No gRPC status: not a gRPC answer. */
export const noGrpcStatus = -1;

/** gRPC codes that are the server's fault, as OpenTelemetry counts them. */
const serverFaults: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

export function isServerFault(grpcStatus: number): boolean {
  return serverFaults.has(grpcStatus);
}

export interface RequestSample {
  /** Status sent on; 0: broken off before or within the answer. */
  status: number;
  /** `noGrpcStatus` where the answer was not gRPC. */
  grpcStatus: number;
  latencyMs: number;
  mtls: boolean;
}

/** The counters of one destination (outbound: its host; inbound: its port). Keep it with the connection. */
export interface Series {
  readonly name: string;
  /** A request came to its end: answered, by the app or by the sidecar, or broken off. */
  request(sample: RequestSample): void;
  /** An opaque connection was opened through. */
  connection(mtls: boolean): void;
  /** Something was refused or failed here; counts `denied` for refusals by policy. */
  error(code: ProxyErrorCode): void;
  /** A policy spoke; `reason` only where it refused. */
  decision(kind: DecisionKind, policy: string, rule: string, reason: string): void;
  /** A further attempt was made. */
  retry(): void;
  /** An endpoint was left out for a while because of how it answered. */
  ejection(reason: EjectionReason): void;
  /** An endpoint outside of the zone was chosen although the zone has some of its own. */
  spillover(): void;
  /** A copy of a request came to its end. */
  mirror(result: MirrorResult): void;
  /** Body and tunnel bytes carried, both ways. */
  bytes(sent: number, received: number): void;
}

export interface SeriesSnapshot {
  name: string;
  totals: TrafficCounters;
  /** Requests by status class: index 0 broken off, 1 to 5 for 1xx to 5xx. */
  byClass: readonly number[];
  latencySumMs: number;
  retries: number;
  /** By reason. */
  ejections: ReadonlyMap<string, number>;
  spillovers: number;
  mirrors: Readonly<Record<MirrorResult, number>>;
  sentBytes: number;
  receivedBytes: number;
  /** By error flag. */
  errors: ReadonlyMap<string, number>;
  /** What policies did. */
  decisions: ReadonlyMap<DecisionKey, number>;
}

export interface Counters {
  series(direction: Direction, name: string): Series;
  /** Inbound, also counted for this caller: its verified identity and its address, each or both empty. */
  seriesFrom(name: string, identity: string, address: string): Series;
  /** One per caller that something came from, by the name that readCallerName takes. */
  callers(): SeriesSnapshot[];
  totals(direction: Direction): TrafficCounters;
  snapshot(direction: Direction): SeriesSnapshot[];
  /** Connections to places outside the mesh, by host. */
  readonly outside: OutsideCounters;
}

const denials: ReadonlySet<ProxyErrorCode> = new Set([
  'mtls-required',
  'policy-denied',
  'ambiguous-path',
  'registry-only',
]);

/** How many more policies and rules may be told apart. */
interface Room {
  left: number;
}

export class Recorder implements Series {
  readonly name: string;
  readonly totals: TrafficCounters = emptyTotals();
  readonly byClass = [0, 0, 0, 0, 0, 0];
  readonly mirrors: Record<MirrorResult, number> = { answered: 0, failed: 0, dropped: 0 };
  readonly ejections = new Map<string, number>();
  readonly errors = new Map<string, number>();
  readonly decisions = new Map<DecisionKey, number>();
  private readonly room: Room;
  latencySumMs = 0;
  retries = 0;
  spillovers = 0;
  sentBytes = 0;
  receivedBytes = 0;

  constructor(name: string, room: Room) {
    this.name = name;
    this.room = room;
  }

  request(sample: RequestSample): void {
    const { status, grpcStatus, latencyMs, mtls } = sample;
    const { totals } = this;
    totals.requests += 1;
    if (mtls) totals.mtlsRequests += 1;
    if (status === 0 || status >= 500 || serverFaults.has(grpcStatus)) totals.failures += 1;
    totals.latency[bucketOf(latencyMs)]! += 1;
    this.latencySumMs += latencyMs;
    this.byClass[classOf(status)]! += 1;
  }

  connection(mtls: boolean): void {
    this.totals.connections += 1;
    if (mtls) this.totals.mtlsConnections += 1;
  }

  error(code: ProxyErrorCode): void {
    const { flag } = errorSpec(code);
    this.errors.set(flag, (this.errors.get(flag) ?? 0) + 1);
    if (denials.has(code)) this.totals.denied += 1;
  }

  decision(kind: DecisionKind, policy: string, rule: string, reason: string): void {
    const key = decisionKey(kind, policy, rule, reason);
    const count = this.decisions.get(key);
    if (count !== undefined) this.decisions.set(key, count + 1);
    else if (this.room.left > 0) {
      this.room.left -= 1;
      this.decisions.set(key, 1);
    } else {
      const shared = decisionKey(kind, otherPolicy, '', '');
      this.decisions.set(shared, (this.decisions.get(shared) ?? 0) + 1);
    }
  }

  retry(): void {
    this.retries += 1;
  }

  ejection(reason: EjectionReason): void {
    this.ejections.set(reason, (this.ejections.get(reason) ?? 0) + 1);
  }

  spillover(): void {
    this.spillovers += 1;
  }

  mirror(result: MirrorResult): void {
    this.mirrors[result] += 1;
  }

  bytes(sent: number, received: number): void {
    this.sentBytes += sent;
    this.receivedBytes += received;
  }
}

const separator = '\u0000';

function decisionKey(
  kind: DecisionKind,
  policy: string,
  rule: string,
  reason: string,
): DecisionKey {
  return [kind, policy, rule, reason].join(separator);
}

export function readDecisionKey(key: DecisionKey) {
  const [kind = '', policy = '', rule = '', reason = ''] = key.split(separator);
  return { kind, policy, rule, reason };
}

function emptyTotals(): TrafficCounters {
  return {
    requests: 0,
    failures: 0,
    mtlsRequests: 0,
    connections: 0,
    mtlsConnections: 0,
    denied: 0,
    latency: Array.from({ length: latencyBoundsMs.length + 1 }, () => 0),
  };
}

/** Index of the first bound that is not below the value; bounds are inclusive. */
function bucketOf(latencyMs: number): number {
  let low = 0;
  let high: number = latencyBoundsMs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (latencyBoundsMs[middle]! < latencyMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function classOf(status: number): number {
  return status < 100 || status > 599 ? 0 : Math.trunc(status / 100);
}

function addTotals(sum: TrafficCounters, part: TrafficCounters): void {
  sum.requests += part.requests;
  sum.failures += part.failures;
  sum.mtlsRequests += part.mtlsRequests;
  sum.connections += part.connections;
  sum.mtlsConnections += part.mtlsConnections;
  sum.denied += part.denied;
  for (let i = 0; i < sum.latency.length; i += 1) sum.latency[i]! += part.latency[i]!;
}

export function createCounters(): Counters {
  const recorders = {
    inbound: new Map<string, Recorder>(),
    outbound: new Map<string, Recorder>(),
  };
  const room: Room = { left: maxDecisions };
  const callers = new CallerTable((name) => new Recorder(name, { left: 0 }));
  return {
    seriesFrom(name, identity, address) {
      return callers.series(this.series('inbound', name), identity, address);
    },
    callers: () => callers.snapshot(),
    series(direction, name) {
      const known = recorders[direction];
      const existing = known.get(name);
      if (existing !== undefined) return existing;
      if (known.size >= maxSeries && name !== otherSeries)
        return this.series(direction, otherSeries);
      const made = new Recorder(name, room);
      known.set(name, made);
      return made;
    },
    totals(direction) {
      const sum = emptyTotals();
      for (const recorder of recorders[direction].values()) addTotals(sum, recorder.totals);
      return sum;
    },
    snapshot: (direction) => [...recorders[direction].values()],
    outside: createOutsideCounters(),
  };
}
