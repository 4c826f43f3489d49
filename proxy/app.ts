// The composition root of the sidecar: makes every part from settings, clock and outside world, binds all
// ports before anything is served, and takes it apart again. It decides nothing about traffic.

import type { AddressInfo } from 'node:net';
import { startAdminServer, type AdminServer } from './admin/server.ts';
import { proxyUserId } from './api/constants.ts';
import { formatSpiffeId } from './api/spiffe.ts';
import { splitAddress, type Config, type ListenerConfig } from './config.ts';
import { createDataPath, type DataPath } from './data-path.ts';
import { createDiscoveryClient, type DiscoveryClient } from './discovery/client.ts';
import { createSnapshotFile, type SnapshotFile } from './discovery/snapshot-file.ts';
import { createOpenStream } from './discovery/transport.ts';
import {
  connectionView,
  createFleet,
  discoveryThrough,
  mergedCounters,
  startFleet,
  sumOf,
  type Threads,
} from './fleet-parts.ts';
import { createIdentityLoader, type IdentityLoader } from './identity/loader.ts';
import { createAppMetrics } from './lifecycle/app-metrics.ts';
import { createDrain, type Drain } from './lifecycle/drain.ts';
import { watchForeignSockets, type ForeignSockets } from './lifecycle/foreign-sockets.ts';
import { startHealthServer, type HealthServer } from './lifecycle/health-server.ts';
import { createReadiness, type Readiness } from './lifecycle/readiness.ts';
import type { Clock } from './net/clock.ts';
import type { ReadOriginalDestination } from './net/original-destination.ts';
import type { Registry } from './outbound/resolver.ts';
import type { Store } from './state/store.ts';
import type { AccessLogOutput } from './telemetry/access-log.ts';
import type { Counters } from './telemetry/counters.ts';
import type { Logger } from './telemetry/logger.ts';
import { prometheusText } from './telemetry/prometheus.ts';
import { createTrafficState, registryState, type TrafficState } from './traffic-state.ts';
import type { Fleet } from './workers/fleet.ts';
import { statisticsOf } from './workers/merge.ts';
import type { WorkerReport } from './workers/messages.ts';

export interface AppDeps {
  clock: Clock;
  logger: Logger;
  accessLogOutput: AccessLogOutput;
  /** From 0 up to 1. */
  random: () => number;
  /** Runs once this turn of the event loop is over. */
  afterTurn: (run: () => void) => void;
  processFacts(): { memory: { rss: number; heapUsed: number }; cpuSeconds: number };
  originalDestination: ReadOriginalDestination;
  /** Needed where `concurrency` is above 1. */
  threads?: Threads;
}

export interface Sidecar {
  addresses: { outbound: AddressInfo[]; inbound: AddressInfo[]; health: AddressInfo };
  readiness: Readiness;
  counters: Counters;
  /** Drains, then takes everything apart. */
  end(reason: string): Promise<void>;
}

const version = '0.1.0';
/** Outbound requests of an app that ended already are nobody's: they are not waited for longer. */
const outboundGraceMs = 2000;
const lookMs = 20;
/** Peers of open connections learn what was not processed: two round trips, or a second if they are silent. */
const closeGraceMs = 1500;

/** What is made before any port is bound. */
interface Core extends TrafficState {
  config: Config;
  deps: AppDeps;
  startedAtMs: number;
  loader: IdentityLoader | null;
  snapshot: SnapshotFile | null;
  discovery: DiscoveryClient | null;
  readiness: Readiness;
  /** Null where this thread carries all traffic. */
  fleet: Fleet | null;
  /** Null without an operator: a local file may run under any user. */
  foreignSockets: ForeignSockets | null;
}

