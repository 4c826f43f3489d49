// From cumulative counters of sidecars to totals and to what happened in the last minute, per namespace.
// Pure but for its own memory; time comes in. Sidecars that are gone keep their share of the totals.

import type { Statistics, TrafficCounters } from '../../proxy/api/statistics.ts';
import { latencyBoundsMs } from '../../proxy/api/statistics.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import { objectKey } from '../model/view.ts';
import type { ObjectKey } from '../model/view.ts';

export interface Traffic {
  total: TrafficCounters;
  /** Of the last minute. */
  recent: TrafficCounters;
  /** What `recent` spans: a minute, less when the observer has just begun. */
  recentMs: number;
}

const windowMs = 60_000;
const slotMs = 5000;
/** Rates over less than this would jump. */
const minimumSpanMs = 5000;
/** A sidecar of which nothing was heard for so long is forgotten; its traffic stays counted. */
const forgetMs = 3_600_000;

interface Slot {
  startMs: number;
  counters: TrafficCounters;
}

interface NamespaceTraffic {
  total: TrafficCounters;
  slots: Slot[];
}

interface Last {
  statistics: Statistics;
  atMs: number;
  seenMs: number;
}

export class TrafficObserver {
  readonly #startedMs: number;
  readonly #last = new Map<string, Last>();
  readonly #namespaces = new Map<string, NamespaceTraffic>();

  constructor(nowMs: number) {
    this.#startedMs = nowMs;
  }

  /** Takes in what sidecars reported since the last call. To be called every few seconds. */
  observe(streams: readonly StreamState[], nowMs: number): void {
    for (const stream of streams) {
      const { namespace, name, uid } = stream.pod;
      if (stream.statistics === null) continue;
      const id = `${objectKey(namespace, name) satisfies ObjectKey}/${uid}`;
      const last = this.#last.get(id);
      if (last?.atMs === stream.statisticsAtMs) {
        last.seenMs = nowMs;
        continue;
      }
      const { statistics, statisticsAtMs: atMs } = stream;
      this.#note(namespace, statistics, last, nowMs);
      this.#last.set(id, { statistics, atMs, seenMs: nowMs });
    }
    for (const [id, last] of this.#last) {
      if (nowMs - last.seenMs > forgetMs) this.#last.delete(id);
    }
    for (const traffic of this.#namespaces.values()) {
      traffic.slots = traffic.slots.filter((slot) => nowMs - slot.startMs < windowMs + slotMs);
    }
  }

  of(namespace: string, nowMs: number): Traffic {
    const traffic = this.#namespaces.get(namespace);
    return this.#traffic(traffic === undefined ? [] : [traffic], nowMs);
  }

  all(nowMs: number): Traffic {
    return this.#traffic([...this.#namespaces.values()], nowMs);
  }

  #traffic(parts: NamespaceTraffic[], nowMs: number): Traffic {
    const slots = parts.flatMap((part) => part.slots);
    const fresh = slots.filter((slot) => nowMs - slot.startMs < windowMs);
    const span = Math.max(nowMs - this.#startedMs, minimumSpanMs);
    return {
      total: sum(parts.map((part) => part.total)),
      recent: sum(fresh.map((slot) => slot.counters)),
      recentMs: Math.min(span, windowMs),
    };
  }

  #note(namespace: string, now: Statistics, last: Last | undefined, nowMs: number): void {
    const sameProcess = last?.statistics.startedAtMs === now.startedAtMs;
    const delta = sameProcess ? difference(now.inbound, last!.statistics.inbound) : now.inbound;
    const traffic = this.#namespaces.get(namespace) ?? { total: sum([]), slots: [] };
    this.#namespaces.set(namespace, traffic);
    traffic.total = sum([traffic.total, delta]);
    // Counters of a process that began before this observer looked are of no known time.
    const knownSinceMs = Math.max(this.#startedMs, nowMs - windowMs);
    if (last === undefined && now.startedAtMs < knownSinceMs) return;
    const startMs = nowMs - (nowMs % slotMs);
    const slot = traffic.slots.at(-1);
    if (slot?.startMs === startMs) slot.counters = sum([slot.counters, delta]);
    else traffic.slots.push({ startMs, counters: delta });
  }
}

export function difference(now: TrafficCounters, before: TrafficCounters): TrafficCounters {
  return combine([now, before], ([a = 0, b = 0]) => Math.max(0, a - b));
}

function sum(list: readonly TrafficCounters[]): TrafficCounters {
  return combine(list, (values) => values.reduce((a, b) => a + b, 0));
}

function combine(
  list: readonly TrafficCounters[],
  join: (values: number[]) => number,
): TrafficCounters {
  const field = (pick: (one: TrafficCounters) => number) => join(list.map(pick));
  return {
    requests: field((one) => one.requests),
    failures: field((one) => one.failures),
    mtlsRequests: field((one) => one.mtlsRequests),
    connections: field((one) => one.connections),
    mtlsConnections: field((one) => one.mtlsConnections),
    denied: field((one) => one.denied),
    latency: Array.from({ length: latencyBoundsMs.length + 1 }, (_, bucket) =>
      field((one) => one.latency[bucket] ?? 0),
    ),
  };
}

/** Milliseconds below which this share of a histogram's requests lies, linear inside a bucket; null: none. */
export function quantileMs(latency: ArrayLike<number>, share: number): number | null {
  let total = 0;
  for (let index = 0; index < latency.length; index += 1) total += latency[index]!;
  if (total === 0) return null;
  let below = 0;
  for (let index = 0; index < latency.length; index += 1) {
    const count = latency[index]!;
    const lower = latencyBoundsMs[index - 1] ?? 0;
    // The last bucket has no upper bound: its lower one is all that is known.
    const upper = latencyBoundsMs[index] ?? lower;
    if (below + count >= share * total && count > 0) {
      return lower + (upper - lower) * ((share * total - below) / count);
    }
    below += count;
  }
  return latencyBoundsMs.at(-1)!;
}
