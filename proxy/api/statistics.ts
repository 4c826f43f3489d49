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
  /** The certificate in force, null before the first. */
  certificate: { serial: string; notAfterMs: number } | null;
}
