// The operator's own numbers for /metrics, taken when they are asked for. What discovery counts is
// written by operator/telemetry.

import type { OperatorIdentity } from './ca/operator-identity.ts';
import type { CaSource } from './ca/types.ts';
import type { Controllers } from './controllers/controllers.ts';
import type { View } from './model/view.ts';
import type { Clock } from './resources/clock.ts';
import type { Metrics } from './runtime/metrics.ts';

export interface ExpositionSources {
  metrics: Metrics;
  clock: Clock;
  ca: CaSource;
  identity: OperatorIdentity;
  view: View;
  /** Null while another replica leads. */
  controllers: Controllers | null;
  residentBytes: number;
}

const queues = [
  'policies',
  'namespaces',
  'identities',
  'webhooks',
  'mesh-status',
  'authority',
] as const;

/** Brings the gauges up to date. */
export function updateGauges(sources: ExpositionSources): void {
  const { metrics, controllers, view } = sources;
  const nowMs = sources.clock.wallTimeMs();
  const gauge = (name: string, help: string, value: number) =>
    metrics.set(`tsmesh_operator_${name}`, help, value);
  metrics.set('process_resident_memory_bytes', 'Resident memory.', sources.residentBytes);
  gauge('leading', 'Whether this replica leads.', controllers === null ? 0 : 1);
  const ready = sources.ca.condition(nowMs).status === 'True' ? 1 : 0;
  gauge('ca_ready', 'Whether certificates can be issued.', ready);
  const caEnd = sources.ca.current(nowMs)?.notAfterMs ?? 0;
  gauge('ca_expiry_timestamp_seconds', 'End of the issuing certificate.', caEnd / 1000);
  const ownEnd = sources.identity.current()?.notAfterMs ?? 0;
  gauge(
    'certificate_expiry_timestamp_seconds',
    "End of this replica's certificate.",
    ownEnd / 1000,
  );
  gauge('pods', 'Pods that the operator knows.', view.pods.size);
  gauge('services', 'Services that the operator knows.', view.services.size);
  const depths = controllers?.depths();
  for (const queue of queues) {
    const name = 'tsmesh_operator_queue_depth';
    metrics.set(name, 'Keys that wait or run.', depths?.[queue] ?? 0, { queue });
  }
}
