// Compares the endpoints of one destination with each other, once per interval, for as long as they are asked. Which of them
// is left out is decided by policy/outlier-compare.

import { Deadline } from '../net/timer-wheel.ts';
import type { Io } from '../net/link.ts';
import type { DestinationUse } from '../policy/limits.ts';
import { isInUse, updatePanic } from '../policy/outlier.ts';
import { compare, type Seen } from '../policy/outlier-compare.ts';
import type { EndpointHandle, PreparedDestination, PreparedOutlier } from '../state/prepared.ts';
import type { Store } from '../state/store.ts';
import type { Series } from '../telemetry/counters.ts';
import type { Logger } from '../telemetry/logger.ts';
import { tellEjection } from './ejections.ts';

export interface WatchDeps {
  io: Io;
  store: Pick<Store, 'snapshot'>;
  logger: Pick<Logger, 'info' | 'warn'>;
}

export class OutlierWatch extends Deadline {
  running = false;
  private readonly deps: WatchDeps;
  private readonly use: DestinationUse;
  private readonly told: { series: Series; destination: string };
  private seen = new Map<string, Map<EndpointHandle, Seen>>();
  private answersBefore = -1;

  constructor(deps: WatchDeps, use: DestinationUse, told: { series: Series; destination: string }) {
    super();
    this.deps = deps;
    this.use = use;
    this.told = told;
  }

  /** Somebody asks: what comes from now on is compared. */
  start(): void {
    this.running = true;
    this.look(this.deps.io.clock.nowMs());
  }

  onDeadline(nowMs: number): void {
    this.look(nowMs);
  }

  private look(nowMs: number): void {
    const destination = this.deps.store.snapshot().destinations.get(this.use.name);
    const policy = destination?.outlier ?? null;
    if (destination === undefined || policy === null || policy.intervalMs === null) {
      this.stop();
      return;
    }
    const answers = this.compareSets(destination, policy, nowMs);
    // Without an answer there is nothing new to compare: the next one begins anew.
    if (answers === this.answersBefore) this.running = false;
    else this.deps.io.wheel.schedule(this, nowMs + policy.intervalMs);
    this.answersBefore = answers;
  }

  /** Returns how many answers there have ever been. */
  private compareSets(
    destination: PreparedDestination,
    policy: PreparedOutlier,
    nowMs: number,
  ): number {
    const sets = this.deps.store.snapshot().endpoints;
    const seen = new Map<string, Map<EndpointHandle, Seen>>();
    let answers = 0;
    for (const name of setsOf(destination)) {
      const endpoints = sets.get(name)?.endpoints ?? [];
      const before = this.seen.get(name) ?? new Map<EndpointHandle, Seen>();
      const among = { policy, endpoints };
      seen.set(name, before);
      for (const { endpoint, reason } of compare(among, before, nowMs))
        tellEjection({ ...this.told, logger: this.deps.logger }, endpoint, reason, nowMs);
      // Endpoints may have come and gone since the last one was left out.
      if (!endpoints.every(({ load }) => isInUse(load))) updatePanic(among);
      for (const { load } of endpoints) answers += load.figures?.answers ?? 0;
    }
    this.seen = seen;
    return answers;
  }

  private stop(): void {
    this.running = false;
    this.seen = new Map();
    this.answersBefore = -1;
  }
}

function setsOf({ routes, tcp }: PreparedDestination): Set<string> {
  const names = new Set(tcp.list.map(({ endpoints }) => endpoints));
  for (const { backends } of routes)
    for (const { endpoints } of backends.list) names.add(endpoints);
  return names;
}
