// What a peer of an HTTP/2 server session may not do, frame by frame, and what it may.
import { describe, expect, it } from '@jest/globals';
import { H2_PREFACE } from './detect.ts';
import { createH2ClientSession } from './h2-client.ts';
import { FLAG, FRAME, H2_ERROR } from './h2-frames.ts';
import { createH2ServerSession } from './h2-server.ts';
import type { ResponseHead } from './session.ts';
import {
  CONNECTION_ERRORS,
  END,
  GET,
  GOOD_GET,
  OPEN_POST,
  POST,
  STREAM_ERRORS,
  block,
  codeOf,
  frame,
  headers,
  number,
  server,
  setting,
  take,
} from './test-frames.ts';
import type { Sent } from './test-frames.ts';
import { Recorder, bytesOf, response } from './test-recorder.ts';

const UPGRADE = [':method', 'CONNECT', ':protocol', 'x', ...GET.slice(2)];

const MALFORMED: readonly (readonly [string, readonly string[]])[] = [
  ['no method', GET.slice(2)],
  ['no scheme', [':method', 'GET', ':path', '/']],
  ['no path', [':method', 'GET', ':scheme', 'http']],
  ['an empty path', [':method', 'GET', ':scheme', 'http', ':path', '']],
  ['a relative path', [':method', 'GET', ':scheme', 'http', ':path', 'a']],
  ['a path with a space', [':method', 'GET', ':scheme', 'http', ':path', '/ HTTP/1.1']],
  ['a path with a fragment', [':method', 'GET', ':scheme', 'http', ':path', '/#a']],
  ['the path * with GET', [':method', 'GET', ':scheme', 'http', ':path', '*']],
  ['a method with a space', [':method', 'GET /x', ...GET.slice(2)]],
  ['an odd scheme', [':method', 'GET', ':scheme', 'ht tp', ':path', '/']],
  ['a field twice', [...GET, ':path', '/']],
  ['a pseudo-header field after a field', ['a', 'b', ...GET]],
  ['a pseudo-header field after the length', ['content-length', '0', ...GET]],
  ['a pseudo-header field after host', ['host', 'a', ...GET]],
  [':status', [...GET, ':status', '200']],
  ['an unknown pseudo-header field', [...GET, ':x', 'y']],
  ['an upper-case name', [...GET, 'X-A', 'b']],
  ['a name with a colon', [...GET, 'x:a', 'b']],
  ['an empty name', [...GET, '', 'b']],
  ['a value with CR LF', [...GET, 'x', 'a\r\nb: c']],
  ['a value with NUL', [...GET, 'x', 'a\0']],
  ['a value that begins with a space', [...GET, 'x', ' a']],
  ['a value that ends with a tab', [...GET, 'x', 'a\t']],
  ['connection', [...GET, 'connection', 'close']],
  ['keep-alive', [...GET, 'keep-alive', 'x']],
  ['proxy-connection', [...GET, 'proxy-connection', 'x']],
  ['transfer-encoding', [...GET, 'transfer-encoding', 'chunked']],
  ['upgrade', [...GET, 'upgrade', 'h2c']],
  ['te that is not trailers', [...GET, 'te', 'gzip']],
  ['a length that is none', [...GET, 'content-length', 'x']],
  ['lengths that differ', [...POST, 'content-length', '1', 'content-length', '2']],
  ['a host that differs', [...GET, 'host', 'b']],
  ['two hosts', [...GET, 'host', 'a', 'host', 'a']],
  ['a host with a path', [...GET, 'host', 'a/b']],
  ['user information', [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'u@a']],
  ['CONNECT with a path', [':method', 'CONNECT', ':path', '/', ':authority', 'a:1']],
  ['CONNECT with a scheme', [':method', 'CONNECT', ':scheme', 'http', ':authority', 'a:1']],
  ['CONNECT without port', [':method', 'CONNECT', ':authority', 'a']],
  [':protocol without CONNECT', [...GET, ':protocol', 'websocket']],
  [
    'extended CONNECT without path',
    [':method', 'CONNECT', ':protocol', 'x', ':scheme', 'http', ':authority', 'a'],
  ],
  [
    'an upgrade by CONNECT, to whose target the path that was judged would say nothing',
    [...UPGRADE, 'x-tsmesh-upgrade-method', 'CONNECT'],
  ],
];

