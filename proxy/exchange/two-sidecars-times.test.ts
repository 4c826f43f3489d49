// Times that end what does not move: of requests, tunnels, opaque connections, and of the wait for a connection. Real sockets;
// the caller's clock is moved, so nothing here waits.
import http from 'node:http';
import http2 from 'node:http2';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, loopback, route, workload } from '../../test/support/sidecar.ts';
import type { DestinationResource, HttpRoute } from '../api/resources.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const hourMs = 3_600_000;
const name = 'TrafficPolicy shop/app, route 0';

async function pairFor(
  app: http.Server | http2.Http2Server | net.Server,
  over: Partial<HttpRoute>,
): Promise<MeshPair & { port: number }> {
  const sockets = new Set<net.Socket>();
  app.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  const pair = await startPair(await listenOn(app));
  closers.push(() => {
    pair.close();
    app.close();
    for (const socket of sockets) socket.destroy();
  });
  pair.route({ routes: [route({ name, ...over })] });
  return { ...pair, port: pair.caller.outbound.address.port };
}

/** A client that notes what it gets. */
class Client {
  readonly socket: net.Socket;
  text = '';
  error = '';
  closed = false;

  constructor(port: number, first = '') {
    this.socket = net.connect(port, loopback);
    this.socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')));
    this.socket.on('error', (error: NodeJS.ErrnoException) => (this.error = error.code ?? ''));
    this.socket.on('close', () => (this.closed = true));
    if (first !== '') this.socket.write(first);
    closers.push(() => this.socket.destroy());
  }

  async has(text: string): Promise<void> {
    await until(`the client has ${text}`, () => this.text.includes(text));
  }
}

/** All that a test of an idle time has to see at the end. */
async function expectIdleEnd({ caller, callee }: MeshPair, status: number): Promise<void> {
  await until(
    'it is over at both',
    () => caller.outbound.inFlight() + callee.inbound.inFlight() === 0,
  );
  expect(caller.log).toHaveLength(1);
  expect(caller.log[0]).toMatchObject({ flag: 'IT', status, detail: `${name}: ${hourMs} ms` });
  expect(caller.counters.snapshot('outbound')[0]!.errors.get('IT')).toBe(1);
}

const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

