// What becomes of one request of the pod's app: route, backend, headers, retries. Pure: the snapshot, the
// request and the random number are arguments.

import { headers } from '../api/constants.ts';
import type { RequestHead } from '../codec/session.ts';
import { readFields } from '../exchange/request-fields.ts';
import type { ForwardPlan, Plan } from '../exchange/plan.ts';
import type { NextRequestId } from '../exchange/request-id.ts';
import { changeFields } from '../policy/header-change.ts';
import { redirectLocation, rewriteTarget } from '../policy/rewrite.ts';
import { findRoute, type RouteFound } from '../policy/route-match.ts';
import { pickWeighted } from '../policy/weighted.ts';
import type { PreparedDestination, Snapshot } from '../state/prepared.ts';

export interface OutboundFacts {
  snapshot: Snapshot;
  destination: PreparedDestination;
  /** The app spoke HTTP/2. */
  http2: boolean;
}

export function planOutbound(
  facts: OutboundFacts,
  head: RequestHead,
  random: number,
  nextRequestId: NextRequestId,
): Plan {
  const { snapshot, destination } = facts;
  const { grpc, requestId } = readFields(head.fields, false);
  const found = findRoute(destination.routes, head);
  if (found === null) return refuse('no-route', destination.host, grpc);
  const { route } = found;
  if (route.redirect !== null) {
    const location = redirectLocation(route.redirect, head, found.prefix);
    return { type: 'redirect', route: route.name, status: route.redirect.status, location };
  }
  const backend = pickWeighted(route.backends, random);
  if (backend === null) return refuse('no-backends', route.name, grpc);
  const id = requestId === '' ? nextRequestId() : requestId;
  if (requestId === '') head.fields.push(headers.requestId, id);
  return {
    type: 'forward',
    head: changeHead(head, found),
    route: route.name,
    endpoints: snapshot.endpoints.get(backend.endpoints)?.endpoints ?? [],
    endpointsName: backend.endpoints,
    plain: destination.protocol === 'http2' || facts.http2 ? 'http2' : 'http1',
    tellHttp2: facts.http2,
    timeoutMs: route.timeoutMs,
    retry: route.retry,
    outlier: destination.outlier,
    responseHeaders: route.responseHeaders,
    budget: destination.budget,
    grpc,
    requestId: id,
  } satisfies ForwardPlan;
}

function refuse(code: 'no-route' | 'no-backends', detail: string, grpc: boolean): Plan {
  return { type: 'refuse', route: '', reply: { code, detail }, grpc };
}

function changeHead(head: RequestHead, { route, prefix }: RouteFound): RequestHead {
  if (route.requestHeaders === null && route.rewrite === null) return head;
  const { rewrite, requestHeaders } = route;
  return {
    ...head,
    authority: rewrite?.host ?? head.authority,
    path: rewrite?.path == null ? head.path : rewriteTarget(head.path, rewrite.path, prefix),
    fields: requestHeaders === null ? head.fields : changeFields(head.fields, requestHeaders),
  };
}
