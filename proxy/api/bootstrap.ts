// What injection writes into the pod for the sidecar and for its init container. Types and names only.

/**
 * Environment of the sidecar: `TSMESH_BOOTSTRAP` holds a Bootstrap as JSON; the rest is filled by the
 * downward API. `TSMESH_CONFIG_FILE` instead of all of them: local file mode, without an operator.
 */
export const environment = {
  bootstrap: 'TSMESH_BOOTSTRAP',
  podName: 'TSMESH_POD_NAME',
  podNamespace: 'TSMESH_POD_NAMESPACE',
  podUid: 'TSMESH_POD_UID',
  /** Comma-separated, `status.podIPs`. */
  podIps: 'TSMESH_POD_IPS',
  configFile: 'TSMESH_CONFIG_FILE',
  /** For the init container: a CaptureSettings as JSON. */
  capture: 'TSMESH_CAPTURE',
} as const;

export interface Bootstrap {
  trustDomain: string;
  serviceAccount: string;
  /** Tried in order; the ClusterIP first, so that DNS is not needed. `host:port`. */
  operatorAddresses: string[];
  logLevel: 'error' | 'warn' | 'info' | 'debug';
  /** terminationGracePeriodSeconds of the pod. */
  gracePeriodSeconds: number;
  /**
   * 128 random bits in hexadecimal, other in every pod. Only who knows it can make the sidecar drain: the
   * kubelet and whoever may read the Pod, not everyone who reaches port 15020.
   */
  hookToken: string;
  probes: RewrittenProbe[];
  /** Event loops that carry traffic, 1 to `maxConcurrency`. Absent: 1. */
  concurrency?: number;
  /** Absent: the app has none that the pod's annotations name. */
  appMetrics?: AppMetrics;
}

/** Where the app serves Prometheus text: what the pod's annotations said before they named port 15020. */
export interface AppMetrics {
  port: number;
  /** Absent: `defaultMetricsPath`. */
  path?: string;
}

/** Prometheus' own. */
export const defaultMetricsPath = '/metrics';

/** More cores than one sidecar can use; each costs memory. */
export const maxConcurrency = 16;

/** The original of a probe or lifecycle hook that was turned towards port 15020. */
export interface RewrittenProbe {
  /** Path on 15020: `/probe/<container>/<liveness|readiness|startup|postStart|preStop>`. */
  path: string;
  timeoutSeconds: number;
  check:
    | {
        type: 'http';
        scheme: 'http' | 'https';
        host: string;
        port: number;
        path: string;
        headers: { name: string; value: string }[];
      }
    | { type: 'tcp'; host: string; port: number }
    | { type: 'grpc'; port: number; service: string };
}

/** What the init container turns into iptables rules. Empty lists exclude nothing. */
export interface CaptureSettings {
  excludeInboundPorts: number[];
  excludeOutboundPorts: number[];
  /** IPv4 and IPv6 prefixes. */
  excludeOutboundCidrs: string[];
}

export const hookTokenPattern = '^[0-9a-f]{32}$';

/** The drain hook that apps without a preStop of their own get: returns when nothing is in flight. */
export const drainHookPath = '/drained';
/** The sidecar's own preStop: begins to drain, returns at once. */
export const drainStartPath = '/drain';
/** What a drain hook really asks for: without the token there is no such path. */
export function hookPath(
  hook: typeof drainHookPath | typeof drainStartPath,
  hookToken: string,
): string {
  return `${hook}/${hookToken}`;
}

export const readyPath = '/ready';
export const metricsPath = '/metrics';
