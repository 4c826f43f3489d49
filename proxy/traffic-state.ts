// What the traffic of one thread is decided and counted by: configuration in force, identity, counters,
// access log, resolver. Made by both composition roots, the sidecar's and a worker's.

import { createIdentityHolder, type IdentityHolder } from './identity/store.ts';
import type { Clock } from './net/clock.ts';
import { createResolver, type Registry, type Resolver } from './outbound/resolver.ts';
import { createStore, type Store, type ThreadShare } from './state/store.ts';
import {
  accessLogOff,
  createAccessLog,
  type AccessLog,
  type AccessLogOutput,
} from './telemetry/access-log.ts';
import { createCounters, type Counters } from './telemetry/counters.ts';
import { EventLoopWatch } from './telemetry/event-loop.ts';
import { createTap, type Tap } from './telemetry/tap.ts';

export interface TrafficState {
  store: Store;
  holder: IdentityHolder;
  counters: Counters;
  accessLog: AccessLog;
  tap: Tap;
  eventLoop: EventLoopWatch;
  resolver: Resolver;
}

export interface TrafficStateDeps {
  clock: Clock;
  ownAddresses: ReadonlySet<string>;
  /** Of the threads that carry traffic: each gives its part of what the pod takes. */
  share: ThreadShare;
  accessLogOutput: AccessLogOutput;
  /** Runs once this turn of the event loop is over. */
  afterTurn: (run: () => void) => void;
  /** From 0 up to 1. */
  random: () => number;
  registry: () => Registry;
  onWanted: (name: string) => void;
  onUnwanted: (names: string[]) => void;
  /** Instead of the store's own: others may hold what this thread's connections do not use. */
  forget?: (names: readonly string[]) => void;
}

export function createTrafficState(deps: TrafficStateDeps): TrafficState {
  const { clock, registry, onWanted, onUnwanted, forget } = deps;
  const store = createStore(deps.ownAddresses, deps.share);
  const holder = createIdentityHolder();
  const tap = createTap(clock);
  const accessLog = createAccessLog({
    output: deps.accessLogOutput,
    wallTimeMs: () => clock.wallTimeMs(),
    afterTurn: deps.afterTurn,
    random: deps.random,
    self: () => holder.current()?.spiffeId ?? '',
    tap,
  });
  store.onSwap(({ workload }) => accessLog.set(workload?.accessLog ?? accessLogOff));
  const resolver = createResolver({
    store: forget === undefined ? store : { ...store, forget },
    clock,
    registry,
    onWanted,
    onUnwanted,
  });
  const counters = createCounters();
  keepAging(counters, clock);
  const eventLoop = new EventLoopWatch(clock);
  return { store, holder, counters, accessLog, tap, eventLoop, resolver };
}

const agingMs = 60_000;

function keepAging(counters: Counters, clock: Clock): void {
  clock.after(agingMs, () => {
    counters.age();
    keepAging(counters, clock);
  });
}

/** Start, or a change of stream: as long as an unknown destination is held. */
const reconnectGraceMs = 1000;

/** A stream that is missing only since a moment is on its way back: unknown destinations wait for it. */
export function registryState(lostAtMs: number | null, nowMs: number): Registry {
  const away = lostAtMs !== null && nowMs - lostAtMs > reconnectGraceMs;
  return away ? 'disconnected' : 'connected';
}
