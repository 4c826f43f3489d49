// The last hour of one edge in steps of ten seconds: a ring of figures, and the histograms of the last minute. A fixed size
// for each edge, whatever happens on it. Pure; time comes in.

import { latencyBoundsMs, type TrafficCounters } from '../../proxy/api/statistics.ts';
import type { SeriesPoint, TrafficFigures } from '../console/api.ts';
import { quantileMs } from './traffic.ts';

export const stepMs = 10_000;
const steps = 360;
/** Steps whose histograms are kept, the one under way and the minute before it. */
const fineSteps = 7;
export const windowMs = 60_000;
const buckets = latencyBoundsMs.length + 1;

const ringNames = [
  'requests',
  'failures',
  'mtlsRequests',
  'connections',
  'mtlsConnections',
  'denied',
] as const;
type RingName = (typeof ringNames)[number];
export type Sums = Record<RingName, number> & { latency: number[] };

export class EdgeHistory {
  lastMs: number;
  readonly #rings = Object.fromEntries(
    ringNames.map((name) => [name, new Float32Array(steps)]),
  ) as Record<RingName, Float32Array>;
  readonly #p50 = new Float32Array(steps);
  readonly #p99 = new Float32Array(steps);
  readonly #fine = Array.from({ length: fineSteps }, () => new Float32Array(buckets));
  /** Number of the step under way since 1970. */
  #step: number;

  constructor(nowMs: number) {
    this.lastMs = nowMs;
    this.#step = Math.floor(nowMs / stepMs);
  }

  add(delta: TrafficCounters, nowMs: number): void {
    this.advance(nowMs);
    this.lastMs = nowMs;
    const at = this.#step % steps;
    for (const name of ringNames) this.#rings[name][at]! += delta[name];
    const fine = this.#fine[this.#step % fineSteps]!;
    delta.latency.forEach((count, bucket) => (fine[bucket]! += count));
  }

  /** Steps that are over get their times; those that come next begin empty. */
  advance(nowMs: number): void {
    const now = Math.floor(nowMs / stepMs);
    for (let left = Math.min(now - this.#step, steps); left > 0; left -= 1) {
      const fine = this.#fine[this.#step % fineSteps]!;
      this.#p50[this.#step % steps] = quantileMs(fine, 0.5) ?? 0;
      this.#p99[this.#step % steps] = quantileMs(fine, 0.99) ?? 0;
      this.#step = left === 1 ? now : this.#step + 1;
      for (const name of ringNames) this.#rings[name][this.#step % steps] = 0;
      this.#fine[this.#step % fineSteps]!.fill(0);
    }
  }

  /** Of the last whole steps that make a minute. */
  recent(): Sums {
    const sums = emptySums();
    for (let back = 1; back < fineSteps; back += 1) {
      const at = (this.#step - back) % steps;
      for (const name of ringNames) sums[name] += this.#rings[name][at]!;
      const fine = this.#fine[(this.#step - back) % fineSteps]!;
      for (let i = 0; i < buckets; i += 1) sums.latency[i]! += fine[i]!;
    }
    return sums;
  }

  /** Oldest first; ends with the last whole step. */
  series(): SeriesPoint[] {
    const { requests, failures } = this.#rings;
    return Array.from({ length: steps - 1 }, (_, index) => {
      const at = (this.#step + 1 + index) % steps;
      const count = requests[at]!;
      return {
        requestsPerSecond: (count * 1000) / stepMs,
        success: count === 0 ? null : 1 - failures[at]! / count,
        p50Ms: count === 0 ? null : this.#p50[at]!,
        p99Ms: count === 0 ? null : this.#p99[at]!,
      };
    });
  }
}

function emptySums(): Sums {
  const none = Object.fromEntries(ringNames.map((name) => [name, 0])) as Record<RingName, number>;
  return { ...none, latency: Array.from({ length: buckets }, () => 0) };
}

export function sumOf(parts: readonly Sums[]): Sums {
  const sum = emptySums();
  for (const part of parts) {
    for (const name of ringNames) sum[name] += part[name];
    part.latency.forEach((count, bucket) => (sum.latency[bucket]! += count));
  }
  return sum;
}

/** `spanMs`: what was looked at of the last minute. */
export function figuresOf(sums: Sums, spanMs: number): TrafficFigures {
  const { requests, failures, mtlsRequests, connections, mtlsConnections, denied, latency } = sums;
  const carried = requests + connections;
  const perSecond = (count: number) => (count * 1000) / spanMs;
  return {
    requestsPerSecond: perSecond(requests),
    success: requests === 0 ? null : 1 - failures / requests,
    p50Ms: quantileMs(latency, 0.5),
    p99Ms: quantileMs(latency, 0.99),
    connectionsPerSecond: perSecond(connections),
    mtls: carried === 0 ? null : (mtlsRequests + mtlsConnections) / carried,
    deniedPerSecond: perSecond(denied),
  };
}
