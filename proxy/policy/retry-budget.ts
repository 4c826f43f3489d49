// How many retries of policies a destination may get: a share of its live requests, paid back by answers that are good.
// So a whole outage costs little more than the requests themselves. Pure.

import type { PreparedRetry } from '../state/prepared.ts';

/** Of one destination, over all of its routes. */
export interface RetryBudget {
  /** Requests that have not come to their end, and attempts among them that policies asked for. */
  inFlight: number;
  retries: number;
  /** Retries that good answers have not paid for yet. */
  owed: number;
}

export function newRetryBudget(): RetryBudget {
  return { inFlight: 0, retries: 0, owed: 0 };
}

/**
 * Retries under way and those not paid for yet are at most a share of the requests that are no retries, or the
 * reserve where that is more. While nothing succeeds nothing is paid for: of n requests at a time at most n times the
 * share is ever sent again, however long the outage lasts.
 */
export function budgetAllows(
  { budgetPercent, budgetMinConcurrent }: PreparedRetry,
  { inFlight, retries, owed }: RetryBudget,
): boolean {
  const share = ((inFlight - retries) * budgetPercent) / 100;
  return Math.max(retries, owed) + 1 <= Math.max(budgetMinConcurrent, share);
}

export function beginRetry(budget: RetryBudget): void {
  budget.retries += 1;
  budget.owed += 1;
}

export function endRetry(budget: RetryBudget): void {
  budget.retries -= 1;
}

/** A request came to a good end. */
export function payBack(budget: RetryBudget, { budgetPercent }: PreparedRetry): void {
  if (budget.owed > 0) budget.owed = Math.max(0, budget.owed - budgetPercent / 100);
}
