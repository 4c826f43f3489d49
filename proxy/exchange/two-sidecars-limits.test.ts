// What a destination's limits and comparisons of its endpoints do, as a client of the caller's sidecar sees it. Real sockets.
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, route } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface App {
  address: AddressInfo;
  received: number;
  connections: number;
  mostConnections: number;
  /** Those it has not answered. */
  held: http.ServerResponse[];
  holds: boolean;
  delayMs: number;
  /** Of this many the last is answered 500; 0: none. */
  badOf: number;
}

async function startApp(): Promise<App> {
  const server = http.createServer((_, response) => {
    app.received += 1;
    if (app.badOf > 0 && app.received % app.badOf === 0) response.statusCode = 500;
    if (app.holds) app.held.push(response);
    else if (app.delayMs > 0) setTimeout(() => response.end(), app.delayMs);
    else response.end();
  });
  server.on('connection', (socket) => {
    app.connections += 1;
    app.mostConnections = Math.max(app.mostConnections, app.connections);
    socket.on('close', () => (app.connections -= 1));
  });
  const counts = { received: 0, connections: 0, mostConnections: 0, badOf: 0, delayMs: 0 };
  const app: App = { address: await listenOn(server), ...counts, held: [], holds: false };
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return app;
}

const unlimited = { maxConnections: null, maxPendingRequests: null, maxActiveRequests: null };
const policies = [
  { kind: 'TrafficPolicy' as const, namespace: 'shop', name: 'app', generation: 1 },
];

const retry = {
  attempts: 3,
  on: [],
  onStatuses: [503],
  perTryTimeoutMs: null,
  backoffMs: 1,
  maxBackoffMs: 1,
  budgetPercent: 100,
  budgetMinConcurrent: 10,
};

async function pairOf(apps: App[], over: object): Promise<MeshPair> {
  const pair = await startPair(apps[0]!.address);
  closers.push(() => pair.close());
  const list = apps.map(({ address }) => address);
  pair.route({ policies, routes: [route({ retry })], ...over }, endpoints(list, null));
  return pair;
}

const portOf = ({ caller }: MeshPair): number => caller.outbound.address.port;
const useOf = ({ caller }: MeshPair) => [...caller.store.snapshot().destinations.values()][0]!;

function errorsOf({ caller }: MeshPair): number {
  const [series] = caller.counters.snapshot('outbound');
  return series?.errors.get('DL') ?? 0;
}

function retriesOf({ caller }: MeshPair): number {
  return caller.counters.snapshot('outbound')[0]!.retries;
}

