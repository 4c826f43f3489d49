import { describe, expect, it } from '@jest/globals';
import { createH1ServerSession } from './h1-server.ts';
import type { H1Options } from './h1-options.ts';
import type { ServerSession } from './session.ts';
import { bytesOf, recordRequests, response, takeText } from './test-recorder.ts';
import type { Exchange } from './test-recorder.ts';

function serve(options: Partial<H1Options> = {}, answer?: (exchange: Exchange) => void) {
  const session = createH1ServerSession(options);
  return { session, exchanges: recordRequests(session, answer) };
}

function feed(session: ServerSession, text: string, nowMs = 0): void {
  session.receive(bytesOf(text), nowMs);
}

/** Answers every request with its path at once. */
function echoPath({ head, stream }: Exchange): void {
  stream.sendHead(response({ contentLength: head.path.length }), false);
  stream.sendData(bytesOf(head.path), true);
}

describe('an HTTP/1.1 server session', () => {
  it('gives a request without body as one head that ends', () => {
    const { session, exchanges } = serve();
    feed(
      session,
      'GET /a?b=c HTTP/1.1\r\nHost: x.test:80\r\nAccept:  */* \r\nX-Odd: \t v\r\nconTENT-Length: 0\r\n\r\n',
    );
    expect(exchanges).toHaveLength(1);
    expect(exchanges[0]!.head).toEqual({
      method: 'GET',
      scheme: 'http',
      authority: 'x.test:80',
      path: '/a?b=c',
      upgrade: null,
      fields: ['accept', '*/*', 'x-odd', 'v'],
      contentLength: 0,
    });
    expect(exchanges[0]!.got.ended).toBe(true);
    expect(session.openStreams).toBe(1);
  });

  it('keeps order, duplicates and bytes above ASCII of field values', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\nB: 2\r\nA: 1\r\nB: \xff1\r\nEmpty:\r\n\r\n');
    expect(exchanges[0]!.head.fields).toEqual(['b', '2', 'a', '1', 'b', '\xff1', 'empty', '']);
  });

  it('strips hop-by-hop fields and those that Connection names, and keeps TE: trailers', () => {
    const { session, exchanges } = serve();
    feed(
      session,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine , TE\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n' +
        'Proxy-Connection: x\r\nTE: gzip;q=0.5, trailers;q=1\r\nX-Yours: 2\r\nHTTP2-Settings: abc\r\n\r\n',
    );
    expect(exchanges[0]!.head.fields).toEqual(['te', 'trailers', 'x-yours', '2']);
  });

  it('reads Upgrade in several lines as one list', () => {
    const { session, exchanges } = serve();
    const lines = 'Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n';
    feed(session, `GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
    expect(exchanges[0]!.head.upgrade).toBe('a, b');
  });

  it('passes on expectations that it does not know', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n');
    expect(exchanges[0]!.head.fields).toEqual(['expect', 'more']);
    exchanges[0]!.stream.sendHead(response(), true);
    expect(takeText(session)).not.toContain('close');
  });

  it('drops a TE that does not say trailers', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\nTE: gzip\r\n\r\n');
    expect(exchanges[0]!.head.fields).toEqual([]);
  });

  it('reads a counted body, in as many pieces as it comes', () => {
    const { session, exchanges } = serve();
    feed(session, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhe');
    expect(exchanges[0]!.head.contentLength).toBe(5);
    expect(exchanges[0]!.got.ended).toBe(false);
    feed(session, 'llo');
    expect(exchanges[0]!.got).toMatchObject({ body: 'hello', ended: true });
  });

  it('reads a chunked body with extensions and trailers', () => {
    const { session, exchanges } = serve();
    feed(
      session,
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n' +
        '3;a;b=c;d="e\\"f;\tg"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 7\r\nConnection: x\r\n\r\n',
    );
    expect(exchanges[0]!.head.contentLength).toBeNull();
    expect(exchanges[0]!.got).toMatchObject({
      body: 'abc0123456789',
      ended: true,
      trailers: ['x-sum', '7'],
    });
  });

  it('ends a chunked body without trailers by an empty chunk', () => {
    const { session, exchanges } = serve();
    feed(session, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
    expect(exchanges[0]!.got).toMatchObject({ body: '', ended: true, trailers: null });
  });

  it('answers with length, chunks or nothing, as the head says', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    exchanges[0]!.stream.sendHead(response({ fields: ['x', 'y'], contentLength: 2 }), false);
    exchanges[0]!.stream.sendData(bytesOf('ok'), true);
    expect(takeText(session)).toBe('HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 2\r\n\r\nok');
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    exchanges[1]!.stream.sendHead(response({ status: 404 }), true);
    expect(takeText(session)).toBe('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n');
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    exchanges[2]!.stream.sendHead(response({ status: 299 }), false);
    exchanges[2]!.stream.sendData(bytesOf('hello world, all of it'), false);
    exchanges[2]!.stream.sendTrailers(['t', '1', 't', '2']);
    expect(takeText(session)).toBe(
      'HTTP/1.1 299 \r\ntransfer-encoding: chunked\r\n\r\n' +
        '16\r\nhello world, all of it\r\n0\r\nt: 1\r\nt: 2\r\n\r\n',
    );
    expect(session).toMatchObject({ closing: false, openStreams: 0, error: null });
  });

  it('sends no body with HEAD, 204 and 304, but the length that GET would have', () => {
    const { session, exchanges } = serve();
    feed(session, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
    exchanges[0]!.stream.sendHead(response({ contentLength: 9 }), false);
    exchanges[0]!.stream.sendData(bytesOf('ignored'), true);
    expect(takeText(session)).toBe('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n');
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    exchanges[1]!.stream.sendHead(response({ status: 304, contentLength: 9 }), true);
    expect(takeText(session)).toBe('HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n');
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    exchanges[2]!.stream.sendHead(response({ status: 204, contentLength: 0 }), true);
    expect(takeText(session)).toBe('HTTP/1.1 204 No Content\r\n\r\n');
    feed(session, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
    exchanges[3]!.stream.sendHead(response(), true);
    expect(takeText(session)).toBe('HTTP/1.1 200 OK\r\n\r\n');
  });

  it('serves pipelined requests one after the other, in order', () => {
    const { session, exchanges } = serve();
    feed(
      session,
      'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab',
    );
    expect(exchanges).toHaveLength(1);
    feed(session, 'cGET /3 HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(exchanges).toHaveLength(1);
    exchanges[0]!.stream.sendHead(response(), true);
    expect(exchanges).toHaveLength(2);
    expect(exchanges[1]!.got).toMatchObject({ body: 'abc', ended: true });
    exchanges[1]!.stream.sendHead(response(), true);
    expect(exchanges.map((exchange) => exchange.head.path)).toEqual(['/1', '/2', '/3']);
  });

  it('answers a thousand pipelined requests without growing the stack', () => {
    const { session, exchanges } = serve({}, echoPath);
    feed(session, 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20_000));
    expect(exchanges).toHaveLength(20_000);
    expect(session.wantsRead).toBe(true);
  });

  it('stops reading while many pipelined bytes wait, and goes on after the answer', () => {
    const { session, exchanges } = serve();
    let wakes = 0;
    session.onWake = () => wakes++;
    feed(session, 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1000));
    expect(session.wantsRead).toBe(false);
    const before = wakes;
    while (!session.wantsRead) exchanges[exchanges.length - 1]!.stream.sendHead(response(), true);
    expect(wakes).toBeGreaterThan(before);
  });

  it('stops reading while a body is not consumed', () => {
    const { session, exchanges } = serve({ receiveWindowBytes: 10 });
    feed(session, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n${'x'.repeat(11)}`);
    expect(session.wantsRead).toBe(false);
    exchanges[0]!.stream.consumed(11);
    expect(session.wantsRead).toBe(true);
  });

  it('tells a fast writer to wait, and when to go on', () => {
    const { session, exchanges } = serve({ highWaterBytes: 10 });
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const { stream, got } = exchanges[0]!;
    stream.sendHead(response(), false);
    expect(stream.sendData(bytesOf('x'.repeat(20)), false)).toBe(false);
    expect(stream.queuedBytes).toBeGreaterThan(20);
    session.takeOutput();
    expect(got.drained).toBe(1);
    expect(stream.queuedBytes).toBe(0);
  });

  it('does not copy a large body', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const body = Buffer.alloc(100_000);
    exchanges[0]!.stream.sendHead(response({ contentLength: body.length }), false);
    exchanges[0]!.stream.sendData(body, true);
    const output = session.takeOutput();
    expect(output).toHaveLength(2);
    expect(output[1]).toBe(body);
  });
});

