// Whether a failed attempt is made again, and after which pause. Pure. Two reasons: it provably did no
// harm (always), or a policy asks for it (as long as its budget allows).

import type { ProxyErrorCode } from '../errors.ts';
import type { PreparedRetry } from '../state/prepared.ts';

/** How an attempt ended without success. */
export type Outcome =
  /** Answered; `grpcStatus` -1 where it is not a gRPC answer without body. */
  | { type: 'answer'; status: number; grpcStatus: number }
  /** No connection: nothing was sent. */
  | { type: 'connect'; code: ProxyErrorCode }
  /** The peer says that it did not process it, or it never left this process. */
  | { type: 'unprocessed' }
  /** Ended without an answer. `reused`: on a connection that had carried requests before. */
  | { type: 'reset'; reused: boolean }
  | { type: 'timeout' }
  /** A limit of the destination stood in the way: whichever endpoint was asked next, it would again. */
  | { type: 'limited' };

/** RFC 9110 §9.2.2. */
const idempotent: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
]);

const grpcUnavailable = 14;
/** Envoy's `retriable-4xx`: a conflict may be gone the next time. */
const conflict = 409;

/** DESIGN §7: sent twice only if it provably did not reach an app, or is idempotent on a reused connection. */
function isSafeToRepeat(outcome: Outcome, method: string): boolean {
  switch (outcome.type) {
    case 'connect':
    case 'unprocessed':
      return true;
    case 'reset':
      return outcome.reused && idempotent.has(method);
    case 'answer':
    case 'timeout':
    case 'limited':
      return false;
  }
}

/**
 * Pauses before the attempts that no policy asked for, as many as there are. A pod that goes hands requests back until
 * everybody has heard that it does (some hundred milliseconds): they are moved, not repeated, and that costs nobody
 * anything. The first move is made at once.
 */
const movedPausesMs = [0, 25, 50, 100, 200, 400] as const;
/** Nothing is there. Who tries more than twice only adds to an outage. */
const elsewherePausesMs = [0, 25] as const;
/** Where there is no other endpoint: it is more likely down than replaced. */
const alonePausesMs = [25, 50] as const;

export interface RepeatFacts {
  /** Such attempts so far. */
  made: number;
  /** There is one endpoint only. */
  alone: boolean;
  /** It is the app of this pod, which cannot be replaced by another. */
  ownApp: boolean;
}

/** Before the next attempt that needs no policy; undefined: there is none. */
export function safePauseMs(
  outcome: Outcome,
  method: string,
  { made, alone, ownApp }: RepeatFacts,
): number | undefined {
  if (!isSafeToRepeat(outcome, method)) return undefined;
  switch (outcome.type) {
    case 'unprocessed':
      return movedPausesMs[made];
    case 'connect':
      if (alone) return ownApp ? undefined : alonePausesMs[made];
      return elsewherePausesMs[made];
    default:
      // It may have reached the app after all: once, and on a connection that cannot have been closed meanwhile.
      return made === 0 ? 0 : undefined;
  }
}

export function isRetriable(policy: PreparedRetry | null, outcome: Outcome): boolean {
  if (policy === null) return false;
  const { on } = policy;
  switch (outcome.type) {
    case 'connect':
      return on.has('connect-failure') || noAnswer(policy);
    case 'unprocessed':
      return on.has('refused-stream') || noAnswer(policy);
    case 'reset':
    case 'timeout':
      return noAnswer(policy);
    case 'limited':
      return false;
    case 'answer':
      return answerIsRetriable(policy, outcome);
  }
}

/** As in Envoy: `5xx` and `gateway-error` stand for "no answer at all" too. */
function noAnswer({ on }: PreparedRetry): boolean {
  return on.has('reset') || on.has('5xx') || on.has('gateway-error');
}

function answerIsRetriable(
  { on, statuses, grpcCodes }: PreparedRetry,
  { status, grpcStatus }: Outcome & { type: 'answer' },
): boolean {
  if (statuses.has(status) || grpcCodes.has(grpcStatus)) return true;
  if (on.has('unavailable') && grpcStatus === grpcUnavailable) return true;
  if (on.has('5xx') && status >= 500) return true;
  if (on.has('gateway-error') && status >= 502 && status <= 504) return true;
  return on.has('retriable-4xx') && status === conflict;
}

/** Full jitter: between 0 and base doubled per retry, up to the most. `retry` counts from 0. */
export function backoffMs(policy: PreparedRetry, retry: number, random: number): number {
  const ceiling = Math.min(policy.maxBackoffMs, policy.backoffMs * 2 ** retry);
  return random * ceiling;
}
