import { describe, expect, it } from '@jest/globals';
import { createDiscoveryMetrics, observePushLatency } from '../discovery/metrics.ts';
import { Convergence } from './convergence.ts';
import { discoveryMetricsText } from './prometheus.ts';

describe('the metrics of discovery', () => {
  it('are written with cumulative buckets and refusals by status', () => {
    const metrics = createDiscoveryMetrics();
    metrics.streams = 2;
    metrics.streamsRefused.set('PERMISSION_DENIED', 3).set('NOT_FOUND', 1);
    observePushLatency(metrics, 0.5);
    observePushLatency(metrics, 40);
    observePushLatency(metrics, 20_000);
    const convergence = new Convergence();
    convergence.note('a', 1, 'False', 0);
    convergence.note('a', 1, 'True', 40);
    const lines = discoveryMetricsText(metrics, convergence).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        '# TYPE tsmesh_discovery_streams gauge',
        'tsmesh_discovery_streams 2',
        'tsmesh_discovery_streams_refused_total{status="NOT_FOUND"} 1',
        'tsmesh_discovery_push_latency_seconds_bucket{le="0.001"} 1',
        'tsmesh_discovery_push_latency_seconds_bucket{le="0.05"} 2',
        'tsmesh_discovery_push_latency_seconds_bucket{le="10.0"} 2',
        'tsmesh_discovery_push_latency_seconds_bucket{le="+Inf"} 3',
        'tsmesh_discovery_push_latency_seconds_sum 20.0405',
        'tsmesh_discovery_push_latency_seconds_count 3',
        'tsmesh_operator_convergence_seconds_bucket{le="0.025"} 0',
        'tsmesh_operator_convergence_seconds_bucket{le="0.05"} 1',
        'tsmesh_operator_convergence_seconds_count 1',
      ]),
    );
    expect(lines.at(-1)).toBe('');
  });
});
