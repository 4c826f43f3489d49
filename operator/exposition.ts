// The operator's own numbers for /metrics, taken when they are asked for. What discovery counts is
// written by operator/telemetry.

import type { Metric } from '../proxy/api/exposition.ts';
import type { OperatorIdentity } from './ca/operator-identity.ts';
import type { CaSource } from './ca/types.ts';
import type { Controllers } from './controllers/controllers.ts';
import type { View } from './model/view.ts';
import type { Clock } from './resources/clock.ts';
import type { Metrics } from './runtime/metrics.ts';
import { operatorMetrics } from './telemetry/metrics.ts';

export interface ExpositionSources {
  metrics: Metrics;
  clock: Clock;
  ca: CaSource;
  identity: OperatorIdentity;
  view: View;
  /** Null while another replica leads. */
  controllers: Controllers | null;
  /** Sidecars whose certificate is about to end. */
  expiring: number;
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
  const gauge = ({ name, help }: Metric, value: number, labels = {}): void =>
    metrics.set(name, help, value, labels);
  gauge(operatorMetrics.residentMemory, sources.residentBytes);
  gauge(operatorMetrics.leading, controllers === null ? 0 : 1);
  gauge(operatorMetrics.caReady, sources.ca.condition(nowMs).status === 'True' ? 1 : 0);
  gauge(operatorMetrics.caExpiry, (sources.ca.current(nowMs)?.notAfterMs ?? 0) / 1000);
  gauge(operatorMetrics.certificateExpiry, (sources.identity.current()?.notAfterMs ?? 0) / 1000);
  gauge(operatorMetrics.certificatesExpiring, sources.expiring);
  gauge(operatorMetrics.pods, view.pods.size);
  gauge(operatorMetrics.services, view.services.size);
  const depths = controllers?.depths();
  for (const queue of queues) gauge(operatorMetrics.queueDepth, depths?.[queue] ?? 0, { queue });
}
