import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { backoffMs } from './backoff.ts';

describe('backoff', () => {
  it('doubles, keeps at least half, and never exceeds the longest pause', () => {
    const settings = { baseMs: 100, maxMs: 5_000 };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (failures, random) => {
          const pause = backoffMs(settings, failures, random);
          const full = Math.min(5_000, 100 * 2 ** Math.min(failures - 1, 30));
          expect(pause).toBeGreaterThanOrEqual(full / 2);
          expect(pause).toBeLessThan(full);
        },
      ),
    );
  });
});
