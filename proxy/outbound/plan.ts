// What becomes of one request of the pod's app: route, fault, answer of the sidecar's own or backend, headers, retries.
// Pure: the snapshot, the request and the random numbers are arguments. docs/routing.md says what comes before what.

import { headers } from '../api/constants.ts';
import type { Fields, RequestHead } from '../codec/session.ts';
import { readFields, type RequestFacts } from '../exchange/request-fields.ts';
import { withCors, type LocalReply } from '../exchange/local-reply.ts';
import type { AnsweredPlan, ForwardPlan, Plan } from '../exchange/plan.ts';
import type { NextRequestId } from '../exchange/request-id.ts';
import { answerFields, preflightFields, preflightOf } from '../policy/cors.ts';
import { grpcOfHttp } from '../policy/grpc-http.ts';
import { askOf, keptBackend } from '../policy/balance-ask.ts';
import { changeFields } from '../policy/header-change.ts';
import { redirectLocation, rewriteTarget } from '../policy/rewrite.ts';
import type { Caller } from '../policy/route-match.ts';
import type { RouteFound } from '../policy/route-table.ts';
import { pickWeighted } from '../policy/weighted.ts';
import type {
  PreparedAbort,
  PreparedDestination,
  PreparedRoute,
  Snapshot,
} from '../state/prepared.ts';
import { noGrpcStatus } from '../telemetry/counters.ts';

export interface OutboundFacts {
  snapshot: Snapshot;
  destination: PreparedDestination;
  /** Whose sidecar this is, for routes that ask; null: not known (yet). */
  caller: Caller | null;
  /** The app spoke HTTP/2. */
  http2: boolean;
  sources: PlanSources;
  /** Of the app's connection; empty: not known. */
  sourceAddress: string;
}

export interface PlanSources {
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly nextRequestId: NextRequestId;
}

export function planOutbound(facts: OutboundFacts, head: RequestHead): Plan {
  const { caller, destination } = facts;
  const said = readFields(head.fields, false);
  const { table } = destination;
  if (table.hasCors && head.method === 'OPTIONS') {
    const answer = planPreflight(facts, head);
    if (answer !== null) return answer;
  }
  const found = table.find(head, caller);
  if (found === null) return refuse('', { code: 'no-route', detail: destination.host }, said.grpc);
  return found.route.fault === null
    ? planRoute(facts, head, said, found)
    : planFaulty(facts, head, said, found);
}

/**
 * A browser asks before it sends a request: answered for the route of that request, as far as what is known of it tells.
 */
function planPreflight({ caller, destination }: OutboundFacts, head: RequestHead): Plan | null {
  const preflight = preflightOf(head);
  if (preflight === null) return null;
  const { table } = destination;
  const found =
    table.find({ ...head, method: preflight.method }, caller) ?? table.find(head, caller);
  const cors = found?.route.cors ?? null;
  if (found === null || cors === null) return null;
  const fields = preflightFields(cors, preflight);
  const response = { status: 204, grpcStatus: noGrpcStatus, fields, ...noBody };
  return { type: 'respond', route: found.route.name, response };
}

const noBody = { body: Buffer.alloc(0), contentType: '' } as const;

function planFaulty(
  facts: OutboundFacts,
  head: RequestHead,
  said: RequestFacts,
  found: RouteFound,
): Plan {
  const { route } = found;
  const { delay, abort } = route.fault!;
  const { random } = facts.sources;
  const isDelayed = delay !== null && isHit(delay.percent, random);
  const next =
    abort !== null && isHit(abort.percent, random)
      ? planAbort(head, route, abort, said.grpc)
      : planRoute(facts, head, said, found);
  return isDelayed ? { type: 'delay', delayMs: delay.ms, next } : next;
}

function isHit(percent: number, random: () => number): boolean {
  return random() * 100 < percent;
}

function planAbort(
  head: RequestHead,
  route: PreparedRoute,
  { httpStatus, grpcStatus }: PreparedAbort,
  grpc: boolean,
): AnsweredPlan {
  const as = { httpStatus, grpcStatus };
  const reply: LocalReply = { code: 'fault-injected', detail: route.name, as };
  return refuse(route.name, withCors(reply, corsOf(route, head)), grpc);
}

function planRoute(
  facts: OutboundFacts,
  head: RequestHead,
  { grpc, requestId }: RequestFacts,
  found: RouteFound,
): ForwardPlan | AnsweredPlan {
  const { snapshot, destination, sources } = facts;
  const { route } = found;
  if (route.redirect !== null || route.directResponse !== null)
    return planAnswer(head, found, grpc);
  const cors = corsOf(route, head);
  const kept = keptBackend(destination.balancing, route.backends, head, snapshot);
  const backend = kept ?? pickWeighted(route.backends, sources.random());
  if (backend === null || backend.missing !== null) {
    const detail = backend === null ? route.name : `${route.name}: ${backend.missing}`;
    return refuse(route.name, withCors({ code: 'no-backends', detail }, cors), grpc);
  }
  const set = snapshot.endpoints.get(backend.endpoints);
  const id = requestId === '' ? sources.nextRequestId() : requestId;
  if (requestId === '') head.fields.push(headers.requestId, id);
  return {
    type: 'forward',
    head: changeHead(head, found),
    route: route.name,
    endpoints: set?.endpoints ?? [],
    endpointsName: backend.endpoints,
    plain: destination.protocol === 'http2' || facts.http2 ? 'http2' : 'http1',
    tellHttp2: facts.http2,
    timeoutMs: route.timeoutMs,
    idleTimeoutMs: route.idleTimeoutMs,
    connectTimeoutMs: destination.connectTimeoutMs,
    retry: route.retry,
    outlier: destination.outlier,
    use: destination.use,
    balance: destination.balancing === null ? null : askOf(destination.balancing, head, facts),
    responseHeaders: route.responseHeaders,
    cors,
    mirrors: route.mirrors === null ? null : mirrorsOf(route.mirrors, sources.random),
    budget: destination.budget,
    grpc,
    requestId: id,
    workload: set?.workload ?? '',
    trace: null,
  } satisfies ForwardPlan;
}

function mirrorsOf(
  mirrors: NonNullable<PreparedRoute['mirrors']>,
  random: () => number,
): string[] | null {
  let names: string[] | null = null;
  for (const { endpoints, percent } of mirrors)
    if (isHit(percent, random)) (names ??= []).push(endpoints);
  return names;
}

/** Redirects and direct responses. */
function planAnswer(head: RequestHead, { route, prefix }: RouteFound, grpc: boolean): AnsweredPlan {
  const { redirect, directResponse, name } = route;
  const cors = corsOf(route, head) ?? [];
  if (redirect !== null) {
    const location = redirectLocation(redirect, head, prefix);
    const fields = answered(['location', location], route).concat(cors);
    return { type: 'redirect', route: name, status: redirect.status, location, fields };
  }
  const { status, body, contentType } = directResponse!;
  const grpcStatus = grpc ? grpcOfHttp(status) : noGrpcStatus;
  const fields = answered([], route).concat(cors);
  return {
    type: 'respond',
    route: name,
    response: { status, grpcStatus, fields, body, contentType },
  };
}

function answered(fields: Fields, { responseHeaders }: PreparedRoute): Fields {
  return responseHeaders === null ? fields : changeFields(fields, responseHeaders);
}

function corsOf({ cors }: PreparedRoute, head: RequestHead): Fields | null {
  return cors === null ? null : answerFields(cors, head.fields);
}

function refuse(route: string, reply: LocalReply, grpc: boolean): AnsweredPlan {
  return { type: 'refuse', route, reply, grpc };
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
