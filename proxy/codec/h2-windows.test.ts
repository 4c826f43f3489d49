// Flow control of an HTTP/2 sender against a model of its peer: whatever the peer does with its windows, in whatever order,
// nothing is sent beyond them, and all is sent in the end (RFC 9113 §5.2, §6.9).
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FRAME, H2_ERROR, LARGEST_WINDOW } from './h2-frames.ts';
import { END, GET, codeOf, frame, headers, number, server, setting, take } from './test-frames.ts';
import type { Exchange } from './test-recorder.ts';
import { response } from './test-recorder.ts';

type Step =
  | { do: 'settings'; window: number }
  | { do: 'update'; stream: number; by: number }
  | { do: 'send'; stream: number; bytes: number }
  | { do: 'take' };

const STREAMS = 3;

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('settings' as const),
    window: fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.constantFrom(0, 1, 65_535)),
  }),
  fc.record({
    do: fc.constant('update' as const),
    stream: fc.integer({ min: 0, max: STREAMS }),
    by: fc.integer({ min: 1, max: 50_000 }),
  }),
  fc.record({
    do: fc.constant('send' as const),
    stream: fc.integer({ min: 1, max: STREAMS }),
    bytes: fc.integer({ min: 0, max: 70_000 }),
  }),
  fc.constant({ do: 'take' as const }),
);

/** What a peer allows, and what it got. */
class Peer {
  initial = 65_535;
  connection = 65_535;
  readonly windows = new Map<number, number>();
  readonly got = new Map<number, number>();
  readonly ended = new Set<number>();

  take(sent: { type: number; flags: number; id: number; payload: Buffer }[]): void {
    for (const { type, flags, id, payload } of sent) {
      if (type !== FRAME.data) continue;
      const { length } = payload;
      expect(length).toBeLessThanOrEqual(this.connection);
      // An empty frame with END_STREAM may be sent whatever the window is (§6.9.1).
      if (length > 0) expect(length).toBeLessThanOrEqual(this.windows.get(id)!);
      const from = this.got.get(id)!;
      for (const [i, byte] of payload.entries()) if (byte !== (from + i) % 251) expect(i).toBe(-1);
      this.connection -= length;
      this.windows.set(id, this.windows.get(id)! - length);
      this.got.set(id, from + length);
      if ((flags & 1) === 1) this.ended.add(id);
    }
  }

  settings(window: number): Buffer {
    for (const [id, left] of this.windows) this.windows.set(id, left + window - this.initial);
    this.initial = window;
    return setting(4, window);
  }

  update(id: number, by: number): Buffer {
    if (id === 0) this.connection += by;
    else this.windows.set(id, this.windows.get(id)! + by);
    return frame(FRAME.windowUpdate, 0, id, number(by));
  }
}

/** The body of each stream is the same pattern, so that order shows. */
function patternOf(from: number, bytes: number): Buffer {
  const chunk = Buffer.allocUnsafe(bytes);
  for (let i = 0; i < bytes; i++) chunk[i] = (from + i) % 251;
  return chunk;
}

function start() {
  const { session, exchanges } = server();
  const peer = new Peer();
  for (let i = 0; i < STREAMS; i++) {
    session.receive(headers(2 * i + 1, END, ...GET), 0);
    exchanges[i]!.stream.sendHead(response(), false);
    peer.windows.set(2 * i + 1, peer.initial);
    peer.got.set(2 * i + 1, 0);
  }
  return { session, exchanges, peer, sent: [0, 0, 0] };
}

function run(steps: Step[]): void {
  const { session, exchanges, peer, sent } = start();
  for (const one of steps) {
    if (one.do === 'take') peer.take(take(session));
    else if (one.do === 'send') {
      const at = one.stream - 1;
      exchanges[at]!.stream.sendData(patternOf(sent[at]!, one.bytes), false);
      sent[at]! += one.bytes;
    } else {
      // The peer sees what was sent before it speaks.
      peer.take(take(session));
      const id = one.do === 'update' && one.stream > 0 ? 2 * one.stream - 1 : 0;
      session.receive(one.do === 'update' ? peer.update(id, one.by) : peer.settings(one.window), 0);
    }
  }
  finish(exchanges, (bytes) => session.receive(bytes, 0));
  for (let round = 0; round < 20; round++) peer.take(take(session));
  expect([...peer.got.values()]).toEqual(sent);
  expect(peer.ended.size).toBe(STREAMS);
  expect(session).toMatchObject({ openStreams: 0, closing: false });

  function finish(all: Exchange[], receive: (bytes: Buffer) => void): void {
    for (const { stream } of all) stream.sendData(Buffer.alloc(0), true);
    peer.take(take(session));
    receive(peer.settings(65_535));
    for (let i = -1; i < STREAMS; i++) {
      const id = i < 0 ? 0 : 2 * i + 1;
      if (i < 0 || !peer.ended.has(id)) receive(peer.update(id, 100_000_000));
    }
  }
}

describe('the windows of an HTTP/2 peer', () => {
  it('are kept, and used up, whatever it does with them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => run(steps)),
      { numRuns: 150 },
    );
  });

  it.each([
    ['of a stream', 1, FRAME.rstStream],
    ['of the connection', 0, FRAME.goaway],
  ])('%s may grow to 2^31-1 and no further', (_what, id, answer) => {
    const { session, exchanges } = server();
    session.receive(headers(1, END, ...GET), 0);
    const most = frame(FRAME.windowUpdate, 0, id, number(LARGEST_WINDOW - 65_535));
    session.receive(most, 0);
    expect(codeOf(take(session), answer)).toBeNull();
    session.receive(frame(FRAME.windowUpdate, 0, id, number(1)), 0);
    expect(codeOf(take(session), answer)).toBe(H2_ERROR.flowControl);
    expect(exchanges[0]!.got.resetReason).toBe(id === 0 ? 'protocol' : 'flow-control');
    expect(session.closing).toBe(id === 0);
  });
});
