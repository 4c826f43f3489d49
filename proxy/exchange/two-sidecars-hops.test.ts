// A call that goes on: an app calls another one, each through its own sidecars. What is left of a gRPC deadline at each of
// them, and how many requests of a whole outage come to the last one where every hop has a retry policy. Real sockets.
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { destination, endpoints, loopback, route, service } from '../../test/support/sidecar.ts';
import { startSidecar, workload, type TestSidecar } from '../../test/support/sidecar.ts';
import type { HttpRoute, RetryPolicy } from '../api/resources.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listening(server: Server): Promise<AddressInfo> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return await listenOn(server);
}

interface Chain extends MeshPair {
  /** Of the app that is called last. */
  last: TestSidecar;
  /** Where clients begin, and where the app in the middle goes on. */
  ports: { first: number; middle: number };
}

/** Caller → middle → last, all of them with sidecars. */
async function startChain(middle: Server, last: Server, over: Partial<HttpRoute>): Promise<Chain> {
  const pair = await startPair(await listening(middle));
  const sidecar = await startSidecar('last');
  closers.push(() => {
    pair.close();
    sidecar.close();
  });
  const { address, port } = await listening(last);
  const own = sidecar.identity.swap(pair.issue('last'));
  sidecar.target.inbound = { address, port };
  sidecar.apply(workload({ mtls: 'STRICT' }));
  pair.callee.target.outbound = service;
  const on = destination({ routes: [route(over)] });
  pair.callee.apply(on, endpoints(sidecar.inbound.address, own.spiffeId));
  pair.route({ routes: [route(over)] });
  const portOf = ({ outbound }: TestSidecar): number => outbound.address.port;
  return {
    ...pair,
    last: sidecar,
    ports: { first: portOf(pair.caller), middle: portOf(pair.callee) },
  };
}

const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };

interface GrpcApp {
  server: http2.Http2Server;
  /** What each call said of its time, in milliseconds. */
  heardMs: number[];
}

/** Calls on with the time that it was given, as gRPC libraries do; or answers, where there is nobody to call. */
function grpcApp(port: () => number | null): GrpcApp {
  const heardMs: number[] = [];
  const server = http2.createServer();
  server.on('stream', (opened, { 'grpc-timeout': timeout }) => {
    const stream = opened as http2.ServerHttp2Stream;
    stream.on('error', () => undefined);
    heardMs.push(millisecondsOf(String(timeout)));
    const next = port();
    if (next === null) {
      stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true });
      return;
    }
    const { answer } = grpcCall(next, String(timeout));
    void answer.then((status) =>
      stream.respond({ ':status': 200, 'grpc-status': status }, { endStream: true }),
    );
  });
  return { server, heardMs };
}

function grpcCall(port: number, timeout: string): { answer: Promise<string> } {
  const session = http2.connect(`http://${loopback}:${port}`);
  session.on('error', () => undefined);
  closers.push(() => session.destroy());
  const stream = session.request({ ...grpc, 'grpc-timeout': timeout });
  stream.on('error', () => undefined);
  const answer = new Promise<string>((resolve) =>
    stream.on('response', (headers) => {
      stream.resume();
      resolve(String(headers['grpc-status']));
    }),
  );
  stream.end('x');
  return { answer };
}

/** The units of gRPC that a sidecar writes. */
function millisecondsOf(timeout: string): number {
  const units: Record<string, number> = {
    H: 3_600_000,
    M: 60_000,
    S: 1_000,
    m: 1,
    u: 0.001,
    n: 1e-6,
  };
  return Number(timeout.slice(0, -1)) * units[timeout.at(-1)!]!;
}

