// Joins exchanges and tunnels with the balancer of their destination, where a policy names one: which endpoint is next, and
// what the answer says of it. What is chosen without a policy does not come here.

import type { ResponseHead } from '../codec/session.ts';
import { askOfConnection, withCookies } from '../policy/balance-ask.ts';
import type { BalanceAsk } from '../policy/balancer.ts';
import { chooseEndpoint } from '../policy/load.ts';
import type {
  EndpointHandle,
  EndpointSet,
  PreparedDestination,
  PreparedWorkload,
} from '../state/prepared.ts';
import type { ExchangeContext, ExchangeDeps } from './context.ts';
import type { OpenDeps } from './open-upstream.ts';
import type { ForwardPlan } from './plan.ts';

/** By what is known now: endpoints may have come and gone since the plan was made. */
export function chooseBalanced(
  context: ExchangeContext,
  plan: ForwardPlan,
  tried: readonly EndpointHandle[],
  nowMs: number,
): EndpointHandle | null {
  const { store, random } = context.deps;
  const { balance, endpointsName } = plan;
  const snapshot = store.snapshot();
  const set = snapshot.endpoints.get(endpointsName);
  if (balance == null || set === undefined)
    return chooseEndpoint(plan.endpoints, tried, random, nowMs);
  const balancer = balance.balancers.of(set, snapshot.workload?.zone ?? '');
  const one = balancer.choose(balance, tried, random, nowMs);
  if (one !== null && balancer.isSpilled(one)) context.series.spillover();
  return one;
}

/** The answer, with the cookies by which its caller comes back to the same endpoint. */
export function withBalanceCookies(
  { store }: Pick<ExchangeDeps, 'store'>,
  balance: BalanceAsk,
  from: { endpoint: EndpointHandle; endpointsName: string },
  head: ResponseHead,
): ResponseHead {
  const { endpoints, workload } = store.snapshot();
  const { endpoint, endpointsName } = from;
  const at = { endpoint, set: endpoints.get(endpointsName), zone: workload?.zone ?? '' };
  const fields = withCookies(head.fields, balance, at);
  return fields === head.fields ? head : { ...head, fields };
}

/** How the endpoints of a connection that is not HTTP are chosen; undefined: as without a policy. */
export function connectionChooser(
  { deps, series }: ExchangeContext,
  at: {
    destination: PreparedDestination;
    set: EndpointSet | undefined;
    workload: PreparedWorkload | null;
  },
  sourceAddress: string,
): OpenDeps['choose'] {
  const { destination, set, workload } = at;
  if (destination.balancing === null || set === undefined) return undefined;
  const ask = askOfConnection(destination.balancing, sourceAddress);
  const balancer = destination.balancing.of(set, workload?.zone ?? '');
  return (tried, nowMs) => {
    const one = balancer.choose(ask, tried, deps.random, nowMs);
    if (one !== null && balancer.isSpilled(one)) series.spillover();
    return one;
  };
}
