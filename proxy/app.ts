// The composition root of the sidecar, with app-core.ts: makes every part from settings, clock and outside world, binds all
// ports before anything is served, and takes it apart again. It decides nothing about traffic.

import type { AddressInfo } from 'node:net';
import { startAdminServer, type AdminServer } from './admin/server.ts';
import { endpointViews, listed } from './admin/inspect.ts';
import { createTaps } from './admin/tap.ts';
import { createCore, ownAddresses, type AppDeps, type Core } from './app-core.ts';
import type { Config, ListenerConfig } from './config.ts';
import { createDataPath, type DataPath } from './data-path.ts';
import type { DiscoveryClient } from './discovery/client.ts';
import {
  connectionView,
  mergedCounters,
  mergedOutside,
  startFleet,
  sumOf,
  tapOfAll,
} from './fleet-parts.ts';
import { createAppMetrics } from './lifecycle/app-metrics.ts';
import { createDrain, type Drain } from './lifecycle/drain.ts';
import {
  startHealthServer,
  type HealthDeps,
  type HealthServer,
} from './lifecycle/health-server.ts';
import type { Readiness } from './lifecycle/readiness.ts';
import { sumHandshakes } from './net/link.ts';
import type { Registry } from './outbound/resolver.ts';
import type { Snapshot } from './state/prepared.ts';
import type { Counters } from './telemetry/counters.ts';
import { Exposition, type ExpositionFormat } from './api/exposition.ts';
import { sumDelays } from './telemetry/event-loop.ts';
import { metrics } from './telemetry/metrics.ts';
import { prometheusText, type OwnPod, type SidecarState } from './telemetry/prometheus.ts';
import { version } from './version.ts';
import type { WorkerReport } from './workers/messages.ts';

export interface Sidecar {
  addresses: { outbound: AddressInfo[]; inbound: AddressInfo[]; health: AddressInfo };
  readiness: Readiness;
  counters: Counters;
  /** Drains, then takes everything apart. */
  end(reason: string): Promise<void>;
}

/** Outbound requests of an app that ended already are nobody's: they are not waited for longer. */
const outboundGraceMs = 2000;
const lookMs = 20;
/** Peers of open connections learn what was not processed: two round trips, or a second if they are silent. */
const closeGraceMs = 1500;

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

async function bind(core: Core): Promise<DataPath> {
  const { config, deps } = core;
  let bound = false;
  const { fleet } = core;
  if (fleet !== null) core.readiness.add('workers', () => fleet.pending());
  core.readiness.add('listeners', () => (bound ? null : 'capture ports are not bound yet'));
  const data = await createDataPath({
    ...core,
    logger: deps.logger,
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
function readMetrics(view: View, appHost: string): HealthDeps['metrics'] {
  const { appMetrics } = view.core.config;
  if (appMetrics === undefined)
    return async (format) => ({ text: await metricsText(view, format), format });
  const readApp = createAppMetrics(appMetrics, appHost);
  return async (wanted) => {
    const { text, format, up } = await readApp(wanted);
    const state = new Exposition(format);
    state.single(metrics.appMetricsUp, Number(up));
    return { text: `${await metricsText(view, format)}${state.toString()}${text}`, format };
  };
}

async function metricsText(view: View, format: ExpositionFormat): Promise<string> {
  const { core } = view;
  const reports = (await core.fleet?.reports()) ?? [];
  return prometheusText(mergedCounters(core.counters, reports), stateOf(view, reports), format);
}

function stateOf({ core, data, drain }: View, reports: readonly WorkerReport[]): SidecarState {
  const sum = (read: (one: WorkerReport) => number): number => sumOf(reports, read);
  const { memory, cpuSeconds, logDropped } = core.deps.processFacts();
  return {
    own: ownPod(core),
    version,
    ready: core.readiness.ready(),
    draining: drain.started(),
    discoveryConnected: core.discovery?.connected() ?? false,
    config: { ...core.configWatch, resources: resourceCounts(core.store.snapshot()) },
    certificate: core.holder.current(),
    identityProblem: core.loader !== null && core.loader.problem() !== null,
    foreignSockets: core.foreignSockets?.count() ?? 0,
    inboundInFlight: data.inFlight('inbound') + sum((one) => one.figures.inbound.inFlight),
    outboundInFlight: data.inFlight('outbound') + sum((one) => one.figures.outbound.inFlight),
    accessLogDropped: core.accessLog.dropped() + sum((one) => one.accessLogDropped),
    logDropped,
    spans: {
      exported: data.spans().exported + sum((one) => one.spans.exported),
      dropped: data.spans().dropped + sum((one) => one.spans.dropped),
    },
    eventLoop: sumDelays([core.eventLoop.delay(), ...reports.map((one) => one.eventLoop)]),
    handshakes: sumHandshakes([data.handshakes, ...reports.map((one) => one.handshakes)]),
    outside: mergedOutside(core.counters, reports),
    startedAtMs: core.startedAtMs,
    memory: { rss: memory.rss, heapUsed: memory.heapUsed + sum((one) => one.heapUsed) },
    cpuSeconds,
  };
}

function ownPod({ store, holder }: Core): OwnPod {
  const { namespace = '', workload = '' } = store.snapshot().workload ?? {};
  return { namespace, workload, identity: holder.current()?.spiffeId ?? '' };
}

function resourceCounts({ workload, destinations, endpoints }: Snapshot): Record<string, number> {
  return {
    Workload: workload === null ? 0 : 1,
    Destination: destinations.size,
    Endpoints: endpoints.size,
  };
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
      taps: createTaps(tapOfAll(core.tap, core.fleet), core.deps.clock),
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
      view: () => ({
        inbound: listed(data.list('inbound')),
        outbound: listed(data.list('outbound')),
        pool: listed(data.pool()),
        endpoints: endpointViews(core.store),
        eventLoop: core.eventLoop.delay().recent,
      }),
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

function addressOf({ host, port }: ListenerConfig): { host: string; port: number } {
  return { host, port };
}
