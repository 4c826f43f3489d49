// Whether this pod takes one more request or connection now, by the rate limits in force: each that concerns it must have a
// token, and only then is one taken of each. Asked after authorization, so that callers who are refused use up nobody's.

import { hash } from 'node:crypto';
import type { RequestHead } from '../codec/session.ts';
import type { LocalReply } from '../exchange/local-reply.ts';
import { headerValue, matchHolds, pathOf } from '../policy/route-match.ts';
import type { PreparedRateLimit } from '../state/prepared.ts';
import type { Arrival } from './authorize.ts';

/** Longer values stand as their digest: what callers choose takes no more memory than that. */
const maxValueChars = 128;
/** Between the values of one key; no field value holds it. */
const separator = '\n';

/** Null: it may go on. `retry-after` is in whole seconds, rounded up (RFC 9110 §10.2.3). */
export function limitRequest(
  limits: readonly PreparedRateLimit[],
  arrival: Arrival,
  head: RequestHead,
  nowMs: number,
): LocalReply | null {
  const path = pathOf(head.path);
  const concerned = limits.filter((limit) => isAt(limit, arrival) && holds(limit, head, path));
  return limited(concerned, (limit) => keyOf(limit, arrival, head), nowMs);
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
    (limit) => isAt(limit, arrival) && asksForIdentity(limit) === known,
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

function isAt({ ports }: PreparedRateLimit, { target }: Arrival): boolean {
  return ports === null || ports.has(target.port);
}

function holds({ matches }: PreparedRateLimit, head: RequestHead, path: string): boolean {
  return matches.length === 0 || matches.some((match) => matchHolds(match, head, path, null));
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
