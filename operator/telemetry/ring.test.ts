import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Ring } from './ring.ts';

const shape = { width: 2, slots: 10, slotMs: 1000, exact: true };
const startMs = 1_800_000_000_000;

function sumOf(ring: Ring, fromMs: number, toMs: number): number[] {
  const sums = [0, 0];
  ring.sumInto(sums, startMs + fromMs, startMs + toMs);
  return sums;
}

describe('a ring of slots', () => {
  it('spreads what was counted evenly over the time between', () => {
    const ring = new Ring(shape, startMs);
    ring.add([20, 40], startMs + 500, startMs + 2500);
    expect(sumOf(ring, 0, 1000)).toEqual([5, 10]);
    expect(sumOf(ring, 1000, 2000)).toEqual([10, 20]);
    expect(sumOf(ring, 2000, 3000)).toEqual([5, 10]);
    expect(sumOf(ring, 0, 10_000)).toEqual([20, 40]);
  });

  it('loses nothing of what lies in it, however it is cut', () => {
    const report = fc.record({
      from: fc.nat({ max: 9000 }),
      span: fc.integer({ min: -50, max: 4000 }),
    });
    fc.assert(
      fc.property(fc.array(report, { maxLength: 8 }), (reports) => {
        const ring = new Ring({ ...shape, slots: 20 }, startMs);
        for (const { from, span } of reports) {
          ring.add([1, 0], startMs + from, startMs + Math.max(0, from + span));
        }
        expect(sumOf(ring, 0, 20_000)[0]).toBeCloseTo(reports.length, 9);
      }),
    );
  });

  it('forgets what is older than it, and begins slots empty', () => {
    const ring = new Ring(shape, startMs);
    ring.add([1, 1], startMs, startMs + 1000);
    ring.advance(startMs + 9500);
    expect(sumOf(ring, 0, 10_000)).toEqual([1, 1]);
    ring.advance(startMs + 10_000);
    expect(sumOf(ring, 0, 20_000)).toEqual([0, 0]);
    ring.add([8, 8], startMs - 8000, startMs + 500);
    expect(sumOf(ring, -20_000, 20_000)).toEqual([0, 0]);
    ring.advance(startMs + 3_600_000);
    ring.add([2, 2], startMs + 3_599_000, startMs + 3_600_000);
    expect(sumOf(ring, 0, 4_000_000)).toEqual([2, 2]);
  });
});
