// Every metric of a sidecar by name, with its labels: the one place that names them. What docs/metrics.md says is made from
// it. It counts nothing.

import type { Metric } from '../api/exposition.ts';

/** What a label is, wherever it stands. */
export const labelMeanings: Readonly<Record<string, string>> = {
  direction: '`inbound`: to the app of the pod. `outbound`: from it.',
  destination:
    'Outbound: the Service or pod and port that were called, `cart.shop:80`; `(outside)`, `(unknown)`, `(other)` are shared. Inbound: the port of the pod.',
  source_namespace: 'Of the caller; inbound as its identity proves.',
  source_workload:
    'Name of the calling workload. Inbound as its own sidecar says; only the identity is proven.',
  source_identity: 'SPIFFE identity of the caller.',
  destination_namespace: 'Of what was called.',
  destination_workload:
    'Name of the called workload; outbound where one alone stands behind the Service.',
  destination_service: 'Name of the Service (or pod) that was called.',
  destination_identity: 'SPIFFE identity that the called one proved.',
  route: 'Which route of which TrafficPolicy; absent: none.',
  protocol: '`HTTP/1.1`, `HTTP/2` or `gRPC`, as the sidecar got it.',
  code: 'HTTP status that the caller got; 0: broken off.',
  class: '`1xx` to `5xx`, or `broken`.',
  grpc_code: 'gRPC status by number; absent: no gRPC answer.',
  flag: 'Why the sidecar answered, or broke off, in place of the app; see the flags of the access log.',
  policy: 'Which policy decided.',
  rule: 'Which rule of it.',
  reason: 'Why, in a word.',
  kind: '`audit` or `would-deny`.',
  result: 'What became of it.',
  type: 'Kind of resource.',
  version: 'Of the program.',
  host: 'Host that the app says it calls, or the address.',
  port: 'Port that it connected to.',
  by: '`sni` or `host`: as the app said; `address`: where it connected; `many`: all others.',
};

const series = ['direction', 'destination'] as const;
const place = [
  'source_namespace',
  'source_workload',
  'source_identity',
  'destination_namespace',
  'destination_workload',
  'destination_service',
  'destination_identity',
] as const;

function counter(name: string, help: string, labels: readonly string[] = []): Metric {
  return { name, type: 'counter', help, labels };
}

function gauge(name: string, help: string, labels: readonly string[] = []): Metric {
  return { name, type: 'gauge', help, labels };
}

function histogram(name: string, help: string, labels: readonly string[]): Metric {
  return { name, type: 'histogram', help, labels };
}

