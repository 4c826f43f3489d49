// From the routes of a TrafficPolicy to those of a Destination. Pure; assumes a policy without faults.

import type {
  HeaderChange,
  HttpRoute,
  RouteMatch,
  StringMatch,
  WeightedBackend,
} from '../../proxy/api/resources.ts';
import { objectKey, tcpPorts } from '../model/view.ts';
import type { ObjectKey, View } from '../model/view.ts';
import type {
  BackendSpec,
  HeaderChangeSpec,
  MeshSpec,
  PathSpec,
  RouteMatchSpec,
  RouteSpec,
  TrafficPolicy,
  ValueMatchSpec,
} from '../resources/tsmesh.ts';
import { serviceEndpointsName, undefinedSubsetName } from './endpoint-names.ts';
import type { ServicePlace } from './endpoint-names.ts';
import { retryPolicy, timeoutMs } from './retry.ts';

/** What routes of one Service port are made from. */
export interface RouteContext extends ServicePlace {
  view: View;
  policy: TrafficPolicy | null;
  defaults: MeshSpec['defaults'];
  /** What "the Service itself" is: for a pod that was called by its own address, that pod only. */
  ownEndpoints: string | null;
}

/** A backend of a route as it resolves: where to, and whether that is there. */
export interface ResolvedBackend {
  spec: BackendSpec;
  service: ObjectKey;
  port: number;
  endpoints: string;
  missing: 'service' | 'port' | 'subset' | null;
}

/** The policy's routes in order, then the default route, which matches what they leave. */
export function httpRoutes(context: RouteContext): HttpRoute[] {
  const specs = context.policy?.spec.routes ?? [];
  const routes = specs.map((spec, index) => httpRoute(context, spec, index));
  const catchAll = specs.findIndex((spec) => (spec.matches ?? []).length === 0);
  return catchAll === -1 ? [...routes, defaultRoute(context)] : routes.slice(0, catchAll + 1);
}

/** Connections that are not HTTP follow the first route that asks nothing of a request. */
export function tcpBackends(context: RouteContext): WeightedBackend[] {
  const specs = context.policy?.spec.routes ?? [];
  const open = specs.find(
    (spec) => (spec.matches ?? []).length === 0 && spec.redirect === undefined,
  );
  return weightedBackends(context, open?.backends);
}

