// Load balancing and limits of a Destination: from the text of a policy, and from what the Service itself asks
// for, to complete settings with the defaults that the CRD documents. Pure.

import type {
  Balancing,
  BalancingMethod,
  DestinationLimits,
  HashSource,
} from '../../proxy/api/resources.ts';
import { parseDuration } from '../resources/duration.ts';
import type { Service } from '../resources/kubernetes.ts';
import type {
  CookieSpec,
  HashSourceSpec,
  LimitsSpec,
  LoadBalancingSpec,
} from '../resources/tsmesh.ts';
import { timeoutMs } from './retry.ts';

const methods: Record<NonNullable<LoadBalancingSpec['method']>, BalancingMethod> = {
  LeastRequest: 'least-request',
  RoundRobin: 'round-robin',
  Random: 'random',
  ConsistentHash: 'consistent-hash',
};
const defaultLoadPercent = 125;
/** A caller has one address, so all of its requests have one endpoint: no bound would leave them there. */
const noBoundPercent = 1_000_000;

/** Undefined: least request, without anything else. */
export function balancing(
  spec: LoadBalancingSpec | undefined,
  service: Service | undefined,
): Balancing | undefined {
  const zones = prefersZone(spec, service);
  const sticky = isSticky(spec, service);
  if (spec === undefined && !zones && !sticky) return undefined;
  const { method = 'LeastRequest', consistentHash, affinity } = spec ?? {};
  const slowStartMs = timeoutMs(spec?.slowStart);
  return {
    method: sticky ? 'consistent-hash' : methods[method],
    ...(sticky ? { hash: { by: [{ sourceAddress: true }], loadPercent: noBoundPercent } } : {}),
    ...(consistentHash === undefined
      ? {}
      : {
          hash: {
            by: consistentHash.by.map(hashSource),
            loadPercent: consistentHash.maxLoadPercent ?? defaultLoadPercent,
          },
        }),
    ...(slowStartMs === null ? {} : { slowStartMs }),
    ...(affinity === undefined ? {} : { affinity: stickyCookie(affinity.cookie) }),
    ...(zones ? { zones: 'prefer-same-zone' } : {}),
  };
}

/** `sessionAffinity: ClientIP` of the Service, where no policy says how to choose. */
function isSticky(spec: LoadBalancingSpec | undefined, service: Service | undefined): boolean {
  const isSaid = spec?.method !== undefined || spec?.affinity !== undefined;
  return !isSaid && service?.spec.sessionAffinity === 'ClientIP';
}

/** Who asks Kubernetes for hints means them: kube-proxy would follow them without being asked again. */
function prefersZone(spec: LoadBalancingSpec | undefined, service: Service | undefined): boolean {
  if (spec?.zones !== undefined) return spec.zones === 'PreferSameZone';
  const { trafficDistribution } = service?.spec ?? {};
  const mode = service?.metadata.annotations?.['service.kubernetes.io/topology-mode'];
  return (
    trafficDistribution === 'PreferClose' ||
    trafficDistribution === 'PreferSameZone' ||
    mode?.toLowerCase() === 'auto'
  );
}

function hashSource(spec: HashSourceSpec): HashSource {
  if (spec.header !== undefined) return { header: spec.header.toLowerCase() };
  if (spec.cookie !== undefined) {
    const { name, path, ttl } = spec.cookie;
    const ttlMs = ttl === undefined ? null : parseDuration(ttl);
    return { cookie: name, path: path ?? '/', ttlMs };
  }
  if (spec.queryParam !== undefined) return { query: spec.queryParam };
  return { sourceAddress: true };
}

/** 0: until the browser closes. */
function stickyCookie({ name, path, ttl }: CookieSpec): NonNullable<Balancing['affinity']> {
  return { cookie: name, path: path ?? '/', ttlMs: parseDuration(ttl ?? '0s') ?? 0 };
}

export function destinationLimits(spec: LimitsSpec): DestinationLimits {
  return {
    maxConnections: spec.maxConnections ?? null,
    maxPendingRequests: spec.maxPendingRequests ?? null,
    maxActiveRequests: spec.maxActiveRequests ?? null,
  };
}