export const metrics = {
  requests: counter('tsmesh_requests_total', 'Requests that came to their end.', [
    ...series,
    ...place,
    'route',
    'protocol',
    'code',
    'class',
    'grpc_code',
    'flag',
  ]),
  duration: histogram(
    'tsmesh_request_duration_seconds',
    'From the request head to the end of the answer.',
    series,
  ),
  requestSize: histogram('tsmesh_request_size_bytes', 'Bodies of requests.', series),
  responseSize: histogram('tsmesh_response_size_bytes', 'Bodies of answers.', series),
  mtlsRequests: counter('tsmesh_requests_mtls_total', 'Requests over mesh mTLS.', series),
  failures: counter('tsmesh_failures_total', 'Requests that failed.', ['direction']),
  denied: counter('tsmesh_denied_total', 'Refused by policy.', ['direction']),
  connections: counter('tsmesh_tcp_connections_total', 'Opaque connections.', series),
  mtlsConnections: counter(
    'tsmesh_tcp_connections_mtls_total',
    'Opaque connections over mesh mTLS.',
    series,
  ),
  sentBytes: counter('tsmesh_sent_bytes_total', 'Body and tunnel bytes sent on.', series),
  receivedBytes: counter('tsmesh_received_bytes_total', 'Body and tunnel bytes received.', series),
  retries: counter('tsmesh_retries_total', 'Further attempts after a first one.', series),
  spillovers: counter(
    'tsmesh_zone_spillovers_total',
    'Endpoints chosen outside of the zone although it has some of its own.',
    series,
  ),
  ejections: counter('tsmesh_ejections_total', 'Endpoints left out for a while, by reason.', [
    ...series,
    'reason',
  ]),
  mirrors: counter(
    'tsmesh_mirrors_total',
    'Copies of requests to the destination that went to mirrors, by what became of them.',
    [...series, 'result'],
  ),
  errors: counter('tsmesh_errors_total', 'Answers and failures of the sidecar, by flag.', [
    ...series,
    'flag',
  ]),
  policyDenied: counter('tsmesh_policy_denied_total', 'Refused by policy, by policy and rule.', [
    ...series,
    'policy',
    'rule',
    'reason',
  ]),
  policyRemarks: counter(
    'tsmesh_policy_remarks_total',
    'Audited, or refused if it were no dry run.',
    [...series, 'policy', 'rule', 'kind'],
  ),
  outsideConnections: outside('connections', 'Connections out of the mesh'),
  outsideRefused: outside('refused', 'Connections out of the mesh that were refused'),
  outsideSentBytes: outside('sent_bytes', 'Bytes sent out of the mesh'),
  outsideReceivedBytes: outside('received_bytes', 'Bytes received from out of the mesh'),
  handshakes: counter('tsmesh_tls_handshakes_total', 'Handshakes of mesh mTLS.', [
    'direction',
    'result',
  ]),
  inFlight: gauge('tsmesh_in_flight', 'Requests and opaque connections not ended yet.', [
    'direction',
  ]),
  ready: gauge('tsmesh_ready', 'Whether the sidecar is ready.'),
  draining: gauge('tsmesh_draining', 'Whether the pod is going.'),
  discoveryConnected: gauge(
    'tsmesh_discovery_connected',
    'Whether the stream to the operator is open.',
  ),
  configResources: gauge('tsmesh_config_resources', 'Resources in force.', ['type']),
  configApplied: gauge(
    'tsmesh_config_applied_timestamp_seconds',
    'When configuration was last put in force, Unix seconds; 0: never.',
  ),
  configPushes: counter('tsmesh_config_changes_total', 'Changes of configuration put in force.'),
  configRejected: counter(
    'tsmesh_config_rejected_total',
    'Resources of the operator that were refused: the last good one stays in force.',
  ),
  identityProblem: gauge(
    'tsmesh_identity_problem',
    'Whether the identity files on disk were refused.',
  ),
  certificateExpiry: gauge(
    'tsmesh_certificate_expiry_seconds',
    'When the certificate ends, Unix seconds.',
  ),
  rootExpiry: gauge('tsmesh_root_expiry_seconds', 'When the first root ends, Unix seconds.'),
  foreignSockets: gauge(
    'tsmesh_foreign_sockets',
    'Sockets of apps that run as the user of the sidecar and bypass the mesh.',
  ),
  eventLoopDelay: histogram(
    'tsmesh_event_loop_delay_seconds',
    'How late a timer of a thread comes, four times a second.',
    [],
  ),
  accessLogDropped: counter('tsmesh_access_log_dropped_total', 'Access log lines lost.'),
  logDropped: counter(
    'tsmesh_log_dropped_total',
    "Lines of the sidecar's own log lost: standard output was not read, or is full.",
  ),
  spansExported: counter('tsmesh_spans_exported_total', 'Spans that the collector took.'),
  spansDropped: counter(
    'tsmesh_spans_dropped_total',
    'Spans lost: the collector did not take them, or there were too many.',
  ),
  build: gauge('tsmesh_build_info', 'Version of the sidecar; always 1.', ['version']),
  appMetricsUp: gauge('tsmesh_app_metrics_up', "Whether the app's own metrics follow."),
  startTime: gauge('process_start_time_seconds', 'Start of the process, Unix seconds.'),
  residentMemory: gauge('process_resident_memory_bytes', 'Resident memory.'),
  heapUsed: gauge('nodejs_heap_size_used_bytes', 'Heap in use.'),
  cpu: counter('process_cpu_seconds_total', 'User and system CPU time.'),
} as const satisfies Readonly<Record<string, Metric>>;

function outside(what: string, help: string): Metric {
  const name = `tsmesh_outside_${what}_total`;
  return counter(name, `${help}, by the host that the app claims.`, ['host', 'port', 'by']);
}