function defaultRoute(context: RouteContext): HttpRoute {
  const { policy, defaults } = context;
  return {
    name: defaultRouteName(context),
    matches: [],
    backends: weightedBackends(context, undefined),
    timeoutMs: timeoutMs(policy?.spec.timeout, defaults?.timeout),
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

function httpRoute(context: RouteContext, spec: RouteSpec, index: number): HttpRoute {
  const { defaults } = context;
  const policy = context.policy!;
  const { namespace, name } = policy.metadata;
  return {
    name: `TrafficPolicy ${namespace}/${name}, route ${spec.name ?? index}`,
    matches: (spec.matches ?? []).map(routeMatch),
    backends: spec.redirect === undefined ? weightedBackends(context, spec.backends) : [],
    timeoutMs: timeoutMs(spec.timeout, policy.spec.timeout, defaults?.timeout),
    retry: retryPolicy(spec.retries, policy.spec.retries, defaults?.retries),
    requestHeaders: headerChange(spec.requestHeaders),
    responseHeaders: headerChange(spec.responseHeaders),
    rewrite: rewrite(spec.rewrite),
    redirect: redirect(spec.redirect),
  };
}

function routeMatch(spec: RouteMatchSpec): RouteMatch {
  const match: RouteMatch = {};
  if (spec.path !== undefined) match.path = pathMatch(spec.path);
  if (spec.methods !== undefined) match.methods = spec.methods;
  if (spec.headers !== undefined) {
    match.headers = spec.headers.map((one) => ({
      name: one.name.toLowerCase(),
      value: stringMatch(one),
    }));
  }
  if (spec.queryParams !== undefined) {
    match.query = spec.queryParams.map((one) => ({ name: one.name, value: stringMatch(one) }));
  }
  return match;
}

function pathMatch(spec: PathSpec): NonNullable<RouteMatch['path']> {
  if (spec.exact !== undefined) return { exact: spec.exact };
  if (spec.prefix !== undefined) return { prefix: spec.prefix };
  return { regex: spec.regex! };
}

function stringMatch(spec: ValueMatchSpec): StringMatch {
  if (spec.exact !== undefined) return { exact: spec.exact };
  if (spec.prefix !== undefined) return { prefix: spec.prefix };
  if (spec.regex !== undefined) return { regex: spec.regex };
  return { present: spec.present! };
}

/**
 * A backend that is missing keeps its share, which then fails in words: its share must not silently
 * go to the others. Where all are missing the list is empty.
 */
function weightedBackends(
  context: RouteContext,
  specs: BackendSpec[] | undefined,
): WeightedBackend[] {
  const resolved = resolveBackends(context, specs).filter(({ spec }) => (spec.weight ?? 1) > 0);
  if (resolved.every((backend) => backend.missing !== null)) return [];
  return resolved.map(({ endpoints, spec }) => ({ endpoints, weight: spec.weight ?? 1 }));
}

export function resolveBackends(
  context: RouteContext,
  specs: BackendSpec[] | undefined,
): ResolvedBackend[] {
  const list = specs === undefined || specs.length === 0 ? [{}] : specs;
  return list.map((spec) => resolveBackend(context, spec));
}

function resolveBackend(context: RouteContext, spec: BackendSpec): ResolvedBackend {
  const { view, policy } = context;
  const namespace = context.service.split('/')[0]!;
  const service = spec.service === undefined ? context.service : objectKey(namespace, spec.service);
  const port = spec.port ?? context.port;
  const found = view.services.get(service);
  const subset = policy?.spec.subsets?.find((one) => one.name === spec.subset);
  const base = { spec, service, port };
  const place = { service, port, family: context.family };
  const asks = spec.subset !== undefined || spec.port !== undefined;
  if (context.ownEndpoints !== null && service === context.service && !asks) {
    return { ...base, endpoints: context.ownEndpoints, missing: null };
  }
  if (spec.subset !== undefined && subset === undefined) {
    const endpoints = undefinedSubsetName(place, spec.subset);
    return { ...base, endpoints, missing: 'subset' };
  }
  const endpoints = serviceEndpointsName(place, subset?.labels ?? null);
  if (found === undefined) return { ...base, endpoints, missing: 'service' };
  const known = tcpPorts(found).some((one) => one.port === port);
  return { ...base, endpoints, missing: known ? null : 'port' };
}

function headerChange(spec: HeaderChangeSpec | undefined): HeaderChange | null {
  if (spec === undefined) return null;
  const lower = (list: { name: string; value: string }[] = []) =>
    list.map(({ name, value }) => ({ name: name.toLowerCase(), value }));
  return {
    set: lower(spec.set),
    add: lower(spec.add),
    remove: (spec.remove ?? []).map((name) => name.toLowerCase()),
  };
}

function rewrite(spec: RouteSpec['rewrite']): HttpRoute['rewrite'] {
  if (spec === undefined) return null;
  return { path: pathChange(spec.path), host: spec.host ?? null };
}

function redirect(spec: RouteSpec['redirect']): HttpRoute['redirect'] {
  if (spec === undefined) return null;
  return {
    scheme: spec.scheme ?? null,
    host: spec.host ?? null,
    port: spec.port ?? null,
    path: pathChange(spec.path),
    status: spec.status ?? 302,
  };
}

function pathChange(
  spec: { prefix?: string; full?: string } | undefined,
): { prefix: string } | { full: string } | null {
  if (spec?.prefix !== undefined) return { prefix: spec.prefix };
  return spec?.full === undefined ? null : { full: spec.full };
}

/** Keys of the Services that a policy's routes name, its own included. */
export function backendServices(context: RouteContext): ObjectKey[] {
  const specs = (context.policy?.spec.routes ?? []).flatMap((route) => route.backends ?? []);
  const all = resolveBackends(context, specs).map((backend) => backend.service);
  return [...new Set([context.service, ...all])];
}
