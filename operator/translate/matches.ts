// From the matches of a policy to those that a sidecar evaluates. What cannot hold for this caller is
// dropped, and whatever it was the only match of goes with it: less never matches more. Pure.

import type { RouteMatch, StringMatch } from '../../proxy/api/resources.ts';
import type {
  GrpcMatchSpec,
  PathSpec,
  RouteMatchSpec,
  ValueMatchSpec,
} from '../resources/tsmesh.ts';

/**
 * Empty: matches all. Null: none of them can hold for callers of this namespace, so that there is no such
 * route for them. `clientNamespace` null: callers of every namespace.
 */
export function routeMatches(
  specs: readonly RouteMatchSpec[] | undefined,
  clientNamespace: string | null,
): RouteMatch[] | null {
  if (specs === undefined || specs.length === 0) return [];
  const matches = specs
    .filter((spec) => isForNamespace(spec, clientNamespace))
    .map((spec) => routeMatch(spec));
  return matches.length === 0 ? null : matches;
}

/** Whether a match asks for nothing, once the namespace is decided. */
export function asksNothing(match: RouteMatch): boolean {
  return Object.keys(match).length === 0;
}

function isForNamespace({ source }: RouteMatchSpec, clientNamespace: string | null): boolean {
  const { namespaces } = source ?? {};
  if (namespaces === undefined) return true;
  return clientNamespace !== null && namespaces.includes(clientNamespace);
}

export function routeMatch(spec: RouteMatchSpec): RouteMatch {
  const match: RouteMatch = {};
  if (spec.path !== undefined) match.path = pathMatch(spec.path);
  if (spec.methods !== undefined) match.methods = spec.methods;
  const headers = (spec.headers ?? []).map((one) => ({
    name: one.name.toLowerCase(),
    value: stringMatch(one),
  }));
  if (headers.length > 0) match.headers = headers;
  if ((spec.queryParams ?? []).length > 0) {
    match.query = spec.queryParams!.map((one) => ({ name: one.name, value: stringMatch(one) }));
  }
  if (spec.grpc !== undefined) addGrpc(match, spec.grpc);
  const { labels = {} } = spec.source ?? {};
  if (Object.keys(labels).length > 0) match.source = { labels };
  return match;
}

/** A call is a POST to `/service/method` with a content type of gRPC (gRPC over HTTP2, Requests). */
function addGrpc(match: RouteMatch, { service, method }: GrpcMatchSpec): void {
  const isGrpc = { name: 'content-type', value: { prefix: 'application/grpc' } };
  match.methods = ['POST'];
  match.headers = [...(match.headers ?? []), isGrpc];
  if (service !== undefined && method !== undefined)
    match.path = { exact: `/${service}/${method}` };
  else if (service !== undefined) match.path = { prefix: `/${service}` };
  else if (method !== undefined) match.path = { regex: `/[^/]+/${method}` };
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
