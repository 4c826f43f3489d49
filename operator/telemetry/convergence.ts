// How long changes of policies take until every sidecar that they concern has acknowledged them, from the first look at a
// generation that is not in force yet. Pure but for its own memory, which is bounded; time comes in.

import type { Condition } from '../resources/kubernetes.ts';

/** Upper bounds in milliseconds; a last bucket without bound follows. */
export const convergenceBoundsMs = [
  10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000,
] as const;

/** Generations on their way; of more the oldest are not measured. */
const maxUnderWay = 10_000;

export class Convergence {
  readonly counts: number[] = Array.from({ length: convergenceBoundsMs.length + 1 }, () => 0);
  sumMs = 0;
  readonly #since = new Map<string, { generation: number; sinceMs: number }>();

  /** What was found of one generation; to be called whenever somebody looks. */
  note(uid: string, generation: number, programmed: Condition['status'], nowMs: number): void {
    const known = this.#since.get(uid);
    switch (programmed) {
      case 'True':
        if (known?.generation === generation) this.#observe(nowMs - known.sinceMs);
        this.#since.delete(uid);
        return;
      case 'False':
        if (known?.generation === generation) return;
        this.#since.delete(uid);
        this.#since.set(uid, { generation, sinceMs: nowMs });
        this.#bound();
        return;
      case 'Unknown':
        // Nobody can say while sidecars are only just connecting to a new leader.
        this.#since.delete(uid);
    }
  }

  #observe(ms: number): void {
    const found = convergenceBoundsMs.findIndex((bound) => ms <= bound);
    this.counts[found < 0 ? convergenceBoundsMs.length : found]! += 1;
    this.sumMs += ms;
  }

  #bound(): void {
    if (this.#since.size <= maxUnderWay) return;
    const [oldest] = this.#since.keys();
    if (oldest !== undefined) this.#since.delete(oldest);
  }
}
