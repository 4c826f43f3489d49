// One set of counters from those of all threads: sums, also of the histograms. Pure.

import {
  noTraffic,
  maxCallers,
  maxDestinations,
  packTraffic,
  type CertificateFacts,
  type Statistics,
  type TrafficCounters,
} from '../api/statistics.ts';
import type { Identity } from '../identity/store.ts';
import { readCallerName } from '../telemetry/callers.ts';
import type { Counters, Direction, RequestCell, SeriesSnapshot } from '../telemetry/counters.ts';
import type { SeriesOfThread, SeriesReport } from './messages.ts';

export type CountersView = Pick<Counters, 'totals' | 'snapshot' | 'callers'>;
type SeriesByDirection = Record<Direction | 'callers', readonly SeriesSnapshot[]> & {
  /** With what is not in any series any more. */
  totals: Readonly<Record<Direction, TrafficCounters>>;
};

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
    totals: (direction) => sumTotals(parts.map(({ totals }) => totals[direction])),
  };
}

/** As plain values, which can be sent to another thread. */
export function bothDirections(counters: CountersView): SeriesOfThread {
  return {
    inbound: counters.snapshot('inbound').map(copy),
    outbound: counters.snapshot('outbound').map(copy),
    callers: counters.callers().map(copy),
    totals: { inbound: counters.totals('inbound'), outbound: counters.totals('outbound') },
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
      .map(({ name, totals }) => ({ ...readCallerName(name), ...packTraffic(totals) })),
    destinations: counters
      .snapshot('outbound')
      .slice(0, maxDestinations)
      .map(({ name, totals }) => ({ name, ...packTraffic(totals) })),
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

const sums = [
  'latencySumMs',
  'retries',
  'spillovers',
  'sentBytes',
  'receivedBytes',
  'requestBytes',
  'responseBytes',
] as const;
const lists = ['requestSizes', 'responseSizes'] as const;
const maps = ['ejections', 'errors', 'decisions'] as const;

function copy(one: SeriesSnapshot): SeriesReport {
  const { name, totals } = one;
  return {
    name,
    totals: { ...totals, latency: [...totals.latency] },
    cells: one.cells.map((cell) => ({ ...cell })),
    mirrors: { ...one.mirrors },
    ...each(lists, (key) => [...one[key]]),
    ...each(maps, (key) => new Map(one[key])),
    ...each(sums, (key) => one[key]),
  };
}

function add(a: SeriesReport, b: SeriesSnapshot): SeriesReport {
  return {
    name: a.name,
    totals: sumTotals([a.totals, b.totals]),
    cells: sumCells(a.cells, b.cells),
    mirrors: {
      answered: a.mirrors.answered + b.mirrors.answered,
      failed: a.mirrors.failed + b.mirrors.failed,
      dropped: a.mirrors.dropped + b.mirrors.dropped,
    },
    ...each(lists, (key) => sumLists(a[key], b[key])),
    ...each(maps, (key) => sumMaps(a[key], b[key])),
    ...each(sums, (key) => a[key] + b[key]),
  };
}

function each<K extends string, V>(keys: readonly K[], value: (key: K) => V): Record<K, V> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, V>;
}

function sumCells(a: readonly RequestCell[], b: readonly RequestCell[]): RequestCell[] {
  const cells = new Map<string, RequestCell>();
  for (const { requests, ...labels } of [...a, ...b]) {
    const key = JSON.stringify(labels);
    cells.set(key, { ...labels, requests: requests + (cells.get(key)?.requests ?? 0) });
  }
  return [...cells.values()];
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
    grpcRequests: sum((one) => one.grpcRequests),
    failures: sum((one) => one.failures),
    mtlsRequests: sum((one) => one.mtlsRequests),
    connections: sum((one) => one.connections),
    mtlsConnections: sum((one) => one.mtlsConnections),
    denied: sum((one) => one.denied),
    latency: parts.map((one) => one.latency).reduce(sumLists, noTraffic().latency),
  };
}

function sumLists(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, index) => value + (b[index] ?? 0));
}
