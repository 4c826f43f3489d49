// What a fuzz target is, and how one of its runs is made and named so that it can be repeated.
import { Random } from './random.ts';

export interface Target {
  readonly name: string;
  /** Small and soon explored: a short turn in each round is enough. */
  readonly small?: true;
  /** One run; throws where an invariant does not hold. */
  run(random: Random): void;
}

export class Find extends Error {
  override name = 'Find';
}

/** Everything a target asserts goes through here. `detail` is only made when it fails. */
export function must(holds: boolean, what: string, detail?: () => unknown): void {
  if (holds) return;
  const more = detail === undefined ? '' : `: ${JSON.stringify(detail())}`;
  throw new Find(what + more);
}

export function mustEqual(is: unknown, was: unknown, what: string): void {
  const [left, right] = [JSON.stringify(is), JSON.stringify(was)];
  must(left === right, what, () => ({ is, was }));
}

/** How a find is seen again. */
export function command(target: Target, seed: number): string {
  return `node hack/fuzz.ts --only ${target.name} --seed ${seed} --runs 1`;
}

/** Null, or what was found. */
export function runOnce(target: Target, seed: number): Error | null {
  try {
    target.run(new Random(seed));
    return null;
  } catch (error) {
    const found = error instanceof Error ? error : new Error(String(error));
    found.message = `${target.name}, seed ${seed}: ${found.message}\n  again: ${command(target, seed)}`;
    return found;
  }
}
