// From the rounds of one load to its figures beside each other and the verdict on each goal. Pure.
import type { Goal, Load } from './load.ts';
import { spreadOf, type Spread } from './statistics.ts';

/** Rounds of a load by peer, as the raw results hold them. */
export type Rounds = Readonly<Record<string, readonly Readonly<Record<string, number>>[]>>;

export interface Verdict {
  readonly goal: Goal;
  /** Medians. */
  readonly own: number;
  readonly other: number | null;
  /** Own by the other's, or by the bound; NaN where one of them was not measured. */
  readonly ratio: number;
  readonly met: boolean | null;
}

/**
 * Spread of one figure of one peer. `addedP50` and `addedP99` are the median over what the same load
 * has without any proxy.
 */
export function spreadOfMetric(rounds: Rounds, peer: string, metric: string): Spread | null {
  const added = /^added(P\d+)$/.exec(metric)?.[1]?.toLowerCase();
  const values = (rounds[peer] ?? [])
    .map((sample) => sample[added ?? metric])
    .filter((value) => value !== undefined);
  if (values.length === 0) return null;
  const spread = spreadOf(values);
  if (added === undefined) return spread;
  const base = spreadOfMetric(rounds, 'direct', added);
  if (base === null) return null;
  const { median, min, max } = spread;
  return { median: median - base.median, min: min - base.median, max: max - base.median };
}

export function verdictsOf(load: Pick<Load, 'goals'>, rounds: Rounds, own: string): Verdict[] {
  return load.goals.map((goal) => {
    const mine = spreadOfMetric(rounds, own, goal.metric)?.median ?? Number.NaN;
    const other = goal.against === null ? null : best(rounds, goal);
    const ratio = other === null ? mine : mine / other;
    const known = Number.isFinite(ratio);
    const good = goal.sense === 'at most' ? ratio <= goal.bound : ratio >= goal.bound;
    return { goal, own: mine, other, ratio, met: known ? good : null };
  });
}

/** Of the peers that the goal names, the median that is hardest to beat. */
function best(rounds: Rounds, { against, metric, sense }: Goal): number {
  const medians = Object.keys(rounds)
    .filter((name) => name.split('-', 1)[0] === against)
    .map((name) => spreadOfMetric(rounds, name, metric)?.median)
    .filter((value) => value !== undefined);
  if (medians.length === 0) return Number.NaN;
  return sense === 'at most' ? Math.min(...medians) : Math.max(...medians);
}