describe('persistence of an HTTP/1.1 server connection', () => {
  it.each([
    ['GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'connection: close', true],
    [
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive, Close\r\n\r\n',
      'connection: close',
      true,
    ],
    ['GET / HTTP/1.0\r\n\r\n', 'connection: close', true],
    ['GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', 'connection: keep-alive', false],
  ])('obeys %j', (head, line, closes) => {
    const { session, exchanges } = serve();
    feed(session, head);
    exchanges[0]!.stream.sendHead(response(), true);
    expect(takeText(session)).toBe(`HTTP/1.1 200 OK\r\ncontent-length: 0\r\n${line}\r\n\r\n`);
    expect(session.closing).toBe(closes);
    expect(session.error).toBeNull();
  });

  it('delimits a body of unknown length for HTTP/1.0 by the end of the connection', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.sendData(bytesOf('abc'), false);
    exchanges[0]!.stream.sendTrailers(['dropped', '1']);
    expect(takeText(session)).toBe('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc');
    expect(session).toMatchObject({ closing: true, aborting: false });
  });

  it('ignores what follows the last request', () => {
    const { session, exchanges } = serve();
    feed(
      session,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    exchanges[0]!.stream.sendHead(response(), true);
    feed(session, 'more');
    expect(exchanges).toHaveLength(1);
  });

  it('says close with the answer that a drain meets, and ends', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    session.drain();
    expect(session.closing).toBe(false);
    exchanges[0]!.stream.sendHead(response(), true);
    expect(takeText(session)).toContain('connection: close');
    expect(session.closing).toBe(true);
  });

  it('ends an idle connection at once when it is drained', () => {
    const { session } = serve();
    session.drain();
    expect(session).toMatchObject({ closing: true, error: null });
  });

  it('sends the final answer early and reads the rest of the request afterwards', () => {
    const { session, exchanges } = serve();
    feed(session, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
    exchanges[0]!.stream.sendHead(response({ status: 413 }), true);
    expect(session).toMatchObject({ closing: false, openStreams: 1 });
    feed(session, 'defGET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(exchanges[0]!.got.body).toBe('abcdef');
    expect(exchanges.map((exchange) => exchange.head.path)).toEqual(['/', '/2']);
  });

  it('ends in order when the rest of a request is given up after a whole answer', () => {
    const { session, exchanges } = serve();
    feed(session, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
    exchanges[0]!.stream.sendHead(response({ status: 413 }), true);
    exchanges[0]!.stream.reset('cancelled');
    expect(session).toMatchObject({ closing: true, aborting: false, openStreams: 0 });
  });
});

describe('100-continue on the server side', () => {
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n';

  it('passes the expectation on and interim responses back', () => {
    const { session, exchanges } = serve();
    feed(session, head);
    expect(exchanges[0]!.head.fields).toEqual(['expect', '100-Continue']);
    exchanges[0]!.stream.sendHead(response({ status: 100 }), false);
    exchanges[0]!.stream.sendHead(response({ status: 103, fields: ['link', 'x'] }), false);
    expect(takeText(session)).toBe(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n',
    );
    exchanges[0]!.stream.sendHead(response(), true);
    feed(session, 'ok');
    expect(takeText(session)).not.toContain('close');
    expect(session).toMatchObject({ openStreams: 0, closing: false });
  });

  it('closes after a final answer that came before the body was asked for', () => {
    const { session, exchanges } = serve();
    feed(session, head);
    exchanges[0]!.stream.sendHead(response({ status: 401 }), true);
    expect(takeText(session)).toContain('connection: close');
    expect(session.closing).toBe(true);
  });

  it('sends no interim responses to HTTP/1.0', () => {
    const { session, exchanges } = serve();
    feed(session, 'POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    exchanges[0]!.stream.sendHead(response({ status: 100 }), false);
    expect(session.hasOutput).toBe(false);
  });
});

describe('tunnels on the server side', () => {
  const upgrade =
    'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n';

  it('becomes a tunnel after 101, with half-close on both sides', () => {
    const { session, exchanges } = serve();
    feed(session, `${upgrade}early`);
    const { head, stream, got } = exchanges[0]!;
    expect(head).toMatchObject({ upgrade: 'websocket', fields: ['x', 'y'] });
    expect(got).toMatchObject({ ended: false, body: '' });
    stream.sendHead(response({ status: 101 }), false);
    expect(got.body).toBe('early');
    feed(session, 'GET / HTTP/1.1\r\n\r\n');
    stream.sendData(bytesOf('raw'), false);
    expect(takeText(session)).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw',
    );
    session.receiveEnd(0);
    expect(got).toMatchObject({ body: 'earlyGET / HTTP/1.1\r\n\r\n', ended: true });
    expect(session.closing).toBe(false);
    stream.sendData(bytesOf('bye'), true);
    expect(takeText(session)).toBe('bye');
    expect(session).toMatchObject({ closing: true, aborting: false, openStreams: 0 });
  });

  it('still receives after its own half is closed', () => {
    const { session, exchanges } = serve();
    feed(session, upgrade);
    exchanges[0]!.stream.sendHead(response({ status: 101, fields: ['upgrade', 'foo'] }), false);
    expect(takeText(session)).toContain('\r\nupgrade: foo\r\n');
    exchanges[0]!.stream.sendData(Buffer.alloc(0), true);
    expect(session).toMatchObject({ closing: true, openStreams: 1 });
    feed(session, 'late');
    session.receiveEnd(0);
    expect(exchanges[0]!.got).toMatchObject({ body: 'late', ended: true });
    expect(session.openStreams).toBe(0);
  });

  it('treats a declined upgrade as an ordinary request, and what follows as the next', () => {
    const { session, exchanges } = serve();
    feed(session, `${upgrade}GET /next HTTP/1.1\r\nHost: a\r\n\r\n`);
    exchanges[0]!.stream.sendHead(response({ status: 200 }), true);
    expect(exchanges[0]!.got).toMatchObject({ ended: true, body: '' });
    expect(exchanges[1]!.head.path).toBe('/next');
  });

  it('proves a WebSocket key where the answer does not (RFC 6455 §1.3)', () => {
    const { session, exchanges } = serve();
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    feed(session, upgrade.replace('X: y\r\n', key));
    exchanges[0]!.stream.sendHead(response({ status: 101 }), false);
    expect(takeText(session)).toContain(
      '\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n',
    );
  });

  it('passes the proof of a WebSocket key on where there is one', () => {
    const { session, exchanges } = serve();
    feed(session, upgrade.replace('X: y', 'Sec-WebSocket-Key: k'));
    const fields = ['sec-websocket-accept', 'theirs'];
    exchanges[0]!.stream.sendHead(response({ status: 101, fields }), false);
    expect(takeText(session).match(/sec-websocket-accept: \S+/g)).toEqual([
      'sec-websocket-accept: theirs',
    ]);
  });

  it('resets the transport when a tunnel is reset', () => {
    const { session, exchanges } = serve();
    feed(session, upgrade);
    exchanges[0]!.stream.sendHead(response({ status: 101 }), false);
    exchanges[0]!.stream.reset('cancelled');
    expect(session).toMatchObject({ closing: true, aborting: true });
  });

  it('opens a tunnel for CONNECT that is accepted', () => {
    const { session, exchanges } = serve();
    feed(session, 'CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\n\r\nhello');
    expect(exchanges[0]!.head).toMatchObject({
      method: 'CONNECT',
      authority: 'db.test:5432',
      path: '',
    });
    expect(exchanges[0]!.got).toMatchObject({ ended: false, body: '' });
    exchanges[0]!.stream.sendHead(response(), false);
    expect(takeText(session)).toBe('HTTP/1.1 200 OK\r\n\r\n');
    expect(exchanges[0]!.got.body).toBe('hello');
  });

  it('closes after a CONNECT that is refused, so that no early byte is read as a request', () => {
    const { session, exchanges } = serve();
    feed(
      session,
      'CONNECT db.test:5432 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    exchanges[0]!.stream.sendHead(response({ status: 403 }), true);
    expect(takeText(session)).toContain('connection: close');
    expect(exchanges).toHaveLength(1);
  });

  it.each([
    ['h2c', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n'],
    ['no connection option', 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: foo\r\n\r\n'],
    [
      'a body',
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo\r\nContent-Length: 1\r\n\r\nx',
    ],
  ])('ignores Upgrade with %s', (_why, head) => {
    const { session, exchanges } = serve();
    feed(session, head);
    expect(exchanges[0]!.head.upgrade).toBeNull();
    expect(exchanges[0]!.got.ended).toBe(true);
  });
});

describe('request targets', () => {
  it.each([
    ['GET http://b.test/p?q HTTP/1.1', { authority: 'b.test', path: '/p?q', scheme: 'http' }],
    ['GET HTTPS://b.test:1 HTTP/1.1', { authority: 'b.test:1', path: '/', scheme: 'https' }],
    ['GET http://b.test?q=1 HTTP/1.1', { authority: 'b.test', path: '/?q=1', scheme: 'http' }],
    ['OPTIONS http://b.test HTTP/1.1', { authority: 'b.test', path: '*', scheme: 'http' }],
    ['OPTIONS * HTTP/1.1', { authority: 'a', path: '*', scheme: 'http' }],
    ['GET //evil/ HTTP/1.1', { authority: 'a', path: '//evil/', scheme: 'http' }],
    ['M-SEARCH /|"x" HTTP/1.1', { method: 'M-SEARCH', path: '/|"x"' }],
  ])('reads %s', (line, expected) => {
    const { session, exchanges } = serve();
    feed(session, `${line}\r\nHost: a\r\n\r\n`);
    expect(exchanges[0]?.head).toMatchObject(expected);
  });

  it('takes an HTTP/1.0 request without Host', () => {
    const { session, exchanges } = serve({ scheme: 'https' });
    feed(session, 'GET / HTTP/1.0\r\n\r\n');
    expect(exchanges[0]!.head).toMatchObject({ authority: '', scheme: 'https' });
  });
});

describe('the end of an HTTP/1.1 server connection', () => {
  it('is orderly between requests', () => {
    const { session } = serve({}, echoPath);
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    session.receiveEnd(0);
    expect(session).toMatchObject({ closing: true, error: null, aborting: false });
  });

  it('is an error inside a head', () => {
    const { session } = serve();
    feed(session, 'GET / HT');
    session.receiveEnd(0);
    expect(session.error).toContain('ended inside a message');
  });

  it('resets a request whose body is cut off', () => {
    const { session, exchanges } = serve();
    feed(session, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc');
    session.receiveEnd(0);
    expect(exchanges[0]!.got).toMatchObject({ resetReason: 'closed', ended: false });
    expect(session).toMatchObject({ closing: true, openStreams: 0 });
  });

  it('is the client going away while the answer is awaited', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    session.receiveEnd(0);
    expect(exchanges[0]!.got.resetReason).toBe('closed');
    exchanges[0]!.stream.sendHead(response(), true);
    exchanges[0]!.stream.sendTrailers([]);
    exchanges[0]!.stream.reset('cancelled');
    expect(exchanges[0]!.stream.sendData(bytesOf('x'), true)).toBe(true);
    expect(session.hasOutput).toBe(false);
  });

  it('is only the end of requests where half-close is allowed', () => {
    const { session, exchanges } = serve({ allowHalfClose: true });
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    session.receiveEnd(0);
    exchanges[0]!.stream.sendHead(response(), true);
    expect(takeText(session)).toContain('connection: close');
    expect(session).toMatchObject({ closing: true, error: null });
  });

  it('aborts the transport when half an answer was sent', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.0\r\n\r\n');
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.reset('internal');
    expect(session).toMatchObject({
      closing: true,
      aborting: true,
      error: 'stream reset: internal',
    });
    expect(exchanges[0]!.got.resetReason).toBeNull();
  });

  it('tells the stream when the transport is gone', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    session.close();
    expect(exchanges[0]!.got.resetReason).toBe('closed');
    session.close();
    expect(session.closing).toBe(true);
  });

  it.each([
    ['a second head', (s: Exchange['stream']) => s.sendHead(response(), false)],
    ['more than declared', (s: Exchange['stream']) => s.sendData(bytesOf('abcd'), false)],
    ['less than declared', (s: Exchange['stream']) => s.sendData(bytesOf('a'), true)],
    ['trailers instead of the body', (s: Exchange['stream']) => s.sendTrailers([])],
  ])('follows %s, which would make the answer a lie', (_what, act) => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    exchanges[0]!.stream.sendHead(response({ contentLength: 3 }), false);
    act(exchanges[0]!.stream);
    expect(session).toMatchObject({ closing: true, aborting: true });
  });

  it('follows a 101 that nobody asked for', () => {
    const { session, exchanges } = serve();
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    exchanges[0]!.stream.sendHead(response({ status: 101 }), false);
    expect(session).toMatchObject({ closing: true, aborting: false });
  });
});

describe('timeouts of an HTTP/1.1 server session', () => {
  it('ends a connection that stays idle', () => {
    const { session } = serve({ idleTimeoutMs: 1000 }, echoPath);
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 500);
    expect(session.nextTimeoutMs()).toBe(1500);
    session.onTimeout(1499);
    expect(session.closing).toBe(false);
    session.onTimeout(1500);
    expect(session).toMatchObject({ closing: true, error: null });
  });

  it('has none while an exchange is under way, and counts anew once the answer is out', () => {
    const { session, exchanges } = serve({ idleTimeoutMs: 1000 });
    feed(session, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 0);
    expect(session.nextTimeoutMs()).toBeNull();
    exchanges[0]!.stream.sendHead(response(), true);
    session.onTimeout(5000);
    expect(session.closing).toBe(false);
    expect(session.nextTimeoutMs()).toBe(6000);
    session.onTimeout(6000);
    expect(session.closing).toBe(true);
  });

  it('ends a connection on which nothing was ever said', () => {
    const { session } = serve({ idleTimeoutMs: 1000 });
    session.onTimeout(50_000);
    expect(session.closing).toBe(false);
    expect(session.nextTimeoutMs()).toBe(51_000);
    session.onTimeout(51_000);
    expect(session).toMatchObject({ closing: true, hasOutput: false });
  });

  it('answers 408 to a head that dribbles in', () => {
    const { session } = serve({ headTimeoutMs: 100 });
    feed(session, 'GET ', 1000);
    feed(session, '/ HTTP', 1090);
    expect(session.nextTimeoutMs()).toBe(1100);
    session.onTimeout(1100);
    expect(takeText(session)).toMatch(/^HTTP\/1\.1 408 /);
    expect(session.closing).toBe(true);
  });

  it('reads nothing more once a tunnel has ended both ways', () => {
    const session = createH1ServerSession();
    const exchanges = recordRequests(session, ({ stream }) => {
      stream.sendHead(response(), false);
      stream.sendData(bytesOf('ok'), true);
    });
    session.receive(bytesOf('CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\nraw'), 0);
    session.receiveEnd(0);
    session.takeOutput();
    session.receive(bytesOf('more'), 0);
    expect(exchanges.map(({ got }) => [got.body, got.ended])).toEqual([['raw', true]]);
    expect(session).toMatchObject({ closing: true, openStreams: 0, hasOutput: false, error: null });
    expect(session.nextTimeoutMs()).toBeNull();
  });
});
