// The counters a sidecar reports: cumulative since its process began, so that a lost report loses
// nothing; the operator forms rates from differences. Types and bucket bounds only.

/** Upper bounds of the latency buckets in milliseconds; a last bucket without bound follows. */
export const latencyBoundsMs = [
  0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000,
  3000, 5000, 10000, 30000, 60000,
] as const;

export interface TrafficCounters {
  /** Requests answered, whatever the status. */
  requests: number;
  /** Of these: status 5xx, gRPC status other than OK that is the server's fault, or broken off. */
  failures: number;
  /** Requests that came (inbound) or went (outbound) over mesh mTLS. */
  mtlsRequests: number;
  /** Opaque TCP connections, and of these over mTLS. */
  connections: number;
  mtlsConnections: number;
  /** Refused by policy. */
  denied: number;
  /** Counts per bucket of `latencyBoundsMs`, one longer. */
  latency: number[];
}

export interface Statistics {
  /** Start of the sidecar process, Unix milliseconds: a change means that counters began at 0 again. */
  startedAtMs: number;
  inbound: TrafficCounters;
  outbound: TrafficCounters;
  /** The certificate in force in every thread, null before the first. */
  certificate: CertificateFacts | null;
}

/**
 * What a sidecar tells of its certificate. The optional fields are absent where it is older than they
 * are. Roots are upper-case hexadecimal SHA-256 fingerprints.
 */
export interface CertificateFacts {
  serial: string;
  notAfterMs: number;
  notBeforeMs?: number;
  /** The root that its chain ends in. */
  underRoot?: string;
  /** Roots that the sidecar accepts peers under: all of ca.crt, whether in force by time or not. */
  trustedRoots?: string[];
}

/** Roots in one identity: rotation needs two or three. */
export const maxTrustedRoots = 20;
