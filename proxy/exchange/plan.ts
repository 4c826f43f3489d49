// What is to be done with one request, decided before any socket is touched. Types only.

import type { HeaderChange } from '../api/resources.ts';
import type { RequestHead } from '../codec/session.ts';
import type { PlainProtocol } from '../pool/http-pool.ts';
import type { EndpointHandle, PreparedOutlier, PreparedRetry } from '../state/prepared.ts';
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
  retry: PreparedRetry | null;
  outlier: PreparedOutlier | null;
  responseHeaders: HeaderChange | null;
  budget: { inFlight: number; retries: number };
  grpc: boolean;
  requestId: string;
}

export type Plan =
  | ForwardPlan
  /** The pod is going and its app may be gone already: the caller's sidecar asks another. Not counted. */
  | { type: 'unprocessed' }
  | { type: 'redirect'; route: string; status: number; location: string }
  | { type: 'refuse'; route: string; reply: LocalReply; grpc: boolean };
