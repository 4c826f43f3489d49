// Where an attempt is counted while it lasts: the load of its endpoint, the retry budget, the probe of an ejected endpoint.
// Whatever it is counted into it leaves exactly once; its exchange says when.

import { awaitAnswer, forgetAnswer, joinLoad, leaveLoad } from '../policy/load.ts';
import { beginProbe, endProbe } from '../policy/outlier.ts';
import { beginRetry, endRetry, type RetryBudget } from '../policy/retry-budget.ts';
import type { Attempt } from './attempt.ts';

/** It is chosen, and pauses perhaps. */
export function enterCounts(attempt: Attempt, budget: RetryBudget, nowMs: number): void {
  const { load } = attempt.endpoint;
  attempt.probes = beginProbe(load, nowMs);
  joinLoad(load, nowMs);
  if (attempt.byPolicy) beginRetry(budget);
}

/** It is sent on its way. */
export function countAwaited(attempt: Attempt): void {
  attempt.awaited = true;
  awaitAnswer(attempt.endpoint.load, attempt.startedMs);
}

export function leaveCounts(attempt: Attempt, budget: RetryBudget): void {
  const { load } = attempt.endpoint;
  leaveLoad(load);
  if (attempt.awaited) forgetAnswer(load);
  attempt.awaited = false;
  if (attempt.probes) endProbe(load);
  if (attempt.byPolicy) endRetry(budget);
}
