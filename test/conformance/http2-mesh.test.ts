// HTTP/2 through two sidecars with mutual TLS, between Node's own client and server: tunnels in both versions, limits that
// an end sets, windows that change, receivers that do not read.
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { H2Options } from '../../proxy/codec/h2-options.ts';
import { call, listenOn, startPair, until, type MeshPair } from '../support/mesh-pair.ts';
import { workload } from '../support/sidecar.ts';

/** For busy machines: each takes a second or two. */
jest.setTimeout(60_000);

type Protocol = 'http1' | 'http2';
type H2Handler = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A pair of sidecars before a server that listens on a port declared so. */
async function pairTo(
  app: Server,
  protocol: Protocol,
  h2: Partial<H2Options> = {},
): Promise<MeshPair> {
  const sockets = new Set<Socket>();
  app.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  const pair = await startPair((await listenOn(app)) satisfies AddressInfo, {}, h2);
  pair.route({ protocol });
  pair.callee.apply(workload({ mtls: 'STRICT', protocol }));
  closers.push(() => {
    pair.close();
    app.close();
    for (const socket of sockets) socket.destroy();
  });
  return pair;
}

function h2App(handler: H2Handler, settings: http2.Settings = {}): http2.Http2Server {
  // Node refuses streams when more than this, in MB, waits on a connection.
  const app = http2.createServer({ settings, maxSessionMemory: 1000 });
  app.on('session', (session) => session.on('error', () => undefined));
  app.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    handler(stream, headers);
  });
  return app;
}

