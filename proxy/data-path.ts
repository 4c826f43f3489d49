// The part of the composition root that carries traffic: pools, sessions and both sides with their
// listeners, made of what all of them share.

import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { ListenerConfig } from './config.ts';
import { createMirrorGate } from './exchange/mirror.ts';
import { createRequestIds } from './exchange/request-id.ts';
import type { OpenConnection, Side } from './exchange/side.ts';
import type { IdentityStore } from './identity/store.ts';
import { createInbound } from './inbound/inbound.ts';
import type { Clock } from './net/clock.ts';
import { Flusher } from './net/flusher.ts';
import { SocketReader } from './net/socket-reader.ts';
import { SocketWriter } from './net/socket-writer.ts';
import { newHandshakes, type Handshakes, type Io } from './net/link.ts';
import type { ReadOriginalDestination } from './net/original-destination.ts';
import { TimerWheel } from './net/timer-wheel.ts';
import type { OutboundDeps } from './outbound/deps.ts';
import { createOutbound } from './outbound/outbound.ts';
import type { Resolver } from './outbound/resolver.ts';
import { HttpPool, type PooledView } from './pool/http-pool.ts';
import { createSessions } from './exchange/sessions.ts';
import type { Snapshot } from './state/prepared.ts';
import type { Store } from './state/store.ts';
import type { AccessLog } from './telemetry/access-log.ts';
import type { Counters, Direction } from './telemetry/counters.ts';
import type { Logger } from './telemetry/logger.ts';
import type { ExporterCounts } from './tracing/exporter.ts';
import { createTracing } from './tracing/tracing.ts';
import { version } from './version.ts';

/** What is left of them when a pod ends. */
const spansGraceMs = 1_000;

export interface DataPathDeps {
  clock: Clock;
  store: Store;
  holder: IdentityStore;
  resolver: Resolver;
  counters: Counters;
  accessLog: AccessLog;
  logger: Logger;
  random: () => number;
  ownAddresses: ReadonlySet<string>;
  originalDestination: ReadOriginalDestination;
  outbound: readonly ListenerConfig[];
  inbound: readonly ListenerConfig[];
  /** Several threads accept on the same ports (SO_REUSEPORT). */
  reusePort: boolean;
}

export interface DataPath {
  addresses: Record<Direction, AddressInfo[]>;
  inFlight(direction: Direction): number;
  connections(direction: Direction): number;
  /** Connections to peers and apps that are kept. */
  pooled(): number;
  /** What is open, for people. */
  list(direction: Direction): OpenConnection[];
  pool(): PooledView[];
  spans(): ExporterCounts;
  readonly handshakes: Handshakes;
  drainInbound(): void;
  refuseInbound(): void;
  /** Ends inbound connections in order, within the grace, then everything. */
  close(graceMs: number): Promise<void>;
  destroy(): void;
}

/** Binds all listeners; where one cannot be had, releases the others and rejects. */
export async function createDataPath(deps: DataPathDeps): Promise<DataPath> {
  const io = createIo(deps.clock);
  const sessions = createSessions();
  const pool = new HttpPool({ io, identity: deps.holder, sessions });
  const tracing = createTracing({ ...deps, io, pool, randomBytes, version });
  const follow = ({ workload }: Snapshot): void => tracing.set(workload?.tracing ?? null);
  follow(deps.store.snapshot());
  deps.store.onSwap(follow);
  const shared = {
    io,
    sessions,
    pool,
    store: deps.store,
    resolver: deps.resolver,
    identity: deps.holder,
    counters: deps.counters,
    accessLog: deps.accessLog,
    ownAddresses: deps.ownAddresses,
    random: deps.random,
    mirrors: createMirrorGate(),
    tracer: tracing.tracer,
    logger: deps.logger,
    nextRequestId: createRequestIds(randomBytes(8).toString('hex')),
  };
  const forListener = (listener: ListenerConfig): OutboundDeps => ({
    ...shared,
    originalDestination: readerOf(listener, deps.originalDestination),
    listen: { host: listener.host, port: listener.port, reusePort: deps.reusePort },
  });
  const sides = await bindAll({
    outbound: deps.outbound.map((listener) => () => createOutbound(forListener(listener))),
    inbound: deps.inbound.map((listener) => () => createInbound(forListener(listener))),
  });
  const sum = (direction: Direction, read: (side: Side) => number): number =>
    sides[direction].reduce((total, side) => total + read(side), 0);
  const inFlight = (direction: Direction): number => sum(direction, (side) => side.inFlight());
  const connections = (direction: Direction): number =>
    sum(direction, (side) => side.connections());
  return {
    addresses: {
      outbound: sides.outbound.map((side) => side.address),
      inbound: sides.inbound.map((side) => side.address),
    },
    inFlight,
    connections,
    pooled: () => pool.size,
    list: (direction) => sides[direction].flatMap((side) => side.list()),
    pool: () => pool.list(),
    spans: () => tracing.counts(),
    handshakes: io.handshakes,
    drainInbound() {
      for (const side of sides.inbound) side.drain();
    },
    refuseInbound() {
      for (const side of sides.inbound) side.refuseNew();
    },
    async close(graceMs) {
      await Promise.all(sides.inbound.map((side) => side.close(graceMs)));
      await tracing.end(spansGraceMs);
      destroy();
    },
    destroy,
  };

  function destroy(): void {
    for (const side of [...sides.inbound, ...sides.outbound]) side.destroy();
    pool.destroy();
  }
}

function createIo(clock: Clock): Io {
  return {
    clock,
    wheel: new TimerWheel(clock),
    flusher: new Flusher(),
    reader: new SocketReader(),
    writer: new SocketWriter(),
    handshakes: newHandshakes(),
  };
}

function readerOf(
  { destination }: ListenerConfig,
  fromKernel: ReadOriginalDestination,
): ReadOriginalDestination {
  return destination === null ? fromKernel : () => destination;
}

type Binders = Record<Direction, (() => Promise<Side>)[]>;

async function bindAll(binders: Binders): Promise<Record<Direction, Side[]>> {
  const all = [
    ...binders.outbound.map((bind) => ({ direction: 'outbound' as const, bind })),
    ...binders.inbound.map((bind) => ({ direction: 'inbound' as const, bind })),
  ];
  const results = await Promise.allSettled(all.map(({ bind }) => bind()));
  const sides: Record<Direction, Side[]> = { outbound: [], inbound: [] };
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled') sides[all[index]!.direction].push(result.value);
  }
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return sides;
  for (const side of [...sides.outbound, ...sides.inbound]) side.destroy();
  throw failed.reason;
}
