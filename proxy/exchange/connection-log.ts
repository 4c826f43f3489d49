// Access-log lines and counts of connections that were not carried as requests: opaque ones, refused ones, and
// those on which something came that is no request. Requests are request-log.ts.

import type { Refusal } from '../codec/session.ts';
import { codeOfUnreadable, errorSpec, type ProxyErrorCode } from '../errors.ts';
import { noGrpcStatus, type Series } from '../telemetry/counters.ts';
import type { ExchangeContext } from './context.ts';
import type { LocalReply } from './local-reply.ts';

/** A connection that was not carried. */
export function logRefusedConnection(
  context: ExchangeContext,
  code: ProxyErrorCode,
  detail: string,
): void {
  logRefusal(context, { code, detail });
}

/** An endpoint that proved another identity than its own, where the caller does not hear of it. */
export function logMismatch(context: ExchangeContext, detail: string): void {
  logRefusal(context, { code: 'identity-mismatch', detail });
}

/** The same, with the policy that refused it. */
export function logRefusal(context: ExchangeContext, reply: LocalReply): void {
  const { series, deps, peerFacts } = context;
  countError(series, reply);
  if (!deps.accessLog.wants(true)) return;
  const { code, detail, by } = reply;
  const mtls = peerFacts !== null;
  const { flag } = errorSpec(code);
  deps.accessLog.write({ ...emptyEntry(context), mtls, flag, detail, ...by });
}

/** What the sidecar itself makes of a request. */
export interface Said {
  status: number;
  grpcStatus: number;
  error: LocalReply | null;
}

/** A request that was answered here, or left before it was sent on. */
export function countAnswered(
  context: ExchangeContext,
  { status, grpcStatus, error }: Said,
  { route, latencyMs }: { route: string; latencyMs: number },
): void {
  context.series.request({
    status,
    grpcStatus,
    latencyMs,
    mtls: context.peer !== '',
    route,
    protocol: grpcStatus === noGrpcStatus ? context.protocol : 'gRPC',
    peer: context.peer,
    workload: context.peerWorkload,
    flag: error === null ? '' : errorSpec(error.code).flag,
    requestBytes: 0,
    responseBytes: 0,
  });
}

export function countError(series: Series, { code, by }: LocalReply): void {
  series.error(code);
  if (by !== undefined) series.decision('denied', by.policy, by.rule, by.reason);
}

/** What came was no request that could be read: the codec answered, or ended the connection. */
export function logUnreadable(context: ExchangeContext, { status, text }: Refusal): void {
  const { series, deps } = context;
  const code = codeOfUnreadable(status);
  const mtls = context.peer !== '';
  series.error(code);
  const said = { status, grpcStatus: noGrpcStatus, error: { code, detail: '' } };
  if (status > 0) countAnswered(context, said, { route: '', latencyMs: 0 });
  if (!deps.accessLog.wants(true)) return;
  const { flag } = errorSpec(code);
  deps.accessLog.write({
    ...emptyEntry(context),
    status,
    mtls,
    attempts: 0,
    flag,
    detail: text,
  });
}

/** The fields that say nothing. */
export function emptyEntry(context: ExchangeContext) {
  return {
    direction: context.direction,
    destination: context.destination,
    endpoint: '',
    route: '',
    method: '',
    authority: '',
    path: '',
    status: 0,
    grpcStatus: noGrpcStatus,
    peer: context.peer,
    peerAddress: context.peerAddress,
    mtls: false,
    requestId: '',
    durationMs: 0,
    attempts: 1,
    sentBytes: 0,
    receivedBytes: 0,
    flag: '',
    detail: '',
    protocol: context.protocol,
  };
}
