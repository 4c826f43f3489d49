import { describe, expect, it } from '@jest/globals';
import { createH1ClientSession } from './h1-client.ts';
import { createH1ServerSession } from './h1-server.ts';
import type { H1Options } from './h1-options.ts';
import type { ClientSession, RequestHead, ResponseHead } from './session.ts';
import { Recorder, bytesOf, recordRequests, request, response } from './test-recorder.ts';
import { sendAll, shuttle, takeText } from './test-recorder.ts';

function feed(session: ClientSession, text: string, nowMs = 0): void {
  session.receive(bytesOf(text), nowMs);
}

function open(over: Partial<RequestHead> = {}, end = true, options: Partial<H1Options> = {}) {
  const session = createH1ClientSession(options);
  const got = new Recorder<ResponseHead>();
  const stream = session.open(request(over), end, got);
  return { session, got, stream };
}

describe('an HTTP/1.1 client session', () => {
  it('writes a request without body', () => {
    const { session } = open({ path: '/p?q', fields: ['accept', '*/*', 'te', 'trailers'] });
    expect(takeText(session)).toBe(
      'GET /p?q HTTP/1.1\r\nhost: a.test\r\naccept: */*\r\nte: trailers\r\nconnection: te\r\n\r\n',
    );
  });

  it.each([
    [{ method: 'DELETE', contentLength: 0 }, 'content-length: 0\r\n'],
    [{ method: 'DELETE' }, ''],
  ])('says that there is no body where %j needs it', (over, line) => {
    const { session } = open(over);
    expect(takeText(session)).toBe(`${over.method} / HTTP/1.1\r\nhost: a.test\r\n${line}\r\n`);
  });

  it('adds no length to a request that came without', () => {
    const { session } = open({ method: 'POST' });
    expect(takeText(session)).toBe('POST / HTTP/1.1\r\nhost: a.test\r\n\r\n');
  });

  it.each([
    [{ path: '/x?y', scheme: 'https' }, 'GET https://a.test/x?y HTTP/1.1'],
    [{ method: 'OPTIONS', path: '*' }, 'OPTIONS http://a.test HTTP/1.1'],
  ])('writes the absolute-form where the target came in it: %j', (over, line) => {
    const { session } = open({ ...over, absoluteForm: true });
    expect(takeText(session)).toBe(`${line}\r\nhost: a.test\r\n\r\n`);
  });

  it('writes counted and chunked bodies and trailers', () => {
    const counted = open({ method: 'PUT', contentLength: 3 }, false);
    sendAll(counted.stream, 'abc');
    expect(takeText(counted.session)).toBe(
      'PUT / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 3\r\n\r\nabc',
    );
    const chunked = open({ method: 'PUT' }, false);
    chunked.stream.sendData(bytesOf('abc'), false);
    chunked.stream.sendData(Buffer.alloc(0), false);
    chunked.stream.sendTrailers(['x', '1']);
    expect(takeText(chunked.session)).toBe(
      'PUT / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: 1\r\n\r\n',
    );
  });

  it('writes CONNECT in authority-form and OPTIONS *', () => {
    const connect = open({ method: 'CONNECT', authority: 'db:1', path: '' }, false);
    expect(takeText(connect.session)).toBe('CONNECT db:1 HTTP/1.1\r\nhost: db:1\r\n\r\n');
    const options = open({ method: 'OPTIONS', path: '*' });
    expect(takeText(options.session)).toMatch(/^OPTIONS \* HTTP/);
  });

  it('reads a counted response and is free again', () => {
    const { session, got } = open();
    expect(session.capacity).toBe(0);
    feed(session, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhe');
    feed(session, 'llo');
    expect(got.heads).toEqual([{ status: 200, fields: ['x', 'y'], contentLength: 5 }]);
    expect(got).toMatchObject({ body: 'hello', ended: true });
    expect(session).toMatchObject({ capacity: 1, reusable: true, openStreams: 0 });
  });

  it('has its capacity back when the listener hears the end', () => {
    const session = createH1ClientSession();
    const got = new Recorder<ResponseHead>();
    let capacity = -1;
    got.onData = (_chunk, end) => {
      if (end) capacity = session.capacity;
    };
    session.open(request(), true, got);
    feed(session, 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx');
    expect(capacity).toBe(1);
  });

  it('reads chunks and trailers', () => {
    const { session, got } = open();
    feed(session, 'HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: 1\r\n\r\n');
    expect(got).toMatchObject({ body: 'a', trailers: ['t', '1'], ended: true });
    expect(session.capacity).toBe(1);
  });

  it('reads a body that the end of the connection delimits', () => {
    const { session, got } = open();
    feed(session, 'HTTP/1.1 200 OK\r\n\r\nabc');
    feed(session, 'def');
    expect(got).toMatchObject({ body: 'abcdef', ended: false });
    session.receiveEnd(0);
    expect(got).toMatchObject({ ended: true, resetReason: null });
    expect(session).toMatchObject({ closing: true, reusable: false });
  });

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n', 10],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', null],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n', 10],
    ['GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', null],
    ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 0],
  ])('%s: %j has no body', (method, text, contentLength) => {
    const { session, got } = open({ method });
    feed(session, text);
    expect(got).toMatchObject({ ended: true, body: '' });
    expect(got.last.contentLength).toBe(contentLength);
    expect(session.capacity).toBe(1);
  });

  it('gives interim responses before the final one', () => {
    const { session, got } = open();
    feed(
      session,
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    );
    expect(got.heads.map((head) => head.status)).toEqual([100, 103, 200]);
    expect(session.capacity).toBe(1);
  });

  it('gives up on a peer that sends interim responses without end', () => {
    const { session, got } = open();
    feed(session, 'HTTP/1.1 103 X\r\n\r\n'.repeat(1000));
    expect(got.resetReason).toBe('protocol');
    expect(got.heads.length).toBeLessThan(100);
    expect(session.closing).toBe(true);
  });

  it.each([
    ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ])('does not use the connection again after %s', (_why, text) => {
    const { session, got } = open();
    feed(session, text);
    expect(got.ended).toBe(true);
    expect(session).toMatchObject({ capacity: 0, reusable: false, closing: true, error: null });
  });

  it('keeps an HTTP/1.0 connection that says keep-alive', () => {
    const { session } = open();
    feed(session, 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n');
    expect(session.capacity).toBe(1);
  });

  it('lets the request go on after an early response, and is busy until it ended', () => {
    const { session, got, stream } = open({ method: 'POST', contentLength: 3 }, false);
    feed(session, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    expect(got.ended).toBe(true);
    expect(session.capacity).toBe(0);
    sendAll(stream, 'abc');
    expect(session.capacity).toBe(1);
  });

  it('drops the rest of the request after an early response that closes', () => {
    const { session, got, stream } = open({ method: 'POST' }, false);
    takeText(session);
    feed(session, 'HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    expect(got).toMatchObject({ ended: true, resetReason: null });
    expect(stream.sendData(bytesOf('x'), false)).toBe(true);
    expect(session).toMatchObject({ hasOutput: false, closing: true });
  });

  it('lets a client that reads too fast wait, by not reading', () => {
    const { session, stream } = open({}, true, { receiveWindowBytes: 4 });
    feed(session, 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234');
    expect(session.wantsRead).toBe(false);
    stream.consumed(5);
    expect(session.wantsRead).toBe(true);
  });

  it('tells a fast writer to wait, and when to go on', () => {
    const { session, stream, got } = open({ method: 'POST' }, false, { highWaterBytes: 10 });
    expect(stream.sendData(bytesOf('0123456789'), false)).toBe(false);
    expect(stream.queuedBytes).toBeGreaterThan(10);
    session.takeOutput();
    expect(got.drained).toBe(1);
  });

  it('ends after the idle time', () => {
    const { session } = open({}, true, { idleTimeoutMs: 100 });
    feed(session, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 1000);
    expect(session.nextTimeoutMs()).toBe(1100);
    session.onTimeout(1099);
    expect(session.closing).toBe(false);
    session.onTimeout(1100);
    expect(session).toMatchObject({ closing: true, error: null });
  });

  it('finishes what is under way when drained, then ends', () => {
    const { session } = open();
    session.drain();
    expect(session).toMatchObject({ closing: false, reusable: false });
    feed(session, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    expect(session.closing).toBe(true);
    const idle = createH1ClientSession();
    idle.drain();
    expect(idle.closing).toBe(true);
  });

  it('refuses to open without capacity', () => {
    const { session, got } = open();
    expect(() => session.open(request(), true, got)).toThrow('capacity');
  });
});

describe('what breaks an HTTP/1.1 client connection', () => {
  it.each([
    ['a status line of another protocol', 'ICE/1.0 200 OK\r\n\r\n'],
    ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['a status that is no number', 'HTTP/1.1 2x0 OK\r\n\r\n'],
    ['a line without CR', 'HTTP/1.1 200 OK\nX: y\r\n\r\n'],
    ['no CR anywhere', 'HTTP/1.1 200 OK\n\n'],
    ['CL and TE', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['CLs that differ', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    ['an unknown coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
    ['chunked not last', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n'],
    ['chunked in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['chunked with 204', 'HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['101 unasked', 'HTTP/1.1 101 X\r\n\r\n'],
    ['folding', 'HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n'],
    ['a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    [
      'a length in trailers',
      'HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n',
    ],
  ])('%s', (_what, text) => {
    const { session, got } = open();
    feed(session, text);
    expect(got).toMatchObject({ resetReason: 'protocol', ended: false });
    expect(session).toMatchObject({ closing: true, reusable: false, capacity: 0 });
    expect(session.error).not.toBeNull();
  });

  it('a second response in the same breath: the first counts, the connection is not used again', () => {
    const { session, got } = open();
    feed(
      session,
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    );
    expect(got).toMatchObject({ body: 'x', ended: true, resetReason: null });
    expect(session).toMatchObject({ reusable: false, closing: true });
    expect(session.error).toContain('no exchange');
  });

  it('bytes while nothing was asked', () => {
    const session = createH1ClientSession();
    feed(session, 'HTTP/1.1 408 Request Timeout\r\n\r\n');
    expect(session).toMatchObject({ closing: true, reusable: false });
  });

  it('an end in the middle', () => {
    const { session, got } = open();
    feed(session, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc');
    session.receiveEnd(0);
    expect(got).toMatchObject({ resetReason: 'closed', ended: false });
    expect(session.error).toContain('ended inside a message');
  });

  it('an end while the request still goes out', () => {
    const { session, got } = open({ method: 'POST' }, false);
    feed(session, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    session.receiveEnd(0);
    expect(got).toMatchObject({ ended: true, resetReason: 'closed' });
  });

  it('its transport', () => {
    const { session, got } = open();
    session.close();
    expect(got.resetReason).toBe('closed');
    const idle = createH1ClientSession();
    idle.close();
    expect(idle.reusable).toBe(false);
    const ended = createH1ClientSession();
    ended.receiveEnd(0);
    expect(ended).toMatchObject({ reusable: false, error: null });
  });

  it('giving a request up, about which its own listener hears nothing', () => {
    const { session, got, stream } = open();
    stream.reset('timeout');
    stream.reset('timeout');
    stream.sendHead(request(), true);
    stream.sendTrailers([]);
    expect(got.resetReason).toBeNull();
    expect(stream.queuedBytes).toBe(0);
    expect(session).toMatchObject({ closing: true, aborting: true, openStreams: 0 });
  });

  it('a second head, or a body that is not the declared one', () => {
    const twice = open({}, false);
    twice.stream.sendHead(request(), true);
    expect(twice.got.resetReason).toBe('internal');
    const long = open({ contentLength: 1 }, false);
    long.stream.sendData(bytesOf('abc'), false);
    expect(long.got.resetReason).toBe('internal');
    const short = open({ contentLength: 1 }, false);
    short.stream.sendTrailers([]);
    expect(short.got.resetReason).toBe('internal');
  });
});

describe('tunnels on the client side', () => {
  const upgrade = { upgrade: 'echo', fields: ['x', 'y', 'te', 'trailers'] };

  it('hold back what was sent early until the peer agreed', () => {
    const { session, got, stream } = open(upgrade, false);
    expect(takeText(session)).toBe(
      'GET / HTTP/1.1\r\nhost: a.test\r\nx: y\r\nte: trailers\r\nconnection: upgrade, te\r\nupgrade: echo\r\n\r\n',
    );
    stream.sendData(bytesOf('early'), false);
    expect(session.hasOutput).toBe(false);
    expect(stream.queuedBytes).toBe(5);
    feed(session, 'HTTP/1.1 101 X\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nraw');
    expect(got.last).toEqual({
      status: 101,
      fields: ['upgrade', 'echo'],
      contentLength: null,
    });
    expect(got).toMatchObject({ body: 'raw', ended: false });
    expect(takeText(session)).toBe('early');
    sendAll(stream, 'bye');
    expect(session).toMatchObject({ closing: true, openStreams: 1, reusable: false });
    feed(session, 'more');
    session.receiveEnd(0);
    expect(got).toMatchObject({ body: 'rawmore', ended: true });
    expect(session.openStreams).toBe(0);
  });

  it('have a WebSocket key, made up where the request came without', () => {
    const { session } = open({ upgrade: 'WebSocket' }, false);
    expect(takeText(session)).toMatch(/\r\nsec-websocket-key: [\w+/]{22}==\r\n/);
    const own = open({ upgrade: 'websocket', fields: ['sec-websocket-key', 'k'] }, false);
    expect(takeText(own.session).match(/sec-websocket-key: \S+/g)).toEqual([
      'sec-websocket-key: k',
    ]);
  });

  it('let the peer end first', () => {
    const { session, got, stream } = open({ method: 'CONNECT', authority: 'b:1' }, false);
    feed(session, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
    expect(got.last.contentLength).toBeNull();
    session.receiveEnd(0);
    expect(got.ended).toBe(true);
    expect(session.openStreams).toBe(1);
    stream.sendData(bytesOf('x'), true);
    expect(session).toMatchObject({ closing: true, openStreams: 0, aborting: false });
  });

  it('do not happen when declined: the connection stays usable', () => {
    const { session, got, stream } = open(upgrade, false, { highWaterBytes: 3 });
    expect(stream.sendData(bytesOf('early'), false)).toBe(false);
    takeText(session);
    feed(session, 'HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n');
    expect(got).toMatchObject({ ended: true });
    expect(session).toMatchObject({ hasOutput: false, capacity: 1 });
  });

  it('end at once where the caller ended early', () => {
    const { session, stream } = open(upgrade, true);
    stream.sendTrailers([]);
    takeText(session);
    feed(session, 'HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n');
    expect(session.closing).toBe(true);
  });
});

describe('client and server session together', () => {
  it('carry requests, bodies, trailers and tunnels unchanged', () => {
    const server = createH1ServerSession();
    const client = createH1ClientSession();
    const exchanges = recordRequests(server);
    const got = new Recorder<ResponseHead>();
    const stream = client.open(
      request({ method: 'POST', fields: ['a', '1', 'a', '2'] }),
      false,
      got,
    );
    stream.sendData(Buffer.alloc(300_000, 'x'), false);
    stream.sendTrailers(['sum', '7']);
    shuttle(client, server);
    expect(exchanges[0]!.head).toEqual(request({ method: 'POST', fields: ['a', '1', 'a', '2'] }));
    expect(exchanges[0]!.got).toMatchObject({ bodyBytes: 300_000, trailers: ['sum', '7'] });
    exchanges[0]!.stream.sendHead(
      response({ fields: ['set-cookie', 'a', 'set-cookie', 'b'] }),
      false,
    );
    exchanges[0]!.stream.sendData(bytesOf('body'), false);
    exchanges[0]!.stream.sendTrailers(['grpc-status', '0']);
    shuttle(client, server);
    expect(got.last.fields).toEqual(['set-cookie', 'a', 'set-cookie', 'b']);
    expect(got).toMatchObject({ body: 'body', trailers: ['grpc-status', '0'] });
    const tunnel = client.open(request({ upgrade: 'echo' }), false, new Recorder());
    shuttle(client, server);
    exchanges[1]!.stream.sendHead(response({ status: 101 }), false);
    shuttle(client, server);
    tunnel.sendData(bytesOf('ping'), true);
    shuttle(client, server);
    expect(exchanges[1]!.got.body).toBe('ping');
  });

  it('takes nothing behind a response whose request still goes out for a second one', () => {
    const { session, got, stream } = open({ method: 'POST' }, false);
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
    session.receive(bytesOf(answer), 0);
    session.receive(bytesOf(answer), 0);
    expect(got.heads).toHaveLength(1);
    expect(session).toMatchObject({ closing: true, openStreams: 0 });
    expect(session.error).toMatch(/no exchange/);
    expect(stream.sendData(bytesOf('more'), true)).toBe(true);
  });

  it('says the same of bytes behind a last response, whether they come with it or after it', () => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
    const errors = [[`${answer}x`], [answer, 'x']].map((reads) => {
      const { session } = open();
      for (const text of reads) session.receive(bytesOf(text), 0);
      return session.error;
    });
    expect(errors).toEqual([null, null]);
  });
});