describe('the deadline of a gRPC call over several hops', () => {
  const callerMs = 30_000;
  const delayMs = 3_000;
  const fault = { delay: { ms: delayMs, percent: 100 } };

  async function chainOfGrpc() {
    let onward: number | null = null;
    const middle = grpcApp(() => onward);
    const last = grpcApp(() => null);
    const chain = await startChain(middle.server, last.server, { fault });
    onward = chain.ports.middle;
    return { ...chain, middle, lastApp: last };
  }

  it('is less at each by what was spent before', async () => {
    const { ports, caller, callee, middle, lastApp } = await chainOfGrpc();
    const { answer } = grpcCall(ports.first, '30S');
    await until('the caller holds it', () => caller.outbound.inFlight() === 1);
    caller.advance(delayMs);
    await until('the one in the middle holds its own', () => callee.outbound.inFlight() === 1);
    callee.advance(delayMs);
    expect(await answer).toBe('0');
    const [[atMiddle], [atLast]] = [middle.heardMs, lastApp.heardMs] as [[number], [number]];
    expect(atMiddle).toBeLessThanOrEqual(callerMs - delayMs);
    expect(atLast).toBeLessThanOrEqual(atMiddle - delayMs);
    // By no more than that, and what the test itself takes.
    expect(atLast).toBeGreaterThan(callerMs / 2);
  });

  it('is the route’s where that is less, and the caller hears its end from its own sidecar', async () => {
    const { ports, caller, callee, middle, lastApp } = await chainOfGrpc();
    caller.apply(destination({ routes: [route({ timeoutMs: 10_000, name: 'the route' })] }));
    const { answer } = grpcCall(ports.first, '30S');
    await until('the one in the middle holds its own', () => callee.outbound.inFlight() === 1);
    expect(middle.heardMs[0]).toBeLessThanOrEqual(10_000);
    // The time of the caller is over; those behind it are told that nobody waits.
    caller.advance(10_000);
    expect(await answer).toBe('4');
    await until('nobody works on it', () => callee.inbound.inFlight() === 0);
    expect(lastApp.heardMs).toEqual([]);
    expect(caller.log.at(-1)).toMatchObject({ flag: 'RT', detail: 'the route: 10000 ms' });
  });
});

describe('retries over several hops', () => {
  const policy = (over: Partial<RetryPolicy>): RetryPolicy => ({
    attempts: 3,
    on: ['5xx'],
    perTryTimeoutMs: null,
    backoffMs: 1,
    maxBackoffMs: 2,
    budgetPercent: 20,
    budgetMinConcurrent: 3,
    ...over,
  });

  interface Counts {
    first: number[];
    middle: number;
    last: number;
  }

  /** So many requests, some at a time, where the app that is called last fails always. */
  async function outage(count: number, retry: RetryPolicy): Promise<Counts & { chain: Chain }> {
    const counts: Counts = { first: [], middle: 0, last: 0 };
    let onward = 0;
    const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    closers.push(() => agent.destroy());
    const last = http.createServer((_, response) => {
      counts.last += 1;
      response.writeHead(503).end('failed');
    });
    const middle = http.createServer((_, response) => {
      counts.middle += 1;
      void call({ port: onward, agent }).then(({ status }) => response.writeHead(status).end());
    });
    const chain = await startChain(middle, last, { retry });
    onward = chain.ports.middle;
    const client = async (share: number): Promise<void> => {
      for (let i = 0; i < share; i += 1)
        counts.first.push((await call({ port: chain.ports.first, agent })).status);
    };
    await Promise.all(Array.from({ length: 20 }, () => client(count / 20)));
    return { ...counts, chain };
  }

  it('do not multiply in an outage: of 1,000 requests the last app sees 1.2 times as many at most', async () => {
    const { first, middle, last, chain } = await outage(1_000, policy({}));
    expect(first).toEqual(Array.from({ length: 1_000 }, () => 503));
    // Each hop has what it starts with: a fifth of the 20 that are under way at a time.
    expect(middle).toBeLessThanOrEqual(1_004);
    expect(middle).toBeGreaterThan(1_000);
    expect(last).toBeLessThanOrEqual(middle + 4);
    expect(last).toBeGreaterThan(middle);
    for (const { outbound, counters } of [chain.caller, chain.callee]) {
      expect(outbound.inFlight()).toBe(0);
      expect(counters.snapshot('outbound')[0]!.errors.get('RX')).toBeGreaterThan(900);
    }
  });

  it('would, without a budget that says no: so the test above can fail', async () => {
    const generous = policy({ attempts: 2, budgetPercent: 100, budgetMinConcurrent: 10_000 });
    const { middle, last } = await outage(20, generous);
    expect([middle, last]).toEqual([60, 180]);
  });
});