/** Rejects where a port cannot be had. */
export async function startSidecar(config: Config, deps: AppDeps): Promise<Sidecar> {
  const core = createCore(config, deps);
  const [data] = await Promise.all([bind(core), loadHeld(core)]);
  if (core.fleet !== null) {
    await startFleet(core.fleet, config, ownAddresses(config), data.addresses);
  }
  const drain = createSidecarDrain(core, data);
  const view: View = { core, data, drain };
  const appHost = ownAddresses(config)[0] ?? '127.0.0.1';
  const health = await startHealthServer({
    ...addressOf(config.health),
    readiness: core.readiness,
    drain,
    metrics: readMetrics(view, appHost),
    hookToken: config.hookToken,
    probes: config.probes,
    probeHost: appHost,
    nowMs: () => deps.clock.nowMs(),
  });
  const admin = await startAdmin(view, health);
  core.discovery?.start();
  deps.logger.info('sidecar started', {
    afterMs: Math.round(deps.clock.wallTimeMs() - core.startedAtMs),
    health: health.address.port,
  });
  return {
    addresses: { ...data.addresses, health: health.address },
    readiness: core.readiness,
    counters: core.counters,
    end: (reason) => end(view, { health, admin }, reason),
  };
}

interface View {
  core: Core;
  data: DataPath;
  drain: Drain;
}

function createCore(config: Config, deps: AppDeps): Core {
  const { clock } = deps;
  // Resolver, fleet and discovery need each other: who has no operator asks nobody.
  const link: { discovery: DiscoveryClient | null; fleet: Fleet | null } = {
    discovery: null,
    fleet: null,
  };
  const state = createTrafficState({
    clock,
    ownAddresses: new Set(ownAddresses(config)),
    accessLogOutput: deps.accessLogOutput,
    afterTurn: deps.afterTurn,
    registry: () => registryNow(link.discovery, clock),
    onWanted: (name) => link.discovery?.subscribe(name),
    onUnwanted: (names) => onUnwanted(names),
    ...(config.concurrency === 1 ? {} : { forget: () => undefined }),
  });
  const onUnwanted = (names: readonly string[]): void => {
    const unheld = link.fleet?.forget(names) ?? names;
    if (link.fleet !== null && unheld.length > 0) state.store.forget(unheld);
    link.discovery?.unsubscribe(unheld);
  };
  link.fleet = createFleet({
    concurrency: config.concurrency,
    threads: deps.threads,
    state,
    discovery: () => link.discovery,
    clock,
    logger: deps.logger,
  });
  const readiness = createReadiness();
  const base = { config, deps, ...state, fleet: link.fleet, readiness };
  const snapshot = createSnapshot(config, deps, state.store);
  const started = { ...base, startedAtMs: clock.wallTimeMs() };
  link.discovery = createDiscovery(started, snapshot);
  return {
    ...started,
    loader: createLoader(base),
    snapshot,
    discovery: link.discovery,
    foreignSockets: createForeignSockets(config, deps),
  };
}

function createLoader({
  config,
  deps,
  holder,
  fleet,
}: Pick<Core, 'config' | 'deps' | 'holder' | 'fleet'>) {
  const { identityDirectory: directory, expectedIdentity: expected } = config;
  if (directory === null) return null;
  const { clock, logger } = deps;
  const own = { directory, expected, holder, clock, logger };
  if (fleet === null) return createIdentityLoader(own);
  return createIdentityLoader({
    ...own,
    share: (material, checked, done) => fleet.shareIdentity({ material, checked }, done),
  });
}

function createForeignSockets({ source }: Config, { clock, logger }: AppDeps) {
  if (source.type === 'file') return null;
  return watchForeignSockets({ userId: proxyUserId, procDirectory: '/proc', clock, logger });
}

function registryNow(discovery: DiscoveryClient | null, clock: Clock): Registry {
  return discovery === null
    ? 'none'
    : registryState(discovery.disconnectedSinceMs(), clock.nowMs());
}

function createSnapshot(config: Config, deps: AppDeps, store: Store): SnapshotFile | null {
  const { source, expectedIdentity } = config;
  if (source.type === 'file' || expectedIdentity === null) return null;
  return createSnapshotFile({
    directory: source.stateDirectory,
    owner: `${formatSpiffeId(expectedIdentity)} ${source.pod.uid}`,
    resources: () => store.resources(),
    clock: deps.clock,
    logger: deps.logger,
  });
}

