import { describe, expect, it } from '@jest/globals';
import type { PreparedRetry } from '../state/prepared.ts';
import { beginRetry, budgetAllows, endRetry, newRetryBudget, payBack } from './retry-budget.ts';

const policy: PreparedRetry = {
  attempts: 2,
  on: new Set(['5xx']),
  statuses: new Set(),
  grpcCodes: new Set(),
  perTryTimeoutMs: null,
  backoffMs: 25,
  maxBackoffMs: 250,
  budgetPercent: 20,
  budgetMinConcurrent: 3,
};

/** So many requests, `atOnce` of which are under way together; returns how many retries were made. */
function outage(budget = newRetryBudget(), requests: number, atOnce: number): number {
  let retries = 0;
  for (let i = 0; i < requests; i += atOnce) {
    budget.inFlight += atOnce;
    let made = 0;
    while (made < atOnce && budgetAllows(policy, budget)) {
      beginRetry(budget);
      made += 1;
    }
    for (let j = 0; j < made; j += 1) endRetry(budget);
    budget.inFlight -= atOnce;
    retries += made;
  }
  return retries;
}

describe('the retry budget', () => {
  it('has a reserve for those who send little', () => {
    const budget = { ...newRetryBudget(), inFlight: 1 };
    for (let i = 0; i < 3; i += 1) {
      expect(budgetAllows(policy, budget)).toBe(true);
      beginRetry(budget);
    }
    expect(budgetAllows(policy, budget)).toBe(false);
  });

  it('is a share of the requests under way that are no retries', () => {
    const budget = { inFlight: 120, retries: 19, owed: 19 };
    expect(budgetAllows(policy, budget)).toBe(true);
    beginRetry(budget);
    expect(budgetAllows(policy, budget)).toBe(false);
  });

  it.each([1, 2, 10, 100, 500])('keeps a whole outage, %s at a time, below 1.2 times', (atOnce) => {
    const retries = outage(newRetryBudget(), 1000, atOnce);
    expect(retries).toBeGreaterThan(0);
    expect(retries).toBeLessThanOrEqual(200);
  });

  it('is paid back by what succeeds, and by no more than was owed', () => {
    const budget = newRetryBudget();
    outage(budget, 100, 1);
    expect(budgetAllows(policy, { ...budget, inFlight: 1 })).toBe(false);
    for (let i = 0; i < 5; i += 1) payBack(budget, policy);
    expect(budgetAllows(policy, { ...budget, inFlight: 1 })).toBe(true);
    for (let i = 0; i < 1000; i += 1) payBack(budget, policy);
    expect(budget.owed).toBe(0);
    expect(outage(budget, 100, 1)).toBe(3);
  });
});
