// What the operator tells a sidecar: three kinds of resource, each complete in itself and replaced
// as a whole. The same shapes stand in the local file of a sidecar that runs without an operator.

import type { Authorization } from './authorization.ts';

/** How a port speaks. `auto` is found from the first bytes; `http2` includes gRPC. */
export type Protocol = 'auto' | 'http1' | 'http2' | 'tcp';

export type MtlsMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';

/** The cluster object that shaped a resource, at the generation that was used. */
export interface PolicyRef {
  kind: 'Mesh' | 'PeerAuthentication' | 'TrafficPolicy' | 'AuthorizationPolicy';
  /** Empty for cluster-scoped kinds. */
  namespace: string;
  name: string;
  generation: number;
}

/** What holds for connections that arrive at one port of the pod. */
export interface InboundPort {
  protocol: Protocol;
  mtls: MtlsMode;
  /** For refusals, in words: `PeerAuthentication shop/strict` or `Mesh default`. */
  decidedBy: string;
}

/** The sidecar's own pod. There is one, named `self`. */
export interface WorkloadResource {
  type: 'Workload';
  name: 'self';
  trustDomain: string;
  namespace: string;
  serviceAccount: string;
  inbound: {
    /** Ports by decimal number. */
    ports: Record<string, InboundPort>;
    /** Every other port. */
    other: InboundPort;
  };
  outbound: {
    /** A destination that the operator does not know: carried as it is, or refused. */
    policy: 'AllowAny' | 'RegistryOnly';
    /** A destination not known yet while the operator cannot be asked. */
    whenDisconnected: 'pass' | 'refuse';
  };
  /** Absent: everything is allowed. */
  authorization?: Authorization;
  accessLog: 'off' | 'errors' | 'all';
  /** How often the sidecar reports its counters, in milliseconds. */
  statisticsIntervalMs: number;
  policies: PolicyRef[];
}

export type StringMatch =
  { exact: string } | { prefix: string } | { regex: string } | { present: boolean };

/** All given parts must hold. */
export interface RouteMatch {
  /** Against the path without its query. `prefix` matches whole segments (Gateway API PathPrefix). */
  path?: { exact: string } | { prefix: string } | { regex: string };
  methods?: string[];
  /** Names in lower case. */
  headers?: { name: string; value: StringMatch }[];
  query?: { name: string; value: StringMatch }[];
}

export const retryConditions = [
  'connect-failure',
  'refused-stream',
  'reset',
  'gateway-error',
  '5xx',
  'retriable-4xx',
  'unavailable',
] as const;
export type RetryCondition = (typeof retryConditions)[number];

export interface RetryPolicy {
  /** Further attempts after the first. */
  attempts: number;
  on: RetryCondition[];
  perTryTimeoutMs: number | null;
  /** First pause; doubles each time, with full jitter, up to `maxBackoffMs`. */
  backoffMs: number;
  maxBackoffMs: number;
  /** Retries in flight at most this share of requests in flight (percent), but `minConcurrent` always. */
  budgetPercent: number;
  budgetMinConcurrent: number;
}

/** When an endpoint is left out for a while because of how it answered. A count of 0 asks nothing. */
export interface OutlierDetection {
  /** Answers in a row with a status from 500 on, or no answer at all. */
  consecutive5xx: number;
  /** The same of 502, 503 and 504 only. */
  consecutiveGatewayErrors: number;
  /** The first time out; doubles each time in a row, up to the most. */
  baseEjectionMs: number;
  maxEjectionMs: number;
  /** Of the endpoints of a set at most so many are out; one may always be, never all. */
  maxEjectionPercent: number;
}

export interface WeightedBackend {
  /** Name of an Endpoints resource. */
  endpoints: string;
  weight: number;
}

export interface HeaderChange {
  set: { name: string; value: string }[];
  add: { name: string; value: string }[];
  remove: string[];
}

export interface HttpRoute {
  /** `TrafficPolicy shop/cart, route 0`, or `default`: stands in logs, metrics and refusals. */
  name: string;
  /** Any one of them; empty matches all. */
  matches: RouteMatch[];
  /** Empty only with `redirect` (or where a policy names backends that do not exist: 500). */
  backends: WeightedBackend[];
  /** From the whole request received to the whole response sent on; null: none. */
  timeoutMs: number | null;
  retry: RetryPolicy | null;
  requestHeaders: HeaderChange | null;
  responseHeaders: HeaderChange | null;
  rewrite: { path: { prefix: string } | { full: string } | null; host: string | null } | null;
  redirect: {
    scheme: string | null;
    host: string | null;
    port: number | null;
    path: { prefix: string } | { full: string } | null;
    status: 301 | 302 | 303 | 307 | 308;
  } | null;
}

/** What an address and port mean to this pod. Named `10.96.0.7:80` or `[fd00::7]:80`. */
export interface DestinationResource {
  type: 'Destination';
  name: string;
  /** `external`: not in the mesh. */
  kind: 'service' | 'pod' | 'external';
  /** `cart.shop:80` for people, logs and metrics; the address where there is no better name. */
  host: string;
  protocol: Protocol;
  /** First match wins; the last one matches all. Empty for `external`. */
  routes: HttpRoute[];
  /** For connections that are not HTTP. Empty for `external`. */
  tcp: WeightedBackend[];
  /** Absent: no endpoint is left out. */
  outlierDetection?: OutlierDetection;
  policies: PolicyRef[];
}

export interface Endpoint {
  address: string;
  port: number;
  /** SPIFFE id that the peer must prove; null: not meshed, spoken to in plaintext. */
  identity: string | null;
  podName: string;
  zone: string;
}

/**
 * Named `namespace/service:port` (`…@ipv6` for the addresses of that family), with `/label=value,…` behind
 * where it is a subset; `pod/address:port` for a pod.
 */
export interface EndpointsResource {
  type: 'Endpoints';
  name: string;
  endpoints: Endpoint[];
}

export type Resource = WorkloadResource | DestinationResource | EndpointsResource;

/** `Destination/10.96.0.7:80`: names are unique within their type only. */
export type ResourceKey = `${Resource['type']}/${string}`;

export function resourceKey(resource: Pick<Resource, 'type' | 'name'>): ResourceKey {
  return `${resource.type}/${resource.name}`;
}

/** Name of a Destination: IPv6 addresses in brackets. */
export function destinationName(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
