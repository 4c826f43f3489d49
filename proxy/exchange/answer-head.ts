// What a head of an answer says to sidecars, and what of it its caller gets: marks of peers read and taken out, fields that
// policies change. It sends nothing, and allocates only where something changes.

import type { Fields, ResponseHead } from '../codec/session.ts';
import type { BalanceAsk } from '../policy/balancer.ts';
import { replaceCors } from '../policy/cors.ts';
import { changeFields } from '../policy/header-change.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { withBalanceCookies } from './balance.ts';
import type { ExchangeContext } from './context.ts';
import { denialOf } from './denial.ts';
import { replyOfPeer, type LocalReply } from './local-reply.ts';
import { withoutUnreached } from './mesh-fields.ts';
import type { ForwardPlan } from './plan.ts';

/** Of refusals by policy (errors.ts), where gRPC says them. */
const grpcDenials: ReadonlySet<number> = new Set([3, 7, 8]);

export function saysDenied(grpcStatus: number): boolean {
  return grpcDenials.has(grpcStatus);
}

/** Whether an answer can be one of a sidecar's own: those are looked at more closely. */
export function mayTell(plan: ForwardPlan, { status }: ResponseHead, end: boolean): boolean {
  return status === 503 || (end && plan.grpc);
}

/** `grpcStatus`: of an answer that is only a head. */
export function mayDeny({ status }: ResponseHead, end: boolean, grpcStatus: number): boolean {
  return status === 403 || status === 429 || status === 400 || (end && saysDenied(grpcStatus));
}

/** What a verified peer's sidecar says of its own refusal; null where it does not. */
export function denialByPeer(fields: Fields): LocalReply | null {
  const by = denialOf(fields);
  return by === null ? null : replyOfPeer(by);
}

/** With what the policies of its route say of answers; `from`: the endpoint that gave it. */
export function asPassed(
  context: ExchangeContext,
  plan: ForwardPlan,
  from: EndpointHandle | null,
  head: ResponseHead,
): ResponseHead {
  let passed = head;
  if (plan.responseHeaders !== null)
    passed = { ...head, fields: changeFields(head.fields, plan.responseHeaders) };
  if (plan.cors !== null) passed = { ...passed, fields: replaceCors(passed.fields, plan.cors) };
  if (plan.balance != null && from !== null)
    passed = withCookies(context, plan, { endpoint: from, ask: plan.balance }, passed);
  return passed;
}

function withCookies(
  { deps }: ExchangeContext,
  { endpointsName }: ForwardPlan,
  { endpoint, ask }: { endpoint: EndpointHandle; ask: BalanceAsk },
  head: ResponseHead,
): ResponseHead {
  return withBalanceCookies(deps, ask, { endpoint, endpointsName }, head);
}

/** As `head`, without the mark that is for the caller's sidecar only. */
export function withoutMarks(plan: ForwardPlan, head: ResponseHead, end: boolean): ResponseHead {
  return mayTell(plan, head, end) ? withoutUnreached(head) : head;
}
