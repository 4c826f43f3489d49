// Test support: a whole sidecar's data plane on loopback sockets. The original destination, which
// iptables would bring, is what the test says.

import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type {
  DestinationResource,
  Endpoint,
  HttpRoute,
  InboundPort,
  Resource,
  WorkloadResource,
} from '../../proxy/api/resources.ts';
import type { H2Options } from '../../proxy/codec/h2-options.ts';
import { createIdentityHolder, type IdentityHolder } from '../../proxy/identity/store.ts';
import { createInbound } from '../../proxy/inbound/inbound.ts';
import { systemClock, type Clock } from '../../proxy/net/clock.ts';
import { Flusher } from '../../proxy/net/flusher.ts';
import { SocketReader } from '../../proxy/net/socket-reader.ts';
import { SocketWriter } from '../../proxy/net/socket-writer.ts';
import { newHandshakes, type Io } from '../../proxy/net/link.ts';
import type { OriginalDestination } from '../../proxy/net/original-destination.ts';
import { TimerWheel } from '../../proxy/net/timer-wheel.ts';
import { createOutbound } from '../../proxy/outbound/outbound.ts';
import { createResolver, type Registry, type Resolver } from '../../proxy/outbound/resolver.ts';
import { HttpPool } from '../../proxy/pool/http-pool.ts';
import { createStore, type Store } from '../../proxy/state/store.ts';
import type { AccessEntry, AccessLog } from '../../proxy/telemetry/access-log.ts';
import { createCounters, type Counters } from '../../proxy/telemetry/counters.ts';
import type { LogFields } from '../../proxy/telemetry/logger.ts';
import { createMirrorGate } from '../../proxy/exchange/mirror.ts';
import { createRequestIds } from '../../proxy/exchange/request-id.ts';
import { createSessions } from '../../proxy/exchange/sessions.ts';
import { createTracing } from '../../proxy/tracing/tracing.ts';
import type { Side } from '../../proxy/exchange/side.ts';

export const loopback = '127.0.0.1';

export interface TestSidecar {
  store: Store;
  resolver: Resolver;
  identity: IdentityHolder;
  counters: Counters;
  pool: HttpPool;
  inbound: Side;
  outbound: Side;
  /** Where connections to the capture ports wanted to go. */
  target: { inbound: OriginalDestination | null; outbound: OriginalDestination | null };
  wanted: string[];
  unwanted: string[];
  log: AccessEntry[];
  /** What the sidecar said in its own log. */
  told: LogLine[];
  registry: { value: Registry };
  /** Moves its wall clock. */
  wall: { offsetMs: number };
  /** Moves its monotonic clock: what is due by then happens now. */
  advance: (ms: number) => void;
  apply(...resources: Resource[]): void;
  close(): void;
}

export interface LogLine {
  message: string;
  fields: LogFields;
}

export async function startSidecar(
  name = 'test',
  h2: Partial<H2Options> = {},
  limits: { maxWaiters?: number } = {},
): Promise<TestSidecar> {
  const parts = makeParts(h2, limits);
  const { shared, resolver, target } = parts;
  const deps = { ...shared, nextRequestId: createRequestIds(name) };
  const inbound = await createInbound({ ...deps, originalDestination: () => target.inbound });
  const outbound = await createOutbound({
    ...deps,
    resolver,
    originalDestination: () => target.outbound,
  });
  const { store, identity, counters, pool } = shared;
  const { wanted, unwanted, log, told, registry, wall, advance } = parts;
  const all = { store, resolver, identity, counters, pool, inbound, outbound, target };
  return {
    ...all,
    wanted,
    unwanted,
    log,
    told,
    registry,
    wall,
    advance,
    apply: applier(store),
    close,
  };

  function close(): void {
    inbound.destroy();
    outbound.destroy();
    pool.destroy();
  }
}

