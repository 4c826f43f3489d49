// The further attempts of one exchange: whether there is another, after which pause, and who asked for it. It makes
// none: policy/retry says what is worth one, policy/retry-budget how many there may be.

import type { EndpointHandle } from '../state/prepared.ts';
import { budgetAllows } from '../policy/retry-budget.ts';
import { backoffMs, isRetriable, safePauseMs, type Outcome } from '../policy/retry.ts';
import type { ExchangeContext } from './context.ts';
import type { ForwardPlan } from './plan.ts';
import type { RequestBody } from './request-body.ts';
import { asksForTunnel } from './tunnel-heads.ts';

export interface Repeat {
  byPolicy: boolean;
  pauseMs: number;
  /** On a connection that carried nothing yet. */
  fresh: boolean;
  /** Because it was handed back unprocessed. */
  moves: boolean;
}

/** `body`, `budget`: a policy asks for one that there cannot, or may not, be. */
export type NoRepeat = 'none' | 'body' | 'budget';

export const noneTried: readonly EndpointHandle[] = [];

/** What was tried; nothing is allocated for a request that is sent once. */
export class Repeats {
  tried: readonly EndpointHandle[] = noneTried;
  /** Handed back by pods that go, and sent again without a policy otherwise. */
  private moved = 0;
  private safe = 0;
  private byPolicy = 0;

  note({ byPolicy, moves }: Repeat, endpoint: EndpointHandle): void {
    this.tried = [...this.tried, endpoint];
    if (byPolicy) this.byPolicy += 1;
    else if (moves) this.moved += 1;
    else this.safe += 1;
  }

  next(
    of: { context: ExchangeContext; plan: ForwardPlan; body: RequestBody; endsAtMs: number },
    outcome: Outcome,
  ): Repeat | NoRepeat {
    const { context, plan, body } = of;
    const repeat = this.wanted(context, plan, outcome);
    if (typeof repeat === 'string') return repeat;
    if (!body.isWhole) return repeat.byPolicy ? 'body' : 'none';
    // What could not begin before the end of its time is told now how it ended.
    return context.deps.io.clock.nowMs() + repeat.pauseMs >= of.endsAtMs ? 'none' : repeat;
  }

  private wanted(context: ExchangeContext, plan: ForwardPlan, outcome: Outcome): Repeat | NoRepeat {
    const { retry, budget, head } = plan;
    const moves = outcome.type === 'unprocessed';
    const safeMs = safePauseMs(outcome, head.method, {
      made: moves ? this.moved : this.safe,
      alone: plan.endpoints.length < 2,
      ownApp: context.direction === 'inbound',
    });
    const fresh = outcome.type === 'reset';
    if (safeMs !== undefined) return { byPolicy: false, pauseMs: safeMs, fresh, moves };
    if (retry === null || this.byPolicy >= retry.attempts || asksForTunnel(head)) return 'none';
    if (!isRetriable(retry, outcome)) return 'none';
    if (!budgetAllows(retry, budget)) return 'budget';
    const pauseMs = backoffMs(retry, this.byPolicy, context.deps.random());
    return { byPolicy: true, pauseMs, fresh, moves };
  }
}
