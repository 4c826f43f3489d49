// The operator's discovery counters in the Prometheus text format. Pure.

import { pushLatencyBoundsMs } from '../discovery/metrics.ts';
import { compareText } from '../model/order.ts';
import type { DiscoveryMetrics } from '../discovery/metrics.ts';

export function discoveryMetricsText(metrics: DiscoveryMetrics): string {
  const refused = [...metrics.streamsRefused].toSorted(([a], [b]) => compareText(a, b));
  return [
    ...family('streams', 'gauge', 'Sidecars connected to this replica.', metrics.streams),
    ...family('streams_opened_total', 'counter', 'Streams accepted.', metrics.streamsOpened),
    ...head('streams_refused_total', 'counter', 'Streams refused or ended, by gRPC status.'),
    ...refused.map(
      ([status, count]) => `tsmesh_discovery_streams_refused_total{status="${status}"} ${count}`,
    ),
    ...family('pushes_total', 'counter', 'Pushes sent.', metrics.pushes),
    ...family('resources_total', 'counter', 'Resources sent.', metrics.resourcesPushed),
    ...family('bytes_total', 'counter', 'Bytes of pushes.', metrics.bytesPushed),
    ...family('acks_total', 'counter', 'Pushes acknowledged.', metrics.acks),
    ...family('nacks_total', 'counter', 'Resources refused by sidecars.', metrics.nacks),
    ...latency(metrics),
    '',
  ].join('\n');
}

function head(name: string, type: string, help: string): string[] {
  const full = `tsmesh_discovery_${name}`;
  return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`];
}

function family(name: string, type: string, help: string, value: number): string[] {
  return [...head(name, type, help), `tsmesh_discovery_${name} ${value}`];
}

function latency(metrics: DiscoveryMetrics): string[] {
  const name = 'push_latency_seconds';
  const full = `tsmesh_discovery_${name}`;
  let cumulative = 0;
  const buckets = metrics.pushLatency.map((count, index) => {
    cumulative += count;
    const bound = pushLatencyBoundsMs[index];
    return `${full}_bucket{le="${bound === undefined ? '+Inf' : bound / 1000}"} ${cumulative}`;
  });
  return [
    ...head(name, 'histogram', 'From a push sent to its acknowledgement.'),
    ...buckets,
    `${full}_sum ${metrics.pushLatencySumMs / 1000}`,
    `${full}_count ${cumulative}`,
  ];
}
