// The health port with real HTTP on loopback and a real drain: who can make the sidecar drain.

import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestClock } from '../net/test-clock.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createDrain, type Drain } from './drain.ts';
import { startHealthServer, type HealthServer } from './health-server.ts';
import { createReadiness } from './readiness.ts';

const token = '0123456789abcdef0123456789abcdef';
const other = `${token.slice(0, -1)}0`;

let drain: Drain;
let server: HealthServer;

async function start(
  hookToken: string | null,
  more: Partial<Parameters<typeof startHealthServer>[0]> = {},
): Promise<void> {
  drain = createDrain({
    drainInbound: () => undefined,
    announce: () => undefined,
    refuseInbound: () => undefined,
    inboundInFlight: () => 0,
    inboundConnections: () => 0,
    gracePeriodMs: 30_000,
    clock: createTestClock(),
    logger: createLogger({ level: 'error', wallTimeMs: () => 0, write: () => {} }),
  });
  server = await startHealthServer({
    host: '127.0.0.1',
    port: 0,
    readiness: createReadiness(),
    drain,
    metrics: (format) => ({ text: 'up 1\n', format }),
    hookToken,
    probes: [],
    probeHost: '127.0.0.1',
    nowMs: () => performance.now(),
    ...more,
  });
}

function call(path: string, method = 'GET'): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { port } = server.address;
    request({ host: '127.0.0.1', port, path, method, agent: false }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode!, body }), reject);
    })
      .on('error', reject)
      .end();
  });
}

const refused = { status: 404, body: 'no such path on the health port of tsmesh' };

afterEach(() => server.close());

describe('the health port of a pod with a hook token', () => {
  beforeEach(() => start(token));

  it.each([
    '/drain',
    '/drained',
    '/drain/',
    '/drained/',
    `/drain/${other}`,
    `/drained/${other}`,
    `/drain/${token}0`,
    `/drain/${token}/`,
    `/drain/${token.slice(1)}`,
    `/drained/${token.toUpperCase()}`,
    `/drain?${token}`,
    `/${token}`,
    `/drain/${'%30'.repeat(32)}`,
  ])('knows no path %s and begins no drain', async (path) => {
    expect(await call(path)).toEqual(refused);
    expect(await call(path, 'POST')).toEqual(refused);
    expect(drain.started()).toBe(false);
  });

  it('begins to drain for who knows the token', async () => {
    expect(await call(`/drain/${token}`)).toEqual({ status: 200, body: 'draining' });
    expect(drain.started()).toBe(true);
  });

  it('answers the hook of an app once all is drained', async () => {
    expect(await call(`/drained/${token}`)).toEqual({ status: 200, body: 'drained' });
    expect(drain.started()).toBe(true);
  });

  it('answers metrics in the format that is wanted, with its end', async () => {
    const { port } = server.address;
    const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { accept } });
    expect(answer.headers.get('content-type')).toMatch(/^application\/openmetrics-text; version=1/);
    expect(await answer.text()).toBe('up 1\n# EOF\n');
  });

  it('answers readiness and metrics without it', async () => {
    expect(await call('/ready')).toEqual({ status: 200, body: 'ready' });
    expect(await call('/metrics')).toEqual({ status: 200, body: 'up 1\n' });
    expect(drain.started()).toBe(false);
  });
});

describe('the health port without a hook token', () => {
  it.each(['/drain', '/drained', '/drain/', '/drain/null', '/drained/undefined'])(
    'has no hook at %s',
    async (path) => {
      await start(null);
      expect(await call(path)).toEqual(refused);
      expect(drain.started()).toBe(false);
    },
  );
});

describe('one who takes all connections of the health port', () => {
  it('does not keep the kubelet out', async () => {
    await start(null);
    const { port } = server.address;
    const hog = Array.from({ length: 300 }, () => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.66' });
      socket.on('error', () => undefined);
      return socket;
    });
    const ended = hog.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    await Promise.race(ended);
    expect((await call('/metrics')).status).toBe(200);
    for (const socket of hog) socket.destroy();
    await Promise.all(ended);
  });

  it('is closed when it goes on with its head for ever', async () => {
    await start(null);
    const socket = connect({ port: server.address.port, host: '127.0.0.1' });
    let said = '';
    socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
    socket.on('error', () => undefined);
    socket.write('GET /metrics HTTP/1.1\r\nhost: x\r\nx: ');
    const drip = setInterval(() => socket.write('y'), 500);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(drip);
    expect(said).toContain('408');
  }, 15_000);
});

describe('one who asks for metrics and takes none', () => {
  const large = 'x'.repeat(12 << 20);
  const largeText = { text: large, format: 'prometheus' } as const;
  const stalled = async (count: number) => {
    const sockets = Array.from({ length: count }, () =>
      connect(server.address.port, '127.0.0.1')
        .pause()
        .on('error', () => undefined),
    );
    for (const socket of sockets) socket.write('GET /metrics HTTP/1.1\r\nHost: pod\r\n\r\n');
    await Promise.all(sockets.map((one) => new Promise((resolve) => one.once('connect', resolve))));
    return sockets;
  };

  it('has no more of them kept for him than a bounded number of bytes', async () => {
    await start(null, { metrics: () => largeText });
    const sockets = await stalled(4);
    expect(await call('/metrics')).toEqual({
      status: 503,
      body: 'too much is being answered already',
    });
    expect((await call('/ready')).status).toBe(200);
    for (const socket of sockets) socket.destroy();
    let status = 0;
    while (status !== 200) ({ status } = await call('/metrics'));
  });

  it('leaves the room that he had, also where he goes before the answer, or asks for many at once', async () => {
    let ask = (): void => undefined;
    const asked = new Promise<void>((resolve) => (ask = resolve));
    let answer = (): void => undefined;
    const gone = new Promise<void>((resolve) => (answer = resolve));
    let many = 0;
    const metrics = async () => {
      if (++many === 4) ask();
      await gone;
      return largeText;
    };
    await start(null, { metrics });
    const get = 'GET /metrics HTTP/1.1\r\nHost: pod\r\n\r\n';
    const early = connect(server.address.port, '127.0.0.1').on('error', () => undefined);
    early.write(get.repeat(4));
    await asked;
    const late = await stalled(1);
    early.destroy();
    answer();
    let status = 0;
    late[0]!.write(get.repeat(3));
    late[0]!.destroy();
    while (status !== 200) ({ status } = await call('/metrics'));
    expect((await call('/metrics')).status).toBe(200);
  });

  it('is let go after a while', async () => {
    await start(null, { metrics: () => largeText, takeTimeoutMs: 1_000 });
    const sockets = await stalled(3);
    let { status } = await call('/metrics');
    expect(status).toBe(503);
    while (status !== 200) ({ status } = await call('/metrics'));
    for (const socket of sockets) socket.destroy();
  }, 20_000);
});
