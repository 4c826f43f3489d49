// One set of counters from those of all threads: sums, also of the histograms. Pure.

import {
  latencyBoundsMs,
  maxCallers,
  maxDestinations,
  packCounters,
  type CertificateFacts,
  type Statistics,
  type TrafficCounters,
} from '../api/statistics.ts';
import type { Identity } from '../identity/store.ts';
import { readCallerName } from '../telemetry/callers.ts';
import type { Counters, Direction, SeriesSnapshot } from '../telemetry/counters.ts';
import type { SeriesReport } from './messages.ts';

export type CountersView = Pick<Counters, 'totals' | 'snapshot' | 'callers'>;
type SeriesByDirection = Record<Direction | 'callers', readonly SeriesSnapshot[]>;

/** The first part's series come first, as they were; the others follow where they are new. */
export function mergeCounters(parts: readonly SeriesByDirection[]): CountersView {
  const merged = {
    inbound: mergeSeries(parts, 'inbound'),
    outbound: mergeSeries(parts, 'outbound'),
    callers: mergeSeries(parts, 'callers'),
  };
  return {
    snapshot: (direction) => merged[direction],
    callers: () => merged.callers,
    totals: (direction) => sumTotals(merged[direction].map((one) => one.totals)),
  };
}

/** As plain values, which can be sent to another thread. */
function plain(all: readonly SeriesSnapshot[]): SeriesReport[] {
  return all.map((one) => ({
    name: one.name,
    totals: { ...one.totals, latency: [...one.totals.latency] },
    byClass: [...one.byClass],
    latencySumMs: one.latencySumMs,
    retries: one.retries,
    ejections: new Map(one.ejections),
    spillovers: one.spillovers,
    mirrors: { ...one.mirrors },
    sentBytes: one.sentBytes,
    receivedBytes: one.receivedBytes,
    errors: new Map(one.errors),
    decisions: new Map(one.decisions),
  }));
}

export function bothDirections(
  counters: CountersView,
): Record<Direction | 'callers', SeriesReport[]> {
  return {
    inbound: plain(counters.snapshot('inbound')),
    outbound: plain(counters.snapshot('outbound')),
    callers: plain(counters.callers()),
  };
}

type CertificateSource = Pick<
  Identity,
  'serial' | 'notBeforeMs' | 'notAfterMs' | 'underRoot' | 'trustedRoots'
>;

/** What a sidecar reports up its stream: `identity` is swapped once all threads use it. */
export function statisticsOf(
  counters: CountersView,
  startedAtMs: number,
  identity: CertificateSource | null,
): Statistics {
  return {
    startedAtMs,
    inbound: counters.totals('inbound'),
    outbound: counters.totals('outbound'),
    callers: counters
      .callers()
      .slice(0, maxCallers)
      .map(({ name, totals }) => ({ ...readCallerName(name), counters: packCounters(totals) })),
    destinations: counters
      .snapshot('outbound')
      .slice(0, maxDestinations)
      .map(({ name, totals }) => ({ name, counters: packCounters(totals) })),
    certificate: identity === null ? null : factsOf(identity),
  };
}

function factsOf(identity: CertificateSource): CertificateFacts {
  const { serial, notBeforeMs, notAfterMs, underRoot, trustedRoots } = identity;
  return { serial, notBeforeMs, notAfterMs, underRoot, trustedRoots: [...trustedRoots] };
}

function mergeSeries(
  parts: readonly SeriesByDirection[],
  direction: Direction | 'callers',
): SeriesReport[] {
  const merged = new Map<string, SeriesReport>();
  for (const part of parts) {
    for (const one of part[direction]) {
      const held = merged.get(one.name);
      merged.set(one.name, held === undefined ? copy(one) : add(held, one));
    }
  }
  return [...merged.values()];
}

function copy(one: SeriesSnapshot): SeriesReport {
  const { name, totals, byClass, ejections, errors, decisions } = one;
  const { latencySumMs, retries, spillovers, sentBytes, receivedBytes } = one;
  const sums = { latencySumMs, retries, spillovers, sentBytes, receivedBytes };
  const mirrors = { ...one.mirrors };
  const maps = {
    ejections: new Map(ejections),
    errors: new Map(errors),
    decisions: new Map(decisions),
  };
  return { name, totals, byClass: [...byClass], mirrors, ...maps, ...sums };
}

function add(a: SeriesReport, b: SeriesSnapshot): SeriesReport {
  return {
    name: a.name,
    totals: sumTotals([a.totals, b.totals]),
    byClass: sumLists(a.byClass, b.byClass),
    latencySumMs: a.latencySumMs + b.latencySumMs,
    retries: a.retries + b.retries,
    ejections: sumMaps(a.ejections, b.ejections),
    spillovers: a.spillovers + b.spillovers,
    mirrors: {
      answered: a.mirrors.answered + b.mirrors.answered,
      failed: a.mirrors.failed + b.mirrors.failed,
      dropped: a.mirrors.dropped + b.mirrors.dropped,
    },
    sentBytes: a.sentBytes + b.sentBytes,
    receivedBytes: a.receivedBytes + b.receivedBytes,
    errors: sumMaps(a.errors, b.errors),
    decisions: sumMaps(a.decisions, b.decisions),
  };
}

function sumMaps(
  a: ReadonlyMap<string, number>,
  b: ReadonlyMap<string, number>,
): Map<string, number> {
  const sums = new Map(a);
  for (const [key, count] of b) sums.set(key, (sums.get(key) ?? 0) + count);
  return sums;
}

function sumTotals(parts: readonly TrafficCounters[]): TrafficCounters {
  const sum = (read: (one: TrafficCounters) => number): number =>
    parts.reduce((total, one) => total + read(one), 0);
  return {
    requests: sum((one) => one.requests),
    failures: sum((one) => one.failures),
    mtlsRequests: sum((one) => one.mtlsRequests),
    connections: sum((one) => one.connections),
    mtlsConnections: sum((one) => one.mtlsConnections),
    denied: sum((one) => one.denied),
    latency: parts.map((one) => one.latency).reduce(sumLists, emptyLatency()),
  };
}

function sumLists(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, index) => value + (b[index] ?? 0));
}

function emptyLatency(): number[] {
  return Array.from({ length: latencyBoundsMs.length + 1 }, () => 0);
}
