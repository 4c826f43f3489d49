import { describe, expect, it } from '@jest/globals';
import { createH2ClientSession } from './h2-client.ts';
import type { H2Options } from './h2-options.ts';
import { createH2ServerSession } from './h2-server.ts';
import type { RequestHead, ResponseHead } from './session.ts';
import { Recorder, bytesOf, recordRequests, request, response } from './test-recorder.ts';
import { sendAll, shuttle } from './test-recorder.ts';
import type { Exchange } from './test-recorder.ts';

function pair(
  answer?: (exchange: Exchange) => void,
  server: Partial<H2Options> = {},
  client: Partial<H2Options> = {},
) {
  const s = createH2ServerSession(server);
  const c = createH2ClientSession(client);
  const exchanges = recordRequests(s, answer);
  shuttle(c, s);
  const open = (over: Partial<RequestHead> = {}, end = true) => {
    const got = new Recorder<ResponseHead>();
    return { got, stream: c.open(request(over), end, got) };
  };
  return { s, c, exchanges, open, go: () => shuttle(c, s) };
}

describe('an HTTP/2 client and server session', () => {
  it('carry a request and its response unchanged', () => {
    const { exchanges, open, go, s, c } = pair();
    const fields = ['accept', '*/*', 'x', '1', 'x', '2', 'cookie', 'a=b', 'te', 'trailers'];
    const { got } = open({ path: '/a?b', fields, scheme: 'https', contentLength: 0 });
    go();
    expect(exchanges[0]!.head).toEqual(
      request({ path: '/a?b', fields, scheme: 'https', contentLength: 0 }),
    );
    expect(exchanges[0]!.got.ended).toBe(true);
    exchanges[0]!.stream.sendHead(response({ status: 103, fields: ['link', 'l'] }), false);
    exchanges[0]!.stream.sendHead(
      response({ status: 404, fields: ['set-cookie', 'a', 'set-cookie', 'b'], contentLength: 2 }),
      false,
    );
    exchanges[0]!.stream.sendData(bytesOf('ok'), true);
    go();
    expect(got.heads).toEqual([
      { status: 103, fields: ['link', 'l'], contentLength: null },
      { status: 404, fields: ['set-cookie', 'a', 'set-cookie', 'b'], contentLength: 2 },
    ]);
    expect(got).toMatchObject({ body: 'ok', ended: true, resetReason: null });
    expect([s.openStreams, c.openStreams, s.error, c.error]).toEqual([0, 0, null, null]);
  });

  it('carry bodies and trailers both ways', () => {
    const { exchanges, open, go } = pair();
    const { got, stream } = open({ method: 'POST' }, false);
    stream.sendData(bytesOf('ab'), false);
    stream.sendData(bytesOf(''), false);
    stream.sendTrailers(['t', '1']);
    go();
    expect(exchanges[0]!.got).toMatchObject({ body: 'ab', trailers: ['t', '1'] });
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.sendTrailers(['grpc-status', '0']);
    go();
    expect(got).toMatchObject({ body: '', trailers: ['grpc-status', '0'], ended: true });
  });

  it('move large bodies as fast as they are consumed, and no faster', () => {
    const { exchanges, open, go } = pair(undefined, { streamWindowBytes: 100_000 });
    const { stream } = open({ method: 'POST' }, false);
    stream.sendData(Buffer.alloc(250_000, 'x'), true);
    go();
    const { got, stream: up } = exchanges[0]!;
    expect(got.bodyBytes).toBe(100_000);
    up.consumed(100_000);
    go();
    expect(got.bodyBytes).toBe(200_000);
    up.consumed(100_000);
    go();
    expect(got).toMatchObject({ bodyBytes: 250_000, ended: true });
  });

  it('bound what all streams of a connection hold together', () => {
    const { exchanges, open, go } = pair(undefined, {
      connectionWindowBytes: 200_000,
      connectionLoanBytes: 0,
    });
    for (let i = 0; i < 3; i++) sendAll(open({ method: 'POST' }, false).stream, 'x'.repeat(90_000));
    go();
    const held = () => exchanges.reduce((sum, { got }) => sum + got.bodyBytes, 0);
    expect(held()).toBe(200_000);
    exchanges[0]!.stream.consumed(90_000);
    exchanges[1]!.stream.reset('cancelled');
    go();
    expect(exchanges[2]!.got.ended).toBe(true);
  });

  it('give every stream its turn', () => {
    const { exchanges, open, s, c, go } = pair(
      undefined,
      { initialStreamWindowBytes: 1_048_576 },
      { batchBytes: 100_000 },
    );
    const big = open({ method: 'POST', path: '/big' }, false);
    big.stream.sendData(Buffer.alloc(1_000_000), true);
    c.takeOutput().forEach((chunk) => s.receive(chunk, 0));
    const small = open({ method: 'POST', path: '/small' }, false);
    small.stream.sendData(Buffer.alloc(20_000), true);
    c.takeOutput().forEach((chunk) => s.receive(chunk, 0));
    expect(exchanges[1]!.got.ended).toBe(true);
    expect(exchanges[0]!.got.ended).toBe(false);
    go();
    expect(exchanges[0]!.got.bodyBytes).toBe(1_000_000);
  });

  it('tell a fast writer to wait, and when to go on', () => {
    const { exchanges, open, go } = pair(undefined, { streamWindowBytes: 70_000 });
    const { got, stream } = open({ method: 'POST' }, false);
    expect(stream.sendData(Buffer.alloc(1_000_000), false)).toBe(false);
    go();
    expect(got.drained).toBe(0);
    for (let i = 0; i < 20; i++) {
      exchanges[0]!.stream.consumed(exchanges[0]!.got.bodyBytes - i * 70_000 > 0 ? 70_000 : 0);
      go();
    }
    expect(got.drained).toBe(1);
    expect(stream.queuedBytes).toBe(0);
  });

  it('write small messages into one buffer and do not copy large bodies', () => {
    const { exchanges, open, go, s, c } = pair();
    open();
    open();
    const requests = c.takeOutput();
    expect(requests).toHaveLength(1);
    s.receive(requests[0]!, 0);
    const next = open();
    go();
    const body = Buffer.alloc(60_000);
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.sendData(body, true);
    const output = s.takeOutput();
    expect(output.some((chunk) => chunk.buffer === body.buffer)).toBe(true);
    expect(next.got.heads).toHaveLength(0);
  });

  it('keep heads of any size that the limits allow', () => {
    const { exchanges, open, go } = pair();
    const value = 'v'.repeat(20_000);
    open({ fields: ['a', value, 'b', value] });
    go();
    expect(exchanges[0]!.head.fields).toEqual(['a', value, 'b', value]);
  });

  it('reset streams both ways with their reasons', () => {
    const { exchanges, open, go, s, c } = pair();
    const refused = open();
    const cancelled = open();
    const mine = open({ method: 'POST' }, false);
    go();
    exchanges[0]!.stream.reset('refused');
    exchanges[1]!.stream.reset('cancelled');
    mine.stream.reset('cancelled');
    go();
    expect(refused.got.resetReason).toBe('refused');
    expect(cancelled.got.resetReason).toBe('cancelled');
    expect(mine.got.resetReason).toBeNull();
    expect(exchanges[2]!.got.resetReason).toBe('cancelled');
    expect([s.openStreams, c.openStreams]).toEqual([0, 0]);
    expect(mine.stream.sendData(bytesOf('x'), true)).toBe(true);
    expect(c.hasOutput).toBe(false);
  });

  it.each(['protocol', 'flow-control', 'internal'] as const)('carry the reason %s', (reason) => {
    const { exchanges, open, go } = pair();
    const { got } = open();
    go();
    exchanges[0]!.stream.reset(reason);
    go();
    expect(got.resetReason).toBe(reason);
  });

  it('end a request early, without an error, when the answer is whole', () => {
    const { exchanges, open, go, s, c } = pair();
    const { got, stream } = open({ method: 'POST' }, false);
    go();
    exchanges[0]!.stream.sendHead(response({ status: 413 }), true);
    exchanges[0]!.stream.reset('cancelled');
    go();
    expect(got).toMatchObject({ ended: true, resetReason: null });
    expect(stream.sendData(bytesOf('x'), false)).toBe(true);
    expect([s.openStreams, c.openStreams]).toEqual([0, 0]);
  });

  it('send a whole answer that still waits for windows before they end the request early', () => {
    const { exchanges, open, go } = pair(undefined, {}, { streamWindowBytes: 65_535 });
    const { got, stream } = open({ method: 'POST' }, false);
    go();
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.sendData(Buffer.alloc(100_000), true);
    exchanges[0]!.stream.reset('cancelled');
    go();
    expect(got.ended).toBe(false);
    stream.consumed(65_535);
    go();
    expect(got).toMatchObject({ ended: true, bodyBytes: 100_000, resetReason: null });
  });

  it('obey the limit of concurrent streams', () => {
    const { open, go, c } = pair(undefined, { maxConcurrentStreams: 2 });
    open();
    open();
    expect(c.capacity).toBe(0);
    expect(() => open()).toThrow('capacity');
    go();
    expect(c.capacity).toBe(0);
  });

  it('refuse streams that came before the limit was known', () => {
    const s = createH2ServerSession({ maxConcurrentStreams: 1 });
    const c = createH2ClientSession();
    const exchanges = recordRequests(s);
    const first = new Recorder<ResponseHead>();
    const second = new Recorder<ResponseHead>();
    c.open(request(), true, first);
    c.open(request(), true, second);
    shuttle(c, s);
    expect(exchanges).toHaveLength(1);
    expect(second.resetReason).toBe('refused');
    expect(first.resetReason).toBeNull();
  });

  it('give up a stream whose user breaks the rules', () => {
    const { exchanges, open, go } = pair();
    for (let i = 0; i < 4; i++) open();
    go();
    exchanges[0]!.stream.sendData(bytesOf('x'), false);
    exchanges[1]!.stream.sendHead(response({ status: 101 }), false);
    exchanges[2]!.stream.sendHead(response(), false);
    exchanges[2]!.stream.sendHead(response(), false);
    expect(exchanges.map(({ got }) => got.resetReason)).toEqual([
      'internal',
      'internal',
      'internal',
      null,
    ]);
    const twice = open();
    twice.stream.sendHead(request(), true);
    expect(twice.got.resetReason).toBe('internal');
  });
});

