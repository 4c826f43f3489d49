// The counters of a sidecar: cumulative totals per direction for the operator, and a bounded number of series per destination
// for Prometheus, of which those that nobody adds to are forgotten. What one of them counts is recorder.ts.

import { noTraffic, type TrafficCounters } from '../api/statistics.ts';
import { CallerTable } from './callers.ts';
import { createOutsideCounters, type OutsideCounters } from './outside.ts';
import type { EjectionReason } from '../policy/outlier.ts';
import type { ProxyErrorCode } from '../errors.ts';
import { Recorder, type Room } from './recorder.ts';

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

/** What a policy did: refused, asked to be told of it, or would refuse if it were not a dry run. */
export type DecisionKind = 'denied' | 'audit' | 'would-deny';

/** Of a copy: `failed` by the mirror, `dropped` because it did not keep up or there were too many. */
export const mirrorResults = ['answered', 'failed', 'dropped'] as const;
export type MirrorResult = (typeof mirrorResults)[number];

/** `kind`, policy, rule and reason of a decision as one key, so that counts are a flat map. */
export type DecisionKey = string;

/** No gRPC status: not a gRPC answer. */
export const noGrpcStatus = -1;

export interface RequestSample {
  /** Status sent on; 0: broken off before or within the answer. */
  status: number;
  /** `noGrpcStatus` where the answer was not gRPC. */
  grpcStatus: number;
  latencyMs: number;
  mtls: boolean;
  /** As logs have it; empty: none. */
  route: string;
  /** `HTTP/1.1`, `HTTP/2`, `gRPC`. */
  protocol: string;
  /** Identity that the other end proved, or empty. */
  peer: string;
  /** Name of the workload at the other end, or empty. */
  workload: string;
  /** Flag of the sidecar's own answer, or empty. */
  flag: string;
  requestBytes: number;
  responseBytes: number;
}

/** Requests that were alike in all that a label tells. */
export interface RequestCell extends Pick<
  RequestSample,
  'status' | 'grpcStatus' | 'route' | 'protocol' | 'peer' | 'workload' | 'flag'
> {
  requests: number;
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
  cells: readonly RequestCell[];
  /** Counts by the bounds of recorder.ts, and the sums. */
  requestSizes: readonly number[];
  responseSizes: readonly number[];
  requestBytes: number;
  responseBytes: number;
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
  /** A minute went by: series that nobody added to for an hour are forgotten. Totals stay. */
  age(): void;
  /** Connections to places outside the mesh, by host. */
  readonly outside: OutsideCounters;
}

/** Kinds of requests that all series of a sidecar tell apart together. */
export const maxCellsTogether = 2000;
/** Minutes without anything new. */
const idleMinutes = 60;

function addTotals(sum: TrafficCounters, part: TrafficCounters): void {
  sum.requests += part.requests;
  sum.grpcRequests += part.grpcRequests;
  sum.failures += part.failures;
  sum.mtlsRequests += part.mtlsRequests;
  sum.connections += part.connections;
  sum.mtlsConnections += part.mtlsConnections;
  sum.denied += part.denied;
  for (let i = 0; i < sum.latency.length; i += 1) sum.latency[i]! += part.latency[i]!;
}

/** The series of one direction. */
class SeriesTable {
  private readonly known = new Map<string, Recorder>();
  /** Forgotten ones that a connection may still hold: whoever counts again is known again. */
  private readonly dormant = new Map<string, WeakRef<Recorder>>();
  /** What the forgotten ones had counted. */
  private readonly retired = noTraffic();
  private readonly room: Room;

  constructor(room: Room) {
    this.room = room;
  }

  at(name: string): Recorder {
    const existing = this.known.get(name);
    if (existing !== undefined) return existing;
    const slept = this.dormant.get(name)?.deref();
    if (this.known.size >= maxSeries && name !== otherSeries) return this.at(otherSeries);
    const made = slept ?? new Recorder(name, this.room, (one) => this.list(one));
    this.list(made);
    return made;
  }

  totals(): TrafficCounters {
    const sum = noTraffic();
    addTotals(sum, this.retired);
    for (const { totals } of this.known.values()) addTotals(sum, totals);
    return sum;
  }

  snapshot(): SeriesSnapshot[] {
    return [...this.known.values()];
  }

  age(): void {
    for (const [name, reference] of this.dormant)
      if (reference.deref() === undefined) this.dormant.delete(name);
    for (const [name, recorder] of this.known) {
      recorder.idle += 1;
      if (recorder.idle <= idleMinutes) continue;
      this.known.delete(name);
      this.dormant.set(name, new WeakRef(recorder));
      addTotals(this.retired, recorder.totals);
      recorder.forget();
    }
  }

  private list(recorder: Recorder): void {
    this.dormant.delete(recorder.name);
    this.known.set(recorder.name, recorder);
    recorder.listed = true;
  }
}

export function createCounters(): Counters {
  const room: Room = { decisions: maxDecisions, cells: maxCellsTogether };
  const tables = { inbound: new SeriesTable(room), outbound: new SeriesTable(room) };
  const callers = new CallerTable((name) => new Recorder(name, null));
  return {
    seriesFrom: (name, identity, address) =>
      callers.series(tables.inbound.at(name), identity, address),
    callers: () => callers.snapshot(),
    series: (direction, name) => tables[direction].at(name),
    totals: (direction) => tables[direction].totals(),
    snapshot: (direction) => tables[direction].snapshot(),
    age() {
      tables.inbound.age();
      tables.outbound.age();
    },
    outside: createOutsideCounters(),
  };
}
