// Limits and outlier detection where requests are not plain HTTP/1: opaque connections and gRPC; and that whatever order
// things happen in, all that was counted is given back. Real sockets.

import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, route } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const portOf = ({ caller }: MeshPair): number => caller.outbound.address.port;
const destinationOf = ({ caller }: MeshPair) =>
  [...caller.store.snapshot().destinations.values()][0]!;
const endpointsOf = ({ caller }: MeshPair) =>
  caller.store.snapshot().endpoints.get('shop/app:80')!.endpoints;
const unlimited = { maxConnections: null, maxPendingRequests: null, maxActiveRequests: null };

async function pairOf(addresses: AddressInfo[], over: object): Promise<MeshPair> {
  const pair = await startPair(addresses[0]!);
  closers.push(() => pair.close());
  pair.route(over, endpoints(addresses, null));
  return pair;
}

interface TcpApp {
  address: AddressInfo;
  sockets: Set<net.Socket>;
  arrived: number;
}

async function startTcpApp(): Promise<TcpApp> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    app.arrived += 1;
    sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
    socket.resume().write('hello');
  });
  const app = { address: await listenOn(server), sockets, arrived: 0 };
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return app;
}

/** Where nobody listens. */
async function closedPort(): Promise<AddressInfo> {
  const server = net.createServer();
  const address = await listenOn(server);
  await new Promise((resolve) => server.close(resolve));
  return address;
}

/** Whether the app was heard before the end. */
function greeted(pair: MeshPair): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(portOf(pair), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.once('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('close', () => resolve(false));
  });
}

describe('opaque connections', () => {
  it('leave out an endpoint that cannot be connected to', async () => {
    const app = await startTcpApp();
    const dead = await closedPort();
    const hour = 3_600_000;
    const outlierDetection = {
      consecutive5xx: 0,
      consecutiveGatewayErrors: 2,
      baseEjectionMs: hour,
      maxEjectionMs: hour,
      maxEjectionPercent: 50,
    };
    const balancing = { method: 'round-robin' };
    const over = { protocol: 'tcp', outlierDetection, balancing };
    const pair = await pairOf([app.address, dead], over);
    const ejected = () => endpointsOf(pair).find(({ port }) => port === dead.port)!.load;
    for (let i = 0; i < 10; i += 1) expect(await greeted(pair)).toBe(true);
    expect(ejected().health?.outUntilMs).toBeGreaterThan(0);
    const lines = pair.caller.told.filter(({ message }) => message === 'endpoint left out');
    expect(lines.map(({ fields }) => fields)).toMatchObject([
      { endpoint: `127.0.0.1:${dead.port}`, reason: 'consecutive-gateway-errors', forMs: hour },
    ]);
    const triedLast = ejected().chosenAtMs;
    for (let i = 0; i < 10; i += 1) expect(await greeted(pair)).toBe(true);
    expect(ejected().chosenAtMs).toBe(triedLast);
    expect(app.arrived).toBe(20);
  });
});

describe('a gRPC call beyond a limit of its destination', () => {
  it('gets RESOURCE_EXHAUSTED as trailers alone, and does not reach the app', async () => {
    let arrived = 0;
    const app = http2.createServer((_, response) => {
      arrived += 1;
      held.push(response);
    });
    const held: http2.Http2ServerResponse[] = [];
    const address = await listenOn(app);
    const limits = { ...unlimited, maxActiveRequests: 1 };
    const pair = await pairOf([address], { limits, protocol: 'http2' });
    const client = http2.connect(`http://127.0.0.1:${portOf(pair)}`);
    closers.push(() => (client.destroy(), void app.close()));
    const headers = {
      ':method': 'POST',
      ':path': '/shop.Cart/Add',
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    const first = client.request(headers).on('error', () => undefined);
    await until('one is held', () => arrived === 1);
    const second = client.request(headers);
    const [answer, flags] = await new Promise<[http2.IncomingHttpHeaders, number]>((resolve) =>
      second.once('response', (given, bits) => resolve([given, bits])),
    );
    expect(answer).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': '8',
      'tsmesh-error': 'destination-limit',
    });
    expect(answer['grpc-message']).toContain('limits.maxActiveRequests');
    expect(flags & http2.constants.NGHTTP2_FLAG_END_STREAM).not.toBe(0);
    expect(arrived).toBe(1);
    first.destroy();
    held[0]!.stream.destroy();
  });
});

describe('a request that waits for the only connection there may be', () => {
  it('gets the place of one that is idle for too long to be used', async () => {
    const server = http.createServer((_, response) => void response.end());
    const address = await listenOn(server);
    closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    const limits = { ...unlimited, maxConnections: 1 };
    const pair = await pairOf([address], { limits });
    const ask = async () =>
      (await fetch(`http://127.0.0.1:${portOf(pair)}/`, { signal: AbortSignal.timeout(2_000) }))
        .status;
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    // The app is seen to end what was idle for 60 ms: half of that is trusted.
    expect(await ask()).toBe(200);
    await pause(60);
    server.closeAllConnections();
    await until('it is gone', () => countsOf(pair)['connections'] === 0);
    expect(await ask()).toBe(200);
    await pause(45);
    expect(await ask()).toBe(200);
  });
});

type Step =
  | { do: 'ask'; path: string }
  | { do: 'give up'; which: number }
  | { do: 'push'; limits: Record<keyof typeof unlimited, number | null> }
  | { do: 'hang up' }
  | { do: 'release' }
  | { do: 'wait' };

