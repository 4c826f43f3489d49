// What the operator tells a sidecar: three kinds of resource, each complete in itself and replaced
// as a whole. The same shapes stand in the local file of a sidecar that runs without an operator.

import type { Authorization } from './authorization.ts';
import type { TracingSettings } from './tracing.ts';

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
  /** Name of the pod's workload, for metrics. Absent: the operator is older. */
  workload?: string;
  /** Of the pod, for routes that ask for their caller's. Absent: none. */
  labels?: Record<string, string>;
  /** Of the pod's node (topology.kubernetes.io/zone). Absent: not known. */
  zone?: string;
  /** The pod's node. Absent: not known. */
  node?: string;
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
  /** What this pod takes at most, whoever asks. All that match hold. Absent: no limit. */
  rateLimits?: RateLimit[];
  accessLog: 'off' | 'errors' | 'all';
  /** Absent: json. */
  accessLogFormat?: 'json' | 'text';
  /** Percent of the requests that did not fail, where all are logged. Absent: 100. */
  accessLogSampling?: number;
  /** What of the Mesh, the namespace or the pod said so, for people. Absent: the Mesh. */
  accessLogDecidedBy?: string;
  /** Absent: nothing is traced. */
  tracing?: TracingSettings;
  /** How often the sidecar reports its counters, in milliseconds. */
  statisticsIntervalMs: number;
  policies: PolicyRef[];
}

/**
 * Token bucket of this pod's sidecar: `burst` at once, `perSecond` on the long run. Requests beyond it are answered 429 with
 * `retry-after`, connections are reset.
 */
export interface RateLimit {
  /** `TrafficPolicy shop/cart, rate limit 0`: stands in logs, metrics and refusals. */
  name: string;
  /** Ports of the pod; empty: all. */
  ports: number[];
  /** `connections`: of any protocol, when they are accepted; there `matches` is empty and `per` is at most the identity. */
  unit: 'requests' | 'connections';
  perSecond: number;
  burst: number;
  /** Any one of them; empty matches all. */
  matches: RouteMatch[];
  /** One bucket for each value of these together; empty: one for all. A request without the value has one with its like. */
  per: ({ identity: true } | { header: string } | { sourceAddress: true })[];
  /** Buckets at most; whoever comes beyond them shares one. */
  maxBuckets: number;
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
  /** Of the caller's own pod. */
  source?: { labels?: Record<string, string>; namespaces?: string[] };
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
  /** Further answers that are retried: HTTP statuses and gRPC codes. */
  onStatuses?: number[];
  onGrpcCodes?: number[];
  perTryTimeoutMs: number | null;
  /** First pause; doubles each time, with full jitter, up to `maxBackoffMs`. */
  backoffMs: number;
  maxBackoffMs: number;
  /** Retries under way or not paid for by good answers: at most this share of requests in flight (percent), or `minConcurrent` where that is more. */
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
  /** How often endpoints are compared with each other, for the two below; absent: never. */
  intervalMs?: number;
  /** Out whose share of good answers is below the mean by so many thousandths of a standard deviation (1900: 1.9). */
  successRate?: { stdevFactorPermille: number; minimumEndpoints: number; requestVolume: number };
  /** Out whose median answer takes longer than this many times that of the others (percent: 300 is three times). */
  latency?: {
    factorPercent: number;
    minimumMs: number;
    minimumEndpoints: number;
    requestVolume: number;
  };
  /** Are fewer than so many percent of the endpoints in use, ejections are ignored: better some than none. 0: never. */
  panicThresholdPercent?: number;
}

/** What a sidecar opens or sends at most to a destination, over all of its endpoints. Null: no limit of its own. */
export interface DestinationLimits {
  /** Connections to endpoints, tunnels included. */
  maxConnections: number | null;
  /** Requests that wait for a connection. */
  maxPendingRequests: number | null;
  /** Requests that have not come to their end, waiting ones included. */
  maxActiveRequests: number | null;
}

