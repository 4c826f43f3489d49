// Whom a request blames whose time is over: not an endpoint that it never came to, as it waited for a place under a limit of
// the caller's own, nor one to which its client stopped sending. Real sockets; the clock is moved.
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, route } from '../../test/support/sidecar.ts';
import type { DestinationResource } from '../api/resources.ts';
import { newFigures, recordLatency } from '../policy/outlier-compare.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const policies = [
  { kind: 'TrafficPolicy' as const, namespace: 'shop', name: 'app', generation: 1 },
];
const limits = { maxConnections: 1, maxPendingRequests: null, maxActiveRequests: null };
/** One bad answer, or none at all, is enough. */
const outlierDetection = {
  consecutive5xx: 1,
  consecutiveGatewayErrors: 1,
  baseEjectionMs: 3_600_000,
  maxEjectionMs: 3_600_000,
  maxEjectionPercent: 100,
};
const timeMs = 60_000;
const retry = {
  attempts: 0,
  on: [],
  perTryTimeoutMs: timeMs,
  backoffMs: 1,
  maxBackoffMs: 1,
  budgetPercent: 100,
  budgetMinConcurrent: 10,
};

const portOf = ({ caller }: MeshPair): number => caller.outbound.address.port;
const useOf = ({ caller }: MeshPair) => caller.store.snapshot().destinations.values().next().value!;

/** Whether it counts as failing, for the balancer, and whether it was left out. */
function blamesOf({ caller }: MeshPair) {
  const { endpoints: list } = caller.store.snapshot().endpoints.get('shop/app:80')!;
  return {
    failing: list.map(({ load }) => load.failures > 0),
    out: list.filter(({ load }) => load.health !== null && load.health.outUntilMs !== 0).length,
  };
}

/** Answers with a head at once, and keeps the rest until it is told. */
async function startApp() {
  const held: http.ServerResponse[] = [];
  const server = http.createServer((request, response) => {
    request.resume();
    if (request.url === '/none') return;
    response.writeHead(200).flushHeaders();
    held.push(response);
  });
  const address = await listenOn(server);
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { address, held };
}

async function pairTo(
  app: net.AddressInfo,
  over: Partial<DestinationResource>,
  identity: string | null = null,
): Promise<MeshPair> {
  const pair = await startPair(app);
  closers.push(() => pair.close());
  pair.route({ policies, outlierDetection, ...over }, endpoints(app, identity));
  return pair;
}

/** Its end is waited for, however many tries it takes. */
async function endOf(pair: MeshPair, request: Promise<unknown>): Promise<void> {
  const turns = setInterval(() => pair.caller.advance(timeMs), 10);
  closers.push(() => clearInterval(turns));
  await request.finally(() => clearInterval(turns));
}

const times: [string, Partial<DestinationResource>, string][] = [
  ['of the route', { routes: [route({ timeoutMs: timeMs })] }, 'request-timeout'],
  ['of a try', { routes: [route({ retry })] }, 'per-try-timeout'],
  ['for a connection', { connectTimeoutMs: timeMs }, 'connect-timeout'],
  ['in which nothing moves', { routes: [route({ idleTimeoutMs: timeMs })] }, 'idle-timeout'],
];