describe('limits', () => {
  it.each([
    ['maxActiveRequests', 2],
    ['maxConnections', 2],
  ])(
    'hold: %s, one too many is answered 503 at once, or waits for a connection',
    async (name, most) => {
      const app = await startApp();
      app.holds = true;
      const pair = await pairOf([app], { limits: { ...unlimited, [name]: most } });
      const kept = [call({ port: portOf(pair) }), call({ port: portOf(pair) })];
      await until('two are held', () => app.held.length === 2);
      if (name === 'maxActiveRequests') {
        const { status, headers, body } = await call({ port: portOf(pair) });
        expect(status).toBe(503);
        expect(headers['tsmesh-error']).toBe('destination-limit');
        expect(body.toString()).toContain(`TrafficPolicy shop/app, limits.${name}: ${most}`);
        expect(pair.caller.log.at(-1)).toMatchObject({
          flag: 'DL',
          policy: 'TrafficPolicy shop/app',
        });
        expect(errorsOf(pair)).toBe(1);
        expect(retriesOf(pair)).toBe(0);
      } else kept.push(call({ port: portOf(pair) }));
      if (name === 'maxConnections') await until('one waits', () => useOf(pair).use.pending === 1);
      app.holds = false;
      for (const response of app.held) response.end();
      expect((await Promise.all(kept)).map(({ status }) => status)).toEqual(kept.map(() => 200));
      expect(app.mostConnections).toBeLessThanOrEqual(2);
      expect(useOf(pair).use).toMatchObject({ pending: 0 });
      expect(useOf(pair).budget.inFlight).toBe(0);
    },
  );

  it('hold for those that wait: one too many is answered 503, those that wait are served', async () => {
    const app = await startApp();
    app.holds = true;
    const pair = await pairOf([app], {
      limits: { ...unlimited, maxConnections: 1, maxPendingRequests: 1 },
    });
    const first = call({ port: portOf(pair) });
    await until('one is held', () => app.held.length === 1);
    const second = call({ port: portOf(pair) });
    await until('one waits', () => useOf(pair).use.pending === 1);
    const third = await call({ port: portOf(pair) });
    expect(third.status).toBe(503);
    expect(third.body.toString()).toContain('limits.maxPendingRequests: 1');
    app.holds = false;
    app.held[0]!.end();
    expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([200, 200]);
    expect(app).toMatchObject({ mostConnections: 1, received: 2 });
    expect(useOf(pair).use).toMatchObject({ pending: 0, connections: 1 });
    pair.caller.pool.destroy();
    await until('no connection counts', () => useOf(pair).use.connections === 0);
  });

  it('give an idle connection up for a caller that comes back to another endpoint', async () => {
    const apps = [await startApp(), await startApp(), await startApp()];
    const hash = { by: [{ header: 'x-user' }], loadPercent: 1000 };
    const pair = await pairOf(apps, {
      limits: { ...unlimited, maxConnections: 1 },
      balancing: { method: 'consistent-hash', hash },
    });
    for (let i = 0; i < 24; i += 1) {
      const { status } = await call({ port: portOf(pair), headers: { 'x-user': `user-${i % 8}` } });
      expect(status).toBe(200);
      expect(useOf(pair).use.connections).toBe(1);
    }
    for (const { received } of apps) expect(received % 3).toBe(0);
    expect(apps.filter(({ received }) => received > 0).length).toBeGreaterThan(1);
  });

  it('give an idle connection up for a retry at an endpoint that was not tried', async () => {
    const apps = [await startApp(), await startApp()];
    apps[0]!.badOf = 1;
    const pair = await pairOf(apps, {
      limits: { ...unlimited, maxConnections: 1 },
      routes: [route({ retry: { ...retry, onStatuses: [500] } })],
    });
    for (let i = 0; i < 9; i += 1) expect((await call({ port: portOf(pair) })).status).toBe(200);
    expect(apps[1]!.received).toBe(9);
  });

  it('are not retried past, hold for what a client gives up, and change with the policy', async () => {
    const app = await startApp();
    app.holds = true;
    const limits = { ...unlimited, maxActiveRequests: 1 };
    const pair = await pairOf([app], { limits });
    const request = http.get({ host: '127.0.0.1', port: portOf(pair) });
    request.on('error', () => undefined);
    await until('one is held', () => app.held.length === 1);
    expect((await call({ port: portOf(pair) })).status).toBe(503);
    // The count goes on where the configuration is replaced.
    pair.route({ policies, limits: { ...limits, maxConnections: 9 } });
    expect((await call({ port: portOf(pair) })).status).toBe(503);
    request.destroy();
    await until('none is under way', () => useOf(pair).budget.inFlight === 0);
    app.holds = false;
    expect((await call({ port: portOf(pair) })).status).toBe(200);
    expect(app.received).toBe(2);
    expect(retriesOf(pair)).toBe(0);
  });

  it('hold for opaque connections: one too many is reset, and its place is free again after the end', async () => {
    const sockets: net.Socket[] = [];
    const server = net.createServer((socket) => void sockets.push(socket.on('error', () => {})));
    const address = await listenOn(server);
    const app = { ...(await startApp()), address };
    const limits = { ...unlimited, maxConnections: 1 };
    const pair = await pairOf([app], { protocol: 'tcp', limits });
    const open = () => net.connect(portOf(pair), '127.0.0.1').on('error', () => undefined);
    const first = open();
    closers.push(() => (first.destroy(), void server.close()));
    await until('one is there', () => sockets.length === 1);
    const second = open();
    await until('one too many is ended', () => second.destroyed);
    expect(errorsOf(pair)).toBe(1);
    expect(pair.caller.log.at(-1)).toMatchObject({
      flag: 'DL',
      rule: 'limits.maxConnections',
      reason: 'destination-limit',
    });
    first.destroy();
    await until('no connection counts', () => useOf(pair).use.connections === 0);
    const third = open();
    closers.push(() => void third.destroy());
    await until('another is there', () => sockets.length === 2);
    third.destroy();
    await until('no connection counts', () => useOf(pair).use.connections === 0);
  });
});

const outlierDetection = {
  consecutive5xx: 0,
  consecutiveGatewayErrors: 0,
  baseEjectionMs: 200,
  maxEjectionMs: 200,
  maxEjectionPercent: 50,
  intervalMs: 600,
};
const volume = { minimumEndpoints: 3, requestVolume: 5 };

/** Four at a time, until it holds. */
async function requestsUntil(what: string, pair: MeshPair, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 5_000; i += 1) {
    if (holds()) return;
    await Promise.all(Array.from({ length: 4 }, () => call({ port: portOf(pair) })));
  }
  throw new Error(`not within 20,000 requests: ${what}`);
}

const toldOf = ({ caller }: MeshPair, text: string) =>
  caller.told.filter(({ message }) => message === text);

describe('an endpoint compared with others', () => {
  it.each([
    ['success-rate', { successRate: { stdevFactorPermille: 1_000, ...volume } }],
    ['latency', { latency: { factorPercent: 300, minimumMs: 30, ...volume } }],
  ])(
    'is left out by %s, which the log says, and back by a request',
    async (reason, by) => {
      const apps = [await startApp(), await startApp(), await startApp()];
      const balancing = { method: 'round-robin' as const };
      const pair = await pairOf(apps, {
        balancing,
        outlierDetection: { ...outlierDetection, ...by },
      });
      const [bad] = apps as [App];
      if (reason === 'latency') bad.delayMs = 60;
      else bad.badOf = 1;
      await requestsUntil(
        'it is left out',
        pair,
        () => toldOf(pair, 'endpoint left out').length > 0,
      );
      const [line] = toldOf(pair, 'endpoint left out');
      expect(line!.fields).toEqual({
        destination: 'app.shop:80',
        endpoint: `127.0.0.1:${bad.address.port}`,
        pod: 'app-0',
        reason,
        forMs: 200,
      });
      const [series] = pair.caller.counters.snapshot('outbound');
      expect(series!.ejections.get(reason)).toBeGreaterThanOrEqual(1);
      bad.delayMs = 0;
      bad.badOf = 0;
      await requestsUntil(
        'it is back',
        pair,
        () => toldOf(pair, 'endpoint in use again').length > 0,
      );
      expect(toldOf(pair, 'endpoint in use again')[0]!.fields).toMatchObject({ pod: 'app-0' });
    },
    60_000,
  );
});
