// From cumulative counters of sidecars to totals and to what happened in the last minute, by workload and by namespace.
// Pure but for its own memory; time comes in. Sidecars that are gone keep their share of the totals.

import type { Statistics, TrafficCounters } from '../../proxy/api/statistics.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import { objectKey } from '../model/view.ts';
import type { View } from '../model/view.ts';
import { statisticsIntervalMs } from '../translate/mesh-settings.ts';
import { addSums, difference, emptySums, RecentTraffic, type Sums } from './recent.ts';
import { ObservedWindow, type Window } from './window.ts';

export interface Traffic {
  /** Since this observer first saw the sidecars that live now. */
  total: TrafficCounters;
  /** In the window. */
  recent: Sums;
  window: Window;
}

/** A sidecar of which nothing was heard for so long is forgotten; its traffic stays counted. So with a workload. */
const forgetMs = 3_600_000;

interface Last {
  statistics: Statistics;
  atMs: number;
  seenMs: number;
}

interface WorkloadTraffic {
  recent: RecentTraffic;
  lastMs: number;
}

export class TrafficObserver {
  readonly #startedMs: number;
  readonly #window: ObservedWindow;
  /** By pod and uid. */
  readonly #last = new Map<string, Last>();
  readonly #totals = new Map<string, Sums>();
  /** By namespace, then by workload; only where there is traffic. */
  readonly #workloads = new Map<string, Map<string, WorkloadTraffic>>();

  constructor(nowMs: number) {
    this.#startedMs = nowMs;
    this.#window = new ObservedWindow(nowMs);
  }

  /** Takes in what sidecars reported since the last call. To be called every few seconds. */
  observe(view: View, streams: readonly StreamState[], nowMs: number): void {
    for (const stream of streams) this.#take(view, stream, nowMs);
    this.#window.observe(streams, statisticsIntervalMs(view), nowMs);
    for (const [id, last] of this.#last) {
      if (nowMs - last.seenMs > forgetMs) this.#last.delete(id);
    }
    for (const [namespace, workloads] of this.#workloads) {
      for (const [name, { lastMs }] of workloads) {
        if (nowMs - lastMs > forgetMs) workloads.delete(name);
      }
      if (workloads.size === 0) this.#workloads.delete(namespace);
    }
  }

  of(namespace: string): Traffic {
    const workloads = this.#workloads.get(namespace)?.values() ?? [];
    return this.#traffic([this.#totals.get(namespace) ?? emptySums()], workloads);
  }

  all(): Traffic {
    const workloads = [...this.#workloads.values()].flatMap((one) => [...one.values()]);
    return this.#traffic(this.#totals.values(), workloads);
  }

  /** `workload` is `Deployment/cart`. */
  ofWorkload(namespace: string, workload: string): Sums {
    const found = this.#workloads.get(namespace)?.get(workload);
    return found === undefined ? emptySums() : found.recent.sumsOf(this.#window.current());
  }

  #traffic(totals: Iterable<Sums>, workloads: Iterable<WorkloadTraffic>): Traffic {
    const total = emptySums();
    for (const one of totals) addSums(total, one);
    const window = this.#window.current();
    const recent = emptySums();
    for (const one of workloads) addSums(recent, one.recent.sumsOf(window));
    return { total, recent, window };
  }

  #take(view: View, stream: StreamState, nowMs: number): void {
    const { namespace, name, uid } = stream.pod;
    const { statistics, statisticsAtMs: atMs } = stream;
    if (statistics === null) return;
    const pod = objectKey(namespace, name);
    const id = `${pod}/${uid}`;
    const last = this.#last.get(id);
    if (last?.atMs === atMs) {
      last.seenMs = nowMs;
      return;
    }
    this.#last.set(id, { statistics, atMs, seenMs: nowMs });
    const same = last?.statistics.startedAtMs === statistics.startedAtMs;
    const delta = difference(statistics.inbound, same ? last!.statistics.inbound : emptySums());
    const total = this.#totals.get(namespace) ?? emptySums();
    this.#totals.set(namespace, total);
    addSums(total, delta);
    // Counters of a process that began before this observer looked are of no known time.
    if (last === undefined && statistics.startedAtMs < this.#startedMs) {
      return this.#window.noteFirstReport(atMs);
    }
    if (delta.requests + delta.connections + delta.denied === 0) return;
    const traffic = this.#workload(namespace, view.pods.get(pod)?.workload ?? `Pod/${name}`, nowMs);
    traffic.lastMs = nowMs;
    const fromMs = same ? last!.atMs : Math.max(statistics.startedAtMs, last?.atMs ?? 0);
    traffic.recent.add(delta, fromMs, Math.min(atMs, nowMs));
  }

  #workload(namespace: string, workload: string, nowMs: number): WorkloadTraffic {
    const known = this.#workloads.get(namespace) ?? new Map<string, WorkloadTraffic>();
    this.#workloads.set(namespace, known);
    const found = known.get(workload) ?? { recent: new RecentTraffic(nowMs), lastMs: nowMs };
    known.set(workload, found);
    return found;
  }
}
