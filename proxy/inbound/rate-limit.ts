// Whether this pod takes one more request or connection now, by the rate limits in force: each that concerns it must have a
// token, and only then is one taken of each. Asked after authorization, so that callers who are refused use up nobody's.

import { hash } from 'node:crypto';
import type { RequestHead } from '../codec/session.ts';
import type { LocalReply } from '../exchange/local-reply.ts';
import { pathReadings, plainPathEnd } from '../policy/authorization/path-readings.ts';
import { headerValue, pathOf, restHolds } from '../policy/route-match.ts';
import type { PreparedMatch, PreparedRateLimit } from '../state/prepared.ts';
import type { Arrival } from './authorize.ts';

/** Longer values stand as their digest: what callers choose takes no more memory than that. */
const maxValueChars = 128;
/** Between the values of one key; no field value holds it. */
const separator = '\n';
const noReadings: readonly string[] = [];

/** Null: it may go on. `retry-after` is in whole seconds, rounded up (RFC 9110 §10.2.3). */
export function limitRequest(
  limits: readonly PreparedRateLimit[],
  arrival: Arrival,
  head: RequestHead,
  nowMs: number,
): LocalReply | null {
  const concerned = limitsOf(limits, arrival.target.port, head);
  return limited(concerned, (limit) => keyOf(limit, arrival, head), nowMs);
}

/** Those that a request counts in. */
export function limitsOf(
  limits: readonly PreparedRateLimit[],
  port: number,
  head: RequestHead,
): PreparedRateLimit[] {
  const path = pathOf(head.path);
  const odd = oddReadings(head.path);
  const holds = (match: PreparedMatch): boolean =>
    pathHolds(match, path, odd) && restHolds(match, head, path, null);
  return limits.filter(
    (limit) => isAt(limit, port) && (limit.matches.length === 0 || limit.matches.some(holds)),
  );
}

/**
 * `known`: who is at the other end, and what counts by that is asked; before that only what does not, so that a flood costs no
 * handshakes.
 */
export function limitConnection(
  limits: readonly PreparedRateLimit[],
  arrival: Arrival,
  known: boolean,
  nowMs: number,
): LocalReply | null {
  const concerned = limits.filter(
    (limit) => isAt(limit, arrival.target.port) && asksForIdentity(limit) === known,
  );
  return limited(concerned, (limit) => keyOf(limit, arrival, null), nowMs);
}

function limited(
  limits: readonly PreparedRateLimit[],
  keyFor: (limit: PreparedRateLimit) => string,
  nowMs: number,
): LocalReply | null {
  const asked = limits.map((limit) => ({ limit, key: keyFor(limit) }));
  for (const { limit, key } of asked) {
    const waitMs = limit.limiter.waitMs(key, nowMs);
    if (waitMs > 0) return replyOf(limit, waitMs);
  }
  for (const { limit, key } of asked) limit.limiter.take(key, nowMs);
  return null;
}

function replyOf({ policy, rule }: PreparedRateLimit, waitMs: number): LocalReply {
  return {
    code: 'rate-limited',
    detail: `${policy}, ${rule}`,
    by: { policy, rule, reason: 'rate-limited' },
    fields: ['retry-after', String(Math.max(1, Math.ceil(waitMs / 1000)))],
  };
}

export function isAt({ ports }: PreparedRateLimit, port: number): boolean {
  return ports === null || ports.has(port);
}

/** What an app may take an odd path for; null: too much to tell. */
function oddReadings(target: string): readonly string[] | null {
  if (plainPathEnd(target) >= 0) return noReadings;
  const { texts } = pathReadings(target);
  return texts.length === 0 ? null : texts;
}

/** For any reading: to write a path in another way must be no way round a limit. */
function pathHolds(
  { path: match }: PreparedMatch,
  path: string,
  odd: readonly string[] | null,
): boolean {
  return match === null || odd === null || match(path) || odd.some((reading) => match(reading));
}

function asksForIdentity({ per }: PreparedRateLimit): boolean {
  return per.some((one) => 'identity' in one);
}

/** Empty where all share one bucket. A request without a value has one with its like. */
function keyOf({ per }: PreparedRateLimit, { caller }: Arrival, head: RequestHead | null): string {
  return per
    .map((one) => {
      if ('identity' in one) return caller.identity;
      if ('sourceAddress' in one) return caller.address;
      return short(head === null ? '' : (headerValue(head, one.header) ?? ''));
    })
    .join(separator);
}

function short(value: string): string {
  return value.length <= maxValueChars ? value : hash('sha256', value);
}