function createDiscovery(
  core: Omit<Core, 'loader' | 'snapshot' | 'discovery' | 'foreignSockets'>,
  snapshot: SnapshotFile | null,
): DiscoveryClient | null {
  const { config, deps, store, holder, resolver, counters, startedAtMs, fleet } = core;
  const { source } = config;
  if (source.type === 'file') return null;
  const { clock, logger, afterTurn, random } = deps;
  return createDiscoveryClient({
    addresses: source.addresses.map((text) => {
      const { address: host, port } = splitAddress(text);
      return { host, port };
    }),
    pod: source.pod,
    proxyVersion: version,
    identity: holder,
    store,
    wanted: () => [...resolver.wanted(), ...(fleet?.asked() ?? [])],
    ...(fleet === null
      ? { statistics: () => statisticsOf(counters, startedAtMs, holder.current()) }
      : discoveryThrough(fleet, core)),
    onApplied() {
      snapshot?.changed();
      if (fleet !== null) resolver.trim();
    },
    openStream: createOpenStream(clock),
    clock,
    logger,
    afterTurn,
    random,
  });
}

async function bind(core: Core): Promise<DataPath> {
  const { config, deps } = core;
  let bound = false;
  const { fleet } = core;
  if (fleet !== null) core.readiness.add('workers', () => fleet.pending());
  core.readiness.add('listeners', () => (bound ? null : 'capture ports are not bound yet'));
  const data = await createDataPath({
    ...core,
    clock: deps.clock,
    random: deps.random,
    ownAddresses: new Set(ownAddresses(config)),
    originalDestination: deps.originalDestination,
    outbound: config.outbound,
    inbound: config.inbound,
    reusePort: core.fleet !== null,
  });
  bound = true;
  return data;
}

/** Identity and configuration, as far as this machine holds them already. */
async function loadHeld(core: Core): Promise<void> {
  const { config, deps, store, loader, readiness } = core;
  if (loader !== null) readiness.add('identity', () => identityPending(core));
  readiness.add('configuration', () =>
    store.snapshot().workload === null ? 'the operator has not sent any yet' : null,
  );
  if (config.source.type === 'file') {
    const resources = config.source.resources.map((resource) => ({ version: 'file', resource }));
    for (const error of store.apply(resources, [])) {
      const { key, path, message: reason } = error;
      deps.logger.error('configuration refused', { key, path, reason });
    }
  }
  const [held] = await Promise.all([core.snapshot?.load(), loader?.reload()]);
  if (held == null || store.snapshot().workload !== null) return;
  const errors = store.apply(held, []);
  deps.logger.info('configuration restored', { resources: held.length, refused: errors.length });
}

function identityPending({ holder, loader, deps }: Core): string | null {
  const identity = holder.current();
  if (identity === null) return loader?.problem() ?? 'not loaded yet';
  if (identity.notAfterMs > deps.clock.wallTimeMs()) return null;
  return `the certificate expired at ${new Date(identity.notAfterMs).toISOString()}`;
}

function createSidecarDrain(core: Core, data: DataPath): Drain {
  const { config, deps, discovery, fleet } = core;
  return createDrain({
    drainInbound() {
      data.drainInbound();
      fleet?.drain();
    },
    refuseInbound() {
      data.refuseInbound();
      fleet?.refuse();
    },
    announce: () => discovery?.draining(),
    inboundInFlight: () => data.inFlight('inbound') + (fleet?.inFlight('inbound') ?? 0),
    inboundConnections: () => data.connections('inbound') + (fleet?.connections('inbound') ?? 0),
    gracePeriodMs: config.gracePeriodMs,
    clock: deps.clock,
    logger: deps.logger,
  });
}

