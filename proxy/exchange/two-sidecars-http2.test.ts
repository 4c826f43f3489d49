import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, route, workload } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Handler = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

async function pairFor(handler: Handler): Promise<MeshPair & { app: http2.Http2Server }> {
  const app = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  app.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
  });
  app.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    handler(stream as http2.ServerHttp2Stream, headers);
  });
  await listenOn(app);
  const pair = await startPair(app.address() as AddressInfo);
  closers.push(() => {
    pair.close();
    app.close();
    for (const session of sessions) session.destroy();
  });
  return { ...pair, app };
}

function client(pair: MeshPair): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${pair.caller.outbound.address.port}`);
  session.on('error', () => undefined);
  closers.push(() => session.destroy());
  return session;
}

interface H2Answer {
  headers: http2.IncomingHttpHeaders;
  trailers: http2.IncomingHttpHeaders;
  body: Buffer;
}

function finish(stream: http2.ClientHttp2Stream): Promise<H2Answer> {
  return new Promise((resolve, reject) => {
    const answer: H2Answer = { headers: {}, trailers: {}, body: Buffer.alloc(0) };
    const chunks: Buffer[] = [];
    stream.on('response', (headers) => (answer.headers = headers));
    stream.on('trailers', (trailers) => (answer.trailers = trailers));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => resolve({ ...answer, body: Buffer.concat(chunks) }));
  });
}

const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };

/** Answers as a gRPC server: what came is sent back, then the status. */
const echo: Handler = (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () =>
    stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'ok' }),
  );
  stream.pipe(stream);
};

const protocols = ['auto', 'http2'] as const;

describe.each(protocols)('gRPC through two sidecars, port declared %s', (protocol) => {
  async function grpcPair(handler: Handler): Promise<MeshPair> {
    const pair = await pairFor(handler);
    pair.route({ protocol });
    pair.callee.apply(workload({ mtls: 'STRICT', protocol }));
    return pair;
  }

  it('carries unary calls with their trailers', async () => {
    let seen: http2.IncomingHttpHeaders = {};
    const pair = await grpcPair((stream, headers) => {
      seen = headers;
      echo(stream, headers);
    });
    const stream = client(pair).request({
      ...grpc,
      ':path': '/shop.Cart/Add',
      ':authority': 'cart',
    });
    stream.end('message');
    const { headers, trailers, body } = await finish(stream);
    expect(headers[':status']).toBe(200);
    expect(body.toString()).toBe('message');
    expect(trailers).toMatchObject({ 'grpc-status': '0', 'grpc-message': 'ok' });
    expect(seen).toMatchObject({ ':path': '/shop.Cart/Add', ':authority': 'cart', te: 'trailers' });
    expect(seen['tsmesh-app-protocol']).toBeUndefined();
  });

  it('carries both directions of a stream while both are open', async () => {
    const pair = await grpcPair(echo);
    const stream = client(pair).request(grpc);
    const received: string[] = [];
    stream.on('data', (chunk: Buffer) => received.push(chunk.toString()));
    for (const message of ['one', 'two', 'three']) {
      stream.write(message);
      await until(`${message} came back`, () => received.join('').endsWith(message));
    }
    const done = finish(stream);
    stream.end();
    expect((await done).trailers['grpc-status']).toBe('0');
  });

  it('lets the app see a cancellation', async () => {
    let code = -1;
    const pair = await grpcPair((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('x');
      stream.on('close', () => (code = stream.rstCode));
    });
    const stream = client(pair).request(grpc);
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('data', resolve));
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await until('the app saw it', () => code >= 0);
    expect(code).toBe(http2.constants.NGHTTP2_CANCEL);
  });

  it('tells failures and timeouts as gRPC status', async () => {
    const pair = await grpcPair(() => undefined);
    pair.route({ protocol, routes: [route({ name: 'slow one', timeoutMs: 50 })] });
    const slow = client(pair).request(grpc);
    slow.end();
    const timedOut = await finish(slow);
    expect(timedOut.headers).toMatchObject({ ':status': 200, 'grpc-status': '4' });
    expect(timedOut.headers['grpc-message']).toContain('slow one');
    pair.route({ protocol }, endpoints([], null));
    const none = client(pair).request(grpc);
    none.end();
    expect((await finish(none)).headers['grpc-status']).toBe('14');
    expect(pair.caller.counters.totals('outbound').failures).toBe(2);
  });

  it('tries again what is unavailable', async () => {
    let count = 0;
    const pair = await grpcPair((stream, headers) => {
      count += 1;
      if (count < 3) stream.respond({ ':status': 200, 'grpc-status': '14' }, { endStream: true });
      else echo(stream, headers);
    });
    const retry = {
      attempts: 2,
      on: ['unavailable' as const],
      perTryTimeoutMs: null,
      backoffMs: 1,
      maxBackoffMs: 2,
      budgetPercent: 100,
      budgetMinConcurrent: 10,
    };
    pair.route({ protocol, routes: [route({ retry })] });
    const stream = client(pair).request(grpc);
    stream.end('again');
    const answer = await finish(stream);
    expect([answer.body.toString(), answer.trailers['grpc-status'], count]).toEqual([
      'again',
      '0',
      3,
    ]);
  });

  it('carries many large streams at once, unchanged', async () => {
    const pair = await grpcPair(echo);
    const session = client(pair);
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    const bodies = Array.from({ length: 20 }, () => randomBytes(500_000));
    const answers = await Promise.all(
      bodies.map((body) => {
        const stream = session.request(grpc);
        stream.end(body);
        return finish(stream);
      }),
    );
    expect(answers.map(({ body }) => digest(body))).toEqual(bodies.map(digest));
  });
});

describe('HTTP/2', () => {
  it('balances each request of one connection on its own', async () => {
    const pair = await pairFor(echo);
    const other = await pairFor(echo);
    other.callee.identity.swap(pair.issue('callee'));
    const identity = pair.callee.identity.current()!.spiffeId;
    const both = [pair.callee.inbound.address, other.callee.inbound.address];
    pair.route({}, endpoints(both, identity));
    const session = client(pair);
    for (let i = 0; i < 40; i += 1) {
      const stream = session.request(grpc);
      stream.end('x');
      await finish(stream);
    }
    const share = pair.callee.counters.totals('inbound').requests;
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(40);
    expect(other.callee.counters.totals('inbound').requests).toBe(40 - share);
  });

  it('sends what a leaving app did not process to its next connection', async () => {
    let connections = 0;
    const pair = await pairFor((stream, headers) => {
      if (connections === 1) stream.session?.goaway(0, 0);
      echo(stream, headers);
    });
    pair.app.on('session', () => (connections += 1));
    const session = client(pair);
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => {
        const stream = session.request({ ...grpc, ':method': 'POST' });
        stream.end('x');
        return finish(stream);
      }),
    );
    expect(new Set(answers.map(({ trailers }) => trailers['grpc-status']))).toEqual(new Set(['0']));
  });

  it('reaches an HTTP/1.1 app of an undeclared port from an HTTP/1.1 client', async () => {
    const app = http.createServer((_, response) => response.end('one'));
    const pair = await startPair(await listenOn(app));
    closers.push(() => {
      pair.close();
      app.close();
      app.closeAllConnections();
    });
    const answer = await call({ port: pair.caller.outbound.address.port });
    expect(answer.body.toString()).toBe('one');
  });

  it('reaches a declared HTTP/2 app from an HTTP/1.1 client, trailers too', async () => {
    const pair = await pairFor(echo);
    pair.callee.apply(workload({ mtls: 'STRICT', protocol: 'http2' }));
    pair.route({ protocol: 'http2' });
    const answer = await call({
      port: pair.caller.outbound.address.port,
      method: 'POST',
      body: 'x',
      headers: { te: 'trailers' },
    });
    expect(answer.body.toString()).toBe('x');
    expect(answer.trailers).toMatchObject({ 'grpc-status': '0' });
  });

  it('refuses plaintext under STRICT as gRPC status', async () => {
    const pair = await pairFor(echo);
    const session = http2.connect(`http://127.0.0.1:${pair.callee.inbound.address.port}`);
    session.on('error', () => undefined);
    closers.push(() => session.destroy());
    const stream = session.request(grpc);
    stream.end();
    const { headers } = await finish(stream);
    expect(headers).toMatchObject({
      'grpc-status': '7',
      'tsmesh-denied-by': 'Mesh default; reason=mtls-required',
    });
  });
});
