// The counters a sidecar reports: cumulative since its process began, so that a lost report loses
// nothing; the operator forms rates from differences. Types, bucket bounds, and a short way to write counters.

/**
 * The bounds in each power of ten, at most 10.5 % apart: what is said to lie between two of them is off by 5 % at most. Each
 * power has 1, 1.5, 2, 3, 5 and 7.5 for Prometheus.
 */
const steps = [
  1, 1.09, 1.18, 1.28, 1.39, 1.5, 1.65, 1.82, 2, 2.17, 2.36, 2.55, 2.77, 3, 3.27, 3.56, 3.87, 4.22,
  4.59, 5, 5.42, 5.88, 6.38, 6.92, 7.5, 8.25, 9.08,
] as const;

/** Upper bounds of the latency buckets in milliseconds, from 0.1 to 100,000; a last bucket without bound follows. */
export const latencyBoundsMs: readonly number[] = [0.1, 1, 10, 100, 1000, 10_000]
  .flatMap((size) => steps.map((step) => Number((step * size).toPrecision(3))))
  .concat(100_000);

export interface TrafficCounters {
  /** Requests answered, whatever the status. */
  requests: number;
  /** Of these: gRPC. */
  grpcRequests: number;
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

export function noTraffic(): TrafficCounters {
  return {
    requests: 0,
    grpcRequests: 0,
    failures: 0,
    mtlsRequests: 0,
    connections: 0,
    mtlsConnections: 0,
    denied: 0,
    latency: Array.from({ length: latencyBoundsMs.length + 1 }, () => 0),
  };
}

/** Traffic from one caller to this pod. */
export interface CallerEdge extends PackedTraffic {
  /** Its verified SPIFFE identity, or empty. */
  identity: string;
  /** Of its end of the connection, or empty. */
  address: string;
}

/** Traffic from this pod to one destination. */
export interface DestinationEdge extends PackedTraffic {
  /** Name of its series: the host and port that were called. */
  name: string;
}

/** Callers that a sidecar tells apart; later ones share an edge without identity and address. */
export const maxCallers = 256;
/** Destinations that a sidecar tells apart. */
export const maxDestinations = 512;

/** Counters, written short. */
export interface PackedTraffic {
  /** The six numbers that plainCounters names, then for each latency bucket that is not empty its index and its count. */
  counters: number[];
  /** Requests that were gRPC. Absent: none was, or the sidecar is older. */
  grpc?: number;
}

const plainCounters = [
  'requests',
  'failures',
  'mtlsRequests',
  'connections',
  'mtlsConnections',
  'denied',
] as const;

export function packTraffic(traffic: TrafficCounters): PackedTraffic {
  const counters = plainCounters.map((name) => traffic[name]);
  traffic.latency.forEach((count, index) => {
    if (count > 0) counters.push(index, count);
  });
  const { grpcRequests: grpc } = traffic;
  return grpc > 0 ? { counters, grpc } : { counters };
}

/** Null where the list is none that packTraffic makes. */
export function unpackTraffic({ counters, grpc = 0 }: PackedTraffic): TrafficCounters | null {
  const latency = Array.from({ length: latencyBoundsMs.length + 1 }, () => 0);
  const [requests, failures, mtlsRequests, connections, mtlsConnections, denied] = counters;
  if (denied === undefined || counters.length % 2 !== 0) return null;
  for (let at = plainCounters.length; at < counters.length; at += 2) {
    if (latency[counters[at]!] === undefined) return null;
    latency[counters[at]!] = counters[at + 1]!;
  }
  return {
    requests: requests!,
    grpcRequests: grpc,
    failures: failures!,
    mtlsRequests: mtlsRequests!,
    connections: connections!,
    mtlsConnections: mtlsConnections!,
    denied,
    latency,
  };
}

export interface Statistics {
  /** Start of the sidecar process, Unix milliseconds: a change means that counters began at 0 again. */
  startedAtMs: number;
  inbound: TrafficCounters;
  outbound: TrafficCounters;
  /** Who calls, and who is called, of those who have. Absent where the sidecar is older. */
  callers?: CallerEdge[];
  destinations?: DestinationEdge[];
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
