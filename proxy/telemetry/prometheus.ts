// The counters and states of a sidecar as Prometheus reads them. What each metric is stands in metrics.ts. Pure.

import { latencyBoundsMs } from '../api/statistics.ts';
import { parseSpiffeId } from '../api/spiffe.ts';
import {
  mirrorResults,
  noGrpcStatus,
  type Counters,
  type Direction,
  type RequestCell,
  type SeriesSnapshot,
} from './counters.ts';
import { Exposition, type ExpositionFormat, type Labels, type Metric } from '../api/exposition.ts';
import { loopDelayBoundsMs, type LoopDelay } from './event-loop.ts';
import { metrics } from './metrics.ts';
import type { Handshakes } from '../net/link.ts';
import type { OutsideFigures } from './outside.ts';
import { readDecisionKey, sizeBounds } from './recorder.ts';

export type CountersView = Pick<Counters, 'totals' | 'snapshot'>;

/** The pod, as its metrics name it; all empty before the first configuration. */
export interface OwnPod {
  namespace: string;
  workload: string;
  identity: string;
}

export interface SidecarState {
  own: OwnPod;
  version: string;
  ready: boolean;
  draining: boolean;
  discoveryConnected: boolean;
  config: ConfigState;
  certificate: { notAfterMs: number; rootsNotAfterMs: number } | null;
  identityProblem: boolean;
  /** Sockets of the sidecar's user id that are not the sidecar's. */
  foreignSockets: number;
  inboundInFlight: number;
  outboundInFlight: number;
  accessLogDropped: number;
  logDropped: number;
  spans: { exported: number; dropped: number };
  handshakes: Handshakes;
  eventLoop: Pick<LoopDelay, 'counts' | 'sumMs'>;
  outside: readonly OutsideFigures[];
  startedAtMs: number;
  memory: { rss: number; heapUsed: number };
  cpuSeconds: number;
}

/** What is in force, and since when. */
export interface ConfigState {
  resources: Readonly<Record<string, number>>;
  /** 0: nothing was yet. */
  appliedAtMs: number;
  changes: number;
  rejected: number;
}

/** Without an end mark: more may follow. */
export function prometheusText(
  counters: CountersView,
  state: SidecarState,
  format: ExpositionFormat = 'prometheus',
): string {
  const out = new Exposition(format);
  const series = directions.flatMap((direction) =>
    counters.snapshot(direction).map((one) => ({ direction, one })),
  );
  requests(out, series, state.own);
  histograms(out, series);
  perSeries(out, series);
  totals(out, counters);
  decisions(out, series);
  outside(out, state.outside);
  states(out, state);
  return out.toString();
}

const directions: readonly Direction[] = ['inbound', 'outbound'];
type Labelled = readonly { direction: Direction; one: SeriesSnapshot }[];

function requests(out: Exposition, series: Labelled, own: OwnPod): void {
  out.head(metrics.requests);
  for (const { direction, one } of series) {
    const ends = endsOf(direction, one.name, own);
    for (const cell of one.cells) {
      const labels = { direction, destination: one.name, ...ends(cell), ...kindOf(cell) };
      out.sample(metrics.requests.name, labels, cell.requests);
    }
  }
}

type Ends = (cell: RequestCell) => Labels;

