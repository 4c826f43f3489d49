// HTTP/2 sessions under floods, random frames and input split anywhere.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { H2_PREFACE } from './detect.ts';
import { FLAG, FRAME, H2_ERROR } from './h2-frames.ts';
import { createH2ServerSession } from './h2-server.ts';
import {
  CONNECTION_ERRORS,
  END,
  GET,
  GOOD_GET,
  OPEN_POST,
  POST,
  SETTINGS,
  STREAM_ERRORS,
  block,
  codeOf,
  frame,
  headers,
  number,
  server,
  take,
} from './test-frames.ts';
import { bytesOf, recordRequests, response } from './test-recorder.ts';

describe('an HTTP/2 server session survives', () => {
  const many = (count: number, make: (i: number) => Buffer): Buffer =>
    Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
  const continued = (count: number, payload: string): Buffer =>
    Buffer.concat([
      headers(1, 0, ...GET),
      many(count, () => frame(FRAME.continuation, 0, 1, payload)),
    ]);

  it.each([
    [
      'rapid reset',
      many(3000, (i) =>
        Buffer.concat([headers(2 * i + 1, 4, ...POST), frame(3, 0, 2 * i + 1, number(8))]),
      ),
    ],
    ['PING', many(6000, () => frame(FRAME.ping, 0, 0, '12345678'))],
    ['SETTINGS', many(6000, () => SETTINGS)],
    ['empty DATA', Buffer.concat([OPEN_POST, many(3000, () => frame(FRAME.data, 0, 1))])],
    ['empty CONTINUATION', continued(2000, '')],
    ['small CONTINUATION', continued(2000, 'x')],
    ['large CONTINUATION', continued(20, 'x'.repeat(16_000))],
    ['PRIORITY', many(6000, () => frame(FRAME.priority, 0, 1, '\0\0\0\0\x01'))],
    ['WINDOW_UPDATE', many(6000, () => frame(FRAME.windowUpdate, 0, 0, number(1)))],
    ['unknown frames', many(6000, () => frame(77, 0, 0))],
    ['malformed requests', many(3000, (i) => headers(2 * i + 1, END, 'a', 'b'))],
    [
      'requests with heads that are too large',
      many(2000, (i) => headers(2 * i + 1, END, ...GET, 'x', 'y'.repeat(400))),
    ],
    [
      'DATA on closed streams',
      Buffer.concat([GOOD_GET, frame(3, 0, 1, number(8)), many(3000, () => frame(0, 0, 1, 'x'))]),
    ],
  ])('a flood: %s', (_what, bytes) => {
    const { session } = server({ maxHeaderListBytes: 400 });
    session.receive(bytes, 0);
    expect(codeOf(take(session), FRAME.goaway)).toBe(H2_ERROR.enhanceYourCalm);
    expect(session).toMatchObject({ closing: true, openStreams: 0 });
  });

  it('an HPACK bomb: references to one large entry count as what they stand for', () => {
    const { session, exchanges } = server();
    const plant = Buffer.concat([
      block(...GET),
      bytesOf('@\x01a\x7f\xa1\x1e'),
      Buffer.alloc(4000, 'v'),
    ]);
    session.receive(frame(FRAME.headers, END, 1, plant), 0);
    expect(exchanges).toHaveLength(1);
    const bomb = Buffer.concat([block(...GET), Buffer.alloc(10_000, 0xbe)]);
    session.receive(frame(FRAME.headers, END, 3, bomb), 0);
    expect(exchanges).toHaveLength(1);
    expect(take(session).at(-1)).toMatchObject({ type: FRAME.headers, id: 3, flags: END });
  });

  it('a peer that sends and does not read', () => {
    const { session } = server();
    let now = 0;
    for (; now < 3_000_000 && !session.closing; now += 1000) {
      session.receive(
        many(150, () => frame(FRAME.ping, 0, 0, '12345678')),
        now,
      );
    }
    expect(session.error).toContain('does not read');
  });

  it('as a proxy trusted by its peer, an app whose requests all time out', () => {
    const run = (floodFactor: number): boolean => {
      const { session } = server({ floodFactor });
      for (let i = 0; i < 20_000 && !session.closing; i++) {
        session.receive(headers(2 * i + 1, FLAG.endHeaders, ...POST), i);
        session.receive(frame(FRAME.rstStream, 0, 2 * i + 1, '\0\0\0\x08'), i);
        session.takeOutput();
      }
      return session.closing;
    };
    expect([run(1), run(100)]).toEqual([true, false]);
  });

  it('honest traffic of any amount', () => {
    const { session } = server({}, ({ stream }) => stream.sendHead(response(), true));
    for (let i = 0; i < 5000; i++) {
      session.receive(headers(2 * i + 1, END, ...GET), 0);
      if (i % 10 === 0) session.receive(frame(FRAME.windowUpdate, 0, 0, number(1)), 0);
      session.takeOutput();
    }
    expect(session).toMatchObject({ closing: false, openStreams: 0 });
  });
});

describe('splitting the input of an HTTP/2 session changes nothing', () => {
  const inputs = [...CONNECTION_ERRORS, ...STREAM_ERRORS].map(([, bytes]) => bytes);
  const small = inputs.filter((bytes) => bytes.length < 300);

  function outcome(bytes: Buffer, size: number): string {
    const session = createH2ServerSession();
    const exchanges = recordRequests(session);
    const input = Buffer.concat([H2_PREFACE, SETTINGS, bytes, headers(9, END, ...GET)]);
    for (let at = 0; at < input.length; at += size)
      session.receive(input.subarray(at, at + size), 0);
    const seen = exchanges.map(({ head, got }) => [
      head,
      got.resetReason === null ? got.body : '',
      got.ended,
      got.trailers,
      got.resetReason,
    ]);
    const output = Buffer.concat(session.takeOutput()).toString('hex');
    return JSON.stringify([seen, output, session.error, session.closing]);
  }

  it.each([1, 2, 3, 7, 11])('in pieces of %i', (size) => {
    expect(small.filter((bytes) => outcome(bytes, size) !== outcome(bytes, 1e6))).toEqual([]);
  });

  it('and no bytes make it throw or lose count of streams', () => {
    const type = fc.integer({ min: 0, max: 10 });
    const random = fc
      .tuple(type, fc.nat(255), fc.constantFrom(0, 1, 1, 3, 5, 2), fc.uint8Array({ maxLength: 20 }))
      .map(([kind, flags, id, payload]) => frame(kind, flags, id, Buffer.from(payload)));
    const good = fc.constantFrom(
      OPEN_POST,
      GOOD_GET,
      headers(3, 4, ...POST),
      frame(0, 0, 1, 'abc'),
      frame(0, 1, 3, 'abc'),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(random, good), { maxLength: 25 }), (frames) => {
        const { session, exchanges } = server();
        for (const one of frames) session.receive(one, 0);
        session.takeOutput();
        session.close();
        expect(session.openStreams).toBe(0);
        const open = exchanges.filter(({ got }) => !got.ended && got.resetReason === null);
        expect(open).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});
