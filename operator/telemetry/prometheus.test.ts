import { describe, expect, it } from '@jest/globals';
import { createDiscoveryMetrics, observePushLatency } from '../discovery/metrics.ts';
import { discoveryMetricsText } from './prometheus.ts';

describe('the metrics of discovery', () => {
  it('are written with cumulative buckets and refusals by status', () => {
    const metrics = createDiscoveryMetrics();
    metrics.streams = 2;
    metrics.streamsRefused.set('PERMISSION_DENIED', 3).set('NOT_FOUND', 1);
    observePushLatency(metrics, 0.5);
    observePushLatency(metrics, 40);
    observePushLatency(metrics, 20_000);
    const lines = discoveryMetricsText(metrics).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        '# TYPE tsmesh_discovery_streams gauge',
        'tsmesh_discovery_streams 2',
        'tsmesh_discovery_streams_refused_total{status="NOT_FOUND"} 1',
        'tsmesh_discovery_push_latency_seconds_bucket{le="0.001"} 1',
        'tsmesh_discovery_push_latency_seconds_bucket{le="0.05"} 2',
        'tsmesh_discovery_push_latency_seconds_bucket{le="10"} 2',
        'tsmesh_discovery_push_latency_seconds_bucket{le="+Inf"} 3',
        'tsmesh_discovery_push_latency_seconds_sum 20.0405',
        'tsmesh_discovery_push_latency_seconds_count 3',
      ]),
    );
    expect(lines.at(-1)).toBe('');
  });
});
