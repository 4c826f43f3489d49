// Tells what is known of an endpoint how it answered: what it costs to choose it, and whether it is to be left out.

import { failurePenaltyMs, observe } from '../policy/load.ts';
import { recordResult, type Result } from '../policy/outlier.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import type { ExchangeContext } from './context.ts';
import type { ForwardPlan } from './plan.ts';

/** It gave no answer. */
export function blameEndpoint(
  context: ExchangeContext,
  plan: ForwardPlan,
  endpoint: EndpointHandle,
): void {
  observe(endpoint.load, failurePenaltyMs, context.deps.io.clock.nowMs());
  judgeEndpoint(context, plan, endpoint, 'gateway-error');
}

export function judgeEndpoint(
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