describe('tunnels over HTTP/2', () => {
  it('carry an upgrade as extended CONNECT', () => {
    const { exchanges, open, go } = pair();
    const { got, stream } = open(
      { method: 'POST', upgrade: 'websocket', path: '/chat', fields: ['sec-websocket-key', 'k'] },
      false,
    );
    go();
    expect(exchanges[0]!.head).toMatchObject({
      method: 'POST',
      upgrade: 'websocket',
      path: '/chat',
      fields: ['sec-websocket-key', 'k'],
    });
    exchanges[0]!.stream.sendHead(
      response({ status: 101, fields: ['upgrade', 'websocket', 'sec-websocket-accept', 'a'] }),
      false,
    );
    stream.sendData(bytesOf('ping'), false);
    go();
    expect(got.last).toEqual({
      status: 101,
      fields: ['sec-websocket-accept', 'a'],
      contentLength: null,
    });
    expect(exchanges[0]!.got.body).toBe('ping');
    stream.sendData(bytesOf(''), true);
    exchanges[0]!.stream.sendData(bytesOf('pong'), true);
    go();
    expect(got).toMatchObject({ body: 'pong', ended: true });
    expect(exchanges[0]!.got.ended).toBe(true);
  });

  it('carry CONNECT', () => {
    const { exchanges, open, go } = pair();
    const { got } = open({ method: 'CONNECT', authority: 'db:1', path: '' }, false);
    go();
    expect(exchanges[0]!.head).toMatchObject({
      method: 'CONNECT',
      authority: 'db:1',
      path: '',
      upgrade: null,
    });
    exchanges[0]!.stream.sendHead(response(), false);
    go();
    expect(got.last.status).toBe(200);
  });

  it('pass a refusal on', () => {
    const { exchanges, open, go } = pair();
    const { got } = open({ upgrade: 'websocket' }, false);
    go();
    exchanges[0]!.stream.sendHead(response({ status: 403 }), true);
    go();
    expect(got.last.status).toBe(403);
  });
});

