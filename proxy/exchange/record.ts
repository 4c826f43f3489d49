// What is kept of an exchange that came to its end: its counts and its line in the access log. It decides nothing.

import { destinationName } from '../api/resources.ts';
import { errorSpec } from '../errors.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { countError } from './connection-log.ts';
import type { ExchangeContext } from './context.ts';
import type { LocalReply } from './local-reply.ts';
import type { ForwardPlan } from './plan.ts';
import { logRequest } from './request-log.ts';
import { recordSpan } from './request-span.ts';

export interface Ending {
  /** 0: broken off before or within the answer. */
  status: number;
  /** `noGrpcStatus` where the answer was not gRPC. */
  grpcStatus: number;
  error: LocalReply | null;
  /** For the log of what did not fail. */
  note: LocalReply | null;
  sentOverMtls: boolean;
  startedMs: number;
  /** When the head of the answer was passed on; -1: it was not. */
  answeredMs: number;
  /** The last attempt's wait for its connection; -1: it got none. */
  connectMs: number;
  endpoint: EndpointHandle | null;
  attempts: number;
  sentBytes: number;
  receivedBytes: number;
}

export function recordExchange(context: ExchangeContext, plan: ForwardPlan, end: Ending): void {
  const { series, deps } = context;
  const { status, grpcStatus, error } = end;
  if (error !== null) countError(series, error);
  const latencyMs = deps.io.clock.nowMs() - end.startedMs;
  const inbound = context.direction === 'inbound';
  const mtls = inbound ? context.peer !== '' : end.sentOverMtls;
  series.request({
    status,
    grpcStatus,
    latencyMs,
    mtls,
    route: plan.route,
    protocol: plan.grpc ? 'gRPC' : context.protocol,
    peer: end.sentOverMtls ? (end.endpoint?.identity ?? '') : context.peer,
    workload: inbound ? context.peerWorkload : plan.workload,
    flag: error === null ? '' : errorSpec(error.code).flag,
    requestBytes: end.sentBytes,
    responseBytes: end.receivedBytes,
  });
  series.bytes(end.sentBytes, end.receivedBytes);
  if (deps.accessLog.wants(error !== null || status >= 500)) log(context, plan, end, latencyMs);
  if (plan.trace !== null) trace(context, plan, end);
}

function trace(context: ExchangeContext, plan: ForwardPlan, end: Ending): void {
  const { head, route, requestId } = plan;
  const { endpoint, attempts, sentBytes, receivedBytes, sentOverMtls: overMtls } = end;
  const carried = { endpoint, overMtls, attempts, requestId, sentBytes, receivedBytes };
  recordSpan(context, plan.trace!, { ...end, head, route, carried });
}

function log(context: ExchangeContext, plan: ForwardPlan, end: Ending, durationMs: number): void {
  const { head, route, requestId } = plan;
  const { endpoint, status, grpcStatus, attempts, sentBytes, receivedBytes } = end;
  const mtls = context.direction === 'inbound' ? context.peer !== '' : end.sentOverMtls;
  logRequest(
    context,
    { head, route, status, mtls, error: end.error ?? end.note },
    {
      endpoint: endpoint === null ? '' : destinationName(endpoint.address, endpoint.port),
      grpcStatus,
      requestId,
      durationMs,
      firstByteMs: end.answeredMs < 0 ? -1 : end.answeredMs - end.startedMs,
      connectMs: end.connectMs,
      upstreamPeer: end.sentOverMtls ? (endpoint?.identity ?? '') : '',
      attempts,
      sentBytes,
      receivedBytes,
    },
  );
}