function makeParts(h2: Partial<H2Options>, limits: { maxWaiters?: number }) {
  const wall = { offsetMs: 0 };
  const { clock, advance } = movableClock(wall);
  const io: Io = {
    clock,
    wheel: new TimerWheel(clock),
    flusher: new Flusher(),
    reader: new SocketReader(),
    writer: new SocketWriter(),
    handshakes: newHandshakes(),
  };
  const store = createStore();
  const identity = createIdentityHolder();
  const sessions = createSessions(h2);
  const log: AccessEntry[] = [];
  const told: LogLine[] = [];
  const wanted: string[] = [];
  const unwanted: string[] = [];
  const registry: { value: Registry } = { value: 'connected' };
  const target: TestSidecar['target'] = { inbound: null, outbound: null };
  const resolver = createResolver({
    store,
    clock: systemClock,
    registry: () => registry.value,
    onWanted: (one) => void wanted.push(one),
    onUnwanted: (names) => void unwanted.push(...names),
    ...limits,
  });
  const pool = new HttpPool({ io, identity, sessions });
  const logger = memoryLogger(told);
  const random = Math.random;
  const version = 'test';
  const tracing = createTracing({
    io,
    pool,
    resolver,
    store,
    random,
    randomBytes,
    version,
    logger,
  });
  store.onSwap(({ workload: own }) => tracing.set(own?.tracing ?? null));
  const shared = {
    io,
    store,
    identity,
    pool,
    tracer: tracing.tracer,
    sessions,
    counters: createCounters(),
    accessLog: memoryLog(log),
    ownAddresses: new Set<string>(),
    random,
    mirrors: createMirrorGate(),
    logger,
    listen: { host: loopback, port: 0 },
  };
  return { shared, resolver, target, wanted, unwanted, log, told, registry, wall, advance };
}

function movableClock(wall: { offsetMs: number }): { clock: Clock; advance: (ms: number) => void } {
  let offsetMs = 0;
  const waiting = new Set<{ dueMs: number; fire(): void }>();
  const nowMs = () => systemClock.nowMs() + offsetMs;
  const clock: Clock = {
    nowMs,
    wallTimeMs: () => systemClock.wallTimeMs() + wall.offsetMs,
    after(delayMs, run) {
      const entry = { dueMs: nowMs() + delayMs, fire };
      const timer = systemClock.after(delayMs, fire);
      waiting.add(entry);
      return { cancel };
      function cancel(): void {
        waiting.delete(entry);
        timer.cancel();
      }
      function fire(): void {
        cancel();
        run();
      }
    },
  };
  return {
    clock,
    advance(ms) {
      offsetMs += ms;
      for (const entry of waiting) if (entry.dueMs <= nowMs()) entry.fire();
    },
  };
}

function applier(store: Store): (...resources: Resource[]) => void {
  let version = 0;
  return (...resources) => {
    version += 1;
    const errors = store.apply(
      resources.map((resource) => ({ version: String(version), resource })),
      [],
    );
    if (errors.length > 0) throw new Error(JSON.stringify(errors));
  };
}

function memoryLogger(lines: LogLine[]) {
  const add = (message: string, fields: LogFields = {}): void =>
    void lines.push({ message, fields });
  return { info: add, warn: add };
}

function memoryLog(entries: AccessEntry[]): AccessLog {
  return {
    wants: () => true,
    write: (entry) => void entries.push(entry),
    set: () => undefined,
    dropped: () => 0,
    flush: () => undefined,
  };
}

export function workload(port: Partial<InboundPort> = {}): WorkloadResource {
  return {
    type: 'Workload',
    name: 'self',
    trustDomain: 'cluster.local',
    namespace: 'shop',
    serviceAccount: 'test',
    inbound: {
      ports: {},
      other: { protocol: 'auto', mtls: 'PERMISSIVE', decidedBy: 'Mesh default', ...port },
    },
    outbound: { policy: 'AllowAny', whenDisconnected: 'pass' },
    accessLog: 'all',
    statisticsIntervalMs: 1000,
    policies: [],
  };
}

export function route(over: Partial<HttpRoute> = {}): HttpRoute {
  return {
    name: 'default',
    matches: [],
    backends: [{ endpoints: 'shop/app:80', weight: 1 }],
    timeoutMs: null,
    retry: null,
    requestHeaders: null,
    responseHeaders: null,
    rewrite: null,
    redirect: null,
    ...over,
  };
}

export const service = { address: '10.96.0.7', port: 80 } as const;

export function destination(over: Partial<DestinationResource> = {}): DestinationResource {
  return {
    type: 'Destination',
    name: `${service.address}:${service.port}`,
    kind: 'service',
    host: 'app.shop:80',
    protocol: 'auto',
    routes: [route()],
    tcp: [{ endpoints: 'shop/app:80', weight: 1 }],
    policies: [],
    ...over,
  };
}

export function endpoints(
  at: AddressInfo | AddressInfo[],
  identity: string | null,
  name = 'shop/app:80',
): Resource {
  const list = Array.isArray(at) ? at : [at];
  return {
    type: 'Endpoints',
    name,
    endpoints: list.map(({ address, port }, index): Endpoint => ({
      address,
      port,
      identity,
      podName: `app-${index}`,
      zone: '',
    })),
  };
}
