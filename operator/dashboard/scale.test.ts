import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { linePath, ticksUpTo } from './scale.ts';

describe('the scale of a chart', () => {
  it('has round numbers', () => {
    expect(ticksUpTo(57)).toEqual([0, 20, 40, 60]);
    expect(ticksUpTo(100)).toEqual([0, 25, 50, 75, 100]);
    expect(ticksUpTo(0.37)).toEqual([0, 0.1, 0.2, 0.3, 0.4]);
  });

  it('reaches the highest value, in two to six numbers', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), (highest) => {
        const ticks = ticksUpTo(highest);
        expect(ticks.at(-1)).toBeGreaterThanOrEqual(highest * (1 - 1e-9));
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        expect(ticks.length).toBeLessThanOrEqual(6);
      }),
    );
  });

  it('begins at nothing and ends at one where nothing was measured', () => {
    for (const highest of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(ticksUpTo(highest)).toEqual([0, 1]);
    }
  });
});

describe('the line of a chart', () => {
  const box = { width: 100, height: 50, top: 10 };

  it('goes from the left to the right, and up', () => {
    expect(linePath([0, 5, 10], box)).toBe('M0 50L50 25L100 0');
  });

  it('has a gap where nothing was measured, and a dot for one value alone', () => {
    expect(linePath([1, null, 10, null, 5, 5], { ...box, width: 50 })).toBe(
      'M0 45h0M20 0h0M40 25L50 25',
    );
  });

  it('stays in its box', () => {
    expect(linePath([20], box)).toBe('M0 0h0');
  });
});
