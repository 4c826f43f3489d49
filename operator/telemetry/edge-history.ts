// The last hour of one edge in steps of ten seconds, and the last minute exactly. A fixed size for each edge, whatever happens
// on it. Pure; time comes in.

import type { TrafficCounters } from '../../proxy/api/statistics.ts';
import type { SeriesPoint, TrafficFigures } from '../console/api.ts';
import { counterNames, plainOf, quantileMs, RecentTraffic, type Sums } from './recent.ts';
import { Ring } from './ring.ts';
import type { Window } from './window.ts';

export const stepMs = 10_000;
const steps = 360;
const counts = { width: counterNames.length, slots: steps, slotMs: stepMs };
const times = { width: 2, slots: steps, slotMs: stepMs };
const requests = counterNames.indexOf('requests');
const failures = counterNames.indexOf('failures');

export class EdgeHistory {
  lastMs: number;
  readonly #recent: RecentTraffic;
  readonly #counts: Ring;
  /** Median and 99th percentile. */
  readonly #times: Ring;

  constructor(nowMs: number) {
    this.lastMs = nowMs;
    this.#recent = new RecentTraffic(nowMs);
    this.#counts = new Ring(counts, nowMs);
    this.#times = new Ring(times, nowMs);
  }

  /** What was counted between two reports. */
  add(delta: TrafficCounters, fromMs: number, toMs: number): void {
    this.lastMs = Math.max(this.lastMs, toMs);
    this.#recent.add(delta, fromMs, toMs);
    this.#counts.add(plainOf(delta), fromMs, toMs);
  }

  /** Steps that are over get their times; those that come next begin empty. */
  advance(nowMs: number): void {
    const before = this.#times.head;
    this.#counts.advance(nowMs);
    this.#times.advance(nowMs);
    const now = this.#times.head;
    // That one again: the last reports of it have come since.
    for (let step = Math.max(before - 1, now - 3); step < now && now > before; step += 1) {
      const latency = this.#recent.latencyAt(step * stepMs);
      const found = [quantileMs(latency, 0.5) ?? 0, quantileMs(latency, 0.99) ?? 0];
      this.#times.at(step).set(found);
    }
  }

  recent(window: Window): Sums {
    return this.#recent.sumsOf(window);
  }

  /** Oldest first; ends with the last whole step. */
  series(): SeriesPoint[] {
    return Array.from({ length: steps - 1 }, (_, index) => {
      const step = this.#counts.head - steps + 1 + index;
      const plain = this.#counts.at(step);
      const [p50, p99] = this.#times.at(step);
      const count = plain[requests]!;
      return {
        requestsPerSecond: (count * 1000) / stepMs,
        success: count === 0 ? null : 1 - plain[failures]! / count,
        p50Ms: count === 0 ? null : p50!,
        p99Ms: count === 0 ? null : p99!,
      };
    });
  }
}

export function figuresOf(sums: Sums, { startMs, endMs }: Window): TrafficFigures {
  const { requests, failures, mtlsRequests, connections, mtlsConnections, denied, latency } = sums;
  const carried = requests + connections;
  const perSecond = (count: number) => (count * 1000) / (endMs - startMs);
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
