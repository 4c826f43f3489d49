import { describe, expect, it } from '@jest/globals';
import { createH2ClientSession } from './h2-client.ts';
import { FRAME, H2_ERROR } from './h2-frames.ts';
import type { ResponseHead } from './session.ts';
import {
  END,
  GET,
  SETTINGS,
  client,
  codeOf,
  frame,
  headers,
  number,
  setting,
  take,
} from './test-frames.ts';
import { Recorder, request } from './test-recorder.ts';

describe('an HTTP/2 client session', () => {
  const STATUS = [':status', '200'];
  const RESET: readonly (readonly [string, Buffer])[] = [
    ['DATA before the head', frame(FRAME.data, 0, 1, 'x')],
    ['no status', headers(1, END, 'a', 'b')],
    ['a status that is none', headers(1, END, ':status', '2x0')],
    ['101', headers(1, 4, ':status', '101')],
    ['a request', headers(1, END, ...GET)],
    ['status with a request field', headers(1, END, ...STATUS, ':path', '/')],
    ['an interim response that ends', headers(1, END, ':status', '103')],
    [
      'a body that is not as declared',
      Buffer.concat([headers(1, 4, ...STATUS, 'content-length', '5'), frame(0, 1, 1, 'abc')]),
    ],
    ['a declared body that never comes', headers(1, END, ...STATUS, 'content-length', '5')],
    [
      'a head that is too large',
      headers(1, END, ...STATUS, 'x', 'y'.repeat(70_000)).subarray(0, 0),
    ],
    [
      'interim responses without end',
      Buffer.concat(Array.from({ length: 100 }, () => headers(1, 4, ':status', '103'))),
    ],
    [
      'trailers that do not end',
      Buffer.concat([headers(1, 4, ...STATUS), headers(1, 4, 'a', 'b')]),
    ],
  ];

  it.each(RESET.filter(([, bytes]) => bytes.length > 0))(
    'resets a stream for %s',
    (_what, bytes) => {
      const { session, got } = client();
      session.receive(bytes, 0);
      expect(got.resetReason).toBe('protocol');
      expect(codeOf(take(session), FRAME.rstStream)).toBe(H2_ERROR.protocol);
      expect(session).toMatchObject({ closing: false, openStreams: 0 });
    },
  );

  it('resets a stream whose head is larger than it said it would take', () => {
    const { session, got } = client({}, { maxHeaderListBytes: 100 });
    session.receive(headers(1, END, ...STATUS, 'x', 'y'.repeat(100)), 0);
    expect(got.resetReason).toBe('protocol');
  });

  it.each([
    ['HEADERS on a stream that nobody opened', headers(3, END, ...STATUS)],
    ['HEADERS on an even stream', headers(2, END, ...STATUS)],
    ['PUSH_PROMISE', frame(FRAME.pushPromise, 4, 1, '1234')],
    ['ENABLE_PUSH 1', setting(2, 1)],
  ])('ends the connection for %s', (_what, bytes) => {
    const { session, got } = client();
    session.receive(bytes, 0);
    expect(codeOf(take(session), FRAME.goaway)).toBe(H2_ERROR.protocol);
    expect(got.resetReason).toBe('protocol');
    expect(session).toMatchObject({ closing: true, reusable: false, capacity: 0 });
  });

  it.each([
    ['HEAD', { method: 'HEAD' }, ['content-length', '9'], 200],
    ['304', {}, ['content-length', '9'], 304],
    ['204', {}, [], 204],
  ])('takes a response without body to %s', (_what, over, fields, status) => {
    const { session, got } = client(over);
    session.receive(headers(1, END, ':status', String(status), ...fields), 0);
    expect(got).toMatchObject({ ended: true, resetReason: null });
    expect(got.last.contentLength).toBe(fields.length > 0 ? 9 : null);
  });

  it('hears nothing of a reset after a whole response', () => {
    const session = createH2ClientSession();
    const got = new Recorder<ResponseHead>();
    session.open(request({ method: 'POST' }), false, got);
    session.receive(
      Buffer.concat([SETTINGS, headers(1, END, ...STATUS), frame(3, 0, 1, number(0))]),
      0,
    );
    expect(got).toMatchObject({ ended: true, resetReason: null });
    expect(session.openStreams).toBe(0);
  });

  it('ignores what comes late on a stream that ended', () => {
    const { session } = client();
    session.receive(Buffer.concat([headers(1, END, ...STATUS), headers(1, END, 'a', 'b')]), 0);
    expect(session.closing).toBe(false);
  });

  it('obeys the limit of streams that settings lower', () => {
    const { session } = client();
    session.receive(setting(3, 1), 0);
    expect(session).toMatchObject({ capacity: 0, reusable: true });
    session.receive(setting(3, 5), 0);
    expect(session.capacity).toBe(4);
  });

  it('refuses an upgrade that the server does not take, without a word on the wire', () => {
    const { session } = client();
    const got = new Recorder<ResponseHead>();
    session.open(request({ upgrade: 'websocket' }), false, got);
    expect(got.resetReason).toBeNull();
    expect(session.takeOutput()).toEqual([]);
    expect(got.resetReason).toBe('protocol');
    expect(session.openStreams).toBe(1);
  });

  it('goes on with what GOAWAY leaves, and says so of an error', () => {
    const { session, got } = client();
    session.receive(frame(FRAME.goaway, 0, 0, Buffer.from('000000010000000b', 'hex')), 0);
    expect(session).toMatchObject({ closing: false, reusable: false });
    expect(session.error).toContain('code 11');
    session.receive(headers(1, END, ...STATUS), 0);
    expect(got.ended).toBe(true);
    expect(session.closing).toBe(true);
  });
});