describe('the end of an HTTP/2 connection', () => {
  it('comes in two steps when the server drains, and loses no request', () => {
    const { exchanges, open, go, s, c } = pair();
    open();
    go();
    s.drain();
    const late = open();
    go();
    expect(exchanges).toHaveLength(2);
    expect(late.got.resetReason).toBeNull();
    expect(c).toMatchObject({ reusable: false, capacity: 0, closing: false });
    expect(s.closing).toBe(false);
    exchanges[0]!.stream.sendHead(response(), true);
    exchanges[1]!.stream.sendHead(response(), true);
    go();
    expect(late.got.ended).toBe(true);
    expect([s.closing, c.closing, s.error, c.error]).toEqual([true, true, null, null]);
  });

  it('says whether the server itself goes, or this connection only', () => {
    for (const leaving of [false, true]) {
      const { open, go, s, c } = pair();
      open();
      go();
      s.drain(leaving);
      go();
      expect(c).toMatchObject({ reusable: false, peerLeaves: leaving });
    }
  });

  it('tells the streams above the last one that they were not processed', () => {
    const { open, go, s, c } = pair(undefined, { drainGraceMs: 50 });
    open();
    go();
    s.drain();
    s.takeOutput();
    s.onTimeout(50);
    const late = open();
    const output = s.takeOutput();
    output.forEach((chunk) => c.receive(chunk, 0));
    expect(late.got.resetReason).toBe('refused');
    expect(c.openStreams).toBe(1);
  });

  it('is at once when a drained server is idle', () => {
    const { go, s, c } = pair();
    s.drain();
    s.drain();
    go();
    expect([s.closing, c.closing]).toEqual([true, true]);
  });

  it('waits for requests under way, and what the client does not know it may still send', () => {
    const { exchanges, open, go, s } = pair();
    open();
    go();
    exchanges[0]!.stream.sendHead(response(), true);
    s.drain();
    s.takeOutput();
    s.onTimeout(1000);
    s.onTimeout(2000);
    expect(s.closing).toBe(true);
    s.drain();
    expect(exchanges).toHaveLength(1);
  });

  it('gives up nothing that its user did while the request was handed over', () => {
    const { open, go, s } = pair(({ stream }) => stream.reset('refused'));
    const { got } = open();
    go();
    expect(got.resetReason).toBe('refused');
    expect(s.openStreams).toBe(0);
  });

  it('comes when a drained client has no streams left', () => {
    const { exchanges, open, go, c } = pair();
    open();
    go();
    c.drain();
    c.drain();
    expect(c).toMatchObject({ closing: false, reusable: false });
    exchanges[0]!.stream.sendHead(response(), true);
    go();
    expect(c.closing).toBe(true);
  });

  it('ends open streams on both sides', () => {
    const { exchanges, open, go, s, c } = pair();
    const { got } = open();
    go();
    s.receiveEnd(0);
    c.close();
    c.close();
    expect(got.resetReason).toBe('closed');
    expect(exchanges[0]!.got.resetReason).toBe('closed');
    expect(c).toMatchObject({ closing: true, reusable: false, openStreams: 0 });
  });
});