function connect(pair: MeshPair, settings: http2.Settings = {}): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${pair.caller.outbound.address.port}`, {
    settings,
  });
  session.on('error', () => undefined);
  closers.push(() => session.destroy());
  return session;
}

interface H2Answer {
  headers: http2.IncomingHttpHeaders;
  body: Buffer;
}

function finish(stream: http2.ClientHttp2Stream): Promise<H2Answer> {
  return new Promise((resolve, reject) => {
    let headers: http2.IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on('response', (got) => (headers = got));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => resolve({ headers, body: Buffer.concat(chunks) }));
  });
}

describe('a WebSocket', () => {
  const webSocketKey = 'dGhlIHNhbXBsZSBub25jZQ==';
  const proofOf = (key: string): string =>
    createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

  function webSocketApp(protocol: Protocol, seen: http.IncomingHttpHeaders[]): Server {
    if (protocol === 'http2') {
      return h2App(
        (stream, headers) => {
          seen.push(headers);
          stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' });
          stream.pipe(stream);
        },
        { enableConnectProtocol: true },
      );
    }
    const app = http.createServer();
    app.on('upgrade', (request, socket) => {
      seen.push(request.headers);
      const accept = proofOf(request.headers['sec-websocket-key'] ?? '');
      socket.on('error', () => undefined);
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
          `sec-websocket-accept: ${accept}\r\nsec-websocket-protocol: chat\r\n\r\n`,
      );
      socket.pipe(socket);
    });
    return app;
  }

  interface Tunnel {
    stream: Duplex;
    status: number;
    headers: http.IncomingHttpHeaders;
  }

  function openH1(pair: MeshPair): Promise<Tunnel> {
    return new Promise((resolve, reject) => {
      const request = http.request({
        host: '127.0.0.1',
        port: pair.caller.outbound.address.port,
        path: '/chat',
        headers: {
          connection: 'upgrade',
          upgrade: 'websocket',
          'sec-websocket-key': webSocketKey,
          'sec-websocket-version': '13',
        },
      });
      request.on('upgrade', (response, stream) => {
        closers.push(() => stream.destroy());
        resolve({ stream, status: response.statusCode ?? 0, headers: response.headers });
      });
      request.on('response', ({ statusCode }) => reject(new Error(`answered ${statusCode}`)));
      request.on('error', reject);
      request.end();
    });
  }

  async function openH2(pair: MeshPair): Promise<Tunnel> {
    const session = connect(pair);
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    const stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'http',
        ':path': '/chat',
        ':authority': 'app',
        'sec-websocket-version': '13',
      },
      { endStream: false },
    );
    stream.on('error', () => undefined);
    const headers = await new Promise<http2.IncomingHttpHeaders>((resolve) =>
      stream.once('response', resolve),
    );
    return { stream, status: Number(headers[':status']), headers };
  }

  it.each([
    ['http1', 'http1'],
    ['http1', 'http2'],
    ['http2', 'http2'],
  ] as const)(
    'is opened by an %s client at an %s app, and ends from both sides',
    async (...way) => {
      const [client, app] = way;
      const seen: http.IncomingHttpHeaders[] = [];
      const pair = await pairTo(webSocketApp(app, seen), app);
      const tunnel = client === 'http1' ? await openH1(pair) : await openH2(pair);
      expect(tunnel.status).toBe(client === 'http1' ? 101 : 200);
      expect(tunnel.headers['sec-websocket-protocol']).toBe('chat');
      if (client === 'http1') {
        expect(tunnel.headers['sec-websocket-accept']).toBe(proofOf(webSocketKey));
      } else expect(tunnel.headers['upgrade']).toBeUndefined();
      expect(seen[0]![app === 'http1' ? 'upgrade' : ':protocol']).toBe('websocket');
      expect(seen[0]!['sec-websocket-version']).toBe('13');
      let received = '';
      tunnel.stream.on('data', (chunk: Buffer) => (received += chunk.toString()));
      tunnel.stream.write('ping');
      await until('it came back', () => received === 'ping');
      let ended = false;
      tunnel.stream.on('end', () => (ended = true));
      tunnel.stream.end('last');
      await until('the end came back', () => ended);
      expect(received).toBe('pinglast');
    },
  );

  it('is refused in words where the app does not take extended CONNECT', async () => {
    const pair = await pairTo(
      h2App((stream) => stream.respond({ ':status': 200 })),
      'http2',
    );
    await expect(openH1(pair)).rejects.toThrow('answered 502');
  });
});

describe('the largest header list that an end takes', () => {
  const large = 'v'.repeat(3000);

  it('is obeyed by the answer: 502 in words, and the connection goes on', async () => {
    const app = h2App((stream, headers) => {
      const fields = headers[':path'] === '/large' ? { 'x-large': large } : {};
      stream.respond({ ':status': 200, ...fields });
      stream.end('ok');
    });
    const pair = await pairTo(app, 'http2');
    const session = connect(pair, { maxHeaderListSize: 1000 });
    const answer = await finish(session.request({ ':path': '/large' }));
    expect(answer.headers[':status']).toBe(502);
    expect(answer.headers['tsmesh-error']).toBe('answer-head-not-taken');
    expect(answer.body.toString()).toContain('larger than the caller says it takes');
    const grpc = { 'content-type': 'application/grpc', te: 'trailers', ':method': 'POST' };
    const called = session.request({ ...grpc, ':path': '/large' });
    called.end();
    expect((await finish(called)).headers['grpc-status']).toBe('8');
    expect((await finish(session.request({ ':path': '/small' }))).body.toString()).toBe('ok');
  });

  it('is obeyed by the request: 431 in words, and the app hears nothing of it', async () => {
    const paths: unknown[] = [];
    const app = h2App(
      (stream, headers) => {
        paths.push(headers[':path']);
        stream.respond({ ':status': 200 });
        stream.end('ok');
      },
      { maxHeaderListSize: 2000 },
    );
    const pair = await pairTo(app, 'http2');
    const session = connect(pair);
    expect((await finish(session.request({ ':path': '/first' }))).body.toString()).toBe('ok');
    const answer = await finish(session.request({ ':path': '/large', 'x-large': large }));
    expect(answer.headers[':status']).toBe(431);
    expect(answer.headers['tsmesh-error']).toBe('head-not-taken');
    expect((await finish(session.request({ ':path': '/last' }))).body.toString()).toBe('ok');
    expect(paths).toEqual(['/first', '/last']);
  });
});

describe('a request of HTTP/2', () => {
  it('has the Host of an HTTP/1.1 client as :authority', async () => {
    const seen: http2.IncomingHttpHeaders[] = [];
    const app = h2App((stream, headers) => {
      seen.push(headers);
      stream.respond({ ':status': 200 });
      stream.end();
    });
    const pair = await pairTo(app, 'http2');
    const { port } = pair.caller.outbound.address;
    await call({ port, headers: { host: 'cart.shop:8080', cookie: 'a=1; b=2' } });
    expect(seen[0]).toMatchObject({ ':authority': 'cart.shop:8080', cookie: 'a=1; b=2' });
    expect(seen[0]!['host']).toBeUndefined();
  });
});

describe('GOAWAY of an app', () => {
  it('has sent again what is above its last stream, and never what is not', async () => {
    const seen: string[] = [];
    const app = h2App((stream, headers) => {
      const path = String(headers[':path']);
      seen.push(path);
      if (path !== '/first') {
        stream.respond({ ':status': 200 });
        stream.end(path);
        return;
      }
      // The first is under way as the app leaves, and never answered: it may have been processed.
      stream.session?.goaway(0, stream.id);
      setTimeout(() => stream.session?.destroy(), 100);
    });
    const pair = await pairTo(app, 'http2');
    const session = connect(pair);
    const answers = ['/first', '/second', '/third'].map((path) => {
      const stream = session.request({ ':method': 'POST', ':path': path });
      stream.end('x');
      return finish(stream);
    });
    const [first, second, third] = await Promise.all(answers);
    expect(first!.headers[':status']).toBeGreaterThanOrEqual(502);
    expect(first!.headers['tsmesh-error']).toMatch(/^upstream-/);
    expect([second!.body.toString(), third!.body.toString()]).toEqual(['/second', '/third']);
    expect(seen.filter((path) => path === '/first')).toHaveLength(1);
  });
});

describe('flow control end to end', () => {
  const body = randomBytes(3_000_000);
  const download: H2Handler = (stream, headers) => {
    stream.respond({ ':status': 200 });
    stream.end(headers[':path'] === '/small' ? 'small' : body);
  };

  it('survives a client that changes its windows while bodies flow, below zero too', async () => {
    const pair = await pairTo(h2App(download), 'http2');
    const session = connect(pair, { initialWindowSize: 200_000 });
    const streams = Array.from({ length: 4 }, () => session.request({ ':path': '/large' }));
    let changes = 0;
    for (const stream of streams) {
      stream.on('data', () => {
        if (changes >= 40) return;
        changes += 1;
        session.settings({ initialWindowSize: changes % 2 === 0 ? 300_000 : 1_000 });
      });
    }
    const answers = await Promise.all(streams.map(finish));
    expect(answers.map((answer) => answer.body.equals(body))).toEqual([true, true, true, true]);
    expect(changes).toBe(40);
  });

  it('answers PING while it carries bodies', async () => {
    const pair = await pairTo(h2App(download), 'http2');
    const session = connect(pair);
    await new Promise((resolve) => session.once('connect', resolve));
    const done = Array.from({ length: 4 }, () => finish(session.request({ ':path': '/large' })));
    let answered = 0;
    const ping = () => {
      session.ping((error) => {
        if (error !== null) return;
        answered += 1;
        ping();
      });
    };
    ping();
    await Promise.all(done);
    expect(answered).toBeGreaterThan(1);
    expect(session.destroyed).toBe(false);
  });

  it('lets new requests pass receivers that do not read', async () => {
    const pair = await pairTo(h2App(download), 'http2');
    // Twice as many as fill the window of one connection between sidecars.
    const stuck = Array.from({ length: 16 }, () => connect(pair).request({ ':path': '/large' }));
    const heads = stuck.map((stream) => new Promise((resolve) => stream.once('response', resolve)));
    for (const stream of stuck) stream.on('error', () => undefined);
    await Promise.all(heads);
    const held = () => pair.callee.counters.totals('inbound').requests;
    const answer = await finish(connect(pair).request({ ':path': '/small' }));
    expect(answer.body.toString()).toBe('small');
    expect(held()).toBeGreaterThanOrEqual(1);
  });

  it('gives a stream up that its receiver never lets on, and tells the app', async () => {
    let code = -1;
    const app = h2App((stream, headers) => {
      stream.on('close', () => (code = stream.rstCode));
      download(stream, headers);
    });
    const pair = await pairTo(app, 'http2', { stallTimeoutMs: 400 });
    const session = connect(pair);
    const stream = session.request({ ':path': '/large' });
    let reset = -1;
    stream.on('close', () => (reset = stream.rstCode));
    stream.on('error', () => undefined);
    stream.pause();
    await until('the client was told', () => reset >= 0);
    await until('the app was told', () => code >= 0);
    expect([reset, code]).toEqual([http2.constants.NGHTTP2_CANCEL, http2.constants.NGHTTP2_CANCEL]);
    expect((await finish(session.request({ ':path': '/small' }))).body.toString()).toBe('small');
  });
});
