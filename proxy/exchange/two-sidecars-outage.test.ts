// A backend that is down as a whole, through two sidecars: how often its app is asked for each request that is offered, with
// the retries of a policy and without. Real sockets; arrivals are counted.
import net, { type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { RetryPolicy } from '../../proxy/api/resources.ts';
import { call, listenOn, startPair, type MeshPair } from '../../test/support/mesh-pair.ts';
import { route } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Outage = '500' | 'hangs' | 'resets';

interface BadApp {
  outage: Outage | null;
  arrivals: number;
  pair: MeshPair;
}

async function startBadApp(): Promise<BadApp> {
  const sockets = new Set<Socket>();
  const app: BadApp = { outage: null, arrivals: 0, pair: null! };
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => void sockets.delete(socket));
    socket.on('data', () => {
      app.arrivals += 1;
      if (app.outage === 'resets') socket.resetAndDestroy();
      else if (app.outage !== 'hangs')
        socket.write(`HTTP/1.1 ${app.outage ?? '200'} X\r\ncontent-length: 0\r\n\r\n`);
    });
  });
  const address = await listenOn(server);
  app.pair = await startPair(address);
  closers.push(() => {
    app.pair.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return app;
}

const retry: RetryPolicy = {
  attempts: 5,
  on: ['5xx', 'reset', 'connect-failure'],
  // Long enough for a busy machine to answer within it.
  perTryTimeoutMs: 1_000,
  backoffMs: 1,
  maxBackoffMs: 10,
  budgetPercent: 20,
  budgetMinConcurrent: 3,
};

/** So many requests, `atOnce` at a time; returns how many were answered 200. */
async function offer(app: BadApp, count: number, atOnce: number): Promise<number> {
  const port = app.pair.caller.outbound.address.port;
  let next = 0;
  let good = 0;
  const client = async () => {
    while (next < count) {
      next += 1;
      if ((await call({ port })).status === 200) good += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  return good;
}

describe('of a backend that is down as a whole, the app is asked at most 1.2 times for each request', () => {
  it.each<[Outage, number]>([
    ['500', 1],
    ['500', 40],
    ['hangs', 40],
    ['resets', 1],
    ['resets', 40],
  ])(
    'that answers so: %s; %s requests at a time',
    async (outage, atOnce) => {
      const app = await startBadApp();
      app.pair.route({ routes: [route({ retry })] });
      expect(await offer(app, 100, atOnce)).toBe(100);
      app.arrivals = 0;
      app.outage = outage;
      expect(await offer(app, 300, atOnce)).toBe(0);
      expect(app.arrivals).toBeGreaterThan(200);
      expect(app.arrivals).toBeLessThanOrEqual(360);
      app.outage = null;
      expect(await offer(app, 100, atOnce)).toBe(100);
    },
    60_000,
  );

  it.each<Outage>(['500', 'resets'])(
    'without a policy too: %s',
    async (outage) => {
      const app = await startBadApp();
      expect(await offer(app, 100, 20)).toBe(100);
      app.arrivals = 0;
      app.outage = outage;
      expect(await offer(app, 300, 20)).toBe(0);
      expect(app.arrivals).toBeGreaterThan(200);
      expect(app.arrivals).toBeLessThanOrEqual(360);
    },
    60_000,
  );
});
