import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAppMetrics } from './app-metrics.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function app(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return (server.address() as AddressInfo).port;
}

describe("the app's metrics", () => {
  it('are asked for at the path that the pod names, in the format that can be joined', async () => {
    let asked = '';
    const port = await app((request, response) => {
      asked = `${request.url} ${request.headers.accept}`;
      response.end('requests 7\n# EOF\n');
    });
    const read = createAppMetrics({ port, path: '/stats' }, '127.0.0.1');
    const text = 'requests 7\n';
    expect(await read('prometheus')).toEqual({ text, format: 'prometheus', up: true });
    expect(asked).toBe('/stats text/plain;version=0.0.4');
  });

  it('are OpenMetrics where the scraper wants that and the app can', async () => {
    const open = 'application/openmetrics-text; version=1.0.0';
    const port = await app((request, response) => {
      const can = request.url === '/can' && request.headers.accept?.startsWith('application/open');
      response.setHeader('content-type', can === true ? open : 'text/plain; version=0.0.4');
      response.end('a_total 1\n# EOF\n');
    });
    const formats = async (path: string) =>
      (await createAppMetrics({ port, path }, '127.0.0.1')('openmetrics')).format;
    expect([await formats('/can'), await formats('/cannot')]).toEqual([
      'openmetrics',
      'prometheus',
    ]);
  });

  it('stand at /metrics where the pod names no path, and get the line end that they lack', async () => {
    const port = await app((request, response) => response.end(`path{p="${request.url}"} 1`));
    const { text } = await createAppMetrics({ port }, '127.0.0.1')('prometheus');
    expect(text).toBe('path{p="/metrics"} 1\n');
  });

  it.each<[string, RequestListener]>([
    ['refuses', (_, response) => void response.writeHead(503).end('requests 7\n')],
    ['breaks off', (_, response) => void response.write('requests', () => response.destroy())],
    ['says too much', (_, response) => void response.end(Buffer.alloc(17 << 20, 'x'))],
  ])('are left out, and a gauge says so, where the app %s', async (_what, listener) => {
    const port = await app(listener);
    const answer = await createAppMetrics({ port }, '127.0.0.1')('prometheus');
    expect(answer).toEqual({ text: '', format: 'prometheus', up: false });
  });

  it('are read once for all who ask at one time', async () => {
    let reads = 0;
    const port = await app((_, response) => {
      reads += 1;
      setImmediate(() => response.end('a 1\n'));
    });
    const metrics = createAppMetrics({ port }, '127.0.0.1');
    const once = () => metrics('prometheus');
    await Promise.all([once(), once(), once()]);
    expect(reads).toBe(1);
    await once();
    expect(reads).toBe(2);
  });
});
