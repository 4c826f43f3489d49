// What it costs to see everything: access logs of all requests, and traces of a hundredth and of all, against the default.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TracingSettings } from '../../proxy/api/tracing.ts';
import { benchCounting } from './counting.ts';
import { benchSettings } from './settings-cost.ts';

export async function benchObservability(): Promise<string[]> {
  // Takes spans and looks at none: what a collector costs is not the mesh's.
  const collector = http.createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end());
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo;
  const tracing = (sampling: number): TracingSettings => ({
    collector: { protocol: 'http', endpoint: `http://127.0.0.1:${port}` },
    sampling,
    samplingOfPorts: {},
    resource: { 'service.name': 'bench' },
  });
  try {
    const counting = benchCounting();
    const settings = await benchSettings([
      {
        name: 'tsmesh-log-json',
        title: 'log of all, JSON',
        inForce: { workload: { accessLog: 'all' } },
      },
      {
        name: 'tsmesh-log-text',
        title: 'log of all, text',
        inForce: { workload: { accessLog: 'all', accessLogFormat: 'text' } },
      },
      {
        name: 'tsmesh-traced-1',
        title: 'traces, 1 %',
        inForce: { workload: { tracing: tracing(1) } },
      },
      {
        name: 'tsmesh-traced-all',
        title: 'traces, all',
        inForce: { workload: { tracing: tracing(100) } },
      },
    ]);
    return [...counting, '', ...settings];
  } finally {
    collector.close();
    collector.closeAllConnections();
  }
}
