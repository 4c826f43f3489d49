// Timeouts and retries: from the text of a policy to milliseconds and complete settings, with the
// defaults that the CRDs document. Pure.

import { retryConditions } from '../../proxy/api/resources.ts';
import type { RetryCondition, RetryPolicy } from '../../proxy/api/resources.ts';
import { parseDuration } from '../resources/duration.ts';
import type { RetrySpec } from '../resources/tsmesh.ts';
import { grpcCode } from './grpc-codes.ts';

const defaults = {
  on: ['connect-failure', 'refused-stream', 'unavailable'] satisfies RetryCondition[],
  backoffMs: 25,
  maxBackoffMs: 250,
  budgetPercent: 20,
  budgetMinConcurrent: 3,
};

/** The first that is given decides; `0s` and what does not parse mean no timeout. */
export function timeoutMs(...candidates: (string | undefined)[]): number | null {
  const text = candidates.find((candidate) => candidate !== undefined);
  return (text === undefined ? null : parseDuration(text)) || null;
}

/** The first that is given decides; no attempts mean no retries. */
export function retryPolicy(...candidates: (RetrySpec | undefined)[]): RetryPolicy | null {
  const spec = candidates.find((candidate) => candidate !== undefined);
  if (spec === undefined || spec.attempts <= 0) return null;
  const base = timeoutMs(spec.backoff?.base) ?? defaults.backoffMs;
  return {
    attempts: spec.attempts,
    on: (spec.retryOn ?? defaults.on).filter(isRetryCondition),
    ...furtherAnswers(spec),
    perTryTimeoutMs: timeoutMs(spec.perTryTimeout),
    backoffMs: base,
    maxBackoffMs: Math.max(base, timeoutMs(spec.backoff?.max) ?? defaults.maxBackoffMs),
    budgetPercent: spec.budget?.percent ?? defaults.budgetPercent,
    budgetMinConcurrent: spec.budget?.minConcurrent ?? defaults.budgetMinConcurrent,
  };
}

function furtherAnswers(spec: RetrySpec): Pick<RetryPolicy, 'onStatuses' | 'onGrpcCodes'> {
  const codes = (spec.retryGrpcCodes ?? []).map(grpcCode).filter((code) => code !== null);
  return {
    ...((spec.retryStatuses ?? []).length === 0 ? {} : { onStatuses: spec.retryStatuses! }),
    ...(codes.length === 0 ? {} : { onGrpcCodes: codes }),
  };
}

export function isRetryCondition(text: string): text is RetryCondition {
  return (retryConditions as readonly string[]).includes(text);
}