describe('a request whose time is over', () => {
  it.each(times)(
    'blames nobody where it waited under maxConnections: the time %s',
    async (_, over, code) => {
      const app = await startApp();
      const pair = await pairTo(app.address, { limits, ...over });
      const holder = http.get({ host: '127.0.0.1', port: portOf(pair) });
      holder.on('error', () => undefined);
      closers.push(() => holder.destroy());
      const answer = new Promise<http.IncomingMessage>((resolve) => holder.on('response', resolve));
      (await answer).resume().on('error', () => undefined);
      const waiting = call({ port: portOf(pair) });
      await until('it waits', () => useOf(pair).use.pending === 1);
      expect(blamesOf(pair)).toEqual({ failing: [false], out: 0 });
      await endOf(pair, waiting);
      expect((await waiting).headers['tsmesh-error']).toBe(code);
      expect(blamesOf(pair)).toEqual({ failing: [false], out: 0 });
      expect(useOf(pair).use.pending).toBe(0);
    },
  );

  it.each(times)(
    'blames an endpoint that lets it hang before it is connected: the time %s',
    async (_, over, code) => {
      const sockets: net.Socket[] = [];
      const silent = net.createServer((socket) => void sockets.push(socket.on('error', () => {})));
      const address = await listenOn(silent);
      closers.push(() => {
        silent.close();
        for (const socket of sockets) socket.destroy();
      });
      // No more than that: a dial that takes no end is ended by its own time otherwise.
      const pair = await pairTo(
        address,
        { limits, connectTimeoutMs: 2 * timeMs, ...over },
        'spiffe://cluster.local/ns/shop/sa/app',
      );
      const request = call({ port: portOf(pair) });
      await until('it is dialled', () => sockets.length > 0);
      await endOf(pair, request);
      expect((await request).headers['tsmesh-error']).toBe(code);
      expect(blamesOf(pair).failing).toEqual([true]);
    },
  );

  it.each(times.filter(([, , code]) => code !== 'connect-timeout'))(
    'blames an endpoint that has it and says nothing: the time %s',
    async (_, over, code) => {
      const pair = await pairTo((await startApp()).address, { limits, ...over });
      const request = call({ port: portOf(pair), path: '/none' });
      await until('it is connected', () => pair.caller.pool.size === 1);
      await endOf(pair, request);
      expect((await request).headers['tsmesh-error']).toBe(code);
      expect(blamesOf(pair).failing).toEqual([true]);
    },
  );

  it('blames nobody where its client stopped sending', async () => {
    const pair = await pairTo((await startApp()).address, {
      routes: [route({ idleTimeoutMs: timeMs })],
    });
    const socket = net.connect(portOf(pair), '127.0.0.1').on('error', () => undefined);
    closers.push(() => void socket.destroy());
    let text = '';
    socket.on('data', (bytes) => (text += bytes.toString()));
    socket.write('POST /none HTTP/1.1\r\nhost: app\r\ncontent-length: 10\r\n\r\nhalf');
    await until('it is connected', () => pair.caller.pool.size === 1);
    const ended = until('it is answered', () => text.includes('\r\n\r\n'));
    await endOf(pair, ended);
    expect(text).toContain('tsmesh-error: idle-timeout');
    expect(blamesOf(pair)).toEqual({ failing: [false], out: 0 });
  });
});

describe('a request that is answered', () => {
  it('is not taken for slow because it waited under maxConnections', async () => {
    const app = await startApp();
    const latency = { factorPercent: 300, minimumMs: 50, minimumEndpoints: 3, requestVolume: 5 };
    const compared = { ...outlierDetection, intervalMs: 3_600_000, latency };
    const pair = await pairTo(app.address, { limits, outlierDetection: compared });
    const first = call({ port: portOf(pair) });
    await until('the first is held', () => app.held.length === 1);
    const second = call({ port: portOf(pair) });
    await until('the second waits', () => useOf(pair).use.pending === 1);
    pair.caller.advance(timeMs);
    app.held[0]!.end();
    await until('the second is there', () => app.held.length === 2);
    app.held[1]!.end();
    expect([(await first).status, (await second).status]).toEqual([200, 200]);
    const [endpoint] = pair.caller.store.snapshot().endpoints.get('shop/app:80')!.endpoints;
    const { byLatency } = endpoint!.load.figures!;
    const slow = newFigures();
    recordLatency(slow, timeMs);
    expect(byLatency.reduce((sum, count) => sum + count)).toBe(2);
    expect(byLatency.findLastIndex((count) => count > 0)).toBeLessThan(
      slow.byLatency.findLastIndex((count) => count > 0),
    );
  });
});

describe('a connection opened for a client that is silent at first', () => {
  it('is a good answer where the client does not speak HTTP, and none where it does', async () => {
    let connections = 0;
    const app = http.createServer((_, response) => response.writeHead(500).end());
    app.on('connection', () => (connections += 1));
    closers.push(() => {
      app.close();
      app.closeAllConnections();
    });
    const patient = { ...outlierDetection, consecutive5xx: 9 };
    const pair = await pairTo(await listenOn(app), { outlierDetection: patient });
    const badInARow = () => {
      const [endpoint] = pair.caller.store.snapshot().endpoints.get('shop/app:80')!.endpoints;
      return endpoint!.load.health?.serverErrors ?? 0;
    };
    for (let i = 0; i < 2; i += 1) await call({ port: portOf(pair) });
    expect([badInARow(), connections]).toEqual([2, 1]);
    const socket = net.connect(portOf(pair), '127.0.0.1').on('error', () => undefined);
    closers.push(() => void socket.destroy());
    await until('its silence has opened one', () => connections === 2);
    let text = '';
    socket.on('data', (bytes) => (text += bytes.toString()));
    socket.write('GET / HTTP/1.1\r\nhost: app\r\n\r\n');
    await until('it is answered', () => text.includes(' 500 '));
    expect(badInARow()).toBe(3);
    const opaque = net.connect(portOf(pair), '127.0.0.1').on('error', () => undefined);
    closers.push(() => void opaque.destroy());
    opaque.write(Buffer.from([0, 1, 2, 3]));
    await until('it is carried', () => badInARow() === 0);
  });
});

