// The part of the composition root that is there only where a sidecar has several threads
// (`concurrency` above 1): makes the fleet and joins it to what one thread has already.

import type { AddressInfo } from 'node:net';
import type { Config, ListenerConfig } from './config.ts';
import type { DataPath } from './data-path.ts';
import type { DiscoveryClient, DiscoveryDeps } from './discovery/client.ts';
import type { Clock } from './net/clock.ts';
import type { Counters, Direction } from './telemetry/counters.ts';
import type { TapSource } from './admin/tap.ts';
import type { Logger } from './telemetry/logger.ts';
import type { Tap } from './telemetry/tap.ts';
import type { TrafficState } from './traffic-state.ts';
import { Fleet, type WorkerPort } from './workers/fleet.ts';
import { mergeOutside, type OutsideFigures } from './telemetry/outside.ts';
import { bothDirections, mergeCounters, statisticsOf, type CountersView } from './workers/merge.ts';
import type { Figures, RegistryLink, WorkerReport } from './workers/messages.ts';

export interface Threads {
  start(): WorkerPort;
  /** A worker is gone: ends the process, as an error that nobody caught does. */
  onLost(error: Error): void;
}

export interface FleetParts {
  concurrency: number;
  threads: Threads | undefined;
  state: TrafficState;
  /** Made after the fleet. */
  discovery(): DiscoveryClient | null;
  clock: Clock;
  logger: Logger;
}

/** Null where one thread carries all traffic. */
export function createFleet(parts: FleetParts): Fleet | null {
  const { concurrency, threads, state, clock, logger } = parts;
  if (concurrency === 1) return null;
  if (threads === undefined) throw new Error('concurrency above 1 needs threads');
  return new Fleet({
    ports: Array.from({ length: concurrency - 1 }, () => threads.start()),
    store: state.store,
    holds: (name) => state.resolver.holds(name),
    registry: () => registryLink(parts.discovery(), clock),
    subscribe: (name) => parts.discovery()?.subscribe(name),
    unsubscribe: (names) => parts.discovery()?.unsubscribe(names),
    onLost: (error) => threads.onLost(error),
    clock,
    logger,
  });
}

function registryLink(discovery: DiscoveryClient | null, clock: Clock): RegistryLink {
  if (discovery === null) return { type: 'none' };
  const lostAtMs = discovery.disconnectedSinceMs();
  return lostAtMs === null ? { type: 'open' } : { type: 'lost', forMs: clock.nowMs() - lostAtMs };
}

/** Workers listen where this thread does; a port of 0 has become one by then. */
export async function startFleet(
  fleet: Fleet,
  config: Config,
  ownAddresses: string[],
  bound: DataPath['addresses'],
): Promise<void> {
  const at = (listeners: readonly ListenerConfig[], addresses: readonly AddressInfo[]) =>
    listeners.map((listener, index) => ({ ...listener, port: addresses[index]!.port }));
  await fleet.start({
    ownAddresses,
    outbound: at(config.outbound, bound.outbound),
    inbound: at(config.inbound, bound.inbound),
  });
}

type Counted = Pick<TrafficState, 'counters' | 'holder'> & { startedAtMs: number };

/** For discovery: acknowledged is what all threads have; reported what all have counted. */
export function discoveryThrough(
  fleet: Fleet,
  { counters, holder, startedAtMs }: Counted,
): Required<Pick<DiscoveryDeps, 'statistics' | 'gather' | 'applyElsewhere' | 'onConnection'>> {
  return {
    statistics: () =>
      statisticsOf(mergedCounters(counters, fleet.known()), startedAtMs, holder.current()),
    gather: (then) => void fleet.reports().then(then),
    applyElsewhere: (push, then) => fleet.apply(push, then),
    onConnection: () => fleet.registryChanged(),
  };
}

/** What is watched is watched in all threads. */
export function tapOfAll(own: Tap, fleet: Fleet | null): TapSource {
  if (fleet === null) return own;
  return {
    open(wish, listener) {
      const stops = [own.open(wish, listener), fleet.tap(wish, listener)];
      return () => stops.forEach((stop) => stop());
    },
  };
}

/** Of all threads. */
export function mergedOutside(own: Counters, reports: readonly WorkerReport[]): OutsideFigures[] {
  return mergeOutside([own.outside.snapshot(), ...reports.map(({ outside }) => outside)]);
}

/** As they are where there are no reports. */
export function mergedCounters(own: Counters, reports: readonly WorkerReport[]): CountersView {
  if (reports.length === 0) return own;
  return mergeCounters([bothDirections(own), ...reports.map(({ series }) => series)]);
}

export function sumOf(
  reports: readonly WorkerReport[],
  read: (one: WorkerReport) => number,
): number {
  return reports.reduce((total, one) => total + read(one), 0);
}

type ThreadView = Figures & { pooled: number };

/** In sum, and where there are workers per thread, the main one first. */
export async function connectionView(data: DataPath, fleet: Fleet | null): Promise<unknown> {
  const of = (direction: Direction) => ({
    connections: data.connections(direction),
    inFlight: data.inFlight(direction),
  });
  const own = { inbound: of('inbound'), outbound: of('outbound'), pooled: data.pooled() };
  if (fleet === null) return own;
  const reports = await fleet.reports();
  const threads = [own, ...reports.map(({ figures, pooled }) => ({ ...figures, pooled }))];
  const sum = (read: (one: ThreadView) => number): number =>
    threads.reduce((total, one) => total + read(one), 0);
  const ofAll = (direction: Direction) => ({
    connections: sum((one) => one[direction].connections),
    inFlight: sum((one) => one[direction].inFlight),
  });
  const inSum = { inbound: ofAll('inbound'), outbound: ofAll('outbound') };
  return { ...inSum, pooled: sum((one) => one.pooled), threads };
}
