// Tells what is known of an endpoint how it answered: what it costs to choose it, and whether it is to be left out.

import { answerCame, fail, observe, observeFailure } from '../policy/load.ts';
import type { DestinationUse } from '../policy/limits.ts';
import { recordResult, recordUnjudged, resultOf, type Result } from '../policy/outlier.ts';
import { newFigures, recordAnswer, recordLatency } from '../policy/outlier-compare.ts';
import type { EndpointHandle, PreparedOutlier } from '../state/prepared.ts';
import type { Attempt, Failure } from './attempt.ts';
import type { ExchangeContext } from './context.ts';
import { tellEjection, tellReturn } from './ejections.ts';
import { OutlierWatch } from './outlier-watch.ts';
import type { ForwardPlan } from './plan.ts';

/** gRPC RESOURCE_EXHAUSTED. */
const exhausted = 8;

/** By which policy an endpoint is judged, and among which others: a plan, or a destination's tunnels. */
export interface Judged {
  outlier: PreparedOutlier | null;
  endpoints: readonly EndpointHandle[];
  use: DestinationUse | null;
}

/** Of whom something was heard, and after which time; -1: not an answer. */
export interface Heard {
  readonly endpoint: EndpointHandle;
  readonly latencyMs: number;
}

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
  if (plan.outlier === null) {
    if (endpoint.load.health !== null) recordUnjudged(endpoint.load, nowMs);
    return;
  }
  const result = resultOf(status, grpcStatus);
  // What it waited for a place costs whoever chooses the endpoint, but the endpoint is not to be left out for it.
  attempt.latencyMs = latencyMs - attempt.waitedMs;
  // To fail fast is not to be quick.
  if (plan.outlier.latency !== null && result === 'good')
    recordLatency((endpoint.load.figures ??= newFigures()), attempt.latencyMs);
  if (whole) judgeEndpoint(context, plan, attempt, result);
}

/** The trailers of its answer came. */
export function hearEnd(
  context: ExchangeContext,
  plan: ForwardPlan,
  attempt: Attempt,
  answer: { status: number; grpcStatus: number },
): void {
  const { status, grpcStatus } = answer;
  if (isBad(status, grpcStatus)) fail(attempt.endpoint.load, context.deps.io.clock.nowMs(), true);
  judgeEndpoint(context, plan, attempt, resultOf(status, grpcStatus));
}

/**
 * Its time is over, and its answer has not begun: whether the endpoint has it, or is not reached. Who waits for a place
 * under a limit of ours does not. Asked before it is taken from the pool.
 */
export function keepsWaiting({ deps }: ExchangeContext, plan: ForwardPlan, attempt: Attempt) {
  if (attempt.connection !== null) return attempt.awaited;
  return attempt.awaited && deps.pool.awaitsDial(attempt, plan.plain, attempt);
}

/** Whether that it failed says something about its endpoint. Asked before it is taken from the pool. */
export function isItsFault(
  context: ExchangeContext,
  plan: ForwardPlan,
  attempt: Attempt,
  { outcome, code, waited }: Failure,
): boolean {
  if (waited === true) return keepsWaiting(context, plan, attempt);
  if (outcome.type === 'connect') return code !== 'overload' && code !== 'no-identity';
  return outcome.type === 'reset' || outcome.type === 'timeout';
}

/** It gave no answer. */
export function blameEndpoint(context: ExchangeContext, plan: ForwardPlan, attempt: Attempt): void {
  const { endpoint, startedMs } = attempt;
  const nowMs = context.deps.io.clock.nowMs();
  observeFailure(endpoint.load, nowMs - startedMs, nowMs, false);
  judgeEndpoint(context, plan, attempt, 'gateway-error');
}

/** Answers that others might give better: one that has too much to do is not to be asked more for saying so at once. */
export function isBad(status: number, grpcStatus: number): boolean {
  return status === 429 || grpcStatus === exhausted || resultOf(status, grpcStatus) !== 'good';
}

export function judgeEndpoint(
  context: ExchangeContext,
  judged: Judged,
  { endpoint, latencyMs }: Heard,
  result: Result,
): void {
  const { outlier, endpoints, use } = judged;
  const { load } = endpoint;
  if (outlier === null) {
    if (load.health !== null) recordUnjudged(load, context.deps.io.clock.nowMs());
    return;
  }
  if (outlier.intervalMs !== null) {
    recordAnswer((load.figures ??= newFigures()), result === 'good');
    if (use !== null && use.watch?.running !== true) watch(context, use);
  }
  if (result === 'good' && load.health === null) return;
  const nowMs = context.deps.io.clock.nowMs();
  const sinceMs = load.health?.outSinceMs ?? nowMs;
  const change = recordResult(endpoint, result, { policy: outlier, endpoints, latencyMs }, nowMs);
  if (change === null) return;
  const told = {
    series: context.series,
    destination: context.destination,
    logger: context.deps.logger,
  };
  if (change === 'returned') tellReturn(told, endpoint, nowMs - sinceMs);
  else tellEjection(told, endpoint, change, nowMs);
}

/** Opaque connections: one that was opened is a good answer, one that could not be is none. */
export function judgedConnections(
  context: ExchangeContext,
  { outlier, use }: Pick<Judged, 'outlier'> & { use: DestinationUse },
  endpoints: readonly EndpointHandle[],
) {
  const judged = { outlier, endpoints, use };
  const onResult = (endpoint: EndpointHandle, opened: boolean): void =>
    judgeEndpoint(context, judged, { endpoint, latencyMs: -1 }, opened ? 'good' : 'gateway-error');
  return { use, onResult };
}

function watch({ deps, series, destination }: ExchangeContext, use: DestinationUse): void {
  const held = use.watch instanceof OutlierWatch ? use.watch : null;
  const one = held ?? new OutlierWatch(deps, use, { series, destination });
  use.watch = one;
  one.start();
}
