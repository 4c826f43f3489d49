// A bounded run of every fuzz target from a fixed seed. `npm run fuzz` runs them as long as one likes.
import { describe, expect, it } from '@jest/globals';
import { Random } from './random.ts';
import { runOnce } from './target.ts';
import { targets } from './targets.ts';

const FIRST_SEED = 20_261_122;
/** About a second for each target on a slow machine. */
const RUNS: Readonly<Record<string, number>> = {
  'hpack-round-trip': 600,
  'client-hello': 400,
  'certificate-names': 600,
  'identity-files': 600,
  'h2-server': 600,
  'h2-client': 600,
  'h1-pair': 600,
  'h2-pair': 400,
  resources: 600,
  authorization: 600,
};

describe('a fuzz target holds its invariants', () => {
  it.each(targets.map((target) => [target.name, target] as const))('%s', (name, target) => {
    const runs = RUNS[name] ?? 1500;
    for (let i = 0; i < runs; i++) expect(runOnce(target, FIRST_SEED + i)).toBeNull();
  });

  it('is repeated by its seed', () => {
    const list = (seed: number): number[] => {
      const random = new Random(seed);
      return Array.from({ length: 50 }, () => random.next());
    };
    expect(list(7)).toEqual(list(7));
    expect(list(7)).not.toEqual(list(8));
  });

  it('says how a find is seen again', () => {
    const broken = {
      name: 'broken',
      run() {
        throw new Error('no');
      },
    };
    expect(runOnce(broken, 5)?.message).toBe(
      'broken, seed 5: no\n  again: node hack/fuzz.ts --only broken --seed 5 --runs 1',
    );
  });
});
