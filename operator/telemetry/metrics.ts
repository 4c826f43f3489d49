// Every metric of the operator by name, with its labels: the one place that names them. What docs/metrics.md says is made
// from it. It counts nothing.

import type { Metric } from '../../proxy/api/exposition.ts';

/** What a label is, where the sidecar's table does not say it. */
export const operatorLabels: Readonly<Record<string, string>> = {
  queue: 'What is reconciled: policies, namespaces, identities, webhooks, mesh-status, authority.',
  outcome: '`done` or `failed`; what failed is tried again.',
  status: 'gRPC status by name.',
};

const counter = (name: string, help: string, labels: readonly string[] = []): Metric => ({
  name,
  type: 'counter',
  help,
  labels,
});
const gauge = (name: string, help: string, labels: readonly string[] = []): Metric => ({
  name,
  type: 'gauge',
  help,
  labels,
});
const histogram = (name: string, help: string): Metric => ({
  name,
  type: 'histogram',
  help,
  labels: [],
});

export const operatorMetrics = {
  leading: gauge('tsmesh_operator_leading', 'Whether this replica leads.'),
  caReady: gauge('tsmesh_operator_ca_ready', 'Whether certificates can be issued.'),
  caExpiry: gauge(
    'tsmesh_operator_ca_expiry_timestamp_seconds',
    'End of the issuing certificate, Unix seconds.',
  ),
  certificateExpiry: gauge(
    'tsmesh_operator_certificate_expiry_timestamp_seconds',
    "End of this replica's certificate, Unix seconds.",
  ),
  certificatesExpiring: gauge(
    'tsmesh_operator_certificates_expiring',
    'Sidecars whose certificate is in the last tenth of its life.',
  ),
  pods: gauge('tsmesh_operator_pods', 'Pods that the operator knows.'),
  services: gauge('tsmesh_operator_services', 'Services that the operator knows.'),
  queueDepth: gauge('tsmesh_operator_queue_depth', 'Keys that wait or run.', ['queue']),
  reconciliations: counter(
    'tsmesh_operator_reconciliations_total',
    'Reconciliations by queue and outcome.',
    ['queue', 'outcome'],
  ),
  reconciliationSeconds: counter(
    'tsmesh_operator_reconciliation_seconds_total',
    'Time spent reconciling.',
    ['queue'],
  ),
  convergence: histogram(
    'tsmesh_operator_convergence_seconds',
    'From a change of a policy or the Mesh to its acknowledgement by the last sidecar that it concerns.',
  ),
  streams: gauge('tsmesh_discovery_streams', 'Sidecars connected to this replica.'),
  streamsOpened: counter('tsmesh_discovery_streams_opened_total', 'Streams accepted.'),
  streamsRefused: counter(
    'tsmesh_discovery_streams_refused_total',
    'Streams refused or ended, by gRPC status.',
    ['status'],
  ),
  pushes: counter('tsmesh_discovery_pushes_total', 'Pushes sent.'),
  resources: counter('tsmesh_discovery_resources_total', 'Resources sent.'),
  bytes: counter('tsmesh_discovery_bytes_total', 'Bytes of pushes.'),
  acks: counter('tsmesh_discovery_acks_total', 'Pushes acknowledged.'),
  nacks: counter('tsmesh_discovery_nacks_total', 'Resources refused by sidecars.'),
  pushLatency: histogram(
    'tsmesh_discovery_push_latency_seconds',
    'From a push sent to its acknowledgement.',
  ),
  residentMemory: gauge('process_resident_memory_bytes', 'Resident memory.'),
} as const satisfies Readonly<Record<string, Metric>>;
