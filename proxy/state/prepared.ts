// What requests are decided by: the operator's resources after checking, in the form the hot path reads.
// Types only; every value is replaced as a whole and never changed, but for the load of an endpoint.

import type { AccessLogSettings } from '../api/access-log.ts';
import type { Authorization } from '../api/authorization.ts';
import type {
  HeaderChange,
  HttpRoute,
  InboundPort,
  Mirror,
  OutlierDetection,
  Protocol,
  RateLimit,
  RetryCondition,
  WorkloadResource,
} from '../api/resources.ts';
import type { Balancers } from '../policy/balancer.ts';
import type { EndpointHealth } from '../policy/outlier.ts';
import type { EndpointFigures } from '../policy/outlier-compare.ts';
import type { DestinationUse } from '../policy/limits.ts';
import type { RateLimiter } from '../policy/rate-limit.ts';
import type { RetryBudget } from '../policy/retry-budget.ts';
import type { SpiffeId } from '../api/spiffe.ts';
import type { TracingSettings } from '../api/tracing.ts';
import type { Authorizer } from '../policy/authorization/types.ts';
import type { RouteTable } from '../policy/route-table.ts';

/** Moving figures of one endpoint, shared by every set that holds it. Written by `policy/load.ts`. */
export interface EndpointLoad {
  /** Peak EWMA of the answer time in milliseconds; 0 before the first. */
  ewmaMs: number;
  /** -1: never. */
  observedAtMs: number;
  inFlight: number;
  /** Of those in flight, the ones without an answer yet; and since when there was none, if any is waited for. */
  waiting: number;
  waitingSinceMs: number;
  /** -1: never. */
  chosenAtMs: number;
  /** Share of answers that failed, from 0 to 1; the newest count most. */
  failures: number;
  /** Its pod said that it goes: others are preferred until then. */
  leavesUntilMs: number;
  /** Slow start: between these times its share of requests grows. -1: it was never new. */
  warmFromMs: number;
  warmUntilMs: number;
  /** Of one request, what it has earned since its last while it is new. */
  credit: number;
  /** Written by `policy/outlier.ts`; null: nothing against it. */
  health: EndpointHealth | null;
  /** Of `policy/outlier-compare.ts`; null: nobody compares it. */
  figures: EndpointFigures | null;
}

/** When an endpoint is left out for a while. A count of 0 asks nothing. */
export interface PreparedOutlier {
  readonly consecutive5xx: number;
  readonly consecutiveGatewayErrors: number;
  /** The first time out; doubles each time in a row, up to the most. */
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionPercent: number;
  /** How often endpoints are compared with each other; null: never. */
  readonly intervalMs: number | null;
  readonly successRate: Required<OutlierDetection>['successRate'] | null;
  readonly latency: Required<OutlierDetection>['latency'] | null;
  /** 0: never. */
  readonly panicThresholdPercent: number;
}

/** What a sidecar opens or sends at most to a destination; null: no limit of its own. */
export interface PreparedLimits {
  /** `TrafficPolicy shop/cart`: who says so. */
  readonly policy: string;
  readonly maxConnections: number | null;
  readonly maxPendingRequests: number | null;
  readonly maxActiveRequests: number | null;
}

/** What this pod takes at most. Another object only where what it says has changed: its buckets live with it. */
export interface PreparedRateLimit {
  /** `TrafficPolicy shop/cart` and `rate limit 0`. */
  readonly policy: string;
  readonly rule: string;
  readonly unit: 'requests' | 'connections';
  /** Null: all. */
  readonly ports: ReadonlySet<number> | null;
  readonly matches: readonly PreparedMatch[];
  readonly per: RateLimit['per'];
  readonly limiter: RateLimiter;
}

/** Null where there is none of a unit. */
export interface PreparedRateLimits {
  readonly requests: readonly PreparedRateLimit[] | null;
  readonly connections: readonly PreparedRateLimit[] | null;
}

/** A pod and port that requests can be sent to. The same object in every set and every snapshot. */
export interface EndpointHandle {
  /** `10.0.0.7:8080|spiffe://…`, or `…|` in plaintext: names its connections in the pool. */
  readonly key: string;
  readonly address: string;
  readonly port: number;
  /** What the peer must prove; null: spoken to in plaintext. */
  readonly identity: SpiffeId | null;
  readonly podName: string;
  readonly zone: string;
  readonly load: EndpointLoad;
}

export interface EndpointSet {
  readonly name: string;
  /** Of all of them; absent: several, or none. */
  readonly workload?: string;
  readonly endpoints: readonly EndpointHandle[];
  /** Zones whose callers should use each, in the same order; absent or null: hints are not to be followed. */
  readonly hints?: readonly (readonly string[])[] | null;
  /** The node whose callers alone may use each, or empty, in the same order; absent or null: all may use all. */
  readonly nodes?: readonly string[] | null;
}

export type PreparedString = (value: string | undefined) => boolean;

export interface PreparedMatch {
  /** Against the path without query. */
  readonly path: ((path: string) => boolean) | null;
  /** Of an `exact` match: what it is found by; null for other matches. */
  readonly exactPath: string | null;
  /** Of a match of any two segments that end in this one (gRPC: a method of any service); null for other matches. */
  readonly lastOfTwo: string | null;
  /** Of a regular expression, what every path begins with that it holds for; empty: not known. */
  readonly start: string;
  /** Of a regular expression, what stands somewhere in every path that it holds for; may be empty. */
  readonly literals: readonly string[];
  /** Of a `prefix` match, for prefix rewrites; null for other matches. */
  readonly prefix: string | null;
  readonly methods: ReadonlySet<string> | null;
  readonly headers: readonly PreparedNamed[];
  readonly query: readonly PreparedNamed[];
  /** Null: any caller. */
  readonly source: PreparedSource | null;
}

