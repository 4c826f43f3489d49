// From what a Destination says of retries and of times beside those of its routes to what the hot path reads. A value that
// is wrong throws a ShapeError with its place.

import { retryConditions } from '../api/resources.ts';
import type { PreparedDestination, PreparedRetry } from './prepared.ts';
import { fail, integer, integerOrNull, list, object, percent, type JsonObject } from './reader.ts';

/** One day: nothing that runs longer is governed by a timer here. */
export const durationRange = { min: 1, max: 86_400_000 } as const;

export function prepareTimes(
  from: JsonObject,
): Pick<PreparedDestination, 'connectTimeoutMs' | 'tcpIdleTimeoutMs' | 'traceSampling'> {
  return {
    connectTimeoutMs: durationOrNull(from, 'connectTimeoutMs', ''),
    tcpIdleTimeoutMs: durationOrNull(from, 'tcpIdleTimeoutMs', ''),
    traceSampling: from['traceSampling'] === undefined ? null : percent(from, 'traceSampling', ''),
  };
}

/** Absent is null. */
export function durationOrNull(from: JsonObject, key: string, path: string): number | null {
  return from[key] === undefined ? null : integerOrNull(from, key, path, durationRange);
}

export function prepareRetry(value: unknown, path: string): PreparedRetry | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const on = list(from, 'on', path, (item, at) => {
    const found = retryConditions.find((one) => one === item);
    return found ?? fail(at, `must be one of ${retryConditions.join(', ')}`);
  });
  return {
    attempts: integer(from, 'attempts', path, { min: 0, max: 100 }),
    on: new Set(on),
    statuses: codes(from, 'onStatuses', path, { min: 200, max: 599 }),
    grpcCodes: codes(from, 'onGrpcCodes', path, { min: 0, max: 16 }),
    perTryTimeoutMs: integerOrNull(from, 'perTryTimeoutMs', path, durationRange),
    backoffMs: integer(from, 'backoffMs', path, { min: 0, max: 60_000 }),
    maxBackoffMs: integer(from, 'maxBackoffMs', path, { min: 0, max: 600_000 }),
    budgetPercent: integer(from, 'budgetPercent', path, { min: 0, max: 100 }),
    budgetMinConcurrent: integer(from, 'budgetMinConcurrent', path, { min: 0, max: 1_000_000 }),
  };
}

function codes(
  from: JsonObject,
  key: string,
  path: string,
  { min, max }: { min: number; max: number },
): ReadonlySet<number> {
  if (from[key] === undefined) return new Set();
  const read = list(from, key, path, (item, at) => {
    const isCode = typeof item === 'number' && Number.isInteger(item) && item >= min && item <= max;
    return isCode ? item : fail(at, `must be a whole number from ${min} to ${max}`);
  });
  return new Set(read);
}