/** With the app's own behind them, where the pod says that it has some. */
function readMetrics(view: View, appHost: string): () => Promise<string> {
  const { appMetrics } = view.core.config;
  if (appMetrics === undefined) return () => metricsText(view);
  const readApp = createAppMetrics(appMetrics, appHost);
  return async () => (await Promise.all([metricsText(view), readApp()])).join('');
}

async function metricsText({ core, data, drain }: View): Promise<string> {
  const identity = core.holder.current();
  const reports = (await core.fleet?.reports()) ?? [];
  const sum = (read: (one: WorkerReport) => number): number => sumOf(reports, read);
  const { memory, cpuSeconds } = core.deps.processFacts();
  return prometheusText(mergedCounters(core.counters, reports), {
    ready: core.readiness.ready(),
    draining: drain.started(),
    discoveryConnected: core.discovery?.connected() ?? false,
    certificate: identity,
    identityProblem: core.loader !== null && core.loader.problem() !== null,
    foreignSockets: core.foreignSockets?.count() ?? 0,
    inboundInFlight: data.inFlight('inbound') + sum((one) => one.figures.inbound.inFlight),
    outboundInFlight: data.inFlight('outbound') + sum((one) => one.figures.outbound.inFlight),
    accessLogDropped: core.accessLog.dropped() + sum((one) => one.accessLogDropped),
    startedAtMs: core.startedAtMs,
    memory: { rss: memory.rss, heapUsed: memory.heapUsed + sum((one) => one.heapUsed) },
    cpuSeconds,
  });
}

async function startAdmin(view: View, health: HealthServer): Promise<AdminServer | null> {
  const { core, data, drain } = view;
  const { adminPath: path } = core.config;
  if (path === null) return null;
  try {
    return await startAdminServer({
      path,
      store: core.store,
      identity: core.holder,
      logger: core.deps.logger,
      workers: core.fleet,
      status: () => ({
        version,
        pending: core.readiness.pending(),
        draining: drain.started(),
        discovery: discoveryState(core.discovery),
        identityProblem: core.loader?.problem() ?? null,
        concurrency: core.config.concurrency,
        foreignSockets: core.foreignSockets?.count() ?? 0,
        addresses: { ...data.addresses, health: health.address },
      }),
      connections: () => connectionView(data, core.fleet),
    });
  } catch (error) {
    // Traffic does not depend on it.
    core.deps.logger.warn('no admin socket', { path, reason: (error as Error).message });
    return null;
  }
}

function discoveryState(discovery: DiscoveryClient | null): Registry {
  if (discovery === null) return 'none';
  return discovery.connected() ? 'connected' : 'disconnected';
}

async function end(
  view: View,
  servers: { health: HealthServer; admin: AdminServer | null },
  reason: string,
): Promise<void> {
  const { core, data, drain } = view;
  await drain.finished(reason);
  await outboundIdle(view);
  // The last report of the stream tells it.
  await core.fleet?.reports();
  core.discovery?.stop();
  core.accessLog.flush();
  core.loader?.stop();
  core.foreignSockets?.stop();
  await Promise.all([data.close(closeGraceMs), core.fleet?.close(closeGraceMs)]);
  servers.health.close();
  servers.admin?.close();
  await core.snapshot?.flush();
}

function outboundIdle({ core, data }: View): Promise<void> {
  const { clock } = core.deps;
  const deadlineMs = clock.nowMs() + Math.min(outboundGraceMs, core.config.gracePeriodMs);
  return new Promise((resolve) => {
    const look = (): void => {
      const inFlight = data.inFlight('outbound') + (core.fleet?.inFlight('outbound') ?? 0);
      if (inFlight === 0 || clock.nowMs() >= deadlineMs) resolve();
      else clock.after(lookMs, look);
    };
    look();
  });
}

function ownAddresses({ source }: Config): string[] {
  return source.type === 'operator' ? source.pod.ips : [];
}

function addressOf({ host, port }: ListenerConfig): { host: string; port: number } {
  return { host, port };
}
