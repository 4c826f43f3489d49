// Endpoints that answer badly, among good ones, as a client of the caller's sidecar sees them. Real sockets.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface App {
  address: AddressInfo;
  received: number;
  /** How it answers now. */
  status: number;
}

async function startApp(): Promise<App> {
  const server = http.createServer((_, response) => {
    app.received += 1;
    response.writeHead(app.status).end();
  });
  const app: App = { address: await listenOn(server), received: 0, status: 200 };
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return app;
}

const outlierDetection = {
  consecutive5xx: 3,
  consecutiveGatewayErrors: 2,
  baseEjectionMs: 1_000,
  maxEjectionMs: 1_000,
  maxEjectionPercent: 50,
};

async function pairOf(apps: App[], over = {}): Promise<MeshPair> {
  const pair = await startPair(apps[0]!.address);
  closers.push(() => pair.close());
  const list = apps.map(({ address }) => address);
  pair.route({ outlierDetection, ...over }, endpoints(list, null));
  return pair;
}

/** Statuses of so many requests, one after the other. */
async function requests(pair: MeshPair, count: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < count; i += 1)
    statuses.push((await call({ port: pair.caller.outbound.address.port })).status);
  return statuses;
}

function countOut(pair: MeshPair): number {
  const set = pair.caller.store.snapshot().endpoints.get('shop/app:80')!;
  return set.endpoints.filter(({ load }) => load.health !== null && load.health.outUntilMs !== 0)
    .length;
}

/** Requests one after the other, until it holds. */
async function requestsUntil(what: string, pair: MeshPair, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 20_000; i += 1) {
    if (holds()) return;
    await requests(pair, 1);
  }
  throw new Error(`not within 20,000 requests: ${what}`);
}

describe('of three endpoints', () => {
  it.each([500, 503])(
    'one that gives %s is left out, and heard again',
    async (bad) => {
      const apps = [await startApp(), await startApp(), await startApp()];
      const pair = await pairOf(apps);
      await requests(pair, 60);
      // Who was slow at first is asked too seldom to be judged soon.
      const app = apps.toSorted((a, b) => b.received - a.received)[0]!;
      app.status = bad;
      await requestsUntil('it is left out', pair, () => countOut(pair) === 1);
      const before = app.received;
      const statuses = await requests(pair, 60);
      // Those that found out whether it is well again, if any.
      const found = statuses.filter((status) => status !== 200).length;
      expect(found).toBeLessThanOrEqual(app.received - before);
      expect(app.received - before).toBeLessThan(10);
      const [series] = pair.caller.counters.snapshot('outbound');
      expect(series!.ejections.size).toBeGreaterThanOrEqual(1);
      app.status = 200;
      await requestsUntil('it is heard again', pair, () => countOut(pair) === 0);
    },
    60_000,
  );

  it('none is left out where no policy asks for it', async () => {
    const apps = [await startApp(), await startApp(), await startApp()];
    const pair = await pairOf(apps, { outlierDetection: undefined });
    for (const app of apps) app.status = 500;
    await requests(pair, 30);
    expect(countOut(pair)).toBe(0);
  });

  it('one at most is left out when all of them are bad', async () => {
    const apps = [await startApp(), await startApp(), await startApp()];
    const pair = await pairOf(apps);
    for (const app of apps) app.status = 500;
    expect(new Set(await requests(pair, 40))).toEqual(new Set([500]));
    expect(apps.reduce((sum, { received }) => sum + received, 0)).toBe(40);
    expect(countOut(pair)).toBeLessThan(2);
  });

  it.each([200, 500])(
    'one that was left out is in use again once its time is over after the policy is gone, answering %s',
    async (then) => {
      const apps = [await startApp(), await startApp(), await startApp()];
      const short = { ...outlierDetection, baseEjectionMs: 50, maxEjectionMs: 50 };
      const pair = await pairOf(apps, {
        outlierDetection: short,
        balancing: { method: 'round-robin' },
      });
      const [app] = apps as [App];
      app.status = 500;
      await requestsUntil('it is left out', pair, () => countOut(pair) === 1);
      pair.route({ balancing: { method: 'round-robin' } });
      app.status = then;
      await requestsUntil('it is in use again', pair, () => countOut(pair) === 0);
      const before = app.received;
      await requests(pair, 60);
      // Its share, and no more: nobody finds out any more whether it is well.
      expect(app.received - before).toBe(20);
    },
    60_000,
  );

  it.each([0, 60])(
    'and a fourth that is well, all are used below the panic threshold: %s percent',
    async (panicThresholdPercent) => {
      const apps = [await startApp(), await startApp(), await startApp(), await startApp()];
      const hour = { baseEjectionMs: 3_600_000, maxEjectionMs: 3_600_000, maxEjectionPercent: 100 };
      const pair = await pairOf(apps, {
        outlierDetection: { ...outlierDetection, ...hour, panicThresholdPercent },
        balancing: { method: 'round-robin' },
      });
      const [well, ...bad] = apps as [App, ...App[]];
      for (const app of bad) app.status = 500;
      await requestsUntil('three are out', pair, () => countOut(pair) === 3);
      const before = apps.map(({ received }) => received);
      await requests(pair, 40);
      const gained = apps.map(({ received }, i) => received - before[i]!);
      expect(gained).toEqual(panicThresholdPercent === 0 ? [40, 0, 0, 0] : [10, 10, 10, 10]);
      expect(well.status).toBe(200);
    },
    60_000,
  );
});
