// What an address and port mean to this pod. Known destinations are answered at once; unknown ones are
// asked for, and the asker waits a bounded time. Destinations nobody uses are forgotten, oldest first.

import { destinationName } from '../api/resources.ts';
import type { ProxyErrorCode } from '../errors.ts';
import type { Clock, Timer } from '../net/clock.ts';
import type { Store } from '../state/store.ts';
import type { PreparedDestination, PreparedWorkload, Snapshot } from '../state/prepared.ts';

/** Who can be asked. `none`: there is no operator (local file), what is not held is not in the mesh. */
export type Registry = 'connected' | 'disconnected' | 'none';

export type Resolution =
  | { type: 'known'; destination: PreparedDestination }
  /** Not in the mesh as far as known: carried as it is. `unsure`: nobody could be asked. */
  | { type: 'pass'; name: string; unsure: boolean }
  | { type: 'refuse'; code: ProxyErrorCode; detail: string };

export interface Waiter {
  onResolved(resolution: Resolution): void;
}

export interface Resolver {
  /**
   * Null: the answer comes later to the waiter, unless `cancel` is called before. Each resolved
   * connection holds its destination until `release`.
   */
  resolve(address: string, port: number, waiter: Waiter): Resolution | null;
  cancel(address: string, port: number, waiter: Waiter): void;
  release(name: string): void;
  /** Names to subscribe to: in use, waited for, or used lately. */
  wanted(): string[];
  /** In use, or used lately. */
  holds(name: string): boolean;
  /**
   * Forgets what is above the bound. For threads that share one stream: what others asked for comes to
   * all of them, also to one without connections, whose end would forget something.
   */
  trim(): void;
}

export interface ResolverDeps {
  store: Store;
  clock: Clock;
  registry(): Registry;
  /** A destination that is not held: ask for it. */
  onWanted(name: string): void;
  /** Forgotten: unsubscribe. */
  onUnwanted(names: string[]): void;
  /** How long an unknown destination is waited for. */
  holdMs?: number;
  maxWaiters?: number;
  maxIdle?: number;
}

export const resolverDefaults = { holdMs: 1000, maxWaiters: 1024, maxIdle: 4096 } as const;

interface Pending {
  name: string;
  waiters: Waiter[];
  timer: Timer;
}

export function createResolver(deps: ResolverDeps): Resolver {
  return new DestinationResolver(deps);
}

class DestinationResolver implements Resolver {
  private readonly deps: ResolverDeps;
  private readonly holdMs: number;
  private readonly maxWaiters: number;
  private readonly maxIdle: number;
  private readonly pending = new Map<string, Pending>();
  /** Connections per destination. */
  private readonly inUse = new Map<string, number>();
  /** Destinations without connection, least recently used first. */
  private readonly idle = new Set<string>();
  private waiting = 0;
  /** Of the last swap: most change no destination. */
  private seen: Snapshot['destinations'] | null = null;

  constructor(deps: ResolverDeps) {
    this.deps = deps;
    this.holdMs = deps.holdMs ?? resolverDefaults.holdMs;
    this.maxWaiters = deps.maxWaiters ?? resolverDefaults.maxWaiters;
    this.maxIdle = deps.maxIdle ?? resolverDefaults.maxIdle;
    deps.store.onSwap(() => this.onSwap());
  }

  resolve(address: string, port: number, waiter: Waiter): Resolution | null {
    const name = destinationName(address, port);
    const { workload, destinations } = this.deps.store.snapshot();
    const destination = destinations.get(name);
    if (workload !== null && destination !== undefined) return this.hold(destination, workload);
    if (this.deps.registry() !== 'connected' && workload !== null)
      return this.offline(name, workload);
    return this.wait(name, waiter);
  }

  cancel(address: string, port: number, waiter: Waiter): void {
    const pending = this.pending.get(destinationName(address, port));
    const at = pending?.waiters.indexOf(waiter) ?? -1;
    if (pending === undefined || at < 0) return;
    pending.waiters.splice(at, 1);
    this.waiting -= 1;
  }

