// What an HTTP/2 session does when a peer is slow, silent or says that it takes little: deadlines, and bounds that the
// peer sets.
import { describe, expect, it } from '@jest/globals';
import { createH2ClientSession } from './h2-client.ts';
import { FLAG, FRAME, H2_ERROR } from './h2-frames.ts';
import { createH2ServerSession } from './h2-server.ts';
import type { ResponseHead } from './session.ts';
import {
  END,
  GET,
  GOOD_GET,
  OPEN_POST,
  POST,
  SETTINGS,
  block,
  client,
  codeOf,
  frame,
  headers,
  number,
  server,
  setting,
  take,
} from './test-frames.ts';
import { H2_PREFACE } from './detect.ts';
import { Recorder, bytesOf, recordRequests, request, response } from './test-recorder.ts';

const ACK = frame(FRAME.settings, FLAG.ack, 0);
const LARGE = ['x', 'y'.repeat(500)];

describe('SETTINGS that the peer does not acknowledge', () => {
  it.each(['server', 'client'])('end the connection of a %s in time', (side) => {
    const options = { settingsTimeoutMs: 100 };
    const session =
      side === 'server' ? createH2ServerSession(options) : createH2ClientSession(options);
    session.takeOutput();
    expect(session.nextTimeoutMs()).toBe(0);
    session.onTimeout(1000);
    session.receive(side === 'server' ? Buffer.concat([H2_PREFACE, SETTINGS]) : SETTINGS, 1050);
    expect(session.nextTimeoutMs()).toBe(1100);
    session.onTimeout(1099);
    expect(session.closing).toBe(false);
    session.onTimeout(1100);
    expect(codeOf(take(session), FRAME.goaway)).toBe(H2_ERROR.settingsTimeout);
    expect(session.closing).toBe(true);
  });

  it('and are asked for no more once they are', () => {
    const { session } = server();
    session.receive(ACK, 10);
    expect(session.nextTimeoutMs()).toBeNull();
  });
});

describe('what the peer does not finish', () => {
  const silent = { headTimeoutMs: 100, settingsTimeoutMs: 1_000_000 };
  it.each([
    ['a header block', headers(1, 0, ...GET)],
    ['a frame', GOOD_GET.subarray(0, 20)],
    ['the head of a frame', GOOD_GET.subarray(0, 3)],
  ])('ends the connection: %s', (_what, bytes) => {
    const { session } = server(silent);
    session.receive(bytes, 50);
    expect(session.nextTimeoutMs()).toBe(150);
    // More of it is no reason to wait longer.
    if (bytes.length > 50) session.receive(frame(FRAME.continuation, 0, 1, 'x'), 149);
    session.onTimeout(150);
    expect(codeOf(take(session), FRAME.goaway)).toBe(H2_ERROR.enhanceYourCalm);
    expect(session.error).toContain('not finished in time');
  });

  it('may be another piece after each read, for ever', () => {
    const { session } = server(silent);
    const bytes = Buffer.concat([frame(FRAME.ping, 0, 0, '12345678')]);
    for (let now = 0; now < 1000; now += 20) {
      session.receive(bytes.subarray(now === 0 ? 0 : 5), now);
      session.receive(bytes.subarray(0, 5), now);
      session.onTimeout(now);
    }
    expect(session.closing).toBe(false);
  });

  it('may be DATA: bodies are as slow as they are', () => {
    const { session } = server(silent);
    session.receive(Buffer.concat([OPEN_POST, frame(0, 0, 1, 'abcdef').subarray(0, 12)]), 0);
    session.onTimeout(200);
    expect(session).toMatchObject({ closing: false, openStreams: 1 });
  });
});

