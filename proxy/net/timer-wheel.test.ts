import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Clock } from './clock.ts';
import { Deadline, TimerWheel } from './timer-wheel.ts';

/** Runs its timers in order while time is moved on. */
class ManualClock implements Clock {
  private now = 1_000_000.5;
  private timers: { dueMs: number; run: () => void }[] = [];
  armed = 0;

  nowMs(): number {
    return this.now;
  }

  wallTimeMs(): number {
    return this.now;
  }

  after(delayMs: number, run: () => void) {
    this.armed += 1;
    const timer = { dueMs: this.now + delayMs, run };
    this.timers.push(timer);
    return { cancel: () => void (this.timers = this.timers.filter((one) => one !== timer)) };
  }

  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = this.timers
        .filter((timer) => timer.dueMs <= until)
        .toSorted((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.now = Math.max(this.now, next.dueMs);
      next.run();
    }
    this.now = until;
  }

  get pending(): number {
    return this.timers.length;
  }
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
        const clock = new ManualClock();
        const wheel = new TimerWheel(clock);
        const startMs = clock.nowMs();
        const probes = delays.map((delay) => {
          const probe = new Probe();
          wheel.schedule(probe, startMs + delay);
          return { probe, dueMs: startMs + delay };
        });
        clock.advance(30_000);
        for (const { probe, dueMs } of probes) {
          expect(probe.firedAtMs).toBeGreaterThanOrEqual(dueMs);
          expect(probe.firedAtMs).toBeLessThanOrEqual(dueMs + 10);
        }
        expect(clock.pending).toBe(0);
      }),
    );
  });

  it('does not call what was cancelled, be it by another deadline of the same instant', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const [a, b, c] = [new Probe(), new Probe(), new Probe()];
    for (const probe of [a, b, c]) wheel.schedule(probe, clock.nowMs() + 10);
    wheel.cancel(c);
    a.action = () => wheel.cancel(b);
    b.action = () => wheel.cancel(a);
    clock.advance(100);
    expect([a, b].filter((probe) => probe.firedAtMs !== null)).toHaveLength(1);
    expect(c.firedAtMs).toBeNull();
  });

  it('moves a deadline that is set again', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const probe = new Probe();
    wheel.schedule(probe, clock.nowMs() + 10);
    wheel.schedule(probe, clock.nowMs() + 5000);
    clock.advance(4000);
    expect(probe.firedAtMs).toBeNull();
    wheel.schedule(probe, clock.nowMs() + 1);
    clock.advance(20);
    expect(probe.firedAtMs).not.toBeNull();
  });

  it('can be set again from within', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const probe = new Probe();
    let count = 0;
    probe.action = () => {
      count += 1;
      if (count < 5) wheel.schedule(probe, clock.nowMs() + 100);
    };
    wheel.schedule(probe, clock.nowMs() + 100);
    clock.advance(10_000);
    expect(count).toBe(5);
  });

  it('takes a deadline in the past as due at once', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const probe = new Probe();
    wheel.schedule(probe, clock.nowMs() - 1000);
    clock.advance(20);
    expect(probe.firedAtMs).not.toBeNull();
  });

  it('serves thousands with few real timers', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    for (let i = 0; i < 10_000; i += 1) {
      const probe = new Probe();
      wheel.schedule(probe, clock.nowMs() + 15_000);
      wheel.cancel(probe);
    }
    expect(clock.armed).toBeLessThan(10);
  });
});
