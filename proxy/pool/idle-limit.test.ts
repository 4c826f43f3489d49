import { describe, expect, it } from '@jest/globals';
import { IdleLimit, keepAliveTimeoutMs } from './idle-limit.ts';

describe('how long an idle connection may be used', () => {
  it('is not bounded while nothing is known', () => {
    expect(new IdleLimit().safeMs).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    [100, 48],
    [1_000, 498],
    [5_000, 3_998],
    [10, 3],
  ])('is well below the %s ms after which the server ended one', (seenMs, safeMs) => {
    const limit = new IdleLimit();
    limit.ended(seenMs, 0);
    expect(limit.safeMs).toBe(safeMs);
  });

  it('is not at all where the server ends them as fast as requests arrive', () => {
    const limit = new IdleLimit();
    limit.ended(1, 0);
    expect(limit.safeMs).toBeLessThan(0);
  });

  it('goes by the least that was seen or said', () => {
    const limit = new IdleLimit();
    limit.heard(5_000, 0);
    limit.ended(100, 0);
    limit.heard(5_000, 0);
    expect(limit.safeMs).toBe(48);
  });

  it('is not raised by ends that a busy machine sees late, until nothing else is seen for minutes', () => {
    const limit = new IdleLimit();
    limit.ended(100, 0);
    limit.ended(1_000, 1);
    expect(limit.safeMs).toBe(48);
    limit.ended(1_000, 300_000);
    expect(limit.safeMs).toBe(48);
    limit.ended(1_200, 600_000);
    expect(limit.safeMs).toBe(498);
  });

  it('is not bounded any more once a connection outlasted all', () => {
    const limit = new IdleLimit();
    limit.ended(1, 0);
    limit.outlasted();
    expect(limit.safeMs).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('the field Keep-Alive', () => {
  it.each([
    ['timeout=5', 5_000],
    ['timeout=5, max=100', 5_000],
    ['max=100, Timeout = 15', 15_000],
    ['timeout="3"', 3_000],
    ['timeout=0', 0],
    ['max=100', null],
    ['', null],
    ['timeout=', null],
    ['timeout=x', null],
    ['timeout=-5', null],
    ['xtimeout=5', null],
    ['timeout=99999999999', null],
  ])('%j says %s', (value, ms) => {
    expect(keepAliveTimeoutMs(value)).toBe(ms);
  });
});