describe('a stream whose bytes do not move', () => {
  const slow = { stallTimeoutMs: 400, settingsTimeoutMs: 1_000_000 };
  const body = Buffer.alloc(100_000);

  /** Turns the clock on to `untilMs` in the steps that the session asks for. */
  function pass(session: ReturnType<typeof server>['session'], fromMs: number, untilMs: number) {
    for (let now = fromMs; now <= untilMs; now += 50) {
      const next = session.nextTimeoutMs();
      if (next !== null && next <= now) session.onTimeout(now);
      session.takeOutput();
    }
  }

  it('is given up, and others go on', () => {
    const { session, exchanges } = server(slow);
    session.receive(
      Buffer.concat([
        frame(FRAME.windowUpdate, 0, 0, number(10_000_000)),
        headers(1, END, ...GET),
        headers(3, END, ...GET),
      ]),
      0,
    );
    for (const { stream } of exchanges) {
      stream.sendHead(response(), false);
      stream.sendData(body, true);
    }
    for (let now = 0; now <= 600; now += 100) {
      session.receive(frame(FRAME.windowUpdate, 0, 3, number(1000)), now);
      pass(session, now, now + 99);
    }
    expect(exchanges.map(({ got }) => got.resetReason)).toEqual(['timeout', null]);
    expect(session).toMatchObject({ openStreams: 1, closing: false });
  });

  it('is given up when the window of the connection is what holds it', () => {
    const { session, exchanges } = server(slow);
    session.receive(Buffer.concat([setting(4, 1_000_000), GOOD_GET]), 0);
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.sendData(body, true);
    pass(session, 0, 600);
    expect(exchanges[0]!.got.resetReason).toBe('timeout');
    expect(exchanges[0]!.stream.queuedBytes).toBe(0);
  });

  it('costs the connection where nothing at all is read', () => {
    const { session, exchanges } = server(slow);
    session.receive(GOOD_GET, 0);
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.sendData(body, true);
    for (let now = 0; now <= 600; now += 50) {
      const next = session.nextTimeoutMs();
      if (next !== null && next <= now) session.onTimeout(now);
    }
    expect(session).toMatchObject({ closing: true, aborting: true, openStreams: 0 });
    expect(session.error).toContain('does not read');
    expect(exchanges[0]!.got.resetReason).toBe('timeout');
  });

  it('keeps others from being opened when too much waits', () => {
    const { session, exchanges } = server({ maxQueuedBytes: 50_000 });
    session.receive(Buffer.concat([setting(4, 0), GOOD_GET]), 0);
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.sendData(body, true);
    session.takeOutput();
    session.receive(headers(3, END, ...GET), 0);
    expect(codeOf(take(session), FRAME.rstStream)).toBe(H2_ERROR.refusedStream);
    session.receive(Buffer.concat([frame(3, 0, 1, number(8)), headers(5, END, ...GET)]), 0);
    expect(exchanges).toHaveLength(2);
  });

  it('counts against what may wait on the connection, so that many do not hold much together', () => {
    const { session, exchanges } = server({ connectionHighWaterBytes: 25_000 });
    session.receive(setting(4, 0), 0);
    for (let i = 0; i < 4; i++) session.receive(headers(2 * i + 1, END, ...GET), 0);
    const room = exchanges.map(({ stream }) => {
      stream.sendHead(response(), false);
      return stream.sendData(Buffer.alloc(10_000), false);
    });
    expect(room).toEqual([true, true, false, false]);
    session.receive(frame(FRAME.windowUpdate, 0, 7, number(10_000)), 0);
    session.takeOutput();
    expect(exchanges.map(({ got }) => got.drained)).toEqual([0, 0, 0, 1]);
  });

  it('leaves the others all of the window that it does not hold', () => {
    const { session, exchanges } = server({ connectionWindowBytes: 100_000 });
    session.receive(Buffer.concat([OPEN_POST, headers(3, FLAG.endHeaders, ...POST)]), 0);
    const send = (id: number, bytes: number) => {
      session.receive(frame(0, 0, id, Buffer.alloc(bytes)), 0);
      return take(session).filter(({ type, id: of }) => type === FRAME.windowUpdate && of === 0);
    };
    expect(send(1, 16_000)).toEqual([]);
    for (let i = 0; i < 2; i++) {
      expect(send(3, 16_000)).toEqual([]);
      exchanges[1]!.stream.consumed(16_000);
    }
    // 32 000 are owed; then 42 000 are left of the window, then 30 000.
    expect(send(1, 10_000)).toEqual([]);
    const [update] = send(1, 12_000);
    expect(update?.payload.readUInt32BE(0)).toBe(32_000);
    exchanges[0]!.stream.reset('cancelled');
    expect(session.closing).toBe(false);
  });

  it('gives back what it received whole and nobody wanted', () => {
    const { session, stream } = client({}, { connectionWindowBytes: 100_000 });
    const head = headers(1, FLAG.endHeaders, ':status', '200');
    const body = Array.from({ length: 8 }, (_, i) =>
      frame(0, i < 7 ? 0 : 1, 1, Buffer.alloc(10_000)),
    );
    session.receive(Buffer.concat([head, ...body]), 0);
    expect(session).toMatchObject({ openStreams: 0, capacity: 0 });
    stream.reset('cancelled');
    stream.reset('cancelled');
    stream.consumed(80_000);
    expect(session.capacity).toBeGreaterThan(0);
    const updates = take(session).filter(({ type }) => type === FRAME.windowUpdate);
    expect(updates.map(({ id, payload }) => [id, payload.readUInt32BE(0)])).toEqual([[0, 80_000]]);
  });

  it('has a small window; one that moves has a larger one', () => {
    const { session, exchanges } = server();
    session.receive(Buffer.concat([OPEN_POST, headers(3, FLAG.endHeaders, ...POST)]), 0);
    const granted = [131_072, 131_072];
    const send = (at: number): void => {
      session.receive(frame(0, 0, 2 * at + 1, Buffer.alloc(16_000)), 0);
      if (at === 0) exchanges[0]!.stream.consumed(16_000);
      for (const { type, id, payload } of take(session))
        if (type === FRAME.windowUpdate && id === 2 * at + 1)
          granted[at]! += payload.readUInt32BE(0);
    };
    for (let i = 0; i < 8; i++) send(1);
    for (let i = 0; i < 200; i++) send(0);
    expect(granted[1]).toBe(131_072);
    expect(granted[0]! - 200 * 16_000).toBeGreaterThan(400_000);
    expect(granted[0]! - 200 * 16_000).toBeLessThanOrEqual(1_048_576);
  });

  it('has the others lent what it holds, up to a bound, and then paid back', () => {
    const options = { connectionWindowBytes: 80_000, connectionLoanBytes: 30_000 };
    const { session, exchanges } = server(options);
    session.receive(OPEN_POST, 0);
    let granted = 80_000;
    const send = (bytes: number) => {
      session.receive(frame(0, 0, 1, Buffer.alloc(bytes)), 0);
      for (const { type, id, payload } of take(session))
        if (type === FRAME.windowUpdate && id === 0) granted += payload.readUInt32BE(0);
    };
    for (let i = 0; i < 7; i++) send(10_000);
    expect(granted).toBe(80_000);
    send(5_000);
    expect(granted).toBe(100_000);
    for (let i = 0; i < 3; i++) send(10_000);
    expect(granted).toBe(110_000);
    send(5_000);
    expect(granted).toBe(110_000);
    exchanges[0]!.stream.consumed(29_000);
    expect(take(session).filter(({ id }) => id === 0)).toEqual([]);
    exchanges[0]!.stream.consumed(11_000);
    const paid = take(session).filter(({ type, id }) => type === FRAME.windowUpdate && id === 0);
    expect(paid.map(({ payload }) => payload.readUInt32BE(0))).toEqual([10_000]);
  });

  it('makes a client look for another connection before it holds up the others', () => {
    const { session, got, stream } = client({}, { connectionWindowBytes: 100_000 });
    session.receive(headers(1, FLAG.endHeaders, ':status', '200'), 0);
    for (let i = 0; i < 8; i++) session.receive(frame(0, 0, 1, Buffer.alloc(10_000)), 0);
    expect(got.bodyBytes).toBe(80_000);
    expect(session).toMatchObject({ capacity: 0, reusable: true });
    stream.consumed(10_000);
    expect(session.capacity).toBeGreaterThan(0);
  });
});

