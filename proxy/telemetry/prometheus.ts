// The counters and states of a sidecar as Prometheus text (exposition format 0.0.4). Pure.

import { latencyBoundsMs } from '../api/statistics.ts';
import {
  mirrorResults,
  readDecisionKey,
  type Counters,
  type Direction,
  type SeriesSnapshot,
} from './counters.ts';

type CountersView = Pick<Counters, 'totals' | 'snapshot'>;

export interface SidecarState {
  ready: boolean;
  draining: boolean;
  discoveryConnected: boolean;
  certificate: { notAfterMs: number; rootsNotAfterMs: number } | null;
  identityProblem: boolean;
  /** Sockets of the sidecar's user id that are not the sidecar's. */
  foreignSockets: number;
  inboundInFlight: number;
  outboundInFlight: number;
  accessLogDropped: number;
  spans: { exported: number; dropped: number };
  startedAtMs: number;
  memory: { rss: number; heapUsed: number };
  cpuSeconds: number;
}

const directions: readonly Direction[] = ['inbound', 'outbound'];
const classes = ['broken', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

type Labels = Record<string, string>;

class Text {
  private readonly lines: string[] = [];

  metric(name: string, type: 'counter' | 'gauge' | 'histogram', help: string): void {
    this.lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  }

  value(name: string, labels: Labels, value: number): void {
    const inner = Object.entries(labels).map(([key, text]) => `${key}="${escape(text)}"`);
    this.lines.push(`${name}${inner.length > 0 ? `{${inner.join(',')}}` : ''} ${value}`);
  }

  toString(): string {
    return `${this.lines.join('\n')}\n`;
  }
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

export function prometheusText(counters: CountersView, state: SidecarState): string {
  const text = new Text();
  const series = directions.flatMap((direction) =>
    counters.snapshot(direction).map((one) => ({ direction, one })),
  );
  requests(text, series);
  perSeries(text, series);
  for (const metric of ['denied', 'failures'] as const) totals(text, counters, metric);
  decisions(text, series);
  latency(text, counters);
  states(text, state);
  return text.toString();
}

type Labelled = readonly { direction: Direction; one: SeriesSnapshot }[];

function requests(text: Text, series: Labelled): void {
  const name = 'tsmesh_requests_total';
  text.metric(name, 'counter', 'Requests ended, by destination and status class.');
  for (const { direction, one } of series) {
    for (const [index, count] of one.byClass.entries()) {
      const labels = { direction, destination: one.name, class: classes[index]! };
      if (count > 0) text.value(name, labels, count);
    }
  }
}

type Reader = (one: SeriesSnapshot) => number;

const seriesMetrics: readonly [name: string, help: string, read: Reader][] = [
  ['tsmesh_requests_mtls_total', 'Requests over mesh mTLS.', (one) => one.totals.mtlsRequests],
  ['tsmesh_tcp_connections_total', 'Opaque connections.', (one) => one.totals.connections],
  [
    'tsmesh_tcp_connections_mtls_total',
    'Opaque connections over mesh mTLS.',
    (one) => one.totals.mtlsConnections,
  ],
  ['tsmesh_retries_total', 'Further attempts after a first one.', (one) => one.retries],
  [
    'tsmesh_zone_spillovers_total',
    'Endpoints chosen outside of the zone although it has some of its own.',
    (one) => one.spillovers,
  ],
  ['tsmesh_sent_bytes_total', 'Body and tunnel bytes sent on.', (one) => one.sentBytes],
  ['tsmesh_received_bytes_total', 'Body and tunnel bytes received.', (one) => one.receivedBytes],
];

function perSeries(text: Text, series: Labelled): void {
  for (const [name, help, read] of seriesMetrics) {
    text.metric(name, 'counter', help);
    for (const { direction, one } of series) {
      const value = read(one);
      if (value > 0) text.value(name, { direction, destination: one.name }, value);
    }
  }
  const ejections = 'tsmesh_ejections_total';
  text.metric(ejections, 'counter', 'Endpoints left out for a while, by reason.');
  for (const { direction, one } of series) {
    for (const [reason, count] of one.ejections)
      text.value(ejections, { direction, destination: one.name, reason }, count);
  }
  const copies = 'tsmesh_mirrors_total';
  text.metric(copies, 'counter', 'Copies of requests for mirrors, by what became of them.');
  for (const { direction, one } of series) {
    for (const result of mirrorResults) {
      const labels = { direction, destination: one.name, result };
      if (one.mirrors[result] > 0) text.value(copies, labels, one.mirrors[result]);
    }
  }
  text.metric('tsmesh_errors_total', 'counter', 'Answers and failures of the sidecar, by flag.');
  for (const { direction, one } of series) {
    for (const [flag, count] of one.errors) {
      text.value('tsmesh_errors_total', { direction, destination: one.name, flag }, count);
    }
  }
}

function totals(text: Text, counters: CountersView, metric: 'denied' | 'failures'): void {
  const name = `tsmesh_${metric}_total`;
  const help = metric === 'denied' ? 'Refused by policy.' : 'Requests that failed.';
  text.metric(name, 'counter', help);
  for (const direction of directions) {
    text.value(name, { direction }, counters.totals(direction)[metric]);
  }
}

/** Inbound this pod's sidecar decided; outbound a peer's did, and told it. */
function decisions(text: Text, series: Labelled): void {
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
  const emit = (name: string, help: string, values: [Labels, number][]): void => {
    text.metric(name, 'counter', help);
    for (const [labels, count] of values) text.value(name, labels, count);
  };
  emit('tsmesh_policy_denied_total', 'Refused by policy, by policy and rule.', refused);
  emit('tsmesh_policy_remarks_total', 'Audited, or refused if it were no dry run.', remarked);
}

/** Some of the bounds that are kept: what Prometheus stores is paid for by the bucket. */
const shownBoundsMs: ReadonlySet<number> = new Set([
  0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000,
  3000, 5000, 10_000, 30_000, 60_000,
]);

/** Per direction only: a histogram per destination would be thousands of lines. */
function latency(text: Text, counters: CountersView): void {
  const name = 'tsmesh_request_duration_seconds';
  text.metric(name, 'histogram', 'From the request head to the end of the answer.');
  for (const direction of directions) {
    const total = counters.totals(direction);
    let below = 0;
    for (const [index, count] of total.latency.entries()) {
      below += count;
      const bound = latencyBoundsMs[index];
      if (bound !== undefined && !shownBoundsMs.has(bound)) continue;
      const le = bound === undefined ? '+Inf' : String(bound / 1000);
      text.value(`${name}_bucket`, { direction, le }, below);
    }
    const sum = counters.snapshot(direction).reduce((all, one) => all + one.latencySumMs, 0);
    text.value(`${name}_sum`, { direction }, sum / 1000);
    text.value(`${name}_count`, { direction }, total.requests);
  }
}

function states(text: Text, state: SidecarState): void {
  const gauge = (name: string, help: string, value: number): void => {
    text.metric(name, 'gauge', help);
    text.value(name, {}, value);
  };
  gauge('tsmesh_ready', 'Whether the sidecar is ready.', Number(state.ready));
  gauge('tsmesh_draining', 'Whether the pod is going.', Number(state.draining));
  gauge(
    'tsmesh_discovery_connected',
    'Whether the stream to the operator is open.',
    Number(state.discoveryConnected),
  );
  gauge(
    'tsmesh_identity_problem',
    'Whether the identity files on disk were refused.',
    Number(state.identityProblem),
  );
  gauge(
    'tsmesh_foreign_sockets',
    'Sockets of apps that run as the user of the sidecar and bypass the mesh.',
    state.foreignSockets,
  );
  if (state.certificate !== null) {
    const { notAfterMs, rootsNotAfterMs } = state.certificate;
    const help = 'When it ends, Unix seconds:';
    gauge('tsmesh_certificate_expiry_seconds', `${help} the certificate.`, notAfterMs / 1000);
    gauge('tsmesh_root_expiry_seconds', `${help} the first root.`, rootsNotAfterMs / 1000);
  }
  text.metric('tsmesh_in_flight', 'gauge', 'Requests and opaque connections not ended yet.');
  text.value('tsmesh_in_flight', { direction: 'inbound' }, state.inboundInFlight);
  text.value('tsmesh_in_flight', { direction: 'outbound' }, state.outboundInFlight);
  text.metric('tsmesh_access_log_dropped_total', 'counter', 'Access log lines lost.');
  text.value('tsmesh_access_log_dropped_total', {}, state.accessLogDropped);
  text.metric('tsmesh_spans_exported_total', 'counter', 'Spans that the collector took.');
  text.value('tsmesh_spans_exported_total', {}, state.spans.exported);
  text.metric(
    'tsmesh_spans_dropped_total',
    'counter',
    'Spans lost: the collector did not take them.',
  );
  text.value('tsmesh_spans_dropped_total', {}, state.spans.dropped);
  gauge('process_start_time_seconds', 'Start of the process.', state.startedAtMs / 1000);
  gauge('process_resident_memory_bytes', 'Resident memory.', state.memory.rss);
  gauge('nodejs_heap_size_used_bytes', 'Heap in use.', state.memory.heapUsed);
  text.metric('process_cpu_seconds_total', 'counter', 'User and system CPU time.');
  text.value('process_cpu_seconds_total', {}, state.cpuSeconds);
}