describe('timeouts of an HTTP/2 session', () => {
  it('ping a silent peer while streams are open, and give up when it does not answer', () => {
    const { open, go, c } = pair(
      undefined,
      {},
      { keepaliveIntervalMs: 100, keepaliveTimeoutMs: 20 },
    );
    expect(c.nextTimeoutMs()).toBeNull();
    const { got } = open();
    go();
    expect(c.nextTimeoutMs()).toBe(100);
    c.onTimeout(99);
    expect(c.hasOutput).toBe(false);
    c.onTimeout(100);
    expect(c.hasOutput).toBe(true);
    go();
    expect(c.nextTimeoutMs()).toBe(100);
    c.onTimeout(100);
    expect(c.nextTimeoutMs()).toBe(120);
    c.onTimeout(120);
    expect(c).toMatchObject({ closing: true, aborting: true });
    expect(got.resetReason).toBe('closed');
    c.onTimeout(500);
    expect(c.nextTimeoutMs()).toBeNull();
  });

  it('drain a connection on which nothing was ever said', () => {
    const session = createH2ServerSession({ idleTimeoutMs: 100 });
    session.onTimeout(5000);
    expect(session.nextTimeoutMs()).toBe(5100);
    session.onTimeout(5100);
    session.onTimeout(6100);
    expect(session).toMatchObject({ closing: true, error: null });
  });

  it('drain an idle connection', () => {
    const { open, go, s, c, exchanges } = pair(undefined, { idleTimeoutMs: 100 });
    open();
    go();
    expect(s.nextTimeoutMs()).toBeGreaterThan(250);
    exchanges[0]!.stream.sendHead(response(), true);
    s.onTimeout(150);
    expect(s.nextTimeoutMs()).toBe(250);
    s.onTimeout(250);
    go();
    expect([s.closing, c.closing]).toEqual([true, true]);
  });
});