  release(name: string): void {
    const count = this.inUse.get(name);
    if (count === undefined) return;
    if (count > 1) {
      this.inUse.set(name, count - 1);
      return;
    }
    this.inUse.delete(name);
    this.idle.add(name);
    if (this.idle.size > this.maxIdle) this.forget();
  }

  wanted(): string[] {
    return [
      ...new Set([
        ...this.inUse.keys(),
        ...this.pending.keys(),
        ...this.idle,
        ...this.deps.store.snapshot().destinations.keys(),
      ]),
    ];
  }

  holds(name: string): boolean {
    return this.inUse.has(name) || this.idle.has(name);
  }

  trim(): void {
    if (this.idle.size > this.maxIdle) this.forget();
  }

  private hold(destination: PreparedDestination, workload: PreparedWorkload): Resolution {
    const { name } = destination;
    if (destination.kind === 'external' && workload.outbound.policy === 'RegistryOnly')
      return { type: 'refuse', code: 'registry-only', detail: destination.host };
    this.idle.delete(name);
    this.inUse.set(name, (this.inUse.get(name) ?? 0) + 1);
    if (destination.kind === 'external') return { type: 'pass', name, unsure: false };
    return { type: 'known', destination };
  }

  /** DESIGN §2.2: passes only where the mesh is PERMISSIVE and AllowAny, which the operator decided. */
  private offline(name: string, workload: PreparedWorkload): Resolution {
    const { policy, whenDisconnected } = workload.outbound;
    const alone = this.deps.registry() === 'none';
    if (policy === 'RegistryOnly' && alone)
      return { type: 'refuse', code: 'registry-only', detail: name };
    if (alone || (policy === 'AllowAny' && whenDisconnected === 'pass'))
      return { type: 'pass', name, unsure: !alone };
    return { type: 'refuse', code: 'destination-unknown', detail: name };
  }

  private wait(name: string, waiter: Waiter): Resolution | null {
    if (this.waiting >= this.maxWaiters)
      return { type: 'refuse', code: 'overload', detail: 'connections to unknown destinations' };
    this.waiting += 1;
    const pending = this.pending.get(name);
    if (pending !== undefined) {
      pending.waiters.push(waiter);
      return null;
    }
    const timer = this.deps.clock.after(this.holdMs, () => this.giveUp(name));
    this.pending.set(name, { name, waiters: [waiter], timer });
    this.deps.onWanted(name);
    return null;
  }

  private onSwap(): void {
    const { workload, destinations } = this.deps.store.snapshot();
    // What was pushed without having been asked for counts as used lately, so that it is bounded too.
    if (destinations !== this.seen) {
      for (const name of destinations.keys()) if (!this.inUse.has(name)) this.idle.add(name);
      this.seen = destinations;
    }
    if (workload === null) return;
    for (const pending of this.pending.values()) {
      const destination = destinations.get(pending.name);
      if (destination === undefined) continue;
      this.settle(pending, () => this.hold(destination, workload));
    }
  }

  /** The operator did not answer in time. */
  private giveUp(name: string): void {
    const pending = this.pending.get(name);
    if (pending === undefined) return;
    const { workload } = this.deps.store.snapshot();
    this.settle(pending, () =>
      workload === null
        ? { type: 'refuse', code: 'not-ready', detail: name }
        : this.offline(name, workload),
    );
  }

  private settle(pending: Pending, answer: () => Resolution): void {
    pending.timer.cancel();
    this.pending.delete(pending.name);
    this.waiting -= pending.waiters.length;
    for (const waiter of pending.waiters) waiter.onResolved(answer());
  }

  private forget(): void {
    // A local file says everything once: what it names would be carried past the mesh from then on.
    if (this.deps.registry() === 'none') return;
    const names: string[] = [];
    for (const name of this.idle) {
      // A tenth at a time: one swap for many instead of one each.
      if (this.idle.size - names.length <= this.maxIdle * 0.9) break;
      names.push(name);
    }
    for (const name of names) this.idle.delete(name);
    this.deps.store.forget(names);
    this.deps.onUnwanted(names);
  }
}
