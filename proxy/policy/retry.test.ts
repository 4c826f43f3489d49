import { describe, expect, it } from '@jest/globals';
import type { RetryCondition } from '../api/resources.ts';
import type { PreparedRetry } from '../state/prepared.ts';
import { backoffMs, isRetriable, safePauseMs, type Outcome } from './retry.ts';

function policy(...on: RetryCondition[]): PreparedRetry {
  return {
    attempts: 2,
    on: new Set(on),
    statuses: new Set(),
    grpcCodes: new Set(),
    perTryTimeoutMs: null,
    backoffMs: 25,
    maxBackoffMs: 250,
    budgetPercent: 20,
    budgetMinConcurrent: 3,
  };
}

const answer = (status: number, grpcStatus = -1): Outcome => ({
  type: 'answer',
  status,
  grpcStatus,
});
const reset: Outcome = { type: 'reset', reused: false };
const connect: Outcome = { type: 'connect', code: 'connect-failed' };
const unprocessed: Outcome = { type: 'unprocessed' };
const timeout: Outcome = { type: 'timeout' };

describe('what may be sent again without being asked for', () => {
  it.each<[string, Outcome, string, boolean]>([
    ['no connection', connect, 'POST', true],
    ['refused by the peer', unprocessed, 'POST', true],
    ['GET on a reused connection', { type: 'reset', reused: true }, 'GET', true],
    ['POST on a reused connection', { type: 'reset', reused: true }, 'POST', false],
    ['GET on a new connection', reset, 'GET', false],
    ['an answer', answer(503), 'GET', false],
    ['a timeout', timeout, 'GET', false],
  ])('%s', (_, outcome, method, expected) => {
    const facts = { made: 0, alone: false, ownApp: false };
    expect(safePauseMs(outcome, method, facts) !== undefined).toBe(expected);
  });

  const unreached: Outcome = { type: 'connect', code: 'app-unreachable' };
  it.each<[string, Outcome, { alone?: boolean; ownApp?: boolean; method?: string }, number[]]>([
    ['a pod that is gone', connect, {}, [0, 25]],
    ['a pod that refused it', unprocessed, { alone: true }, [0, 25, 50, 100, 200, 400]],
    ['the only pod, which is not there', connect, { alone: true }, [25, 50]],
    ['a pod without its app', unreached, {}, [0, 25]],
    ['the only pod, without its app', unreached, { alone: true }, [25, 50]],
    ['the own app, which is not there', connect, { alone: true, ownApp: true }, []],
    ['a reused connection that ended', { type: 'reset', reused: true }, { method: 'GET' }, [0]],
  ])(
    'after %s: with these pauses',
    (_, outcome, { alone = false, ownApp = false, method = 'POST' }, pauses) => {
      const made = Array.from({ length: 8 }, (_one, i) => i);
      const given = made.map((count) =>
        safePauseMs(outcome, method, { made: count, alone, ownApp }),
      );
      expect(given.filter((pauseMs) => pauseMs !== undefined)).toEqual(pauses);
    },
  );
});

describe('what a policy has sent again', () => {
  it.each<[RetryCondition, Outcome, boolean]>([
    ['connect-failure', connect, true],
    ['connect-failure', reset, false],
    ['refused-stream', unprocessed, true],
    ['refused-stream', connect, false],
    ['reset', reset, true],
    ['reset', timeout, true],
    ['reset', connect, true],
    ['reset', unprocessed, true],
    ['reset', answer(503), false],
    ['gateway-error', answer(502), true],
    ['gateway-error', answer(504), true],
    ['gateway-error', answer(500), false],
    ['gateway-error', answer(505), false],
    ['gateway-error', reset, true],
    ['5xx', answer(500), true],
    ['5xx', answer(499), false],
    ['5xx', timeout, true],
    ['retriable-4xx', answer(409), true],
    ['retriable-4xx', answer(404), false],
    ['retriable-4xx', reset, false],
    ['unavailable', answer(200, 14), true],
    ['unavailable', answer(200, 13), false],
    ['unavailable', answer(503), false],
  ])('%s: %j → %s', (condition, outcome, expected) => {
    expect(isRetriable(policy(condition), outcome)).toBe(expected);
  });

  it('is also what has a status or gRPC code that it chose', () => {
    const chosen = { ...policy(), statuses: new Set([404]), grpcCodes: new Set([8]) };
    expect(isRetriable(chosen, answer(404))).toBe(true);
    expect(isRetriable(chosen, answer(403))).toBe(false);
    expect(isRetriable(chosen, answer(200, 8))).toBe(true);
    expect(isRetriable(chosen, answer(200, 9))).toBe(false);
    expect(isRetriable(chosen, reset)).toBe(false);
  });

  it('is nothing where there is none', () => {
    expect(isRetriable(null, answer(503))).toBe(false);
  });
});

describe('the pause before a retry', () => {
  it('doubles, is jittered in full, and has an upper bound', () => {
    expect(backoffMs(policy(), 0, 1)).toBe(25);
    expect(backoffMs(policy(), 1, 1)).toBe(50);
    expect(backoffMs(policy(), 1, 0.5)).toBe(25);
    expect(backoffMs(policy(), 9, 1)).toBe(250);
    expect(backoffMs(policy(), 3, 0)).toBe(0);
  });
});