/** What a header or query parameter is asked for. */
export interface PreparedNamed {
  readonly name: string;
  readonly value: PreparedString;
  /** The one value that holds, where there is one only. */
  readonly exact: string | null;
}

/** All of the labels, any of the namespaces. */
export interface PreparedSource {
  readonly labels: readonly { name: string; value: string }[];
  readonly namespaces: ReadonlySet<string> | null;
}

export interface PreparedBackend {
  /** Name of an endpoint set. */
  readonly endpoints: string;
  readonly weight: number;
  /** What does not exist, in words: this share is refused; null: it is there. */
  readonly missing: string | null;
}

export interface PreparedBackends {
  readonly list: readonly PreparedBackend[];
  readonly totalWeight: number;
}

export interface PreparedRetry {
  readonly attempts: number;
  readonly on: ReadonlySet<RetryCondition>;
  /** Further answers that are retried, by status and by gRPC code. */
  readonly statuses: ReadonlySet<number>;
  readonly grpcCodes: ReadonlySet<number>;
  readonly perTryTimeoutMs: number | null;
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  readonly budgetPercent: number;
  readonly budgetMinConcurrent: number;
}

export interface PreparedRoute {
  readonly name: string;
  /** Empty matches all. */
  readonly matches: readonly PreparedMatch[];
  readonly backends: PreparedBackends;
  readonly timeoutMs: number | null;
  readonly idleTimeoutMs: number | null;
  readonly retry: PreparedRetry | null;
  readonly requestHeaders: HeaderChange | null;
  readonly responseHeaders: HeaderChange | null;
  readonly rewrite: HttpRoute['rewrite'];
  readonly redirect: HttpRoute['redirect'];
  readonly directResponse: PreparedDirectResponse | null;
  /** Null: no copies. */
  readonly mirrors: readonly Mirror[] | null;
  readonly fault: PreparedFault | null;
  readonly cors: PreparedCors | null;
}

export interface PreparedDirectResponse {
  readonly status: number;
  readonly body: Buffer;
  readonly contentType: string;
}

/** Shares in percent. */
export interface PreparedFault {
  readonly delay: { readonly ms: number; readonly percent: number } | null;
  readonly abort: PreparedAbort | null;
}

export interface PreparedAbort {
  readonly httpStatus: number;
  readonly grpcStatus: number;
  readonly percent: number;
}

/** What a route says to browsers (policy/cors.ts). */
export interface PreparedCors {
  /** Any origin, without credentials: answered by `*`. */
  readonly star: boolean;
  readonly allows: (origin: string) => boolean;
  /** Null: whatever is asked for. */
  readonly methods: string | null;
  readonly headers: string | null;
  /** Empty: none. */
  readonly exposed: string;
  readonly credentials: boolean;
  readonly maxAge: string | null;
}

export interface PreparedDestination {
  readonly name: string;
  readonly kind: 'service' | 'pod' | 'external';
  readonly host: string;
  readonly protocol: Protocol;
  readonly routes: readonly PreparedRoute[];
  /** The same, to be looked up in. */
  readonly table: RouteTable;
  readonly tcp: PreparedBackends;
  readonly outlier: PreparedOutlier | null;
  readonly limits: PreparedLimits | null;
  /** Counts for them; outlives replacements of the destination. */
  readonly use: DestinationUse;
  /** Null: least request, and nothing else. */
  readonly balancing: Balancers | null;
  /** Requests in flight and retries among them; outlives replacements of the destination. */
  readonly budget: RetryBudget;
  /** Null: the one of net/dial. */
  readonly connectTimeoutMs: number | null;
  /** Of opaque connections; null: none. */
  readonly tcpIdleTimeoutMs: number | null;
  /** Percent of the traces that begin with its requests; null: as all. */
  readonly traceSampling: number | null;
}

export interface PreparedWorkload {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Name of the pod's workload; empty: not known. */
  readonly workload: string;
  /** Of the pod. */
  readonly labels: ReadonlyMap<string, string>;
  /** Of the pod's node; empty: not known. */
  readonly zone: string;
  /** The pod's node; empty: not known. */
  readonly node: string;
  readonly ports: ReadonlyMap<number, InboundPort>;
  readonly otherPort: InboundPort;
  /** Another object only where what it decides by has changed. */
  readonly authorizer: Authorizer;
  /** What it was made of; null: there are no policies. */
  readonly authorization: Authorization | null;
  readonly rateLimits: PreparedRateLimits;
  readonly outbound: WorkloadResource['outbound'];
  readonly accessLog: AccessLogSettings;
  /** Null: off. */
  readonly tracing: TracingSettings | null;
  readonly statisticsIntervalMs: number;
}

/** Everything in force at one instant. */
export interface Snapshot {
  readonly workload: PreparedWorkload | null;
  readonly destinations: ReadonlyMap<string, PreparedDestination>;
  readonly endpoints: ReadonlyMap<string, EndpointSet>;
}
