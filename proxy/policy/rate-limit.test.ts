// The buckets against a naive model, and against somebody who offers more values than there are buckets.

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RateLimiter, shareOf, type Rate } from './rate-limit.ts';

/** Tokens and the time of their last change, for everybody apart, without a bound. */
class Naive {
  private readonly rate: Rate;
  private readonly buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(rate: Rate) {
    this.rate = rate;
  }

  tokens(key: string, nowMs: number): number {
    const { perSecond, burst } = this.rate;
    const held = this.buckets.get(key);
    if (held === undefined) return burst;
    return Math.min(burst, held.tokens + ((nowMs - held.atMs) * perSecond) / 1000);
  }

  take(key: string, nowMs: number): void {
    this.buckets.set(key, { tokens: this.tokens(key, nowMs) - 1, atMs: nowMs });
  }
}

function ask(limiter: RateLimiter, key: string, nowMs: number): boolean {
  if (limiter.waitMs(key, nowMs) > 0) return false;
  limiter.take(key, nowMs);
  return true;
}

function askTimes(limiter: RateLimiter, key: string, count: number, nowMs = 0): number {
  let passed = 0;
  for (let i = 0; i < count; i += 1) if (ask(limiter, key, nowMs)) passed += 1;
  return passed;
}

const rates = fc.record({
  perSecond: fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.constantFrom(1 / 60, 1 / 3, 2.5)),
  burst: fc.integer({ min: 1, max: 20 }),
});
const steps = fc.array(
  fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), pauseMs: fc.nat({ max: 2_000 }) }),
  { maxLength: 200 },
);

describe('a token bucket', () => {
  it('lets through what a naive one does, whenever it is asked', () => {
    fc.assert(
      fc.property(rates, steps, (rate, asked) => {
        const limiter = new RateLimiter(rate, 5);
        const naive = new Naive(rate);
        let nowMs = 0;
        for (const { key, pauseMs } of asked) {
          nowMs += pauseMs;
          const tokens = naive.tokens(key, nowMs);
          // Where a token has just come, rounding decides.
          const unsure = Math.abs(tokens - 1) < 1e-6;
          const passed = limiter.waitMs(key, nowMs) === 0;
          if (!unsure) expect(passed).toBe(tokens >= 1);
          if (!passed) continue;
          limiter.take(key, nowMs);
          naive.take(key, nowMs);
        }
      }),
    );
  });

  it('says when to come again, and then has a token', () => {
    fc.assert(
      fc.property(rates, fc.nat({ max: 100_000 }), (rate, startMs) => {
        const limiter = new RateLimiter(rate, 5);
        expect(askTimes(limiter, 'a', rate.burst + 10, startMs)).toBe(rate.burst);
        const waitMs = limiter.waitMs('a', startMs);
        expect(waitMs).toBeGreaterThan(0);
        expect(limiter.waitMs('a', startMs + waitMs * 0.99)).toBeGreaterThan(0);
        expect(limiter.waitMs('a', startMs + waitMs + 1e-6)).toBe(0);
      }),
    );
  });

  it('never holds more than its burst, however long nobody came', () => {
    const limiter = new RateLimiter({ perSecond: 100, burst: 3 }, 5);
    expect(askTimes(limiter, 'a', 10, 0)).toBe(3);
    expect(askTimes(limiter, 'a', 10, 3_600_000)).toBe(3);
  });
});

describe('a bound on buckets', () => {
  const rate = { perSecond: 1, burst: 5 };

  it('holds against values without end, which share one bucket and cost others nothing', () => {
    const limiter = new RateLimiter(rate, 10);
    expect(askTimes(limiter, 'regular', 3)).toBe(3);
    let passed = 0;
    for (let i = 0; i < 200_000; i += 1) if (ask(limiter, `made-up-${i}`, 0)) passed += 1;
    expect(limiter.size).toBe(10);
    // One for each of nine buckets of their own, and what the shared one holds.
    expect(passed).toBe(9 + 5);
    expect(askTimes(limiter, 'regular', 10)).toBe(2);
  });

  it('gives nobody a new bucket who has used up the old one', () => {
    const limiter = new RateLimiter(rate, 4);
    expect(askTimes(limiter, 'greedy', 10)).toBe(5);
    for (let i = 0; i < 1_000; i += 1) ask(limiter, `made-up-${i}`, 1);
    expect(limiter.waitMs('greedy', 1)).toBeGreaterThan(900);
  });

  it('makes room of buckets that are full again', () => {
    const limiter = new RateLimiter(rate, 4);
    for (let i = 0; i < 8; i += 1) ask(limiter, `early-${i}`, 0);
    expect(limiter.size).toBe(4);
    expect(askTimes(limiter, 'late', 10, 60_000)).toBe(5);
    expect(limiter.size).toBe(4);
  });

  it('never lets more through than buckets without a bound would, nor keeps more than it may', () => {
    const many = fc.array(
      fc.record({ key: fc.nat({ max: 30 }).map(String), pauseMs: fc.nat({ max: 50 }) }),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(rates, many, fc.integer({ min: 1, max: 8 }), (one, asked, maxBuckets) => {
        const limiter = new RateLimiter(one, maxBuckets);
        const passed = new Map<string, number>();
        let nowMs = 0;
        for (const { key, pauseMs } of asked) {
          nowMs += pauseMs;
          if (ask(limiter, key, nowMs)) passed.set(key, (passed.get(key) ?? 0) + 1);
          expect(limiter.size).toBeLessThanOrEqual(maxBuckets);
        }
        // Of its own bucket and the shared one, never of a third.
        const most = 2 * (one.burst + (one.perSecond * nowMs) / 1000) + 1;
        for (const count of passed.values()) expect(count).toBeLessThanOrEqual(most);
      }),
    );
  });
});

describe('the share of a thread', () => {
  it('adds up to the whole, and is never nothing', () => {
    fc.assert(
      fc.property(rates, fc.integer({ min: 1, max: 16 }), (rate, threads) => {
        const shares = Array.from({ length: threads }, (_, i) => shareOf(rate, i, threads));
        const perSecond = shares.reduce((sum, one) => sum + one.perSecond, 0);
        const burst = shares.reduce((sum, one) => sum + one.burst, 0);
        expect(perSecond).toBeCloseTo(rate.perSecond, 6);
        expect(burst).toBe(Math.max(rate.burst, threads));
        for (const one of shares) expect(one.burst).toBeGreaterThanOrEqual(1);
      }),
    );
  });
});
