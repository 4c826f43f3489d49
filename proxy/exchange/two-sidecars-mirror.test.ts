// Copies of requests through sidecars: what a mirror gets, and that nothing it does is felt by the original. Real sockets.
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import http2 from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, callMany, listenOn, startPair } from '../../test/support/mesh-pair.ts';
import { until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, loopback, route } from '../../test/support/sidecar.ts';
import type { HttpRoute } from '../api/resources.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

interface Seen {
  method: string;
  url: string;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
  trailers: NodeJS.Dict<string>;
}

interface App {
  address: AddressInfo;
  /** Requests that came in full. */
  seen: Seen[];
  begun: number;
  broken: number;
}

/** Answers with a status of its own, so that a mirror's answer would be noticed. */
async function startApp(status: number): Promise<App> {
  const server = http.createServer((request, response) => {
    app.begun += 1;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => (app.broken += 1));
    request.on('end', () => {
      const { method = '', url = '', headers, trailers } = request;
      app.seen.push({ method, url, headers, trailers, body: Buffer.concat(chunks) });
      response.writeHead(status).end(String(status));
    });
  });
  const app: App = { address: await listenOn(server), seen: [], begun: 0, broken: 0 };
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return app;
}

/** A TCP server that does with each connection what the test says. */
async function startRaw(onConnection: (socket: net.Socket) => void): Promise<AddressInfo> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return await listenOn(server);
}

interface Mirrored extends MeshPair {
  app: App;
  port: number;
  results: () => Record<string, number>;
}

/** On a busy machine. */
const longMs = 30_000;
const toMirror = [{ endpoints: 'shop/mirror:80', percent: 100 }];

async function mirrored(mirror: AddressInfo, over: Partial<HttpRoute> = {}): Promise<Mirrored> {
  const app = await startApp(200);
  const pair = await startPair(app.address);
  closers.push(() => pair.close());
  const routes = [route({ mirrors: toMirror, ...over })];
  pair.route({ routes }, endpoints(mirror, null, 'shop/mirror:80'));
  return {
    ...pair,
    app,
    port: pair.caller.outbound.address.port,
    results: () => ({ ...pair.caller.counters.snapshot('outbound')[0]?.mirrors }),
  };
}

