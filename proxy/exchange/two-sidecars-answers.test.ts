// What a route says beside its backends, as clients of the caller's sidecar see it: direct responses, faults, missing
// backends, sources, and gRPC of all of these. Real sockets.
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, callMany, listenOn, startPair } from '../../test/support/mesh-pair.ts';
import { until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { loopback, route, workload } from '../../test/support/sidecar.ts';
import type { HttpRoute } from '../api/resources.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface AppPair extends MeshPair {
  /** Requests that reached the app. */
  received: { count: number; bytes: string[] };
  port: number;
}

async function pairWith(over: Partial<HttpRoute>): Promise<AppPair> {
  const received = { count: 0, bytes: [] as string[] };
  const app = http.createServer((request, response) => {
    received.count += 1;
    const hash = createHash('sha256');
    request.on('data', (chunk: Buffer) => hash.update(chunk));
    request.on('end', () => {
      received.bytes.push(hash.digest('hex'));
      response.end('app');
    });
  });
  const pair = await startPair(await listenOn(app));
  closers.push(() => {
    pair.close();
    app.close();
    app.closeAllConnections();
  });
  pair.route({ routes: [route({ name: 'the route', ...over })] });
  return { ...pair, received, port: pair.caller.outbound.address.port };
}

interface GrpcAnswer {
  headers: http2.IncomingHttpHeaders;
  /** The head was all of the answer. */
  trailersOnly: boolean;
}

/** A call of gRPC; the answer to be one of the sidecar. */
async function grpcCall(
  { port }: { port: number },
  path = '/shop.Cart/Get',
  more: http2.OutgoingHttpHeaders = {},
): Promise<GrpcAnswer> {
  const session = http2.connect(`http://${loopback}:${port}`);
  session.on('error', () => undefined);
  closers.push(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...more,
  });
  stream.end(Buffer.from([0, 0, 0, 0, 0]));
  return await new Promise((resolve, reject) => {
    stream.on('error', reject);
    stream.on('response', (headers, flags) => {
      stream.resume();
      const trailersOnly = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      resolve({ headers, trailersOnly });
    });
  });
}

const outbound = (pair: MeshPair) => pair.caller.counters.snapshot('outbound')[0]!;

describe('a direct response', () => {
  const directResponse = {
    status: 418,
    body: '{"tea":"für zwei"}',
    contentType: 'application/json',
  };

  it('is the status, the body and the content type, and reaches no app', async () => {
    const responseHeaders = { set: [{ name: 'x-by', value: 'route' }], add: [], remove: [] };
    const pair = await pairWith({ backends: [], directResponse, responseHeaders });
    const answer = await call({ port: pair.port, method: 'POST', body: randomBytes(300_000) });
    expect([answer.status, answer.body.toString()]).toEqual([418, directResponse.body]);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': '19',
      'x-by': 'route',
    });
    expect(answer.headers['tsmesh-error']).toBeUndefined();
    expect(pair.received.count).toBe(0);
    await until('logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ status: 418, route: 'the route', flag: '' });
    expect(outbound(pair).totals).toMatchObject({ requests: 1, failures: 0 });
  });

  it('has no body for HEAD, but the length of it', async () => {
    const pair = await pairWith({ backends: [], directResponse });
    const answer = await call({ port: pair.port, method: 'HEAD' });
    expect([answer.status, answer.body.length]).toEqual([418, 0]);
    expect(answer.headers['content-length']).toBe('19');
  });

  it.each([204, 205, 304])('of %s has none', async (status) => {
    const pair = await pairWith({ backends: [], directResponse: { ...directResponse, status } });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    closers.push(() => agent.destroy());
    for (let i = 0; i < 3; i += 1) {
      const answer = await call({ port: pair.port, agent });
      expect([answer.status, answer.body.length]).toEqual([status, 0]);
      expect(answer.headers['content-type']).toBeUndefined();
    }
    expect(pair.caller.outbound.connections()).toBe(1);
  });

  it.each([
    [200, '0'],
    [418, '2'],
    [404, '12'],
    [503, '14'],
  ])('of %s says %s to gRPC, with the body for its message', async (status, code) => {
    const pair = await pairWith({ backends: [], directResponse: { ...directResponse, status } });
    const { headers, trailersOnly } = await grpcCall(pair);
    expect(trailersOnly).toBe(true);
    expect(headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': code,
      'grpc-message': '{"tea":"f%C3%BCr zwei"}',
    });
  });
});

