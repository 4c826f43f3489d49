// The shape of a load: what it needs, how one round of it is measured, what is shown, and the goals of it.
import type { Sample, Stage, Target } from './harness.ts';
import type { Lane } from './plan.ts';

export interface Column {
  /** Names of figures of a sample; several are shown as `a / b`. */
  readonly metrics: readonly string[];
  readonly title: string;
}

export interface Goal {
  readonly metric: string;
  readonly title: string;
  /** Against the better of Envoy's modes, against HAProxy, or a bound of its own. */
  readonly against: 'envoy' | 'haproxy' | null;
  readonly bound: number;
  readonly sense: 'at most' | 'at least';
}

/** What a round is given. */
export interface Round {
  readonly stage: Stage;
  readonly target: Target;
  readonly seconds: number;
}

export interface Load {
  /** As in `--only`. */
  readonly name: string;
  readonly title: string;
  readonly lanes: readonly Lane[];
  /** Peers that have nothing to do with it are left out, beside those that cannot. */
  readonly without?: readonly string[];
  /** Also without any proxy, to tell what is added. */
  readonly direct?: boolean;
  /** Of one round; a developer's --seconds replaces it. */
  readonly seconds: number;
  /** Rounds, where fewer than the usual five say it all. */
  readonly rounds?: number;
  /** Each round starts the pair anew; else one pair lives through all rounds. */
  readonly fresh?: boolean;
  /** Before the first round: compiled code and open pools are what lasts. */
  warm?(round: Round): Promise<void>;
  measure(round: Round): Promise<Sample>;
  readonly columns: readonly Column[];
  readonly goals: readonly Goal[];
  /** The figure of the chart, and its unit. */
  readonly chart?: { readonly metric: string; readonly unit: string };
}

/** What is compiled while it runs takes its time; the others open their pools. */
export function warmSeconds({ name }: Target): number {
  return name.startsWith('tsmesh') ? 3 : 1;
}

export function goal(metric: string, title: string, against: Goal['against'], bound: number): Goal {
  return { metric, title, against, bound, sense: 'at most' };
}