describe('a mirror', () => {
  it('gets the request as it is sent on, marked, with id, body and trailers, and its answer is dropped', async () => {
    const mirror = await startApp(500);
    const set = [{ name: 'x-set', value: '1' }];
    const { app, port, results } = await mirrored(mirror.address, {
      requestHeaders: { set, add: [], remove: [] },
      rewrite: { path: { full: '/rewritten' }, host: 'other.host' },
    });
    const answer = await new Promise<number>((resolve, reject) => {
      const headers = { 'x-tsmesh-mirror-of': 'forged', trailer: 'x-sum' };
      const options = { host: loopback, port, method: 'POST', path: '/a?b', headers };
      const request = http.request(options, (response) => {
        response.resume();
        resolve(response.statusCode!);
      });
      request.on('error', reject);
      request.write('one ');
      request.addTrailers({ 'x-sum': '7' });
      request.end('two');
    });
    expect(answer).toBe(200);
    await until('the copy is answered', () => results()['answered'] === 1);
    const [original, copy] = [app.seen[0]!, mirror.seen[0]!];
    expect(copy.body.toString()).toBe('one two');
    expect(copy.trailers).toEqual({ 'x-sum': '7' });
    expect([copy.method, copy.url, copy.headers.host]).toEqual([
      'POST',
      '/rewritten?b',
      'other.host',
    ]);
    expect(copy.headers['x-set']).toBe('1');
    expect(copy.headers['x-tsmesh-mirror-of']).toBe('app.shop:80');
    expect(original.headers['x-tsmesh-mirror-of']).toBe('forged');
    expect(copy.headers['x-request-id']).toBe(original.headers['x-request-id']);
    expect(results()).toEqual({ answered: 1, failed: 0, dropped: 0 });
  });

  it('is reached by mutual TLS where it has a sidecar', async () => {
    const mirror = await startApp(500);
    const other = await startPair(mirror.address);
    closers.push(() => other.close());
    const pair = await mirrored(mirror.address);
    // The same authority issued what this one proves.
    const own = other.callee.identity.swap(pair.issue('mirror'));
    pair.caller.apply(endpoints(other.callee.inbound.address, own.spiffeId, 'shop/mirror:80'));
    expect((await call({ port: pair.port })).status).toBe(200);
    await until('the copy is answered', () => pair.results()['answered'] === 1);
    expect(mirror.seen[0]!.headers['tsmesh-client-identity']).toContain('/sa/caller');
  });

  it('gets its share, of several each its own', async () => {
    const [one, two] = [await startApp(200), await startApp(200)];
    const mirrors = [
      { endpoints: 'shop/mirror:80', percent: 25 },
      { endpoints: 'shop/second:80', percent: 100 },
    ];
    const pair = await mirrored(one.address, { mirrors });
    pair.caller.apply(endpoints(two.address, null, 'shop/second:80'));
    await callMany(200, { port: pair.port });
    await until('all copies are answered', () => two.seen.length === 200, longMs);
    // 50, and six standard deviations to either side.
    expect(one.begun).toBeGreaterThan(13);
    expect(one.begun).toBeLessThan(87);
    await until('all are counted', () => pair.results()['answered'] === 200 + one.begun, longMs);
  }, 60_000);

  it('that is not there, or refuses, is counted, and tried once only', async () => {
    const pair = await mirrored(await startRaw((socket) => socket.destroy()), {
      retry: {
        attempts: 3,
        on: ['5xx', 'connect-failure', 'reset'],
        perTryTimeoutMs: null,
        backoffMs: 1,
        maxBackoffMs: 1,
        budgetPercent: 100,
        budgetMinConcurrent: 10,
      },
    });
    expect((await call({ port: pair.port })).status).toBe(200);
    await until('it failed', () => pair.results()['failed'] === 1);
    pair.caller.apply({ type: 'Endpoints', name: 'shop/mirror:80', endpoints: [] });
    expect((await call({ port: pair.port })).status).toBe(200);
    expect(pair.results()).toEqual({ answered: 0, failed: 2, dropped: 0 });
    expect(pair.caller.counters.snapshot('outbound')[0]!.retries).toBe(0);
    expect(pair.caller.counters.totals('outbound')).toMatchObject({ requests: 2, failures: 0 });
  });

  it('that never answers is given up after the time of the route', async () => {
    const pair = await mirrored(await startRaw((socket) => socket.resume()), { timeoutMs: 60_000 });
    expect((await call({ port: pair.port })).status).toBe(200);
    expect(pair.results()).toEqual({ answered: 0, failed: 0, dropped: 0 });
    pair.caller.advance(60_000);
    await until('it is given up', () => pair.results()['failed'] === 1);
    const set = pair.caller.store.snapshot().endpoints.get('shop/mirror:80')!;
    expect(set.endpoints.map(({ load }) => load.inFlight)).toEqual([0]);
  });

  it('gets no upgrades', async () => {
    const mirror = await startApp(200);
    const pair = await mirrored(mirror.address);
    const headers = { connection: 'upgrade', upgrade: 'none-such' };
    expect((await call({ port: pair.port, headers })).status).toBe(200);
    expect((await call({ port: pair.port })).status).toBe(200);
    await until('the other is answered', () => pair.results()['answered'] === 1);
    expect(mirror.begun).toBe(1);
  });

  it('hears no more where the client breaks off', async () => {
    const mirror = await startApp(200);
    const pair = await mirrored(mirror.address);
    const request = http.request({ host: loopback, port: pair.port, method: 'POST' });
    request.on('error', () => undefined);
    request.write('begun');
    await until('it reached the mirror', () => mirror.begun === 1);
    request.destroy();
    await until('the copy is dropped', () => pair.results()['dropped'] === 1);
    await until('the mirror heard it', () => mirror.broken === 1);
    expect(mirror.seen).toEqual([]);
  });
});