describe('an idle timeout', () => {
  const over = { idleTimeoutMs: hourMs };

  it('answers 504 in words where no answer came', async () => {
    let asked = 0;
    const pair = await pairFor(
      http.createServer(() => (asked += 1)),
      over,
    );
    const answer = call({ port: pair.port });
    await until('the app was asked', () => asked === 1);
    pair.caller.advance(hourMs);
    const { status, headers, body } = await answer;
    expect([status, headers['tsmesh-error']]).toEqual([504, 'idle-timeout']);
    expect(body.toString()).toContain(`${name}: ${hourMs} ms`);
    await expectIdleEnd(pair, 504);
  });

  it('breaks an answer off that has begun', async () => {
    const app = http.createServer((_, response) => void response.write('half'));
    const pair = await pairFor(app, over);
    const client = new Client(pair.port, get);
    await client.has('half');
    pair.caller.advance(hourMs);
    await until('it was reset', () => client.error === 'ECONNRESET');
    await expectIdleEnd(pair, 0);
  });

  it('does not end what moves, whichever way and however long', async () => {
    let answer: http.ServerResponse | null = null;
    let uploaded = '';
    const app = http.createServer((request, response) => {
      request.on('data', (chunk: Buffer) => (uploaded += chunk.toString()));
      answer = response;
      response.flushHeaders();
    });
    const pair = await pairFor(app, over);
    const head = 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n';
    const client = new Client(pair.port, head);
    await client.has('200 OK');
    for (const part of ['up-1', 'up-2', 'up-3']) {
      pair.caller.advance(0.7 * hourMs);
      client.socket.write(`4\r\n${part}\r\n`);
      await until(`${part} came up`, () => uploaded.endsWith(part));
    }
    for (const part of ['down-1', 'down-2', 'down-3']) {
      pair.caller.advance(0.7 * hourMs);
      answer!.write(part);
      await client.has(part);
    }
    expect(pair.caller.log).toEqual([]);
    client.socket.write('0\r\n\r\n');
    answer!.end('whole');
    await client.has('0\r\n\r\n');
    await until('logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ flag: '', status: 200 });
  });

  it('ends a tunnel on which nothing moves', async () => {
    const app = http.createServer();
    app.on('upgrade', (_, socket) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello',
      );
    });
    const pair = await pairFor(app, { ...over, timeoutMs: 1_000 });
    const client = new Client(
      pair.port,
      'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    );
    await client.has('hello');
    pair.caller.advance(0.7 * hourMs);
    client.socket.write('on');
    await until('it is carried', () => pair.callee.inbound.inFlight() === 1);
    expect(client.closed).toBe(false);
    // Once more than enough: whether what was written is noted before or after the first of both is left open.
    pair.caller.advance(hourMs);
    pair.caller.advance(hourMs);
    await until('it is closed', () => client.closed);
    await expectIdleEnd(pair, 0);
  });

  it.each([
    ['in a head alone where no answer came', false],
    ['in the trailers of an answer that has begun', true],
  ])('tells gRPC DEADLINE_EXCEEDED %s', async (_, begun) => {
    const app = http2.createServer();
    app.on('stream', (opened, { ':path': path }) => {
      const stream = opened as http2.ServerHttp2Stream;
      stream.on('error', () => undefined);
      if (path === '/first') return stream.respond({ ':status': 200 }, { endStream: true });
      if (!begun) return;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write('message');
    });
    const pair = await pairFor(app, over);
    const session = http2.connect(`http://${loopback}:${pair.port}`);
    session.on('error', () => undefined);
    closers.push(() => session.destroy());
    // Once this is answered, what comes after it on these connections comes after their SETTINGS are acknowledged: the
    // clock would end connections that have not been for an hour.
    await once(session.request({ ':path': '/first' }).resume(), 'end');
    await until('it is logged', () => pair.caller.log.length === 1);
    pair.caller.log.length = 0;
    const stream = session.request({
      ':method': 'POST',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let told: http2.IncomingHttpHeaders = {};
    let text = '';
    stream.on('response', (head) => void (told = { ...told, ...head }));
    stream.on('trailers', (trailers) => void (told = { ...told, ...trailers }));
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    stream.on('error', () => undefined);
    stream.end('x');
    if (begun) await until('it has begun', () => text === 'message');
    else await until('the app has it', () => pair.callee.inbound.inFlight() === 1);
    pair.caller.advance(hourMs);
    await until('it is told', () => told['grpc-status'] !== undefined);
    expect(told).toMatchObject({ 'grpc-status': '4', 'tsmesh-error': 'idle-timeout' });
    await expectIdleEnd(pair, 200);
  });
});

describe('an idle timeout of opaque connections', () => {
  const tcp: Partial<DestinationResource> = { protocol: 'tcp', tcpIdleTimeoutMs: hourMs };

  async function echoPair(): Promise<MeshPair & { port: number; ends: string[] }> {
    const ends: string[] = [];
    const app = net.createServer((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => ends.push(error.code ?? ''));
      socket.pipe(socket);
    });
    const pair = await pairFor(app, {});
    pair.callee.apply(workload({ mtls: 'STRICT', protocol: 'tcp' }));
    pair.route(tcp);
    return { ...pair, ends };
  }

  it('resets both, and names the destination', async () => {
    const pair = await echoPair();
    const client = new Client(pair.port, 'one');
    await client.has('one');
    pair.caller.advance(hourMs);
    await until('the client is reset', () => client.error === 'ECONNRESET');
    await until('the app is reset', () => pair.ends.length === 1);
    expect(pair.ends).toEqual(['ECONNRESET']);
    expect(pair.caller.log).toHaveLength(1);
    expect(pair.caller.log[0]).toMatchObject({
      flag: 'IT',
      detail: `app.shop:80: ${hourMs} ms`,
      sentBytes: 3,
      receivedBytes: 3,
    });
    expect(pair.caller.outbound.connections()).toBe(0);
  });

  it('ends nothing that moves', async () => {
    const pair = await echoPair();
    const client = new Client(pair.port);
    for (const part of ['one', 'two', 'three', 'four']) {
      client.socket.write(part);
      await client.has(part);
      pair.caller.advance(0.7 * hourMs);
    }
    expect([client.text, client.closed]).toEqual(['onetwothreefour', false]);
    expect(pair.caller.log).toEqual([]);
  });
});

describe('the time to connect', () => {
  /** Accepts, and never says a word: its TLS handshake never ends. */
  async function startSilent(): Promise<AddressInfo & { connections: number }> {
    const server = net.createServer((socket) => {
      at.connections += 1;
      socket.on('error', () => undefined);
      closers.push(() => socket.destroy());
    });
    const at = { ...(await listenOn(server)), connections: 0 };
    closers.push(() => server.close());
    return at;
  }

  /** So long that no handshake of a busy machine takes longer. */
  const connectTimeoutMs = hourMs;
  const ok = () => http.createServer((_, response) => void response.end('ok'));

  it('is over: 503 says where, and how long it was waited', async () => {
    const pair = await pairFor(ok(), {});
    const silent = await startSilent();
    const identity = pair.callee.identity.current()!.spiffeId;
    pair.route({ connectTimeoutMs }, endpoints(silent, identity));
    const answer = call({ port: pair.port });
    // The first try and the two that are safe, with pauses between them.
    const turns = setInterval(() => pair.caller.advance(connectTimeoutMs), 20);
    closers.push(() => clearInterval(turns));
    const { status, headers, body } = await answer;
    expect([status, headers['tsmesh-error']]).toEqual([503, 'connect-timeout']);
    expect(body.toString()).toContain(`${silent.address} port ${silent.port}`);
    await until('logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ flag: 'UT', status: 503, attempts: 3 });
    expect(pair.caller.log[0]!.endpoint).toBe(`${silent.address}:${silent.port}`);
    expect(pair.caller.outbound.inFlight()).toBe(0);
  });

  it('is over: another endpoint answers, a POST too', async () => {
    const pair = await pairFor(ok(), {});
    const silent = await startSilent();
    const identity = pair.callee.identity.current()!.spiffeId;
    expect((await call({ port: pair.port })).status).toBe(200);
    pair.route({ connectTimeoutMs }, endpoints([silent, pair.callee.inbound.address], identity));
    const options = { port: pair.port, method: 'POST', body: 'x', agent: false };
    const statuses: number[] = [];
    const all = Array.from({ length: 20 }, async () => statuses.push((await call(options)).status));
    // Of two, either is chosen first as often: that none of these meets the silent one is one chance in 2^20.
    await until('some wait for it', () => silent.connections === 1);
    const waiting = () => pair.caller.outbound.inFlight();
    await until('the others were answered', () => statuses.length + waiting() === 20);
    pair.caller.advance(connectTimeoutMs);
    await Promise.all(all);
    expect(new Set(statuses)).toEqual(new Set([200]));
    await until('all are logged', () => pair.caller.log.length === 21);
    expect(Math.max(...pair.caller.log.map(({ attempts }) => attempts))).toBe(2);
  });

  it('is over: an opaque connection goes to another endpoint, or is reset', async () => {
    const app = net.createServer((socket) => void socket.write('x'));
    const pair = await pairFor(app, {});
    pair.callee.apply(workload({ mtls: 'STRICT', protocol: 'tcp' }));
    const silent = await startSilent();
    const identity = pair.callee.identity.current()!.spiffeId;
    const tcp = { protocol: 'tcp', connectTimeoutMs } as const;
    pair.route(tcp, endpoints([silent, pair.callee.inbound.address], identity));
    const clients = Array.from({ length: 20 }, () => new Client(pair.port));
    const through = () => clients.filter(({ text }) => text === 'x').length;
    await until('all wait or are through', () => through() + silent.connections === 20);
    expect(silent.connections).toBeGreaterThan(0);
    pair.caller.advance(connectTimeoutMs);
    await until('all are through', () => through() === 20);
    pair.route(tcp, endpoints(silent, identity));
    const before = silent.connections;
    const last = new Client(pair.port);
    await until('it waits', () => silent.connections > before);
    pair.caller.advance(connectTimeoutMs);
    await until('it was reset', () => last.error === 'ECONNRESET');
    expect(pair.caller.log.at(-1)).toMatchObject({ flag: 'UT' });
    expect(pair.caller.log.at(-1)!.detail).toContain(`within ${connectTimeoutMs} ms`);
  });
});
