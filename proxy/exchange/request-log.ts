// The access-log line of one request, carried or answered here. Whether one is wanted is the caller's to ask.

import type { RequestHead } from '../codec/session.ts';
import { errorSpec } from '../errors.ts';
import { noGrpcStatus } from '../telemetry/counters.ts';
import { readContext } from '../tracing/context.ts';
import type { AccessEntry } from '../telemetry/access-log.ts';
import type { ExchangeContext } from './context.ts';
import type { LocalReply } from './local-reply.ts';

/** What was tried and moved; all of it nothing where the request was answered here at once. */
export type Carried = Pick<
  AccessEntry,
  | 'endpoint'
  | 'grpcStatus'
  | 'requestId'
  | 'durationMs'
  | 'attempts'
  | 'sentBytes'
  | 'receivedBytes'
> &
  Pick<AccessEntry, 'firstByteMs' | 'connectMs'> & {
    /** Verified identity of the endpoint; empty: none, or the own app. */
    upstreamPeer?: string;
  };

export const notCarried: Carried = {
  endpoint: '',
  grpcStatus: noGrpcStatus,
  requestId: '',
  durationMs: 0,
  attempts: 0,
  sentBytes: 0,
  receivedBytes: 0,
};

export interface Logged {
  head: RequestHead;
  route: string;
  status: number;
  mtls: boolean;
  error: LocalReply | null;
}

export function logRequest(context: ExchangeContext, request: Logged, carried: Carried): void {
  const { head, route, status, mtls, error } = request;
  const { upstreamPeer = '', ...figures } = carried;
  const query = head.path.indexOf('?');
  context.deps.accessLog.write({
    direction: context.direction,
    destination: context.destination,
    route,
    method: head.method,
    authority: head.authority,
    path: query < 0 ? head.path : head.path.slice(0, query),
    status,
    peer: context.peer === '' ? upstreamPeer : context.peer,
    peerAddress: context.peerAddress,
    mtls,
    flag: error === null ? '' : errorSpec(error.code).flag,
    detail: error === null ? '' : error.detail,
    ...error?.by,
    protocol: figures.grpcStatus === noGrpcStatus ? context.protocol : 'gRPC',
    traceId: readContext(head.fields)?.traceId ?? '',
    ...figures,
  });
}
