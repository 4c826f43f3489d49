import { describe, expect, it } from '@jest/globals';
import { createTestClock } from '../net/test-clock.ts';
import { EventLoopWatch, loopDelayBoundsMs } from './event-loop.ts';

describe('the delay of the event loop', () => {
  it('is how late a timer comes: since the start, and of the last minute', () => {
    const clock = createTestClock();
    let lateMs = 0;
    const late = {
      ...clock,
      nowMs: () => clock.nowMs() + lateMs,
      after: (ms: number, run: () => void) => clock.after(ms, run),
    };
    const watch = new EventLoopWatch(late);
    expect(watch.delay().recent).toBeNull();
    for (const ms of [0, 0, 0, 40]) {
      lateMs += ms;
      clock.pass(250);
    }
    const { counts, sumMs, recent } = watch.delay();
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(4);
    expect(counts[loopDelayBoundsMs.indexOf(50)]).toBe(1);
    expect(sumMs).toBe(40);
    expect(recent).toEqual({ p50Ms: 0, p99Ms: 40, maxMs: 40 });
    for (let i = 0; i < 240; i += 1) clock.pass(250);
    expect(watch.delay().recent).toEqual({ p50Ms: 0, p99Ms: 0, maxMs: 0 });
  });
});
