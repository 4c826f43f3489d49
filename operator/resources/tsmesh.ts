// The tsmesh.dev/v1alpha1 resources as TypeScript: the same shapes as crds/, which is the source of
// truth and adds the limits. Durations are Go duration strings (`500ms`, `1h30m`).

import type {
  AuthorizationAction,
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationSource,
} from '../../proxy/api/authorization.ts';
import type { Condition, KubeObject } from './kubernetes.ts';

export type Duration = string;

export interface ConditionsStatus {
  conditions?: Condition[];
}

/** Defaults: kind Issuer (in tsmesh-system), group cert-manager.io. */
export interface IssuerReference {
  name: string;
  kind?: string;
  group?: string;
}

export interface MeshSpec {
  /** Immutable. Default `cluster.local`. */
  trustDomain?: string;
  /** Mode where no PeerAuthentication says otherwise. Default PERMISSIVE. */
  mtls?: { mode?: 'STRICT' | 'PERMISSIVE' | 'DISABLE' };
  certificates?: {
    /** Default 24h, at least 15m. */
    workloadLifetime?: Duration;
    /** Of the built-in root, default 87600h. */
    rootLifetime?: Duration;
    /** An issuer of cert-manager that the CA is asked of, in the place of the built-in root. */
    issuer?: IssuerReference;
  };
  outboundPolicy?: 'AllowAny' | 'RegistryOnly';
  proxy?: {
    /** Default: the image the operator was installed with. */
    image?: string;
    initImage?: string;
    resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
    logLevel?: 'error' | 'warn' | 'info' | 'debug';
    /** Cores that one sidecar can use, 1 to 16. Default 1. */
    concurrency?: number;
    /** Default 5s. */
    statisticsInterval?: Duration;
  };
  /** Not `off`, which YAML 1.1 (kubectl) reads as `false`. Default errors. */
  accessLog?: 'none' | 'errors' | 'all';
  /** Default json. */
  accessLogFormat?: 'json' | 'text';
  /** Percent of what did not fail, where all is logged. Default 100. */
  accessLogSampling?: number;
  /** Absent: nothing is traced. */
  tracing?: TracingSpec;
  /** For Services without a TrafficPolicy that says otherwise. */
  defaults?: { timeout?: Duration; retries?: RetrySpec };
  authorization?: {
    /** Paths that apps may read in several ways: judge each reading (default), or refuse them. */
    ambiguousPaths?: 'AllReadings' | 'Refuse';
  };
}

export interface TracingSpec {
  /** Of an OpenTelemetry collector: `http://otel-collector.observability:4317`. */
  endpoint: string;
  /** Default grpc. */
  protocol?: 'grpc' | 'http';
  /** Percent of the traces that begin in the mesh. Default 1. */
  sampling?: number;
}

export interface Mesh extends KubeObject {
  spec: MeshSpec;
  status?: ConditionsStatus;
}

export interface PeerAuthenticationSpec {
  selector?: { matchLabels?: Record<string, string> };
  mtls?: { mode?: 'STRICT' | 'PERMISSIVE' | 'DISABLE' | 'UNSET' };
  /** By pod port. */
  portLevelMtls?: Record<string, { mode?: 'STRICT' | 'PERMISSIVE' | 'DISABLE' | 'UNSET' }>;
}

export interface PeerAuthentication extends KubeObject {
  spec: PeerAuthenticationSpec;
  status?: ConditionsStatus;
}

export interface ValueMatchSpec {
  name: string;
  /** Exactly one of these. */
  exact?: string;
  prefix?: string;
  regex?: string;
  present?: boolean;
}

/** At least one field. */
export interface GrpcMatchSpec {
  /** `shop.v1.Cart`; default: any. */
  service?: string;
  method?: string;
}

/** At least one field. */
export interface SourceSpec {
  labels?: Record<string, string>;
  namespaces?: string[];
}

