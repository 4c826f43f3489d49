// Where the limits of a destination stand in the way: a request that is one too many, and an endpoint to which no further
// connection may be opened. Counting is policy/limits, and the pool's.

import { isBusy, type DestinationUse, type LimitName } from '../policy/limits.ts';
import { chooseEndpoint } from '../policy/load.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { chooseBalanced } from './balance.ts';
import type { ExchangeContext } from './context.ts';
import { withCors, type LocalReply } from './local-reply.ts';
import type { AnsweredPlan, ForwardPlan } from './plan.ts';

/** The answer to what a limit does not allow. */
export function limitReply({ limits }: DestinationUse, name: LimitName): LocalReply {
  const policy = limits?.policy ?? '';
  const rule = `limits.${name}`;
  const by = { policy, rule, reason: 'destination-limit' };
  return { code: 'destination-limit', detail: `${policy}, ${rule}: ${limits?.[name]}`, by };
}

/** Instead of a request that is one too many; null: it may go on. */
export function planOverLimit({
  use,
  budget,
  route,
  grpc,
  cors,
}: ForwardPlan): AnsweredPlan | null {
  if (use === null || use.limits === null || !isBusy(use, budget.inFlight)) return null;
  const reply = withCors(limitReply(use, 'maxActiveRequests'), cors);
  return { type: 'refuse', route, reply, grpc };
}

/** What the next attempt has to choose from. */
interface Choice {
  plan: ForwardPlan;
  endpoints: readonly EndpointHandle[];
  tried: readonly EndpointHandle[];
}

/** The endpoint of the next attempt, or what is answered because there is none. */
export function endpointFor(
  context: ExchangeContext,
  choice: Choice,
  nowMs: number,
): EndpointHandle | LocalReply {
  const { plan, endpoints, tried } = choice;
  const chosen =
    plan.balance == null
      ? chooseEndpoint(endpoints, tried, context.deps.random, nowMs)
      : chooseBalanced(context, plan, tried, nowMs);
  if (chosen === null) return { code: 'no-endpoints', detail: plan.route };
  const { use } = plan;
  if (use === null || !use.isFull) return chosen;
  return connectedInstead(context, choice, chosen, nowMs) ?? limitReply(use, 'maxConnections');
}

/** Where no further connection may be opened: the one chosen if there is one to it, or another that has one. */
function connectedInstead(
  { deps }: ExchangeContext,
  { plan, endpoints, tried }: Choice,
  chosen: EndpointHandle,
  nowMs: number,
): EndpointHandle | null {
  const isConnected = (one: EndpointHandle): boolean => deps.pool.connected(one, plan.plain);
  if (isConnected(chosen)) return chosen;
  return chooseEndpoint(endpoints.filter(isConnected), tried, deps.random, nowMs);
}
