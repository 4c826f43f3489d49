// Where the limits of a destination stand in the way: a request that is one too many, and an endpoint to which no further
// connection may be opened. Counting is policy/limits, and the pool's.

import { isBusy, type DestinationUse, type LimitName } from '../policy/limits.ts';
import { chooseEndpoint } from '../policy/load.ts';
import type { EndpointHandle } from '../state/prepared.ts';
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

/**
 * Where no further connection may be opened: the one chosen if there is one to it, or another that has one; null: none has.
 */
export function connectedInstead(
  { deps }: ExchangeContext,
  { plan, endpoints }: { plan: ForwardPlan; endpoints: readonly EndpointHandle[] },
  chosen: EndpointHandle,
  tried: readonly EndpointHandle[],
): EndpointHandle | null {
  const isConnected = (one: EndpointHandle): boolean => deps.pool.connected(one, plan.plain);
  if (isConnected(chosen)) return chosen;
  const connected = endpoints.filter(isConnected);
  return chooseEndpoint(connected, tried, deps.random, deps.io.clock.nowMs());
}
