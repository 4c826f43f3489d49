// Counters of the last minute and a little more, from differences of what sidecars reported: by the second, so that a rate is
// right whatever instants reports came at. A fixed size. Pure; time comes in.

import { latencyBoundsMs, type TrafficCounters } from '../../proxy/api/statistics.ts';
import { Ring, type RingShape } from './ring.ts';
import { maxLagMs, windowMs, type Window } from './window.ts';

export const counterNames = [
  'requests',
  'grpcRequests',
  'failures',
  'mtlsRequests',
  'connections',
  'mtlsConnections',
  'denied',
] as const;
type CounterName = (typeof counterNames)[number];

/** Fractions may be in it: a report may lie in a window in part. */
export type Sums = Record<CounterName, number> & { latency: number[] };

const latencyWidth = latencyBoundsMs.length + 1;
const spanMs = windowMs + maxLagMs;
const secondMs = 1_000;
/** Quantiles do not need exact ends of a window. */
const latencyMs = 10_000;
const seconds: RingShape = {
  width: counterNames.length,
  slots: spanMs / secondMs + 2,
  slotMs: secondMs,
  exact: true,
};
const latencies: RingShape = {
  width: latencyWidth,
  slots: spanMs / latencyMs + 2,
  slotMs: latencyMs,
};

export class RecentTraffic {
  readonly #counts: Ring;
  readonly #latency: Ring;

  constructor(nowMs: number) {
    this.#counts = new Ring(seconds, nowMs);
    this.#latency = new Ring(latencies, nowMs);
  }

  add(delta: TrafficCounters, fromMs: number, toMs: number): void {
    this.#counts.add(plainOf(delta), fromMs, toMs);
    this.#latency.add(delta.latency, fromMs, toMs);
  }

  /** Of the times only: of the ten seconds that this instant is in. */
  latencyAt(atMs: number): ArrayLike<number> {
    this.#latency.advance(atMs);
    return this.#latency.at(Math.floor(atMs / latencyMs));
  }

  sumsOf({ startMs, endMs }: Window): Sums {
    const plain = counterNames.map(() => 0);
    this.#counts.sumInto(plain, startMs, endMs);
    const latency = Array.from({ length: latencyWidth }, () => 0);
    this.#latency.sumInto(latency, startMs, endMs);
    return sumsOfPlain(plain, latency);
  }
}

export function plainOf(counters: TrafficCounters): number[] {
  return counterNames.map((name) => counters[name]);
}

function sumsOfPlain(plain: readonly number[], latency: number[]): Sums {
  const entries = counterNames.map((name, index) => [name, plain[index]!]);
  return { ...(Object.fromEntries(entries) as Record<CounterName, number>), latency };
}

export function emptySums(): Sums {
  return sumsOfPlain(
    counterNames.map(() => 0),
    Array.from({ length: latencyWidth }, () => 0),
  );
}

export function addSums(sum: Sums, part: Sums): void {
  for (const name of counterNames) sum[name] += part[name];
  for (let i = 0; i < latencyWidth; i += 1) sum.latency[i]! += part.latency[i]!;
}

/** Never below zero: a counter that runs backwards has begun anew. */
export function difference(now: TrafficCounters, before: TrafficCounters): Sums {
  const delta = emptySums();
  for (const name of counterNames) delta[name] = Math.max(0, now[name] - before[name]);
  for (let i = 0; i < latencyWidth; i += 1) {
    delta.latency[i] = Math.max(0, (now.latency[i] ?? 0) - (before.latency[i] ?? 0));
  }
  return delta;
}

/**
 * Milliseconds below which this share of a histogram's requests lies; null: none. Always said to be in the middle of its bucket:
 * off by 5 % at most, whatever the times in it, and still as long as the bucket is the same.
 */
export function quantileMs(latency: ArrayLike<number>, share: number): number | null {
  let total = 0;
  for (let index = 0; index < latency.length; index += 1) total += latency[index]!;
  if (total === 0) return null;
  let below = 0;
  for (let index = 0; index < latency.length; index += 1) {
    below += latency[index]!;
    // Sums of fractions are not exact.
    if (latency[index]! > 0 && below >= share * total - 1e-6 * total) return middleOf(index);
  }
  return latencyBoundsMs.at(-1)!;
}

/** The harmonic mean of its bounds, which is as far from one as from the other. */
function middleOf(bucket: number): number {
  const lower = latencyBoundsMs[bucket - 1] ?? 0;
  const upper = latencyBoundsMs[bucket];
  // The last bucket has no upper bound: its lower one is all that is known.
  if (upper === undefined) return lower;
  return lower === 0 ? upper / 2 : (2 * lower * upper) / (lower + upper);
}
