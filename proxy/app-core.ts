// The parts of a sidecar that hold its state and need no port: made first, so that binding and serving find them
// whole. Who binds, serves and ends is app.ts.

import { proxyUserId } from './api/constants.ts';
import { formatSpiffeId } from './api/spiffe.ts';
import { splitAddress, type Config } from './config.ts';
import { createDiscoveryClient, type DiscoveryClient } from './discovery/client.ts';
import { createSnapshotFile, type SnapshotFile } from './discovery/snapshot-file.ts';
import { createOpenStream } from './discovery/transport.ts';
import { createFleet, discoveryThrough, type Threads } from './fleet-parts.ts';
import { createIdentityLoader, type IdentityLoader } from './identity/loader.ts';
import { watchForeignSockets, type ForeignSockets } from './lifecycle/foreign-sockets.ts';
import { createReadiness, type Readiness } from './lifecycle/readiness.ts';
import type { Clock } from './net/clock.ts';
import type { ReadOriginalDestination } from './net/original-destination.ts';
import type { Registry } from './outbound/resolver.ts';
import { watchConfig, type ConfigWatch } from './state/config-watch.ts';
import type { Store } from './state/store.ts';
import type { AccessLogOutput } from './telemetry/access-log.ts';
import type { Logger } from './telemetry/logger.ts';
import { createTrafficState, registryState, type TrafficState } from './traffic-state.ts';
import { version } from './version.ts';
import type { Fleet } from './workers/fleet.ts';
import { statisticsOf } from './workers/merge.ts';

export interface AppDeps {
  clock: Clock;
  logger: Logger;
  accessLogOutput: AccessLogOutput;
  /** From 0 up to 1. */
  random: () => number;
  /** Runs once this turn of the event loop is over. */
  afterTurn: (run: () => void) => void;
  processFacts(): {
    memory: { rss: number; heapUsed: number };
    cpuSeconds: number;
    /** Lines of the own log that were lost. */
    logDropped: number;
  };
  originalDestination: ReadOriginalDestination;
  /** Needed where `concurrency` is above 1. */
  threads?: Threads;
}

/** What is made before any port is bound. */
export interface Core extends TrafficState {
  config: Config;
  deps: AppDeps;
  startedAtMs: number;
  loader: IdentityLoader | null;
  snapshot: SnapshotFile | null;
  discovery: DiscoveryClient | null;
  readiness: Readiness;
  configWatch: ConfigWatch;
  /** Null where this thread carries all traffic. */
  fleet: Fleet | null;
  /** Null without an operator: a local file may run under any user. */
  foreignSockets: ForeignSockets | null;
}

export function createCore(config: Config, deps: AppDeps): Core {
  const { clock } = deps;
  // Resolver, fleet and discovery need each other: who has no operator asks nobody.
  const link: { discovery: DiscoveryClient | null; fleet: Fleet | null } = {
    discovery: null,
    fleet: null,
  };
  const state = createTrafficState({
    clock,
    ownAddresses: new Set(ownAddresses(config)),
    share: { index: 0, threads: config.concurrency },
    accessLogOutput: deps.accessLogOutput,
    afterTurn: deps.afterTurn,
    random: deps.random,
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
  const configWatch = watchConfig(state.store, clock);
  const base = { config, deps, ...state, fleet: link.fleet, readiness, configWatch };
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
    onApplied(refused) {
      core.configWatch.rejected += refused;
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

export function ownAddresses({ source }: Config): string[] {
  return source.type === 'operator' ? source.pod.ips : [];
}