/** Exactly one field. */
export interface PathSpec {
  exact?: string;
  prefix?: string;
  regex?: string;
}

export interface RouteMatchSpec {
  path?: PathSpec;
  methods?: string[];
  headers?: ValueMatchSpec[];
  queryParams?: ValueMatchSpec[];
  /** In place of path and methods. */
  grpc?: GrpcMatchSpec;
  /** Not of rate limits. */
  source?: SourceSpec;
}

/** `UNAVAILABLE` or 14. */
export type GrpcCodeSpec = string | number;

export interface RetrySpec {
  attempts: number;
  /** Not named `on`, which YAML 1.1 (kubectl) reads as `true`. */
  retryOn?: string[];
  retryStatuses?: number[];
  retryGrpcCodes?: GrpcCodeSpec[];
  perTryTimeout?: Duration;
  backoff?: { base?: Duration; max?: Duration };
  budget?: { percent?: number; minConcurrent?: number };
}

export interface HeaderChangeSpec {
  set?: { name: string; value: string }[];
  add?: { name: string; value: string }[];
  remove?: string[];
}

export interface BackendSpec {
  /** A Service of the same namespace; default: the policy's own. */
  service?: string;
  /** Default: the port that the client called. */
  port?: number;
  /** A name from `subsets`. */
  subset?: string;
  /** 0 to 1000, default 1. */
  weight?: number;
}

/** Names another Service, port or subset than the request itself goes to. */
export interface MirrorSpec extends Omit<BackendSpec, 'weight'> {
  /** 0 to 100, may have decimals; default 100. */
  percent?: number;
}

/** At least one of both. */
export interface FaultSpec {
  delay?: { duration: Duration; percent?: number };
  /** At least one of status and grpcCode. */
  abort?: { status?: number; grpcCode?: GrpcCodeSpec; percent?: number };
}

export interface DirectResponseSpec {
  status: number;
  body?: string;
  /** Default text/plain; charset=utf-8. */
  contentType?: string;
}

export interface CorsSpec {
  /** Exact, with one `*` in them, or `*` alone. */
  allowOrigins: string[];
  /** Default GET, HEAD, POST. */
  allowMethods?: string[];
  allowHeaders?: string[];
  exposeHeaders?: string[];
  allowCredentials?: boolean;
  maxAge?: Duration;
}

export interface RouteSpec {
  name?: string;
  matches?: RouteMatchSpec[];
  /** One of backends, redirect and directResponse at most. */
  backends?: BackendSpec[];
  timeout?: Duration;
  idleTimeout?: Duration;
  retries?: RetrySpec;
  requestHeaders?: HeaderChangeSpec;
  responseHeaders?: HeaderChangeSpec;
  rewrite?: { path?: { prefix?: string; full?: string }; host?: string };
  redirect?: {
    scheme?: 'http' | 'https';
    host?: string;
    port?: number;
    path?: { prefix?: string; full?: string };
    status?: 301 | 302 | 303 | 307 | 308;
  };
  directResponse?: DirectResponseSpec;
  mirrors?: MirrorSpec[];
  fault?: FaultSpec;
  cors?: CorsSpec;
}

export interface CookieSpec {
  name: string;
  /** Default `/`. */
  path?: string;
  ttl?: Duration;
}

/** Exactly one field. */
export interface HashSourceSpec {
  header?: string;
  cookie?: CookieSpec;
  queryParam?: string;
  sourceAddress?: boolean;
}

export interface LoadBalancingSpec {
  /** Default LeastRequest. */
  method?: 'LeastRequest' | 'RoundRobin' | 'Random' | 'ConsistentHash';
  /** With method ConsistentHash, and only with it. */
  consistentHash?: { by: HashSourceSpec[]; /** Default 125. */ maxLoadPercent?: number };
  /** Default 0s: at once. */
  slowStart?: Duration;
  affinity?: { cookie: CookieSpec };
  /** Default: as the Service says. */
  zones?: 'PreferSameZone' | 'Ignore';
}