describe('a limit of the caller', () => {
  it.each([
    ['maxActiveRequests', { ...limits, maxConnections: null, maxActiveRequests: 1 }],
    ['maxPendingRequests', { ...limits, maxPendingRequests: 0 }],
  ])('that answers 503 blames nobody: %s', async (_, own) => {
    const app = await startApp();
    const pair = await pairTo(app.address, { limits: { ...own, maxPendingRequests: null } });
    const holder = http.get({ host: '127.0.0.1', port: portOf(pair) });
    holder.on('error', () => undefined);
    closers.push(() => holder.destroy());
    await until('one is held', () => app.held.length === 1);
    pair.route({ policies, outlierDetection, limits: own });
    const { status, headers } = await call({ port: portOf(pair) });
    expect([status, headers['tsmesh-error']]).toEqual([503, 'destination-limit']);
    expect(blamesOf(pair)).toEqual({ failing: [false], out: 0 });
  });
});

describe('a copy for a mirror', () => {
  const mirrors = [{ endpoints: 'shop/mirror:80', percent: 100 }];

  async function failingAfter(answer: (response: http.ServerResponse) => void, headers = {}) {
    const ok = http.createServer((_, response) => void response.end('ok'));
    const mirror = http.createServer((_, response) => answer(response));
    for (const server of [ok, mirror])
      closers.push(() => {
        server.close();
        server.closeAllConnections();
      });
    const at = await listenOn(mirror);
    const pair = await pairTo(await listenOn(ok), { routes: [route({ mirrors })] });
    pair.caller.apply(endpoints(at, null, 'shop/mirror:80'));
    expect((await call({ port: portOf(pair), headers })).status).toBe(200);
    const results = () => pair.caller.counters.snapshot('outbound')[0]!.mirrors;
    await until('it has its end', () => results().answered + results().failed === 1);
    const set = pair.caller.store.snapshot().endpoints.get('shop/mirror:80')!;
    return set.endpoints[0]!.load.failures > 0;
  }

  it.each([
    [200, false],
    [204, false],
    [304, false],
    [429, true],
    [503, true],
  ])('that is answered %s: whether its endpoint counts as failing is %s', async (status, fails) => {
    expect(await failingAfter((response) => response.writeHead(status).end())).toBe(fails);
  });

  it('that is answered after early hints counts as answered, and one that is cut off as failing', async () => {
    const hinted = (response: http.ServerResponse) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.writeHead(204).end();
    };
    expect(await failingAfter(hinted)).toBe(false);
    expect(await failingAfter((response) => response.socket!.destroy())).toBe(true);
  });
});

describe('an unwanted answer without a body', () => {
  const again = { ...retry, attempts: 1, perTryTimeoutMs: null, onStatuses: [204, 304, 503] };

  it.each([
    ['HEAD', 503],
    ['HEAD', 304],
    ['GET', 304],
    ['GET', 204],
    ['GET', 503],
  ])('of a %s is asked for again over the same connection: %s', async (method, bad) => {
    let connections = 0;
    const asked: string[] = [];
    const app = http.createServer((request, response) => {
      asked.push(request.method!);
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      if (asked.length % 2 === 0) response.writeHead(200, { 'content-length': 2 }).end('ok');
      else response.writeHead(bad, bad === 204 ? {} : { 'content-length': 2 }).end('no');
    });
    app.on('connection', () => (connections += 1));
    closers.push(() => {
      app.close();
      app.closeAllConnections();
    });
    const pair = await pairTo(await listenOn(app), { routes: [route({ retry: again })] });
    for (let i = 0; i < 2; i += 1) {
      const { status, headers, body } = await call({ port: portOf(pair), method });
      expect([status, headers['content-length']]).toEqual([200, '2']);
      expect(body.toString()).toBe(method === 'HEAD' ? '' : 'ok');
    }
    expect(asked).toEqual([method, method, method, method]);
    expect(pair.caller.outbound.inFlight()).toBe(0);
    expect(connections).toBe(1);
  });
});
