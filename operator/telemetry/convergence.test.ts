import { describe, expect, it } from '@jest/globals';
import { Convergence, convergenceBoundsMs } from './convergence.ts';

const total = ({ counts }: Convergence) => counts.reduce((sum, count) => sum + count, 0);

describe('the time that changes take', () => {
  it('is counted from the first look at a generation to its last acknowledgement', () => {
    const convergence = new Convergence();
    convergence.note('a', 1, 'False', 1000);
    convergence.note('a', 1, 'False', 1030);
    convergence.note('a', 1, 'True', 1040);
    convergence.note('a', 1, 'True', 2000);
    expect(convergence.counts[convergenceBoundsMs.indexOf(50)]).toBe(1);
    expect([total(convergence), convergence.sumMs]).toEqual([1, 40]);
  });

  it('begins anew with each generation, and with each leader that has to look first', () => {
    const convergence = new Convergence();
    convergence.note('a', 1, 'False', 0);
    convergence.note('a', 2, 'False', 400_000);
    convergence.note('a', 2, 'True', 400_005);
    convergence.note('b', 1, 'False', 0);
    convergence.note('b', 1, 'Unknown', 10);
    convergence.note('b', 1, 'True', 400_000);
    expect([total(convergence), convergence.sumMs]).toEqual([1, 5]);
  });

  it('is not counted of what concerns nobody, or was in force before', () => {
    const convergence = new Convergence();
    convergence.note('a', 7, 'True', 10);
    expect(total(convergence)).toBe(0);
  });

  it('takes no more memory for a million policies that nobody follows', () => {
    const convergence = new Convergence();
    for (let i = 0; i < 1_000_000; i += 1) convergence.note(`p${i}`, 1, 'False', i);
    convergence.note('p0', 1, 'True', 1_000_000);
    convergence.note('p999999', 1, 'True', 1_000_000);
    expect(total(convergence)).toBe(1);
  });
});
