// What becomes of one request to the pod's app: who called, what the app is told of it, in which protocol
// the app gets it. Pure.

import { headers } from '../api/constants.ts';
import type { InboundPort } from '../api/resources.ts';
import type { RequestHead } from '../codec/session.ts';
import type { Plan } from '../exchange/plan.ts';
import { clientCertHeader } from '../exchange/mesh-fields.ts';
import { readFields } from '../exchange/request-fields.ts';
import type { NextRequestId } from '../exchange/request-id.ts';
import type { LocalReply } from '../exchange/local-reply.ts';
import type { PeerFacts } from '../net/link.ts';
import { newRetryBudget } from '../policy/retry-budget.ts';
import type { EndpointHandle, PreparedWorkload } from '../state/prepared.ts';

/** The same for all requests of one connection. */
export interface InboundFacts {
  /** Null: plaintext. */
  peer: PeerFacts | null;
  /** The caller's app speaks HTTP/2 on this very connection; null: a sidecar carries its requests, and tells of each. */
  http2: boolean | null;
  /** What the app is told of the peer's certificate; empty in plaintext. */
  clientCert: string;
  app: readonly EndpointHandle[];
}

export function planInbound(
  facts: InboundFacts,
  port: InboundPort,
  head: RequestHead,
  nextRequestId: NextRequestId,
): Plan {
  const { peer } = facts;
  const { grpc, requestId, tellsHttp2, tellsAbsoluteForm } = readFields(head.fields, true);
  const refusal = refusalOf(port, peer);
  if (refusal !== null) return { type: 'refuse', route: '', reply: refusal, grpc };
  const id = requestId === '' ? nextRequestId() : requestId;
  if (requestId === '') head.fields.push(headers.requestId, id);
  if (peer !== null)
    head.fields.push(headers.clientIdentity, peer.id, clientCertHeader, facts.clientCert);
  // Without a host, what begins the path would stand in its place, and some would take it for that.
  if (facts.http2 === null && tellsAbsoluteForm && head.authority !== '') head.absoluteForm = true;
  const appHttp2 = port.protocol === 'http2' || (facts.http2 ?? tellsHttp2);
  return {
    type: 'forward',
    head,
    route: '',
    endpoints: facts.app,
    endpointsName: '',
    plain: appHttp2 ? 'http2' : 'http1',
    tellHttp2: false,
    timeoutMs: null,
    idleTimeoutMs: null,
    connectTimeoutMs: null,
    retry: null,
    outlier: null,
    use: null,
    balance: null,
    responseHeaders: null,
    cors: null,
    mirrors: null,
    // Attempts at the own app are not retries of a policy.
    budget: newRetryBudget(),
    grpc,
    requestId: id,
    workload: '',
    trace: null,
  };
}

/** A request that came after the last one that the app was to see. */
export function planLate(peer: PeerFacts | null, head: RequestHead): Plan {
  if (peer !== null) return { type: 'unprocessed' };
  const { grpc } = readFields(head.fields, true);
  return { type: 'refuse', route: '', reply: { code: 'draining', detail: '' }, grpc };
}

/** Null: the caller may go on to authorization. */
export function refusalOf(port: InboundPort, peer: PeerFacts | null): LocalReply | null {
  if (peer !== null || port.mtls !== 'STRICT') return null;
  const by = { policy: port.decidedBy, rule: '', reason: 'mtls-required' };
  return { code: 'mtls-required', detail: port.decidedBy, by };
}

/** `ownIdentity`: of this pod, what callers called in certificates' terms. */
export function clientCertOf(peer: PeerFacts, ownIdentity: string): string {
  return `By=${ownIdentity};Hash=${peer.certificateHash};URI=${peer.id}`;
}

export function portOf(workload: PreparedWorkload, port: number): InboundPort {
  return workload.ports.get(port) ?? workload.otherPort;
}