/** Who called whom: this pod is one of both. */
function endsOf(direction: Direction, destination: string, own: OwnPod): Ends {
  if (direction === 'inbound')
    return ({ peer, workload }) => ({
      source_namespace: parseSpiffeId(peer)?.namespace ?? '',
      source_workload: workload,
      source_identity: peer,
      destination_namespace: own.namespace,
      destination_workload: own.workload,
      destination_identity: own.identity,
    });
  const [, service = '', namespace = ''] = /^([^.:[]+)\.([^.:]+):\d+$/.exec(destination) ?? [];
  return ({ peer, workload }) => ({
    source_namespace: own.namespace,
    source_workload: own.workload,
    source_identity: own.identity,
    destination_namespace: namespace,
    destination_workload: workload,
    destination_service: service,
    destination_identity: peer,
  });
}

const classes = ['broken', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

function kindOf({ route, protocol, status, grpcStatus, flag }: RequestCell): Labels {
  // Those that are not told apart have no status of their own.
  if (status < 0) return { route };
  const known = status >= 100 && status <= 599;
  return {
    route,
    protocol,
    code: String(status),
    class: classes[known ? Math.trunc(status / 100) : 0]!,
    grpc_code: grpcStatus === noGrpcStatus ? '' : String(grpcStatus),
    flag,
  };
}

/** Some of the bounds that are kept: what Prometheus stores is paid for by the bucket. */
const shownBoundsMs: ReadonlySet<number> = new Set([
  0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000,
  3000, 5000, 10_000, 30_000, 50_000,
]);
const shownSeconds = latencyBoundsMs.filter((ms) => shownBoundsMs.has(ms)).map((ms) => ms / 1000);

function shownCounts(latency: readonly number[]): number[] {
  const counts: number[] = [];
  let count = 0;
  for (const [index, one] of latency.entries()) {
    count += one;
    const bound = latencyBoundsMs[index];
    if (bound !== undefined && !shownBoundsMs.has(bound)) continue;
    counts.push(count);
    count = 0;
  }
  return counts;
}

function histograms(out: Exposition, series: Labelled): void {
  const served = series.filter(({ one }) => one.totals.requests > 0);
  const emit = (
    metric: Metric,
    read: (one: SeriesSnapshot) => {
      bounds: readonly number[];
      counts: readonly number[];
      sum: number;
    },
  ): void => {
    out.head(metric);
    for (const { direction, one } of served)
      out.histogram(metric, { direction, destination: one.name }, read(one));
  };
  emit(metrics.duration, ({ totals: { latency }, latencySumMs }) => ({
    bounds: shownSeconds,
    counts: shownCounts(latency),
    sum: latencySumMs / 1000,
  }));
  emit(metrics.requestSize, ({ requestSizes: counts, requestBytes: sum }) => ({
    bounds: sizeBounds,
    counts,
    sum,
  }));
  emit(metrics.responseSize, ({ responseSizes: counts, responseBytes: sum }) => ({
    bounds: sizeBounds,
    counts,
    sum,
  }));
}

type Reader = (one: SeriesSnapshot) => number;

const seriesMetrics: readonly [metric: Metric, read: Reader][] = [
  [metrics.mtlsRequests, (one) => one.totals.mtlsRequests],
  [metrics.connections, (one) => one.totals.connections],
  [metrics.mtlsConnections, (one) => one.totals.mtlsConnections],
  [metrics.retries, (one) => one.retries],
  [metrics.spillovers, (one) => one.spillovers],
  [metrics.sentBytes, (one) => one.sentBytes],
  [metrics.receivedBytes, (one) => one.receivedBytes],
];

/** Counts by one more label. */
const mapMetrics: readonly [
  metric: Metric,
  label: string,
  read: (one: SeriesSnapshot) => Iterable<readonly [string, number]>,
][] = [
  [metrics.ejections, 'reason', (one) => one.ejections],
  [
    metrics.mirrors,
    'result',
    (one) => mirrorResults.map((result) => [result, one.mirrors[result]]),
  ],
  [metrics.errors, 'flag', (one) => one.errors],
];

function perSeries(out: Exposition, series: Labelled): void {
  for (const [metric, read] of seriesMetrics) {
    out.head(metric);
    for (const { direction, one } of series) {
      const value = read(one);
      if (value > 0) out.sample(metric.name, { direction, destination: one.name }, value);
    }
  }
  for (const [metric, label, read] of mapMetrics) {
    out.head(metric);
    for (const { direction, one } of series)
      for (const [key, value] of read(one)) {
        const labels = { direction, destination: one.name, [label]: key };
        if (value > 0) out.sample(metric.name, labels, value);
      }
  }
}

function totals(out: Exposition, counters: CountersView): void {
  for (const what of ['denied', 'failures'] as const) {
    const metric = metrics[what];
    out.head(metric);
    for (const direction of directions)
      out.sample(metric.name, { direction }, counters.totals(direction)[what]);
  }
}

/** Inbound this pod's sidecar decided; outbound a peer's did, and told it. */
function decisions(out: Exposition, series: Labelled): void {
  const refused: [Labels, number][] = [];
  const remarked: [Labels, number][] = [];
  for (const { direction, one } of series) {
    for (const [key, count] of one.decisions) {
      const { kind, policy, rule, reason } = readDecisionKey(key);
      const labels = { direction, destination: one.name, policy, rule };
      if (kind === 'denied') refused.push([{ ...labels, reason }, count]);
      else remarked.push([{ ...labels, kind }, count]);
    }
  }
  const emit = (metric: Metric, values: [Labels, number][]): void => {
    out.head(metric);
    for (const [labels, count] of values) out.sample(metric.name, labels, count);
  };
  emit(metrics.policyDenied, refused);
  emit(metrics.policyRemarks, remarked);
}

const outsideMetrics = [
  [metrics.outsideConnections, 'connections'],
  [metrics.outsideRefused, 'refused'],
  [metrics.outsideSentBytes, 'sentBytes'],
  [metrics.outsideReceivedBytes, 'receivedBytes'],
] as const;

function outside(out: Exposition, all: readonly OutsideFigures[]): void {
  for (const [metric, figure] of outsideMetrics) {
    out.head(metric);
    for (const one of all) {
      const labels = { host: one.host, port: String(one.port), by: one.by };
      if (one[figure] > 0) out.sample(metric.name, labels, one[figure]);
    }
  }
}

function states(out: Exposition, state: SidecarState): void {
  const single = (metric: Metric, value: number | boolean): void =>
    out.single(metric, Number(value));
  out.head(metrics.build);
  out.sample(metrics.build.name, { version: state.version }, 1);
  single(metrics.ready, state.ready);
  single(metrics.draining, state.draining);
  single(metrics.discoveryConnected, state.discoveryConnected);
  config(out, state.config);
  single(metrics.identityProblem, state.identityProblem);
  single(metrics.foreignSockets, state.foreignSockets);
  if (state.certificate !== null) {
    single(metrics.certificateExpiry, state.certificate.notAfterMs / 1000);
    single(metrics.rootExpiry, state.certificate.rootsNotAfterMs / 1000);
  }
  out.head(metrics.inFlight);
  out.sample(metrics.inFlight.name, { direction: 'inbound' }, state.inboundInFlight);
  out.sample(metrics.inFlight.name, { direction: 'outbound' }, state.outboundInFlight);
  out.head(metrics.handshakes);
  for (const direction of directions)
    for (const result of ['ok', 'failed'] as const) {
      const count = state.handshakes[direction][result];
      out.sample(metrics.handshakes.name, { direction, result }, count);
    }
  out.head(metrics.eventLoopDelay);
  out.histogram(
    metrics.eventLoopDelay,
    {},
    {
      bounds: loopDelayBoundsMs.map((ms) => ms / 1000),
      counts: state.eventLoop.counts,
      sum: state.eventLoop.sumMs / 1000,
    },
  );
  single(metrics.accessLogDropped, state.accessLogDropped);
  single(metrics.logDropped, state.logDropped);
  single(metrics.spansExported, state.spans.exported);
  single(metrics.spansDropped, state.spans.dropped);
  single(metrics.startTime, state.startedAtMs / 1000);
  single(metrics.residentMemory, state.memory.rss);
  single(metrics.heapUsed, state.memory.heapUsed);
  single(metrics.cpu, state.cpuSeconds);
}

function config(out: Exposition, { resources, appliedAtMs, changes, rejected }: ConfigState): void {
  out.head(metrics.configResources);
  for (const [type, count] of Object.entries(resources))
    out.sample(metrics.configResources.name, { type }, count);
  out.single(metrics.configApplied, appliedAtMs / 1000);
  out.single(metrics.configPushes, changes);
  out.single(metrics.configRejected, rejected);
}
