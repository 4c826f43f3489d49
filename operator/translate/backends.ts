// Where the routes of a policy lead: backends by weight and mirrors, and which of them are not there. Pure.

import type { Mirror, WeightedBackend } from '../../proxy/api/resources.ts';
import { objectKey, tcpPorts } from '../model/view.ts';
import type { ObjectKey, View } from '../model/view.ts';
import type { Service } from '../resources/kubernetes.ts';
import type { BackendSpec, MeshSpec, MirrorSpec, TrafficPolicy } from '../resources/tsmesh.ts';
import { serviceEndpointsName, undefinedSubsetName } from './endpoint-names.ts';
import type { ServicePlace } from './endpoint-names.ts';

/** What routes of one Service port are made from. */
export interface RouteContext extends ServicePlace {
  view: View;
  /** Namespace of the callers. */
  clientNamespace: string;
  policy: TrafficPolicy | null;
  defaults: MeshSpec['defaults'];
  /** What "the Service itself" is: for a pod that was called by its own address, that pod only. */
  ownEndpoints: string | null;
}

/** A backend of a route as it resolves: where to, and what it names that is not there. */
export interface ResolvedBackend {
  service: ObjectKey;
  endpoints: string;
  /** `Service shop/cart-v3`; null: it is there. */
  missing: string | null;
}

/**
 * A backend that is missing keeps its share, which then fails in words: its share must not silently go to
 * the others.
 */
export function weightedBackends(
  context: RouteContext,
  specs: BackendSpec[] | undefined,
): WeightedBackend[] {
  const list = specs === undefined || specs.length === 0 ? [{}] : specs;
  return list.flatMap((spec: BackendSpec) => {
    const { weight = 1 } = spec;
    if (weight <= 0) return [];
    const { endpoints, missing } = resolveBackend(context, spec);
    return [{ endpoints, weight, ...(missing === null ? {} : { missing }) }];
  });
}

/** A mirror that is missing is left out: nobody waits for what it would answer. */
export function mirrorsOf(context: RouteContext, specs: MirrorSpec[] = []): Mirror[] {
  return specs.flatMap((spec) => {
    const { percent = 100 } = spec;
    const { endpoints, missing } = resolveBackend(context, spec);
    return missing !== null || percent === 0 ? [] : [{ endpoints, percent }];
  });
}

export function resolveBackend(context: RouteContext, spec: BackendSpec): ResolvedBackend {
  const { view, policy } = context;
  const namespace = context.service.split('/')[0]!;
  const service = spec.service === undefined ? context.service : objectKey(namespace, spec.service);
  const port = spec.port ?? context.port;
  const place = { service, port, family: context.family };
  const asks = spec.subset !== undefined || spec.port !== undefined;
  if (context.ownEndpoints !== null && service === context.service && !asks) {
    return { service, endpoints: context.ownEndpoints, missing: null };
  }
  const subset = policy?.spec.subsets?.find((one) => one.name === spec.subset);
  if (spec.subset !== undefined && subset === undefined) {
    const endpoints = undefinedSubsetName(place, spec.subset);
    return { service, endpoints, missing: `subset ${spec.subset}` };
  }
  const endpoints = serviceEndpointsName(place, subset?.labels ?? null);
  return { service, endpoints, missing: missingOf(view.services.get(service), service, port) };
}

function missingOf(found: Service | undefined, service: ObjectKey, port: number): string | null {
  if (found === undefined) return `Service ${service}`;
  if (found.spec.type === 'ExternalName') return `Service ${service} (an ExternalName)`;
  const known = tcpPorts(found).some((one) => one.port === port);
  return known ? null : `port ${port} of Service ${service}`;
}

/** Keys of the Services that a policy's routes name, its own included. */
export function backendServices(context: RouteContext): ObjectKey[] {
  const routes = context.policy?.spec.routes ?? [];
  const specs = routes.flatMap((route) => [...(route.backends ?? []), ...(route.mirrors ?? [])]);
  const all = specs.map((spec) => resolveBackend(context, spec).service);
  return [...new Set([context.service, ...all])];
}