describe('the largest header list that the peer takes', () => {
  it('keeps a request from being sent, and nothing else', () => {
    const { session } = client();
    session.receive(setting(6, 300), 0);
    session.takeOutput();
    const got = new Recorder<ResponseHead>();
    session.open(request({ fields: LARGE }), true, got);
    expect(got.resetReason).toBeNull();
    expect(session.takeOutput()).toEqual([]);
    expect(got.resetReason).toBe('too-large');
    session.open(request(), true, new Recorder<ResponseHead>());
    expect(take(session)).toMatchObject([{ type: FRAME.headers, id: 3 }]);
    expect(session.closing).toBe(false);
  });

  it('keeps an answer from being sent, so that a smaller one can be', () => {
    const { session, exchanges } = server();
    session.receive(Buffer.concat([setting(6, 300), GOOD_GET]), 0);
    session.takeOutput();
    const { stream, got } = exchanges[0]!;
    expect(stream.sendHead(response({ status: 103, fields: LARGE }), false)).toBe(true);
    expect(stream.sendHead(response({ fields: LARGE }), true)).toBe(false);
    expect(session.takeOutput()).toEqual([]);
    expect(stream.sendHead(response({ status: 502 }), true)).toBe(true);
    expect(take(session)).toMatchObject([{ type: FRAME.headers, id: 1, flags: END }]);
    expect(got.resetReason).toBeNull();
  });

  it('costs a stream whose trailers are larger', () => {
    const { session, exchanges } = server();
    session.receive(Buffer.concat([setting(6, 300), GOOD_GET]), 0);
    exchanges[0]!.stream.sendHead(response(), false);
    exchanges[0]!.stream.sendTrailers(LARGE);
    expect(codeOf(take(session), FRAME.rstStream)).toBe(H2_ERROR.internal);
    expect(exchanges[0]!.got.resetReason).toBe('internal');
    expect(session.closing).toBe(false);
  });

  it('is this side’s own for requests: they are answered 431, and the connection goes on', () => {
    const { session, exchanges } = server({ maxHeaderListBytes: 300 });
    session.receive(
      Buffer.concat([
        headers(1, END, ...GET, ...LARGE),
        headers(3, FLAG.endHeaders, ...POST, ...LARGE),
        headers(5, END, ...GET),
      ]),
      0,
    );
    const sent = take(session).filter(({ type }) => type !== FRAME.settings);
    const status431 = block(':status', '431');
    expect(sent.map(({ type, id, flags }) => [type, id, flags])).toEqual([
      [FRAME.headers, 1, END],
      [FRAME.headers, 3, END],
      [FRAME.rstStream, 3, 0],
    ]);
    expect(sent[0]!.payload.length).toBeLessThanOrEqual(status431.length);
    expect(exchanges).toHaveLength(1);
  });
});

