// What an exchange that ended badly says it ended by: codes of the error table, from what was heard of either side.

import type { ResetReason } from '../codec/session.ts';
import type { ProxyErrorCode } from '../errors.ts';
import { isExpired } from '../net/link.ts';
import type { Attempt, Failure } from './attempt.ts';
import type { ExchangeContext } from './context.ts';
import { grpcTimeoutMs } from './grpc-timeout.ts';
import type { LocalReply } from './local-reply.ts';
import type { ForwardPlan } from './plan.ts';

/** Timers of servers are not exact. */
const deadlineSlackMs = 5;

/** The caller's stream was reset. */
export function causeOfReset(
  { peerFacts, deps }: ExchangeContext,
  reason: ResetReason,
): LocalReply {
  if (reason === 'protocol') return { code: 'bad-request', detail: 'the body is not framed right' };
  const expired = isExpired(peerFacts, deps.io.clock.wallTimeMs());
  return { code: expired ? 'certificate-expired' : 'client-closed', detail: '' };
}

/** An attempt failed. `startedMs`: of the whole exchange. */
export function causeOfFailure(
  of: { context: ExchangeContext; plan: ForwardPlan; startedMs: number },
  attempt: Attempt,
  { code }: Failure,
): ProxyErrorCode {
  const { context, plan, startedMs } = of;
  const { clock } = context.deps.io;
  if (code === 'upstream-reset' && attempt.isExpired(clock.wallTimeMs()))
    return 'certificate-expired';
  if (code === 'upstream-cancelled' && deadlinePassed(plan, clock.nowMs() - startedMs))
    return 'deadline-passed';
  if (context.direction === 'outbound') return code;
  return code === 'connect-failed' || code === 'connect-timeout' ? 'app-unreachable' : code;
}

/** Servers of gRPC reset a call by CANCEL when its deadline passes, and clients read that as such. */
function deadlinePassed(plan: ForwardPlan, elapsedMs: number): boolean {
  const timeoutMs = plan.grpc ? grpcTimeoutMs(plan.head.fields) : null;
  return timeoutMs !== null && elapsedMs >= timeoutMs - deadlineSlackMs;
}
