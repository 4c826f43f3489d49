// From the limits, outlier detection and rate limits of a contract to what the hot path asks. A value that is wrong throws
// a ShapeError with its place; nothing is decided here.

import type { PolicyRef, RateLimit } from '../api/resources.ts';
import { RateLimiter, shareOf } from '../policy/rate-limit.ts';
import { prepareMatch } from './prepare-match.ts';
import type {
  PreparedLimits,
  PreparedOutlier,
  PreparedRateLimit,
  PreparedRateLimits,
} from './prepared.ts';
import {
  fail,
  integer,
  integerOrNull,
  list,
  object,
  oneOf,
  pointer,
  port,
  text,
  type JsonObject,
} from './reader.ts';

/** One day: nothing that runs longer is governed by a timer here. */
const durationRange = { min: 1, max: 86_400_000 } as const;
const countRange = { min: 0, max: 100_000 } as const;
const percentRange = { min: 0, max: 100 } as const;
/** Comparing more often costs more than it finds. */
const intervalRange = { min: 100, max: 86_400_000 } as const;
const limitRange = { min: 0, max: 10_000_000 } as const;
const factorRange = { min: 1, max: 1_000_000 } as const;

export function prepareOutlier(value: unknown, path: string): PreparedOutlier | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const successRate = prepareSuccessRate(from['successRate'], pointer(path, 'successRate'));
  const latency = prepareLatency(from['latency'], pointer(path, 'latency'));
  const intervalMs = integerOrNull(from, 'intervalMs', path, intervalRange);
  const compares = successRate !== null || latency !== null;
  if (compares && intervalMs === null) fail(pointer(path, 'intervalMs'), 'is needed to compare');
  return {
    consecutive5xx: integer(from, 'consecutive5xx', path, countRange),
    consecutiveGatewayErrors: integer(from, 'consecutiveGatewayErrors', path, countRange),
    baseEjectionMs: integer(from, 'baseEjectionMs', path, durationRange),
    maxEjectionMs: integer(from, 'maxEjectionMs', path, durationRange),
    maxEjectionPercent: integer(from, 'maxEjectionPercent', path, percentRange),
    intervalMs: compares ? intervalMs : null,
    successRate,
    latency,
    panicThresholdPercent: integerOrNull(from, 'panicThresholdPercent', path, percentRange) ?? 0,
  };
}

function prepareSuccessRate(value: unknown, path: string): PreparedOutlier['successRate'] {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  return {
    stdevFactorPermille: integer(from, 'stdevFactorPermille', path, factorRange),
    ...volumeOf(from, path),
  };
}

function prepareLatency(value: unknown, path: string): PreparedOutlier['latency'] {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  return {
    factorPercent: integer(from, 'factorPercent', path, { min: 101, max: 1_000_000 }),
    minimumMs: integer(from, 'minimumMs', path, { min: 0, max: 3_600_000 }),
    ...volumeOf(from, path),
  };
}

/** One endpoint alone is compared with nobody. */
function volumeOf(from: JsonObject, path: string) {
  return {
    minimumEndpoints: integer(from, 'minimumEndpoints', path, { min: 2, max: 100_000 }),
    requestVolume: integer(from, 'requestVolume', path, { min: 1, max: 1_000_000_000 }),
  };
}

/** `policies`: of the Destination; the first TrafficPolicy of them is who says so. */
export function prepareLimits(
  value: unknown,
  path: string,
  policies: readonly PolicyRef[],
): PreparedLimits | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const said = policies.find(({ kind }) => kind === 'TrafficPolicy');
  const limits = {
    maxConnections: integerOrNull(from, 'maxConnections', path, { ...limitRange, min: 1 }),
    maxPendingRequests: integerOrNull(from, 'maxPendingRequests', path, limitRange),
    maxActiveRequests: integerOrNull(from, 'maxActiveRequests', path, limitRange),
  };
  if (Object.values(limits).every((limit) => limit === null)) return null;
  const policy =
    said === undefined ? 'TrafficPolicy' : `TrafficPolicy ${said.namespace}/${said.name}`;
  return { policy, ...limits };
}

