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
  return (
    withinConnections(context, choice, { use, chosen }, nowMs) ?? limitReply(use, 'maxConnections')
  );
}

/**
 * Where no further connection may be opened: the chosen one if there is one to it; or another that has one and was not
 * tried, unless who calls is to come back to its own; or the chosen one by the place of an idle connection elsewhere.
 */
function withinConnections(
  { deps }: ExchangeContext,
  { plan, endpoints, tried }: Choice,
  { use, chosen }: { use: DestinationUse; chosen: EndpointHandle },
  nowMs: number,
): EndpointHandle | null {
  const { pool, random } = deps;
  const isConnected = (one: EndpointHandle): boolean => pool.connected(one, plan.plain);
  if (isConnected(chosen)) return chosen;
  const connected = endpoints.filter(isConnected);
  const other = chooseEndpoint(connected, tried, random, nowMs);
  const suits = other !== null && !comesBack(plan.balance) && !tried.includes(other);
  return suits || !pool.giveUpIdle(use) ? other : chosen;
}

function comesBack(balance: ForwardPlan['balance']): boolean {
  return balance != null && (balance.hash >= 0 || balance.token !== '');
}