describe('trailers', () => {
  it('that are never to be indexed are passed on and sent so', () => {
    const { session, exchanges } = server();
    const trailers = headers(1, END, 'secret', 'abc', 'x', 'y');
    session.receive(Buffer.concat([OPEN_POST, trailers]), 0);
    const { got, stream } = exchanges[0]!;
    expect(got.trailers).toEqual(['secret', 'abc', 'x', 'y']);
    expect(got.trailersNever).toEqual(['secret', 'x']);
    session.takeOutput();
    stream.sendHead(response(), false);
    stream.sendTrailers(['secret', 'abc', 'x', 'y'], ['secret']);
    const last = take(session).at(-1)!.payload;
    // RFC 7541 §6.2.3: never indexed, a new name.
    expect(last.subarray(0, 8)).toEqual(bytesOf('\x10\x06secret'));
    expect(last.indexOf(bytesOf('\x40\x01x'))).toBeGreaterThan(0);
  });
});

describe('an extended CONNECT', () => {
  const upgrade = request({ upgrade: 'websocket', path: '/chat' });

  it('waits until the server has said that it takes it', () => {
    const session = createH2ClientSession();
    const got = new Recorder<ResponseHead>();
    session.takeOutput();
    const stream = session.open(upgrade, false, got);
    session.open(request(), true, new Recorder<ResponseHead>());
    expect(take(session)).toMatchObject([{ type: FRAME.headers, id: 1 }]);
    session.receive(setting(8, 1), 0);
    const sent = take(session).filter(({ type }) => type === FRAME.headers);
    expect(sent).toMatchObject([{ id: 3, flags: FLAG.endHeaders }]);
    expect(stream.id).toBe(3);
    session.receive(headers(3, FLAG.endHeaders, ':status', '200'), 0);
    expect(got.last.status).toBe(101);
  });

  it('is refused when the server says nothing of it', () => {
    const session = createH2ClientSession();
    const got = new Recorder<ResponseHead>();
    session.open(upgrade, false, got);
    session.takeOutput();
    session.receive(SETTINGS, 0);
    expect(take(session).filter(({ type }) => type === FRAME.headers)).toEqual([]);
    expect(got.resetReason).toBe('protocol');
    expect(session.openStreams).toBe(0);
  });

  it.each(['reset', 'goaway', 'close'])('may end before it was sent: %s', (how) => {
    const session = createH2ClientSession();
    const got = new Recorder<ResponseHead>();
    const stream = session.open(upgrade, false, got);
    session.takeOutput();
    if (how === 'reset') stream.reset('cancelled');
    if (how === 'goaway') {
      const goaway = frame(FRAME.goaway, 0, 0, Buffer.alloc(8));
      session.receive(Buffer.concat([SETTINGS, goaway]), 0);
    }
    if (how === 'close') session.close();
    session.receive(setting(8, 1), 0);
    const wire = take(session).map(({ type }) => type);
    expect(wire).not.toContain(FRAME.headers);
    expect(wire).not.toContain(FRAME.rstStream);
    expect(session.openStreams).toBe(0);
    const reason = { reset: null, goaway: 'protocol', close: 'closed' }[how];
    expect(got.resetReason).toBe(reason);
  });
});

describe('a server session', () => {
  it('takes no more GOAWAY, acknowledgements of PING and of SETTINGS than somebody could mean', () => {
    const floods = [
      frame(FRAME.goaway, 0, 0, Buffer.alloc(8)),
      frame(FRAME.ping, FLAG.ack, 0, '12345678'),
      ACK,
    ];
    for (const one of floods) {
      const session = createH2ServerSession();
      recordRequests(session);
      const many = Array.from({ length: 6000 }, () => one);
      session.receive(Buffer.concat([H2_PREFACE, SETTINGS, GOOD_GET, ...many]), 0);
      expect(codeOf(take(session), FRAME.goaway)).toBe(H2_ERROR.enhanceYourCalm);
    }
  });
});