describe('an abort', () => {
  const abort = { status: 429, grpcCode: 8, percent: 100 };

  it('is answered in place of the app, and says by which route', async () => {
    const pair = await pairWith({ fault: { abort } });
    const answer = await call({ port: pair.port });
    expect(answer.status).toBe(429);
    expect(answer.headers['tsmesh-error']).toBe('fault-injected');
    expect(answer.body.toString()).toContain('tsmesh FI fault-injected');
    expect(answer.body.toString()).toContain('the route');
    expect(pair.received.count).toBe(0);
    await until('logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ status: 429, flag: 'FI', detail: 'the route' });
    expect(outbound(pair).errors.get('FI')).toBe(1);
  });

  it.each([
    [{ status: 429, grpcCode: 8 }, 429, '8'],
    [{ status: 503, grpcCode: null }, 503, '14'],
    [{ status: null, grpcCode: 5 }, 404, '5'],
  ])('%j is %s for HTTP and %s for gRPC', async (said, status, code) => {
    const pair = await pairWith({ fault: { abort: { ...said, percent: 100 } } });
    expect((await call({ port: pair.port })).status).toBe(status);
    const { headers, trailersOnly } = await grpcCall(pair);
    expect([trailersOnly, headers['grpc-status']]).toEqual([true, code]);
    expect(headers['tsmesh-error']).toBe('fault-injected');
  });

  it('hits its share', async () => {
    const pair = await pairWith({ fault: { abort: { ...abort, percent: 25 } } });
    const answers = await callMany(200, { port: pair.port });
    const aborted = answers.filter(({ status }) => status === 429).length;
    // 50, and six standard deviations to either side.
    expect(aborted).toBeGreaterThan(13);
    expect(aborted).toBeLessThan(87);
    expect(pair.received.count).toBe(200 - aborted);
    expect(outbound(pair).errors.get('FI')).toBe(aborted);
  }, 60_000);

  it('of 0 percent hits nobody', async () => {
    const pair = await pairWith({ fault: { abort: { ...abort, percent: 0 } } });
    for (let i = 0; i < 20; i += 1) expect((await call({ port: pair.port })).status).toBe(200);
  });
});

describe('a delay', () => {
  const hour = 3_600_000;
  const fault = { delay: { ms: hour, percent: 100 } };

  it('holds a request back, and then it goes its way', async () => {
    const pair = await pairWith({ fault, timeoutMs: 10_000 });
    const answer = call({ port: pair.port });
    await until('it is held', () => outbound(pair)?.errors.get('DI') === 1);
    expect(pair.received.count).toBe(0);
    expect(pair.caller.outbound.inFlight()).toBe(1);
    // Longer than the timeout of its route, which begins then.
    pair.caller.advance(hour);
    expect((await answer).status).toBe(200);
    await until('logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ flag: 'DI', detail: `the route: ${hour} ms` });
    expect(pair.caller.log[0]!.durationMs).toBeGreaterThanOrEqual(hour);
    expect(pair.caller.outbound.inFlight()).toBe(0);
  });

  it('keeps a large body waiting at its client, and loses none of it', async () => {
    const pair = await pairWith({ fault });
    const body = randomBytes(8_000_000);
    const request = http.request({ host: loopback, port: pair.port, method: 'POST' });
    const answered = new Promise<number>((resolve) =>
      request.on('response', (response) => resolve(response.resume().statusCode!)),
    );
    request.end(body);
    await until('it is held', () => outbound(pair)?.errors.get('DI') === 1);
    await until(
      'the client has to wait',
      () => {
        const { bytesWritten, writableLength } = request.socket!;
        return bytesWritten > 100_000 && writableLength > 1_000_000;
      },
      30_000,
    );
    expect(pair.received.count).toBe(0);
    pair.caller.advance(hour);
    expect(await answered).toBe(200);
    expect(pair.received.bytes).toEqual([createHash('sha256').update(body).digest('hex')]);
  }, 60_000);

  it('is over when the client leaves', async () => {
    const pair = await pairWith({ fault });
    const request = http.request({ host: loopback, port: pair.port });
    request.on('error', () => undefined);
    request.end();
    await until('it is held', () => pair.caller.outbound.inFlight() === 1);
    request.destroy();
    await until('it is gone', () => pair.caller.outbound.inFlight() === 0);
    expect(pair.caller.log[0]).toMatchObject({ flag: 'CC', route: 'the route', status: 0 });
    pair.caller.advance(2 * hour);
    expect(pair.received.count).toBe(0);
  });

  /** Sends so much of a body, waits until no more goes out, and leaves. */
  async function postAndLeave(pair: AppPair, size: number): Promise<void> {
    const socket = net.connect(pair.port, loopback);
    socket.on('error', () => undefined);
    socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${size}\r\n\r\n`);
    socket.write(Buffer.alloc(size));
    await until('it is held', () => pair.caller.outbound.inFlight() === 1);
    if (size <= 200_000) await until('all was taken', () => socket.writableLength === 0);
    socket.destroy();
  }

  it.each([1, 200_000])('is over when the client of a POST of %i bytes leaves', async (size) => {
    const pair = await pairWith({ fault });
    await postAndLeave(pair, size);
    await until('it is gone', () => pair.caller.outbound.inFlight() === 0);
    expect(pair.caller.log[0]).toMatchObject({ flag: 'CC', status: 0 });
    pair.caller.advance(2 * hour);
    expect(pair.received.count).toBe(0);
  });

  it('ends for the client of a POST that flow control had stopped when it is over, with no count left', async () => {
    const pair = await pairWith({ fault });
    // Its end stands behind bytes that nobody reads: it cannot be seen before.
    await postAndLeave(pair, 8_000_000);
    pair.caller.advance(hour);
    const inFlight = () => pair.caller.outbound.inFlight() + pair.callee.inbound.inFlight();
    await until('it is gone', () => inFlight() === 0);
    expect(pair.caller.log.at(-1)).toMatchObject({ flag: 'CC', status: 0 });
    // The app got no whole request.
    expect(pair.received.bytes).toEqual([]);
  });

  it('counts towards the time of a gRPC caller', async () => {
    const pair = await pairWith({ fault: { delay: { ms: 3_000, percent: 100 } } });
    const answer = grpcCall(pair, '/shop.Cart/Get', { 'grpc-timeout': '1S' });
    await until('it is held', () => pair.caller.outbound.inFlight() === 1);
    pair.caller.advance(3_000);
    expect((await answer).headers).toMatchObject({
      'grpc-status': '4',
      'tsmesh-error': 'deadline-passed',
    });
    expect(pair.received.count).toBe(0);
  });

  it('comes before an abort', async () => {
    const abort = { status: 503, grpcCode: null, percent: 100 };
    const pair = await pairWith({ fault: { ...fault, abort } });
    const answer = call({ port: pair.port, method: 'POST', body: randomBytes(100_000) });
    await until('it is held', () => pair.caller.outbound.inFlight() === 1);
    pair.caller.advance(hour);
    expect((await answer).status).toBe(503);
    expect(pair.caller.outbound.inFlight()).toBe(0);
    await until('logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]!.durationMs).toBeGreaterThanOrEqual(hour);
  });

  it('goes to an endpoint that is there when it is over', async () => {
    const pair = await pairWith({ fault });
    const answer = call({ port: pair.port });
    await until('it is held', () => pair.caller.outbound.inFlight() === 1);
    pair.caller.apply({ type: 'Endpoints', name: 'shop/app:80', endpoints: [] });
    pair.caller.advance(hour);
    expect((await answer).headers['tsmesh-error']).toBe('no-endpoints');
  });
});

describe('backends', () => {
  const missing = { endpoints: 'shop/none:80', weight: 1, missing: 'Service shop/cart-v3' };

  it('that are missing fail with their share, and are named', async () => {
    const backends = [{ endpoints: 'shop/app:80', weight: 1 }, missing];
    const pair = await pairWith({ backends });
    const answers = await callMany(100, { port: pair.port });
    const lost = answers.filter(({ status }) => status === 500);
    for (const answer of lost) {
      expect(answer.headers['tsmesh-error']).toBe('no-backends');
      expect(answer.body.toString()).toContain('the route: Service shop/cart-v3');
    }
    expect(answers.filter(({ status }) => status === 200).length).toBe(100 - lost.length);
    expect(lost.length).toBeGreaterThan(20);
    expect(lost.length).toBeLessThan(80);
    expect(pair.received.count).toBe(100 - lost.length);
  }, 60_000);

  it.each([
    ['is missing', [missing]],
    ['has no weight', [{ endpoints: 'shop/app:80', weight: 0 }]],
  ])('of which the only one %s are 500, and unavailable to gRPC', async (_, backends) => {
    const pair = await pairWith({ backends });
    expect((await call({ port: pair.port })).status).toBe(500);
    const { headers, trailersOnly } = await grpcCall(pair);
    expect([trailersOnly, headers['grpc-status']]).toEqual([true, '14']);
    await until('both logged', () => pair.caller.log.length === 2);
    expect(pair.caller.log.map((one) => [one.flag, one.route])).toEqual([
      ['NB', 'the route'],
      ['NB', 'the route'],
    ]);
  });
});

describe('routes', () => {
  const direct = (name: string, matches: HttpRoute['matches']) =>
    route({
      name,
      matches,
      backends: [],
      directResponse: { status: 200, body: name, contentType: 'text/plain' },
    });

  it('ask who calls: by the labels and the namespace of its pod, as they are now', async () => {
    const pair = await pairWith({});
    pair.route({
      routes: [
        direct('beta', [{ source: { labels: { track: 'beta' } } }]),
        direct('namespace', [{ source: { namespaces: ['team'] } }]),
        route(),
      ],
    });
    const body = async () => (await call({ port: pair.port })).body.toString();
    expect(await body()).toBe('app');
    pair.caller.apply({ ...workload(), labels: { app: 'web', track: 'beta' } });
    expect(await body()).toBe('beta');
    pair.caller.apply({ ...workload(), namespace: 'team' });
    expect(await body()).toBe('namespace');
  });

  it('of gRPC are taken by service and method, as the operator writes them', async () => {
    const pair = await pairWith({});
    const isGrpc = { name: 'content-type', value: { prefix: 'application/grpc' } };
    const grpc = { methods: ['POST'], headers: [isGrpc] };
    const answering = (status: number, path: NonNullable<HttpRoute['matches'][number]['path']>) =>
      route({
        name: String(status),
        matches: [{ ...grpc, path }],
        backends: [],
        directResponse: { status, body: '', contentType: 'text/plain' },
      });
    pair.route({
      protocol: 'http2',
      routes: [
        answering(200, { exact: '/shop.Cart/Get' }),
        answering(401, { prefix: '/shop.Cart' }),
        answering(403, { regex: '/[^/]+/Watch' }),
        direct('other', []),
      ],
    });
    const code = async (path: string) => (await grpcCall(pair, path)).headers['grpc-status'];
    expect(await code('/shop.Cart/Get')).toBe('0');
    expect(await code('/shop.Cart/Put')).toBe('16');
    expect(await code('/shop.Carts/Watch')).toBe('7');
    expect((await call({ port: pair.port, path: '/shop.Cart/Get' })).body.toString()).toBe('other');
  });
});