/** Of one caller's sidecar. */
export interface LimitsSpec {
  maxConnections?: number;
  maxPendingRequests?: number;
  maxActiveRequests?: number;
}

export interface RateLimitSpec {
  name: string;
  /** Of the Service; default: all that the policy holds for. */
  port?: number;
  /** One of both. */
  requests?: number;
  connections?: number;
  /** Default 1s. */
  interval?: Duration;
  /** Default: what an interval allows. */
  burst?: number;
  matches?: RouteMatchSpec[];
  /** Exactly one field each. */
  per?: { identity?: boolean; header?: string; sourceAddress?: boolean }[];
}

export interface OutlierDetectionSpec {
  /** Default 5; 0 turns it off. */
  consecutive5xx?: number;
  /** Default 5; 0 turns it off. */
  consecutiveGatewayErrors?: number;
  /** Default 10s. */
  baseEjectionTime?: Duration;
  /** Default 5m. */
  maxEjectionTime?: Duration;
  /** Default 50. */
  maxEjectionPercent?: number;
  /** Default 10s; with successRate or latency. */
  interval?: Duration;
  successRate?: {
    /** Default 1900. */
    stdevFactorPermille?: number;
    /** Default 5. */
    minimumEndpoints?: number;
    /** Default 100. */
    requestVolume?: number;
  };
  latency?: {
    /** Default 300. */
    factorPercent?: number;
    /** Default 50ms. */
    minimum?: Duration;
    /** Default 3. */
    minimumEndpoints?: number;
    /** Default 20. */
    requestVolume?: number;
  };
  /** Default 0: never. */
  panicThresholdPercent?: number;
}

export interface TrafficPolicySpec {
  /** A Service of the same namespace; without a port, all of its ports. */
  service: { name: string; port?: number };
  subsets?: { name: string; labels: Record<string, string> }[];
  /** First match wins; a request that none matches takes the default route with `timeout` and `retries` below. */
  routes?: RouteSpec[];
  timeout?: Duration;
  idleTimeout?: Duration;
  connectTimeout?: Duration;
  tcpIdleTimeout?: Duration;
  retries?: RetrySpec;
  loadBalancing?: LoadBalancingSpec;
  limits?: LimitsSpec;
  /** Absent: no endpoint is left out. */
  outlierDetection?: OutlierDetectionSpec;
  /** Percent of the traces that begin with requests to the Service; absent: as the Mesh says. */
  tracing?: { sampling?: number };
  rateLimits?: RateLimitSpec[];
}

export interface TrafficPolicy extends KubeObject {
  spec: TrafficPolicySpec;
  status?: ConditionsStatus;
}

export interface AuthorizationRuleSpec {
  name?: string;
  from?: AuthorizationSource[];
  to?: AuthorizationOperation[];
  when?: AuthorizationCondition[];
}

export interface AuthorizationPolicySpec {
  selector?: { matchLabels?: Record<string, string> };
  /** Default ALLOW. */
  action?: AuthorizationAction;
  /** None: matches nothing. */
  rules?: AuthorizationRuleSpec[];
}

/** Annotation `tsmesh.dev/dry-run`: see dry-run.ts. */
export interface AuthorizationPolicy extends KubeObject {
  spec: AuthorizationPolicySpec;
  status?: ConditionsStatus;
}

/** Row `mesh.default`, and one row per meshed namespace, `namespace.<name>`. */
export interface MeshStatus extends KubeObject {
  spec?: Record<string, never>;
  status?: MeshStatusStatus;
}

export interface PortMode {
  /** `8080`, or `other` for every port not listed. */
  port: string;
  /** `NotCaptured`: the sidecar does not see this port. */
  mode: 'STRICT' | 'PERMISSIVE' | 'DISABLE' | 'NotCaptured';
  /** `PeerAuthentication shop/strict`, `Mesh default`, or an annotation of the pod. */
  decidedBy: string;
}

