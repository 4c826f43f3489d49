// What discovery and the convergence of changes counted, as Prometheus reads it. Pure.

import { Exposition } from '../../proxy/api/exposition.ts';
import { pushLatencyBoundsMs } from '../discovery/metrics.ts';
import type { DiscoveryMetrics } from '../discovery/metrics.ts';
import { compareText } from '../model/order.ts';
import { convergenceBoundsMs, type Convergence } from './convergence.ts';
import { operatorMetrics as metrics } from './metrics.ts';

export function discoveryMetricsText(
  counted: DiscoveryMetrics,
  convergence: Pick<Convergence, 'counts' | 'sumMs'>,
): string {
  const out = new Exposition('prometheus');
  out.single(metrics.streams, counted.streams);
  out.single(metrics.streamsOpened, counted.streamsOpened);
  out.head(metrics.streamsRefused);
  for (const [status, count] of [...counted.streamsRefused].toSorted(([a], [b]) =>
    compareText(a, b),
  ))
    out.sample(metrics.streamsRefused.name, { status }, count);
  out.single(metrics.pushes, counted.pushes);
  out.single(metrics.resources, counted.resourcesPushed);
  out.single(metrics.bytes, counted.bytesPushed);
  out.single(metrics.acks, counted.acks);
  out.single(metrics.nacks, counted.nacks);
  out.head(metrics.pushLatency);
  out.histogram(
    metrics.pushLatency,
    {},
    {
      bounds: seconds(pushLatencyBoundsMs),
      counts: counted.pushLatency,
      sum: counted.pushLatencySumMs / 1000,
    },
  );
  out.head(metrics.convergence);
  out.histogram(
    metrics.convergence,
    {},
    {
      bounds: seconds(convergenceBoundsMs),
      counts: convergence.counts,
      sum: convergence.sumMs / 1000,
    },
  );
  return out.toString();
}

function seconds(boundsMs: readonly number[]): number[] {
  return boundsMs.map((ms) => ms / 1000);
}
