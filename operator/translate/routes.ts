// From the routes of a TrafficPolicy to those of a Destination, as callers of one namespace see them. Pure;
// assumes a policy without faults.

import type { HttpRoute, WeightedBackend } from '../../proxy/api/resources.ts';
import type { RouteSpec } from '../resources/tsmesh.ts';
import { answersOf, headerChange, redirect, rewrite } from './answers.ts';
import { mirrorsOf, weightedBackends } from './backends.ts';
import type { RouteContext } from './backends.ts';
import { asksNothing, routeMatches } from './matches.ts';
import { retryPolicy, timeoutMs } from './retry.ts';

/** A route that callers of this namespace can take. */
interface Reachable {
  spec: RouteSpec;
  /** Its place among all routes of the policy. */
  index: number;
  matches: HttpRoute['matches'];
}

/** The policy's routes in order, then the default route, which matches what they leave. */
export function httpRoutes(context: RouteContext): HttpRoute[] {
  const reachable = reachableRoutes(context);
  const open = reachable.findIndex(takesAll);
  const routes = reachable.slice(0, open === -1 ? undefined : open + 1);
  const made = routes.map((one) => httpRoute(context, one));
  return open === -1 ? [...made, defaultRoute(context)] : made;
}

/** Connections that are not HTTP follow the first route that asks nothing of a request. */
export function tcpBackends(context: RouteContext): WeightedBackend[] {
  const open = reachableRoutes(context).find((one) => takesAll(one) && !answersItself(one.spec));
  return weightedBackends(context, open?.spec.backends);
}

function takesAll({ matches }: Reachable): boolean {
  return matches.length === 0;
}

function answersItself({ redirect: away, directResponse }: RouteSpec): boolean {
  return away !== undefined || directResponse !== undefined;
}

/** What can never hold for these callers is left out. */
function reachableRoutes({ policy, clientNamespace }: RouteContext): Reachable[] {
  return (policy?.spec.routes ?? []).flatMap((spec, index) => {
    const matches = routeMatches(spec.matches, clientNamespace);
    if (matches === null) return [];
    return [{ spec, index, matches: matches.some(asksNothing) ? [] : matches }];
  });
}

function defaultRoute(context: RouteContext): HttpRoute {
  const { policy, defaults } = context;
  return {
    name: defaultRouteName(context),
    matches: [],
    backends: weightedBackends(context, undefined),
    timeoutMs: timeoutMs(policy?.spec.timeout, defaults?.timeout),
    ...idleTimeout(policy?.spec.idleTimeout),
    retry: retryPolicy(policy?.spec.retries, defaults?.retries),
    requestHeaders: null,
    responseHeaders: null,
    rewrite: null,
    redirect: null,
  };
}

/** Whoever set the timeout and the retries of this route stands in what a caller is told. */
function defaultRouteName({ policy, defaults }: RouteContext): string {
  if (policy !== null) {
    return `TrafficPolicy ${policy.metadata.namespace}/${policy.metadata.name}, default route`;
  }
  return defaults === undefined ? 'default' : 'Mesh default';
}

function httpRoute(context: RouteContext, { spec, index, matches }: Reachable): HttpRoute {
  const { defaults } = context;
  const policy = context.policy!;
  const { namespace, name } = policy.metadata;
  const mirrors = mirrorsOf(context, spec.mirrors);
  return {
    name: `TrafficPolicy ${namespace}/${name}, route ${spec.name ?? index}`,
    matches,
    backends: answersItself(spec) ? [] : weightedBackends(context, spec.backends),
    timeoutMs: timeoutMs(spec.timeout, policy.spec.timeout, defaults?.timeout),
    ...idleTimeout(spec.idleTimeout, policy.spec.idleTimeout),
    retry: retryPolicy(spec.retries, policy.spec.retries, defaults?.retries),
    requestHeaders: headerChange(spec.requestHeaders),
    responseHeaders: headerChange(spec.responseHeaders),
    rewrite: rewrite(spec.rewrite),
    redirect: redirect(spec.redirect),
    ...answersOf(spec),
    ...(mirrors.length === 0 ? {} : { mirrors }),
  };
}

function idleTimeout(...candidates: (string | undefined)[]): Pick<HttpRoute, 'idleTimeoutMs'> {
  const idleTimeoutMs = timeoutMs(...candidates);
  return idleTimeoutMs === null ? {} : { idleTimeoutMs };
}
