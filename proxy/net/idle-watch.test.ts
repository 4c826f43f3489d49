import { describe, expect, it } from '@jest/globals';
import { Flusher } from './flusher.ts';
import { IdleWatch } from './idle-watch.ts';
import { SocketReader } from './socket-reader.ts';
import { SocketWriter } from './socket-writer.ts';
import { newHandshakes } from './link.ts';
import { createTestClock } from './test-clock.ts';
import { TimerWheel } from './timer-wheel.ts';

function start(timeoutMs: number) {
  const clock = createTestClock(0);
  const io = {
    clock,
    wheel: new TimerWheel(clock),
    flusher: new Flusher((run) => run()),
    reader: new SocketReader(),
    writer: new SocketWriter(),
    handshakes: newHandshakes(),
  };
  const ends: number[] = [];
  const watch = new IdleWatch(io, timeoutMs, () => ends.push(clock.nowMs()));
  return { clock, watch, ends };
}

describe('a watch for silence', () => {
  it('ends what nothing moved on for so long, once', () => {
    const { clock, ends } = start(100);
    clock.pass(99);
    expect(ends).toEqual([]);
    clock.pass(1_000);
    expect(ends).toHaveLength(1);
  });

  it('counts from when something moved last', () => {
    const { clock, watch, ends } = start(100);
    for (let i = 0; i < 10; i += 1) {
      clock.pass(60);
      watch.note();
    }
    expect(ends).toEqual([]);
    clock.pass(104);
    expect(ends).toHaveLength(1);
    expect(ends[0]).toBeGreaterThanOrEqual(700);
  });

  it('ends nothing once it was stopped', () => {
    const { clock, watch, ends } = start(100);
    watch.stop();
    clock.pass(1_000);
    expect(ends).toEqual([]);
  });
});
