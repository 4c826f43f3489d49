import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createTestClock, type TestClock } from './test-clock.ts';
import { Deadline, TimerWheel } from './timer-wheel.ts';

/** Not at 0, nor at a whole millisecond. */
function startedClock(): TestClock {
  const clock = createTestClock();
  clock.pass(1_000_000.5);
  return clock;
}

class Probe extends Deadline {
  firedAtMs: number | null = null;
  action: (() => void) | null = null;

  onDeadline(nowMs: number): void {
    this.firedAtMs = nowMs;
    this.action?.();
  }
}

describe('the timer wheel', () => {
  it('meets each deadline, never early and at most some milliseconds late', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 50 }), (delays) => {
        const clock = startedClock();
        const wheel = new TimerWheel(clock);
        const startMs = clock.nowMs();
        const probes = delays.map((delay) => {
          const probe = new Probe();
          wheel.schedule(probe, startMs + delay);
          return { probe, dueMs: startMs + delay };
        });
        clock.pass(30_000);
        for (const { probe, dueMs } of probes) {
          expect(probe.firedAtMs).toBeGreaterThanOrEqual(dueMs);
          expect(probe.firedAtMs).toBeLessThanOrEqual(dueMs + 10);
        }
        expect(clock.waiting()).toEqual([]);
      }),
    );
  });

  it('does not call what was cancelled, be it by another deadline of the same instant', () => {
    const clock = startedClock();
    const wheel = new TimerWheel(clock);
    const [a, b, c] = [new Probe(), new Probe(), new Probe()];
    for (const probe of [a, b, c]) wheel.schedule(probe, clock.nowMs() + 10);
    wheel.cancel(c);
    a.action = () => wheel.cancel(b);
    b.action = () => wheel.cancel(a);
    clock.pass(100);
    expect([a, b].filter((probe) => probe.firedAtMs !== null)).toHaveLength(1);
    expect(c.firedAtMs).toBeNull();
  });

  it('moves a deadline that is set again', () => {
    const clock = startedClock();
    const wheel = new TimerWheel(clock);
    const probe = new Probe();
    wheel.schedule(probe, clock.nowMs() + 10);
    wheel.schedule(probe, clock.nowMs() + 5000);
    clock.pass(4000);
    expect(probe.firedAtMs).toBeNull();
    wheel.schedule(probe, clock.nowMs() + 1);
    clock.pass(20);
    expect(probe.firedAtMs).not.toBeNull();
  });

  it('can be set again from within', () => {
    const clock = startedClock();
    const wheel = new TimerWheel(clock);
    const probe = new Probe();
    let count = 0;
    probe.action = () => {
      count += 1;
      if (count < 5) wheel.schedule(probe, clock.nowMs() + 100);
    };
    wheel.schedule(probe, clock.nowMs() + 100);
    clock.pass(10_000);
    expect(count).toBe(5);
  });

  it('takes a deadline in the past as due at once', () => {
    const clock = startedClock();
    const wheel = new TimerWheel(clock);
    const probe = new Probe();
    wheel.schedule(probe, clock.nowMs() - 1000);
    clock.pass(20);
    expect(probe.firedAtMs).not.toBeNull();
  });

  it('serves thousands with few real timers', () => {
    const clock = startedClock();
    let armed = 0;
    const after: TestClock['after'] = (delayMs, run) => {
      armed += 1;
      return clock.after(delayMs, run);
    };
    const wheel = new TimerWheel({ ...clock, after });
    for (let i = 0; i < 10_000; i += 1) {
      const probe = new Probe();
      wheel.schedule(probe, clock.nowMs() + 15_000);
      wheel.cancel(probe);
    }
    expect(armed).toBeLessThan(10);
  });
});
