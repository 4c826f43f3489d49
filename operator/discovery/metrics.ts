// What the discovery server counts. Plain numbers; operator/telemetry writes them out.

/** Upper bounds of push latency in milliseconds (sent to acknowledged); a last bucket without bound follows. */
export const pushLatencyBoundsMs = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
] as const;

export interface DiscoveryMetrics {
  /** Open now, of sidecars connected here. */
  streams: number;
  streamsOpened: number;
  /** Refused or ended by the operator, by gRPC status name. */
  streamsRefused: Map<string, number>;
  pushes: number;
  resourcesPushed: number;
  bytesPushed: number;
  acks: number;
  /** Resources that sidecars refused. */
  nacks: number;
  /** Counts per bucket of `pushLatencyBoundsMs`, one longer. */
  pushLatency: number[];
  pushLatencySumMs: number;
}

export function createDiscoveryMetrics(): DiscoveryMetrics {
  return {
    streams: 0,
    streamsOpened: 0,
    streamsRefused: new Map(),
    pushes: 0,
    resourcesPushed: 0,
    bytesPushed: 0,
    acks: 0,
    nacks: 0,
    pushLatency: Array.from({ length: pushLatencyBoundsMs.length + 1 }, () => 0),
    pushLatencySumMs: 0,
  };
}

export function observePushLatency(metrics: DiscoveryMetrics, ms: number): void {
  const bucket = pushLatencyBoundsMs.findIndex((bound) => ms <= bound);
  const index = bucket === -1 ? pushLatencyBoundsMs.length : bucket;
  metrics.pushLatency[index] = (metrics.pushLatency[index] ?? 0) + 1;
  metrics.pushLatencySumMs += ms;
}
