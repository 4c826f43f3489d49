// What is to be done with one request, decided before any socket is touched. Types only.

import type { HeaderChange } from '../api/resources.ts';
import type { Fields, RequestHead } from '../codec/session.ts';
import type { BalanceAsk } from '../policy/balancer.ts';
import type { PlainProtocol } from '../pool/http-pool.ts';
import type { RetryBudget } from '../policy/retry-budget.ts';
import type { DestinationUse } from '../policy/limits.ts';
import type { EndpointHandle, PreparedOutlier, PreparedRetry } from '../state/prepared.ts';
import type { RequestTrace } from '../tracing/tracer.ts';
import type { LocalReply } from './local-reply.ts';

export interface ForwardPlan {
  type: 'forward';
  /** As it is sent on. */
  head: RequestHead;
  /** Stands in logs and refusals. */
  route: string;
  endpoints: readonly EndpointHandle[];
  /** Name of the set they were taken from; empty for the own app. */
  endpointsName: string;
  /** How endpoints without a sidecar are spoken to. */
  plain: PlainProtocol;
  /** A sidecar is told that the caller's app spoke HTTP/2, because its own app may speak nothing else. */
  tellHttp2: boolean;
  timeoutMs: number | null;
  /** Without a byte either way; null: none. */
  idleTimeoutMs: number | null;
  /** Of the wait for a connection; null: as long as it takes to fail. */
  connectTimeoutMs: number | null;
  retry: PreparedRetry | null;
  outlier: PreparedOutlier | null;
  /** What of the destination is in use; null: nothing is limited. */
  use: DestinationUse | null;
  /** Null: least request, and nothing else. */
  balance: BalanceAsk | null;
  responseHeaders: HeaderChange | null;
  /** What is said of CORS in place of what the app says; null: the app's own stays. */
  cors: Fields | null;
  /** Names of endpoint sets that get a copy; null: none. */
  mirrors: readonly string[] | null;
  budget: RetryBudget;
  grpc: boolean;
  requestId: string;
  /** Name of the workload that is called, where one alone stands behind the endpoints; empty: not known, or the own app. */
  workload: string;
  /** Set when it is begun; null: no span is recorded. */
  trace: RequestTrace | null;
}

/** The sidecar answers by itself. */
export type AnsweredPlan =
  /** `fields` hold the location too. */
  | { type: 'redirect'; route: string; status: number; location: string; fields: Fields }
  | { type: 'respond'; route: string; response: DirectAnswer }
  | { type: 'refuse'; route: string; reply: LocalReply; grpc: boolean };

/** What a policy says is answered; no error. */
export interface DirectAnswer {
  status: number;
  /** `noGrpcStatus` where it is not gRPC; otherwise what the body says is its message. */
  grpcStatus: number;
  /** All but content type and length. */
  fields: Fields;
  body: Buffer;
  /** Empty: there is no body. */
  contentType: string;
}

/** Held back, as a policy asks, before it is treated as `next` says. */
export interface DelayedPlan {
  type: 'delay';
  delayMs: number;
  next: ForwardPlan | AnsweredPlan;
}

export type Plan =
  | ForwardPlan
  | AnsweredPlan
  | DelayedPlan
  /** The pod is going and its app may be gone already: the caller's sidecar asks another. Not counted. */
  | { type: 'unprocessed' };
