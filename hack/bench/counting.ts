// What counting one request costs a sidecar: all that its metrics, its reports and the graph need of it, in this process.
import { createCounters } from '../../proxy/telemetry/counters.ts';
import { requestSample } from '../../proxy/telemetry/test-sample.ts';
import { median, row } from './process-figures.ts';

const requests = 2_000_000;
const rounds = 7;
const goalNs = 300;

/** Rows of a table. */
export function benchCounting(): string[] {
  const samples = Array.from({ length: 1024 }, (_, i) =>
    requestSample({
      latencyMs: (i % 40) / 3,
      status: i % 50 === 0 ? 503 : 200,
      flag: i % 50 === 0 ? 'UF' : '',
      route: `TrafficPolicy shop/cart, route ${i % 3}`,
      peer: 'spiffe://cluster.local/ns/shop/sa/cart',
      workload: 'cart',
      mtls: true,
      responseBytes: 17 * i,
    }),
  );
  const counters = createCounters();
  const series = {
    outbound: counters.series('outbound', 'cart.shop:80'),
    'inbound, with its caller': counters.seriesFrom('8080', 'spiffe://a', '10.0.0.1'),
  };
  return [
    row('counting one request', 'ns', 'goal', 'met'),
    row('---', '--:', '--:', '---'),
    ...Object.entries(series).map(([name, one]) => {
      const ns = median(Array.from({ length: rounds }, () => measure(one, samples)));
      return row(name, ns.toFixed(0), `≤ ${goalNs}`, ns <= goalNs ? 'yes' : '**no**');
    }),
  ];
}

function measure(
  series: { request(sample: ReturnType<typeof requestSample>): void },
  samples: readonly ReturnType<typeof requestSample>[],
): number {
  const startedMs = performance.now();
  for (let i = 0; i < requests; i += 1) series.request(samples[i & 1023]!);
  return ((performance.now() - startedMs) / requests) * 1e6;
}