describe('an HTTP/2 server session ends the connection for', () => {
  it.each(CONNECTION_ERRORS)('%s', (_what, bytes, code) => {
    const { session } = server();
    session.receive(Buffer.concat([bytes, GOOD_GET]), 0);
    expect(codeOf(take(session), FRAME.goaway)).toBe(code);
    expect(session).toMatchObject({ closing: true, openStreams: 0 });
    expect(session.error).not.toBeNull();
  });

  it('another preface', () => {
    const session = createH2ServerSession();
    session.receive(bytesOf('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 0);
    expect(session.closing).toBe(true);
  });

  it.each([
    ['a frame before SETTINGS', GOOD_GET],
    ['DATA before SETTINGS', frame(FRAME.data, 0, 1, 'x')],
  ])('%s', (_what, bytes) => {
    const session = createH2ServerSession();
    session.receive(Buffer.concat([H2_PREFACE, bytes]), 0);
    expect(codeOf(take(session), FRAME.goaway)).toBe(H2_ERROR.protocol);
  });

  it('HEADERS on a stream that ended', () => {
    const { session } = server({}, ({ stream }) => stream.sendHead(response(), true));
    session.receive(Buffer.concat([GOOD_GET, GOOD_GET]), 0);
    expect(codeOf(take(session), FRAME.goaway)).toBe(H2_ERROR.streamClosed);
  });

  it('more on the connection than its window holds', () => {
    const { session } = server({ connectionWindowBytes: 65_535, streamWindowBytes: 1 << 20 });
    session.receive(OPEN_POST, 0);
    for (let i = 0; i < 4; i++) session.receive(frame(FRAME.data, 0, 1, Buffer.alloc(16_384)), 0);
    expect(codeOf(take(session), FRAME.goaway)).toBe(H2_ERROR.flowControl);
  });
});

describe('an HTTP/2 server session resets the stream for', () => {
  it.each(STREAM_ERRORS)('%s', (_what, bytes, code) => {
    const { session, exchanges } = server();
    session.receive(Buffer.concat([bytes, headers(7, END, ...GET)]), 0);
    expect(codeOf(take(session), FRAME.rstStream)).toBe(code);
    expect(session.closing).toBe(false);
    expect(exchanges.at(-1)!.stream.id).toBe(7);
  });

  it.each(MALFORMED)('a request with %s', (_what, fields) => {
    const { session, exchanges } = server();
    session.receive(headers(1, END, ...fields), 0);
    expect(codeOf(take(session), FRAME.rstStream)).toBe(H2_ERROR.protocol);
    expect(exchanges).toHaveLength(0);
    expect(session.closing).toBe(false);
  });

  it('more than its window holds', () => {
    const { session, exchanges } = server({ streamWindowBytes: 10 });
    session.receive(Buffer.concat([OPEN_POST, frame(FRAME.data, 0, 1, '01234567890')]), 0);
    expect(codeOf(take(session), FRAME.rstStream)).toBe(H2_ERROR.flowControl);
    expect(exchanges[0]!.got.resetReason).toBe('flow-control');
  });

  it('DATA when it ended long ago', () => {
    const { session, exchanges } = server();
    session.receive(GOOD_GET, 0);
    exchanges[0]!.stream.sendHead(response(), true);
    session.takeOutput();
    session.receive(frame(FRAME.data, 0, 1, 'x'), 0);
    expect(codeOf(take(session), FRAME.rstStream)).toBe(H2_ERROR.streamClosed);
  });
});

describe('an HTTP/2 server session takes', () => {
  it('what was under way to a stream that it reset', () => {
    const { session, exchanges } = server();
    session.receive(OPEN_POST, 0);
    exchanges[0]!.stream.reset('cancelled');
    session.takeOutput();
    const late = [
      frame(FRAME.data, 0, 1, 'x'),
      headers(1, END, 'a', 'b'),
      frame(FRAME.windowUpdate, 0, 1, number(1)),
    ];
    session.receive(Buffer.concat([...late, frame(FRAME.rstStream, 0, 1, number(8))]), 0);
    expect(session).toMatchObject({ closing: false, hasOutput: false });
  });

  it('padding and priority, and credits what padding costs', () => {
    const { session, exchanges } = server({ streamWindowBytes: 64 });
    const padded = Buffer.concat([
      Buffer.from([3, 0, 0, 0, 0, 9]),
      block(...POST),
      Buffer.alloc(3),
    ]);
    const flags = FLAG.endHeaders | FLAG.padded | FLAG.priority;
    const body = frame(
      FRAME.data,
      FLAG.padded,
      1,
      Buffer.concat([Buffer.from([40]), bytesOf('ab'), Buffer.alloc(40)]),
    );
    const empty = frame(FRAME.data, FLAG.padded | FLAG.endStream, 1, Buffer.from([2, 0, 0]));
    session.receive(Buffer.concat([frame(FRAME.headers, flags, 1, padded), body, empty]), 0);
    expect(exchanges[0]!.got).toMatchObject({ body: 'ab', ended: true });
    expect(take(session)[0]!.payload.readUInt32BE(0)).toBe(41);
  });

  it('a header block in pieces', () => {
    const { session, exchanges } = server();
    const whole = block(...GET, 'x', 'y'.repeat(100));
    const pieces = [
      frame(FRAME.headers, FLAG.endStream, 1, whole.subarray(0, 5)),
      frame(FRAME.continuation, 0, 1, whole.subarray(5, 50)),
      frame(FRAME.continuation, FLAG.endHeaders, 1, whole.subarray(50)),
    ];
    session.receive(Buffer.concat(pieces), 0);
    expect(exchanges[0]!.head.fields).toEqual(['x', 'y'.repeat(100)]);
  });

  it('frames, settings and error codes that it does not know', () => {
    const { session, exchanges } = server();
    const odd = [
      frame(99, 255, 5, 'x'),
      setting(99, 1),
      frame(FRAME.goaway, 0, 0, Buffer.from('0000000000000063', 'hex')),
    ];
    session.receive(Buffer.concat([...odd, GOOD_GET, frame(FRAME.rstStream, 0, 1, number(99))]), 0);
    expect(exchanges[0]!.got.resetReason).toBe('internal');
    expect(session).toMatchObject({ closing: false });
    expect(session.error).toContain('code 99');
  });

  it('a cookie in crumbs as one', () => {
    const { session, exchanges } = server();
    session.receive(headers(1, END, ...GET, 'cookie', 'a=1', 'x', 'y', 'cookie', 'b=2'), 0);
    expect(exchanges[0]!.head.fields).toEqual(['cookie', 'a=1; b=2', 'x', 'y']);
  });

  it('Host where there is no :authority', () => {
    const { session, exchanges } = server();
    session.receive(headers(1, END, ...GET.slice(0, 6), 'host', 'h'), 0);
    session.receive(headers(3, END, ...GET.slice(0, 6)), 0);
    expect(exchanges.map(({ head }) => head.authority)).toEqual(['h', '']);
  });

  it('empty trailers as the end', () => {
    const { session, exchanges } = server();
    session.receive(Buffer.concat([OPEN_POST, headers(1, END)]), 0);
    expect(exchanges[0]!.got).toMatchObject({ ended: true, trailers: null });
  });

  it('PING, and answers with its payload', () => {
    const { session } = server();
    session.receive(frame(FRAME.ping, 0, 0, '87654321'), 0);
    const [pong] = take(session);
    expect(pong).toMatchObject({ type: FRAME.ping, flags: FLAG.ack });
    expect(pong!.payload.toString()).toBe('87654321');
  });

  it('smaller windows and frames, also while bodies wait', () => {
    const { session, exchanges } = server();
    session.receive(Buffer.concat([setting(4, 10), GOOD_GET]), 0);
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.sendData(bytesOf('0123456789abcdef'), false);
    exchanges[0]!.stream.sendTrailers(['t', '1']);
    expect(take(session).at(-1)!.payload.toString()).toBe('0123456789');
    session.receive(setting(4, 2), 0);
    session.receive(frame(FRAME.windowUpdate, 0, 1, number(8)), 0);
    expect(take(session).filter(({ type }) => type === FRAME.data)).toHaveLength(0);
    session.receive(frame(FRAME.windowUpdate, 0, 1, number(100)), 0);
    expect(take(session).map(({ type, flags }) => [type, flags])).toEqual([
      [FRAME.data, 0],
      [FRAME.headers, END],
    ]);
  });

  it('a connection window that opens again', () => {
    const { session, exchanges } = server();
    session.receive(Buffer.concat([setting(4, 1 << 20), GOOD_GET]), 0);
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.sendData(Buffer.alloc(65_536), true);
    const sum = (frames: Sent[]) =>
      frames.reduce((all, { payload, type }) => all + (type === 0 ? payload.length : 0), 0);
    expect(sum(take(session))).toBe(65_535);
    expect(session.hasOutput).toBe(false);
    session.receive(frame(FRAME.windowUpdate, 0, 0, number(5)), 0);
    expect(take(session)).toMatchObject([{ type: FRAME.data, flags: FLAG.endStream }]);
  });

  it('never-indexed fields, and says so to whoever sends them on', () => {
    const { session, exchanges } = server();
    session.receive(headers(1, END, ...GET, 'x-secret', 'v'), 0);
    expect(exchanges[0]!.head.neverIndexed).toEqual(['x-secret']);
    const next = createH2ClientSession();
    next.open(exchanges[0]!.head, true, new Recorder<ResponseHead>());
    const bytes = Buffer.concat(next.takeOutput()).toString('latin1');
    expect(bytes).toContain('\x10\x08x-secret\x01v');
  });
});
