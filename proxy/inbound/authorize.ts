// Asks the policies in force about one request or opaque connection, and puts what they answer into a
// refusal's words, the log and the counts. Which rule matches is policy/authorization's business.

import { emptyEntry } from '../exchange/connection-log.ts';
import type { ExchangeContext } from '../exchange/context.ts';
import type { LocalReply } from '../exchange/local-reply.ts';
import type {
  Authorizer,
  Caller,
  Decision,
  HttpRequest,
  Remark,
  Target,
} from '../policy/authorization/types.ts';

/** Who called, and where it arrived: the same for everything on one connection. */
export interface Arrival {
  caller: Caller;
  target: Target;
}

/** Null: it may go on. `request` null: opaque. Says and counts nothing. */
export function judge(
  authorizer: Authorizer,
  { caller, target }: Arrival,
  request: HttpRequest | null,
): LocalReply | null {
  const decision = authorizer.decide(caller, target, request);
  return decision.allowed ? null : refusalFrom(decision, caller, request);
}

/** The same, where it is asked for the first time: audits and dry runs leave their marks. */
export function admit(
  authorizer: Authorizer,
  arrival: Arrival,
  request: HttpRequest | null,
  context: ExchangeContext,
): LocalReply | null {
  const { caller, target } = arrival;
  const decision = authorizer.decide(caller, target, request);
  for (const remark of decision.remarks) record(context, remark, request);
  return decision.allowed ? null : refusalFrom(decision, caller, request);
}

/** Of a decision that does not allow. */
export function refusalFrom(
  { reason, by }: Decision,
  caller: Caller,
  request: HttpRequest | null,
): LocalReply {
  const { policy, rule } = by ?? { policy: '', rule: '' };
  if (reason === 'ambiguous-path') {
    const detail = `${JSON.stringify(pathOf(request))} (${policy}, authorization.ambiguousPaths: Refuse)`;
    return { code: 'ambiguous-path', detail, by: { policy, rule, reason } };
  }
  const why = rule === '' ? 'no rule of an ALLOW policy allows it' : rule;
  const who = caller.identity === '' ? `${caller.address} without an identity` : caller.identity;
  const detail = `${policy}, ${why} (${reason}); the caller is ${who}`;
  return { code: 'policy-denied', detail, by: { policy, rule, reason } };
}

/** Longer ones are cut: the words stand in a line of a log. */
const maxPathChars = 256;

function pathOf(request: HttpRequest | null): string {
  const path = request?.path ?? '';
  const query = path.indexOf('?');
  return (query < 0 ? path : path.slice(0, query)).slice(0, maxPathChars);
}

/** In place of the flag of an error. */
const remarkFlags = { audit: 'AU', 'would-deny': 'WD' } as const;

function record(context: ExchangeContext, remark: Remark, request: HttpRequest | null): void {
  const { series, deps, peerFacts } = context;
  const { kind, policy, rule } = remark;
  series.decision(kind, policy, rule, '');
  // As failures are: where only those are logged, who asked for an audit still reads it.
  if (!deps.accessLog.wants(true)) return;
  deps.accessLog.write({
    ...emptyEntry(context),
    method: request?.method ?? '',
    authority: request?.authority ?? '',
    path: pathOf(request),
    mtls: peerFacts !== null,
    attempts: 0,
    flag: remarkFlags[kind],
    detail: rule === '' ? policy : `${policy}, ${rule}`,
    policy,
    rule,
    reason: kind,
  });
}
