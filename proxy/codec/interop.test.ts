// The sessions against real peers that others wrote: Node's HTTP/1.1 and HTTP/2 stacks, over in-memory transports.
import { createServer as createHttp1Server, request as http1Request } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { duplexPair } from 'node:stream';
import type { ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { createH1ClientSession } from './h1-client.ts';
import { createH1ServerSession } from './h1-server.ts';
import { createH2ClientSession } from './h2-client.ts';
import { createH2ServerSession } from './h2-server.ts';
import type {
  ClientSession,
  RequestHead,
  ResponseHead,
  ServerSession,
  Session,
} from './session.ts';
import { Recorder, request, response } from './test-recorder.ts';

/** The least that a transport has to do for a session. */
function drive(session: Session, socket: Duplex): void {
  const flush = (): void => {
    for (const chunk of session.takeOutput()) socket.write(chunk);
    if (session.hasOutput) setImmediate(flush);
    else if (session.closing && !socket.writableEnded) socket.end();
  };
  session.onWake = () => void setImmediate(flush);
  socket.on('data', (chunk: Buffer) => session.receive(chunk, 0));
  socket.on('end', () => session.receiveEnd(0));
  socket.on('close', () => session.close());
  socket.on('error', () => {});
  flush();
}

/** Answers with what it got: method, path and body, its trailers as trailers. */
function echo(session: ServerSession): void {
  session.onRequest = (stream, head, end) => {
    stream.sendHead(response({ fields: ['x-got', `${head.method} ${head.path}`] }), end);
    return {
      onHead: () => {},
      onData: (chunk, last) => {
        stream.sendData(chunk, last);
        stream.consumed(chunk.length);
      },
      onTrailers: (fields) => stream.sendTrailers(fields),
      onReset: () => {},
      onDrained: () => {},
    };
  };
}

class Awaiting extends Recorder<ResponseHead> {
  readonly done: Promise<void>;
  consume: (bytes: number) => void = () => {};
  #resolve: () => void = () => {};

  constructor() {
    super();
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  override onHead(head: ResponseHead, end: boolean): void {
    super.onHead(head, end);
    if (end) this.#resolve();
  }

  override onData(chunk: Buffer, end: boolean): void {
    super.onData(chunk, end);
    this.consume(chunk.length);
    if (end) this.#resolve();
  }

  override onTrailers(fields: string[]): void {
    super.onTrailers(fields);
    this.#resolve();
  }

  override onReset(reason: string): void {
    super.onReset(reason);
    this.#resolve();
  }
}

async function ask(session: ClientSession, over: Partial<RequestHead>, body: Buffer | null) {
  const got = new Awaiting();
  const stream = session.open(request(over), body === null, got);
  got.consume = (bytes) => stream.consumed(bytes);
  if (body !== null) stream.sendData(body, true);
  await got.done;
  return got;
}

const BIG = Buffer.alloc(3_000_000, 'tsmesh ');

describe('an HTTP/2 server session and the HTTP/2 client of Node', () => {
  it('exchange heads, bodies larger than the windows, and trailers', async () => {
    const [near, far] = duplexPair();
    const session = createH2ServerSession();
    echo(session);
    drive(session, far);
    const client = connectHttp2('http://a.test', { createConnection: () => near as Socket });
    const results = await Promise.all(
      ['/one', '/two'].map(async (path) => {
        const stream = client.request({ ':method': 'POST', ':path': path, 'x-a': 'b' });
        let bytes = 0;
        let gotHead: unknown;
        let trailers: unknown;
        stream.on('response', (headers) => (gotHead = headers['x-got']));
        stream.on('trailers', (headers) => (trailers = headers['x-t']));
        stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
        stream.end(BIG);
        await new Promise((resolve) => stream.on('close', resolve));
        return { bytes, gotHead, trailers };
      }),
    );
    expect(results).toEqual([
      { bytes: BIG.length, gotHead: 'POST /one', trailers: undefined },
      { bytes: BIG.length, gotHead: 'POST /two', trailers: undefined },
    ]);
    client.close();
    session.drain();
    await new Promise((resolve) => far.on('close', resolve));
    expect(session).toMatchObject({ error: null, openStreams: 0 });
  });
});

describe('an HTTP/2 client session and the HTTP/2 server of Node', () => {
  it('exchange heads, bodies larger than the windows, and trailers', async () => {
    const [near, far] = duplexPair();
    const server = createHttp2Server();
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.respond({ ':status': 201, 'x-got': `${headers[':path']}` }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-t': '1' }));
      stream.pipe(stream);
    });
    server.emit('connection', far);
    const session = createH2ClientSession();
    drive(session, near);
    const [first, second] = await Promise.all([
      ask(session, { method: 'POST', path: '/one' }, BIG),
      ask(session, { path: '/two', fields: ['accept', '*/*'] }, null),
    ]);
    expect(first).toMatchObject({
      bodyBytes: BIG.length,
      trailers: ['x-t', '1'],
      resetReason: null,
    });
    expect(second.last).toMatchObject({ status: 201 });
    expect(second.last.fields).toContain('/two');
    session.drain();
    await new Promise((resolve) => near.on('close', resolve));
    expect(session.error).toBeNull();
  });
});

describe('an HTTP/1.1 server session and the HTTP client of Node', () => {
  it.each([{ 'content-length': BIG.length }, { 'transfer-encoding': 'chunked' }])(
    'exchange a body with %j',
    async (headers) => {
      const [near, far] = duplexPair();
      const session = createH1ServerSession();
      echo(session);
      drive(session, far);
      const result = await new Promise<{ bytes: number; got: unknown }>((resolve) => {
        const asked = http1Request(
          { method: 'POST', path: '/x', host: 'a.test', headers, createConnection: () => near },
          (answer) => {
            let bytes = 0;
            answer.on('data', (chunk: Buffer) => (bytes += chunk.length));
            answer.on('end', () => resolve({ bytes, got: answer.headers['x-got'] }));
          },
        );
        asked.end(BIG);
      });
      expect(result).toEqual({ bytes: BIG.length, got: 'POST /x' });
      expect(session.error).toBeNull();
      near.destroy();
    },
  );
});

describe('an HTTP/1.1 client session and the HTTP server of Node', () => {
  it('exchange several requests on one connection', async () => {
    const [near, far] = duplexPair();
    const server = createHttp1Server((incoming, answer) => {
      answer.setHeader('x-got', `${incoming.method} ${incoming.url}`);
      incoming.pipe(answer);
    });
    server.emit('connection', far);
    const session = createH1ClientSession();
    drive(session, near);
    const first = await ask(session, { method: 'POST', path: '/1' }, BIG);
    expect(first).toMatchObject({ bodyBytes: BIG.length, resetReason: null });
    const second = await ask(
      session,
      { method: 'PUT', path: '/2', contentLength: 3 },
      Buffer.from('abc'),
    );
    expect(second).toMatchObject({ body: 'abc' });
    const third = await ask(session, { method: 'HEAD', path: '/3' }, null);
    expect(third.last.fields).toContain('HEAD /3');
    expect(session).toMatchObject({ error: null, capacity: 1 });
    near.destroy();
    far.destroy();
  });
});
