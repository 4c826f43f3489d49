// Tells what is known of an endpoint how it answered: what it costs to choose it, and whether it is to be left out.

import { answerCame, fail, observe, observeFailure } from '../policy/load.ts';
import { recordResult, resultOf, type Result } from '../policy/outlier.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import type { Attempt } from './attempt.ts';
import type { ExchangeContext } from './context.ts';
import type { ForwardPlan } from './plan.ts';

/** gRPC RESOURCE_EXHAUSTED. */
const exhausted = 8;

/** The head of its answer came. `whole`: the statuses say all; of gRPC the trailers tell otherwise. */
export function hearEndpoint(
  context: ExchangeContext,
  plan: ForwardPlan,
  attempt: Attempt,
  answer: { status: number; grpcStatus: number; whole: boolean },
): void {
  const { status, grpcStatus, whole } = answer;
  const { endpoint } = attempt;
  const nowMs = context.deps.io.clock.nowMs();
  const latencyMs = nowMs - attempt.startedMs;
  answerCame(endpoint.load, nowMs);
  attempt.awaited = false;
  if (whole && isBad(status, grpcStatus)) observeFailure(endpoint.load, latencyMs, nowMs, true);
  else observe(endpoint.load, latencyMs, nowMs);
  if (whole) judgeEndpoint(context, plan, endpoint, resultOf(status, grpcStatus));
}

/** The trailers of its answer came. */
export function hearEnd(
  context: ExchangeContext,
  plan: ForwardPlan,
  endpoint: EndpointHandle,
  answer: { status: number; grpcStatus: number },
): void {
  const { status, grpcStatus } = answer;
  if (isBad(status, grpcStatus)) fail(endpoint.load, context.deps.io.clock.nowMs(), true);
  judgeEndpoint(context, plan, endpoint, resultOf(status, grpcStatus));
}

/** It gave no answer. */
export function blameEndpoint(context: ExchangeContext, plan: ForwardPlan, attempt: Attempt): void {
  const { endpoint, startedMs } = attempt;
  const nowMs = context.deps.io.clock.nowMs();
  observeFailure(endpoint.load, nowMs - startedMs, nowMs, false);
  judgeEndpoint(context, plan, endpoint, 'gateway-error');
}

/** Answers that others might give better: one that has too much to do is not to be asked more for saying so at once. */
function isBad(status: number, grpcStatus: number): boolean {
  return status === 429 || grpcStatus === exhausted || resultOf(status, grpcStatus) !== 'good';
}

function judgeEndpoint(
  context: ExchangeContext,
  plan: ForwardPlan,
  endpoint: EndpointHandle,
  result: Result,
): void {
  if (plan.outlier === null) return;
  const from = { policy: plan.outlier, endpoints: plan.endpoints };
  const nowMs = context.deps.io.clock.nowMs();
  if (recordResult(endpoint, result, from, nowMs)) context.series.ejection();
}