/** What was counted in the window, as exact as it is known. */
export interface MeshFigures {
  /** Requests per second. */
  requestRate: string;
  /** Percent of the requests that did not fail; `-` without requests. */
  successRate: string;
  /** `12.5ms`; `-` without requests. Off by 5 % at most. */
  p50: string;
  p99: string;
  /** Share of requests and connections over mesh mTLS, percent; empty without traffic. */
  mtlsPercent: string;
  /** Opaque connections per second; absent: none. */
  connectionRate?: string;
  /** Refused by policy, per second; absent: none. */
  deniedRate?: string;
}

/** Pods of one workload at which the same modes hold. */
export interface WorkloadStatus {
  /** `Deployment/cart`. */
  workload: string;
  /** Wanted, and of these with a ready sidecar. */
  pods: number;
  ready: number;
  /** Inbound, of all pods of the workload; only at the first of several entries of it. */
  traffic?: MeshFigures;
  ports: PortMode[];
}

/** Calls of one workload to another, as the caller's sidecar saw them, or the called one's. */
export interface EdgeStatus extends MeshFigures {
  /** `shop/Deployment/cart`; `Outside/api.example.com:443`. */
  from: string;
  to: string;
  /** SPIFFE identity of the caller; absent: not known. */
  identity?: string;
  /** NAMESPACE/NAME of the Service that was called; absent: a pod's own address. */
  service?: string;
  protocol: string;
}

export interface StaleSidecar {
  /** NAMESPACE/NAME. */
  pod: string;
  workload: string;
  /** In words. */
  reason: string;
}

export interface PolicyProblem {
  kind: string;
  /** NAMESPACE/NAME. */
  policy: string;
  /** Of the condition: `Conflicted`. */
  reason: string;
  message: string;
}

/** For the printer: two significant digits, and words. The exact figures stand beside. */
export interface MeshStatusColumns {
  /** `3/3`: sidecars in sync of meshed pods wanted. */
  synced: string;
  /** Percent; `-` without traffic. */
  mtls: string;
  /** `23h` until the nearest end. */
  certificates: string;
  requestRate: string;
  /** Percent; `-` without requests. */
  success: string;
  /** `12ms`. */
  p99: string;
  /** Of the sidecars, `0.1.0,0.2.0`. */
  versions: string;
  /** Sidecars that refused something. */
  rejecting: number;
  /** Pods of meshed namespaces without a sidecar. */
  skipped: number;
  /** Policies that are not accepted, not in force, or name what is not there. */
  problems: number;
}

export interface MeshStatusStatus extends MeshFigures {
  columns: MeshStatusColumns;
  /** What the figures are of: so many seconds that ended then (RFC 3339). */
  window: { end: string; seconds: number };
  /** `12/12`: sidecars ready of meshed pods wanted, for the printer. */
  proxies: string;
  readyProxies: number;
  wantedProxies: number;
  /** Sidecars that acknowledged all they were sent. */
  inSync: number;
  /** RFC 3339; the nearest end of a workload certificate. */
  nearestExpiry?: string;
  /** Inbound totals since the operator first saw the sidecars that live now. */
  requests: number;
  failures: number;
  connections: number;
  denied: number;
  /** Sidecars with which something is wrong. */
  staleSidecars?: StaleSidecar[];
  staleSidecarsOmitted?: number;
  policyProblems?: PolicyProblem[];
  policyProblemsOmitted?: number;
  /** Of a namespace. */
  workloads?: WorkloadStatus[];
  /** How many are not listed above because they are too many. */
  workloadsOmitted?: number;
  /** Of a namespace: what begins or ends there, most traffic first. */
  edges?: EdgeStatus[];
  edgesOmitted?: number;
  conditions?: Condition[];
}
