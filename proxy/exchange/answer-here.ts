// A request that the sidecar answers by itself: sends what was planned, counts and logs it, lets the rest of the request
// go by. It decides nothing.

import { headers } from '../api/constants.ts';
import type { RequestHead, ServerStream, StreamListener } from '../codec/session.ts';
import { fieldLine } from '../policy/route-match.ts';
import { noGrpcStatus } from '../telemetry/counters.ts';
import type { RequestTrace } from '../tracing/tracer.ts';
import { countAnswered, countError, type Said } from './connection-log.ts';
import type { ExchangeContext } from './context.ts';
import {
  grpcStatusOfReply,
  httpStatusOf,
  sendDirect,
  sendLocalReply,
  sendRedirect,
} from './local-reply.ts';
import type { AnsweredPlan } from './plan.ts';
import { logRequest, notCarried } from './request-log.ts';
import { recordSpan } from './request-span.ts';

export interface AnsweredRequest {
  stream: ServerStream;
  head: RequestHead;
  /** How long it was held back. */
  latencyMs: number;
}

export function answerHere(
  context: ExchangeContext,
  { stream, head, latencyMs }: AnsweredRequest,
  plan: AnsweredPlan,
  trace: RequestTrace | null,
): void {
  switch (plan.type) {
    case 'redirect':
      sendRedirect(stream, plan.status, plan.fields);
      break;
    case 'respond':
      sendDirect(stream, head, plan.response);
      break;
    case 'refuse':
      sendLocalReply(stream, head, plan.reply, plan.grpc);
  }
  record(context, head, plan, latencyMs);
  if (trace === null) return;
  const startedMs = context.deps.io.clock.nowMs() - latencyMs;
  const { route } = plan;
  recordSpan(context, trace, { head, route, ...saidBy(plan), startedMs, carried: null });
}

function saidBy(plan: AnsweredPlan): Said {
  switch (plan.type) {
    case 'redirect':
      return { status: plan.status, grpcStatus: noGrpcStatus, error: null };
    case 'respond': {
      const { status, grpcStatus } = plan.response;
      return { status: grpcStatus === noGrpcStatus ? status : 200, grpcStatus, error: null };
    }
    case 'refuse': {
      const { grpc, reply } = plan;
      if (!grpc) return { status: httpStatusOf(reply), grpcStatus: noGrpcStatus, error: reply };
      return { status: 200, grpcStatus: grpcStatusOfReply(reply), error: reply };
    }
  }
}

function record(
  context: ExchangeContext,
  head: RequestHead,
  plan: AnsweredPlan,
  latencyMs: number,
): void {
  const { series, deps, peerFacts } = context;
  const { status, grpcStatus, error } = saidBy(plan);
  const mtls = peerFacts !== null;
  countAnswered(context, { status, grpcStatus, error }, { route: plan.route, latencyMs });
  if (error !== null) countError(series, error);
  if (!deps.accessLog.wants(error !== null)) return;
  const request = { head, route: plan.route, status, mtls, error };
  const requestId = fieldLine(head.fields, headers.requestId) ?? '';
  const carried = { ...notCarried, grpcStatus, requestId, durationMs: latencyMs };
  logRequest(context, request, carried);
}

/** The rest of a request that was answered here. */
export class Discard implements StreamListener<RequestHead> {
  private readonly stream: ServerStream;

  constructor(stream: ServerStream) {
    this.stream = stream;
  }

  onHead(): void {
    // Came with the request.
  }

  onData(chunk: Buffer): void {
    this.stream.consumed(chunk.length);
  }

  onTrailers(): void {
    // Nobody reads them.
  }

  onReset(): void {
    // The answer was given.
  }

  onDrained(): void {
    // The answer was short.
  }
}