/** Reads the rate limits of a Workload. */
export type RateLimitsOf = (workload: JsonObject) => PreparedRateLimits;

/** Of more a pod would do little else than count. */
const maxRateLimits = 256;
const maxBucketsRange = { min: 1, max: 1_000_000 } as const;
const none: PreparedRateLimits = { requests: null, connections: null };

/**
 * `index` of `threads` that carry the traffic of this sidecar. A limit that says the same as before keeps its buckets,
 * whatever else of the Workload changes.
 */
export function createRateLimits(index: number, threads: number): RateLimitsOf {
  let held = new Map<string, PreparedRateLimit>();
  return (workload) => {
    const found = new Map<string, PreparedRateLimit>();
    const limits = list(workload, 'rateLimits', '', (value, path) => {
      const key = JSON.stringify(value);
      const limit =
        found.get(key) ?? held.get(key) ?? prepareRateLimit(value, path, index, threads);
      found.set(key, limit);
      return limit;
    });
    if (limits.length > maxRateLimits) fail('/rateLimits', `more than ${maxRateLimits}`);
    held = found;
    if (limits.length === 0) return none;
    const of = (unit: RateLimit['unit']) => {
      const some = limits.filter((one) => one.unit === unit);
      return some.length === 0 ? null : some;
    };
    return { requests: of('requests'), connections: of('connections') };
  };
}

function prepareRateLimit(
  value: unknown,
  path: string,
  index: number,
  threads: number,
): PreparedRateLimit {
  const from = object(value, path);
  const unit = oneOf<RateLimit['unit']>(from, 'unit', path, ['requests', 'connections']);
  const burst = integer(from, 'burst', path, { min: 1, max: 1_000_000_000 });
  const rate = shareOf({ perSecond: perSecondOf(from, path), burst }, index, threads);
  const ports = list(from, 'ports', path, (one, at) => port({ port: one }, 'port', at));
  const per = list(from, 'per', path, (one, at) => prepareSource(one, at, unit));
  const matches = list(from, 'matches', path, (one, at) => {
    if (unit === 'connections') fail(at, 'nothing of a request is known when connections count');
    const match = prepareMatch(one, at);
    return match.source === null ? match : fail(pointer(at, 'source'), 'is not known here');
  });
  const { policy, rule } = named(text(from, 'name', path));
  return {
    policy,
    rule,
    unit,
    ports: ports.length === 0 ? null : new Set(ports),
    matches,
    per,
    limiter: new RateLimiter(rate, integer(from, 'maxBuckets', path, maxBucketsRange)),
  };
}

/** May be a part of one: one in an hour is 0.00028, and what is far below that has no time that a number holds. */
function perSecondOf({ perSecond }: JsonObject, path: string): number {
  if (typeof perSecond !== 'number' || !(perSecond >= 1e-4 && perSecond <= 1e9))
    fail(pointer(path, 'perSecond'), 'must be a number from 0.0001 to 1e9');
  return perSecond;
}

function prepareSource(value: unknown, path: string, unit: string): RateLimit['per'][number] {
  const from = object(value, path);
  if ('header' in from) {
    if (unit === 'connections') fail(path, 'connections have no headers');
    return { header: text(from, 'header', path).toLowerCase() };
  }
  if (from['identity'] === true) return { identity: true };
  if (from['sourceAddress'] !== true) fail(path, 'must be identity, header or sourceAddress');
  return { sourceAddress: true };
}

/** `TrafficPolicy shop/cart, rate limit 0`: who, and which of its rules. */
function named(name: string): { policy: string; rule: string } {
  const comma = name.indexOf(', ');
  return comma < 0
    ? { policy: name, rule: '' }
    : { policy: name.slice(0, comma), rule: name.slice(comma + 2) };
}
