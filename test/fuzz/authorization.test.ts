// The property that authorization rests on, at the size that it was asked for; the fuzz target runs it for as long as
// one likes.
import { describe, expect, it } from '@jest/globals';
import { compareEvaluators } from './authorization-targets.ts';
import { Random } from './random.ts';

describe('the indexed evaluator of authorization', () => {
  it('decides 100,000 random requests as the naive one, of which every outcome is a fair share', () => {
    const counts = new Map<string, number>();
    let remarked = 0;
    for (let seed = 0; seed < 10_000; seed++) {
      for (const { reason, remarks } of compareEvaluators(new Random(seed))) {
        counts.set(reason, (counts.get(reason) ?? 0) + 1);
        if (remarks.length > 0) remarked++;
      }
    }
    const total = [...counts.values()].reduce((sum, one) => sum + one, 0);
    expect(total).toBe(100_000);
    for (const reason of ['no-policy', 'allow-rule', 'deny-rule', 'no-allow-rule'])
      expect(counts.get(reason) ?? 0).toBeGreaterThan(10_000);
    expect(counts.get('ambiguous-path')).toBeGreaterThan(1000);
    expect(remarked).toBeGreaterThan(10_000);
  }, 60_000);
});