describe('10 MB to an app and to a mirror that', () => {
  const body = randomBytes(10_000_000);
  const uploads = 3;

  /** So many one after the other, all of which the app gets whole. */
  async function upload(pair: Mirrored): Promise<void> {
    for (let i = 0; i < uploads; i += 1) {
      const answer = await call({ port: pair.port, method: 'POST', body });
      expect(answer.status).toBe(200);
    }
    expect(pair.app.seen.map((one) => digest(one.body))).toEqual(Array(uploads).fill(digest(body)));
  }

  it('never reads: the original is not held up, copies are dropped, and what they hold is let go', async () => {
    const pair = await mirrored(await startRaw((socket) => socket.pause()));
    await upload(pair);
    expect(pair.results()).toEqual({ answered: 0, failed: 0, dropped: uploads });
  }, 60_000);

  it('resets connections', async () => {
    const pair = await mirrored(await startRaw((socket) => socket.resetAndDestroy()));
    await upload(pair);
    await until('all are counted', () => sum(pair.results()) === uploads, longMs);
    expect(pair.results()['answered']).toBe(0);
  }, 60_000);

  it('reads slowly', async () => {
    const reading = await startRaw((socket) => {
      // A tenth of what comes, at most.
      socket.on('data', (chunk: Buffer) => {
        socket.pause();
        setTimeout(() => socket.resume(), chunk.length / 4096);
      });
    });
    const pair = await mirrored(reading);
    await upload(pair);
    await until('copies are dropped', () => pair.results()['dropped'] === uploads, longMs);
  }, 60_000);

  it('answers before it has read anything', async () => {
    const reading = await startRaw((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
      socket.resume();
    });
    const pair = await mirrored(reading);
    await upload(pair);
    await until('all are counted', () => sum(pair.results()) === uploads, longMs);
  }, 60_000);

  it('keeps up: it gets them whole', async () => {
    const mirror = await startApp(200);
    const pair = await mirrored(mirror.address);
    // As a client sends that is no faster than the mirror.
    const small = randomBytes(200_000);
    for (let i = 0; i < 10; i += 1) await call({ port: pair.port, method: 'POST', body: small });
    await until('all are answered', () => pair.results()['answered'] === 10, longMs);
    expect(new Set(mirror.seen.map((one) => digest(one.body)))).toEqual(new Set([digest(small)]));
  }, 60_000);
});

function sum(results: Record<string, number>): number {
  return Object.values(results).reduce((all, one) => all + one, 0);
}

describe('gRPC', () => {
  it('is mirrored with its messages, over HTTP/2 to an app that has no sidecar', async () => {
    const bodies: string[] = [];
    const mirror = http2.createServer();
    const sessions = new Set<http2.ServerHttp2Session>();
    mirror.on('session', (session) => void sessions.add(session));
    mirror.on('stream', (stream: http2.ServerHttp2Stream) => {
      let text = '';
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
      stream.on('end', () => {
        bodies.push(text);
        stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true });
      });
    });
    await listenOn(mirror);
    closers.push(() => {
      mirror.close();
      for (const session of sessions) session.destroy();
    });
    const pair = await mirrored(mirror.address() as AddressInfo);
    const { port, results } = pair;
    pair.route({ protocol: 'http2', routes: [route({ mirrors: toMirror })] });
    const session = http2.connect(`http://${loopback}:${port}`);
    session.on('error', () => undefined);
    closers.push(() => session.destroy());
    const stream = session.request({ ':method': 'POST', 'content-type': 'application/grpc' });
    stream.on('error', () => undefined);
    stream.write('first ');
    stream.end('second');
    await until('the copy is answered', () => results()['answered'] === 1);
    expect(bodies).toEqual(['first second']);
  });
});
