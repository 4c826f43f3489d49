import { describe, expect, it } from '@jest/globals';
import { pickWeighted } from './weighted.ts';

const split = {
  list: [
    { endpoints: 'v1', weight: 90, missing: null },
    { endpoints: 'none', weight: 0, missing: null },
    { endpoints: 'v2', weight: 10, missing: null },
  ],
  totalWeight: 100,
};

describe('weighted backends', () => {
  it('are picked by their share, and weight 0 never', () => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < 100; i += 1) {
      const { endpoints } = pickWeighted(split, i / 100)!;
      counts[endpoints] = (counts[endpoints] ?? 0) + 1;
    }
    expect(counts).toEqual({ v1: 90, v2: 10 });
  });

  it('give none where there is none or all weigh nothing', () => {
    expect(pickWeighted({ list: [], totalWeight: 0 }, 0.5)).toBeNull();
    const off = { list: [{ endpoints: 'a', weight: 0, missing: null }], totalWeight: 0 };
    expect(pickWeighted(off, 0.5)).toBeNull();
  });

  it('give none rather than a wrong one for a number outside of the range', () => {
    expect(pickWeighted(split, 1)).toBeNull();
  });
});