const few = fc.constantFrom(null, 1, 2, 5);
const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom('/ok', '/bad', '/hold', '/reset', '/cut')
      .map((path): Step => ({ do: 'ask', path })),
  },
  { weight: 2, arbitrary: fc.nat(20).map((which): Step => ({ do: 'give up', which })) },
  {
    weight: 2,
    arbitrary: fc
      .record({ maxConnections: few, maxPendingRequests: few, maxActiveRequests: few })
      .map((limits): Step => ({ do: 'push', limits })),
  },
  fc.constantFrom<Step[]>({ do: 'hang up' }, { do: 'release' }, { do: 'wait' }),
);

const retry = {
  attempts: 2,
  on: ['reset' as const, 'connect-failure' as const],
  onStatuses: [503],
  perTryTimeoutMs: null,
  backoffMs: 1,
  maxBackoffMs: 2,
  budgetPercent: 100,
  budgetMinConcurrent: 10,
};
const policies = [
  { kind: 'TrafficPolicy' as const, namespace: 'shop', name: 'app', generation: 1 },
];

/** All that is counted, of the destination and of its endpoints. */
function countsOf(pair: MeshPair): Record<string, number> {
  const { use, budget } = destinationOf(pair);
  const loads = endpointsOf(pair).map(({ load }) => load);
  const sum = (of: 'inFlight' | 'waiting') => loads.reduce((all, one) => all + one[of], 0);
  const { connections, pending } = use;
  const { inFlight: active, retries } = budget;
  return { connections, pending, active, retries, load: sum('inFlight'), waiting: sum('waiting') };
}

function expectNoneNegative(pair: MeshPair): void {
  for (const [name, count] of Object.entries(countsOf(pair)))
    expect([name, count < 0]).toEqual([name, false]);
}

async function untilNothingCounts(pair: MeshPair): Promise<void> {
  const left = () => Object.entries(countsOf(pair)).filter(([, count]) => count !== 0);
  await until('nothing counts', () => left().length === 0).catch(() => undefined);
  expect(left()).toEqual([]);
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 2));

describe('after any order of events nothing is counted any more', () => {
  async function startHttpApp() {
    const held = new Set<http.ServerResponse>();
    const server = http.createServer(({ url }, response) => {
      if (url === '/hold') held.add(response);
      else if (url === '/reset') response.socket!.resetAndDestroy();
      else if (url === '/cut') {
        response.writeHead(200, { 'content-length': 10 }).write('half');
        response.socket!.destroySoon();
      } else response.writeHead(url === '/bad' ? 503 : 200).end();
    });
    const address = await listenOn(server);
    closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    const release = (): void => {
      for (const response of held) response.end();
      held.clear();
    };
    return { address, release, hangUp: () => server.closeAllConnections() };
  }

  it('of requests, retries, resets, cancels and pushes', async () => {
    const apps = [await startHttpApp(), await startHttpApp()];
    const addresses = apps.map(({ address }) => address);
    const shape = { policies, routes: [route({ retry })] };
    const pair = await pairOf(addresses, shape);
    const asked: http.ClientRequest[] = [];
    const ends: Promise<unknown>[] = [];
    function ask(path: string): void {
      const request = http.get({ host: '127.0.0.1', port: portOf(pair), path, agent: false });
      request.on('response', (response) => void response.on('error', () => undefined).resume());
      request.on('error', () => undefined);
      ends.push(new Promise((resolve) => request.once('close', resolve)));
      asked.push(request);
    }
    async function take(step: Step): Promise<void> {
      if (step.do === 'ask') ask(step.path);
      else if (step.do === 'give up') asked[step.which % Math.max(1, asked.length)]?.destroy();
      else if (step.do === 'push') pair.route({ ...shape, limits: step.limits });
      else if (step.do === 'wait') await turn();
      else if (step.do === 'release') for (const app of apps) app.release();
      else for (const app of apps) app.hangUp();
    }
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 5, maxLength: 50 }), async (steps) => {
        asked.length = 0;
        for (const step of steps) {
          await take(step);
          expectNoneNegative(pair);
        }
        let ended = false;
        const all = Promise.all(ends.splice(0)).then(() => (ended = true));
        // Those that waited reach an app only now.
        await until('all have their end', () => {
          for (const app of apps) app.release();
          return ended;
        });
        await all;
        for (const app of apps) app.hangUp();
        await untilNothingCounts(pair);
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  it('of opaque connections that open, end at either side, are refused, or cannot be made', async () => {
    const app = await startTcpApp();
    const shape = { policies, protocol: 'tcp' as const };
    const pair = await pairOf([app.address, await closedPort()], shape);
    const opened: net.Socket[] = [];
    const ends: Promise<unknown>[] = [];
    function open(): void {
      const socket = net
        .connect(portOf(pair), '127.0.0.1')
        .on('error', () => undefined)
        .resume();
      ends.push(new Promise((resolve) => socket.once('close', resolve)));
      opened.push(socket);
    }
    async function take(step: Step): Promise<void> {
      if (step.do === 'ask') open();
      else if (step.do === 'give up')
        opened[step.which % Math.max(1, opened.length)]?.resetAndDestroy();
      else if (step.do === 'push') pair.route({ ...shape, limits: step.limits });
      else if (step.do === 'wait') await turn();
      else if (step.do === 'release') for (const socket of app.sockets) socket.end();
      else for (const socket of app.sockets) socket.destroy();
    }
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 5, maxLength: 40 }), async (steps) => {
        opened.length = 0;
        for (const step of steps) {
          await take(step);
          expectNoneNegative(pair);
        }
        for (const socket of opened) socket.destroy();
        await Promise.all(ends.splice(0));
        await untilNothingCounts(pair);
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});