/** What a request is hashed by; the first that it has counts, and one that has none goes to the least loaded. */
export type HashSource =
  | { header: string }
  /** With `ttlMs` (0: until the browser closes) a caller without it is given one. */
  | { cookie: string; path: string; ttlMs: number | null }
  | { query: string }
  | { sourceAddress: true };

export type BalancingMethod = 'least-request' | 'round-robin' | 'random' | 'consistent-hash';

export interface Balancing {
  method: BalancingMethod;
  /** Of `consistent-hash` only. */
  hash?: {
    by: HashSource[];
    /** No endpoint has more than this many percent of the mean in flight: 125. */
    loadPercent: number;
  };
  /** A new endpoint begins with a tenth of its share, which grows evenly for so long. Absent: at once. */
  slowStartMs?: number;
  /** A caller keeps its endpoint by a cookie that the sidecar sets; while that endpoint is not there, another. */
  affinity?: { cookie: string; path: string; ttlMs: number | null };
  /** `prefer-same-zone`: as EndpointSlice hints say, with spill-over. Absent: zones are not looked at. */
  zones?: 'prefer-same-zone';
}

export interface WeightedBackend {
  /** Name of an Endpoints resource. */
  endpoints: string;
  weight: number;
  /** Names what does not exist (`Service shop/cart-v3`): this share is answered 500. Absent: it is there. */
  missing?: string;
}

export interface Fault {
  /** Pause before the request is sent on. */
  delay?: { ms: number; percent: number };
  /** Answered so instead of sent on, after the delay. Of a gRPC request `grpcCode` where given. */
  abort?: { status: number | null; grpcCode: number | null; percent: number };
}

/** A copy of the request, without a wait for its answer, which is thrown away. */
export interface Mirror {
  endpoints: string;
  /** May have decimals: 0.1. */
  percent: number;
}

export interface DirectResponse {
  status: number;
  body: string;
  contentType: string;
}

/** Fetch standard, CORS protocol. Preflights are answered by the sidecar. */
export interface Cors {
  /** Exact origins, or with one `*` in them; `*` alone: any. */
  allowOrigins: string[];
  allowMethods: string[];
  /** Lower case; `*` alone: any. */
  allowHeaders: string[];
  exposeHeaders: string[];
  allowCredentials: boolean;
  maxAgeSeconds: number | null;
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
  /** Without a byte either way, of a request and of what becomes a tunnel; absent or null: none. */
  idleTimeoutMs?: number | null;
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
  /** Then there are no backends. */
  directResponse?: DirectResponse;
  mirrors?: Mirror[];
  fault?: Fault;
  cors?: Cors;
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
  /** Absent: least request, without anything else. */
  balancing?: Balancing;
  /** Absent: none of its own. */
  limits?: DestinationLimits;
  /** Of one connection to one endpoint; absent: 5 s. */
  connectTimeoutMs?: number;
  /** Of connections that are not HTTP, without a byte either way; absent: none. */
  tcpIdleTimeoutMs?: number;
  /** Percent of the traces that begin with its requests; absent: as all. */
  traceSampling?: number;
  policies: PolicyRef[];
}

export interface Endpoint {
  address: string;
  port: number;
  /** SPIFFE id that the peer must prove; null: not meshed, spoken to in plaintext. */
  identity: string | null;
  podName: string;
  zone: string;
  /** Zones whose callers should use it (EndpointSlice hints.forZones); absent: no hint. */
  forZones?: string[];
  /** Callers on this node only (internalTrafficPolicy: Local); absent: all. */
  onlyNode?: string;
}

/**
 * Named `namespace/service:port` (`…@ipv6` for the addresses of that family), with `/label=value,…` behind
 * where it is a subset; `pod/address:port` for a pod.
 */
export interface EndpointsResource {
  type: 'Endpoints';
  name: string;
  /** Name of the workload that all of them belong to; absent: there are several, or none. */
  workload?: string;
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
