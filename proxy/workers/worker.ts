// A worker of a sidecar: the composition root of a thread that carries traffic on the ports of the main
// thread and does what that one says. It knows no operator, no files and no health port.

import { endpointViews, listed, type ThreadView } from '../admin/inspect.ts';
import { recordProfile, type ProfileKind } from '../admin/profile.ts';
import { createDataPath, type DataPath } from '../data-path.ts';
import { secureContextOf } from '../identity/secure-context.ts';
import type { Clock, Timer } from '../net/clock.ts';
import { newHandshakes } from '../net/link.ts';
import type { ReadOriginalDestination } from '../net/original-destination.ts';
import type { AccessLogOutput } from '../telemetry/access-log.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { TapWish } from '../telemetry/tap.ts';
import { createTrafficState, registryState, type TrafficState } from '../traffic-state.ts';
import { bothDirections } from './merge.ts';
import type {
  Answer,
  Figures,
  FromWorker,
  RegistryLink,
  SharedIdentity,
  ToWorker,
  WorkerReport,
  WorkerSettings,
} from './messages.ts';

export interface WorkerDeps {
  clock: Clock;
  logger: Logger;
  accessLogOutput: AccessLogOutput;
  /** Resolves when the main thread has taken over what was written. */
  flushed(): Promise<void>;
  random: () => number;
  afterTurn: (run: () => void) => void;
  heapUsed(): number;
  originalDestination: ReadOriginalDestination;
  send: (message: FromWorker) => void;
  /** Nothing comes any more: the thread may end. */
  close(): void;
  /** What must not happen: ends the thread, and with it the sidecar. */
  fail(error: unknown): void;
}

/** How often the main thread hears what is in flight while draining. */
const figuresMs = 20;

/** Returns what takes the messages of the main thread, `start` first. */
export function createWorker(deps: WorkerDeps): (message: ToWorker) => void {
  let worker: Worker | null = null;
  return (message) => {
    if (message.type === 'start') {
      worker = new Worker(deps, message.settings);
      worker.start(message.round, message.settings).catch((error: unknown) => deps.fail(error));
    } else worker?.handle(message);
  };
}

class Worker {
  private readonly deps: WorkerDeps;
  private readonly state: TrafficState;
  private registry: RegistryLink = { type: 'none' };
  private registrySinceMs = 0;
  private data: DataPath | null = null;
  private token = 0;
  private figuresTimer: Timer | null = null;
  /** By number: how to stop. */
  private readonly taps = new Map<number, () => void>();

  constructor(deps: WorkerDeps, settings: WorkerSettings) {
    this.deps = deps;
    const { clock, accessLogOutput, afterTurn, send } = deps;
    this.state = createTrafficState({
      clock,
      ownAddresses: new Set(settings.ownAddresses),
      share: { index: settings.index, threads: settings.threads },
      accessLogOutput,
      afterTurn,
      random: deps.random,
      registry: () => this.registryNow(),
      onWanted: (name) => send({ type: 'wanted', name }),
      onUnwanted: (names) => send({ type: 'unwanted', names }),
    });
  }

  /** Configuration and certificate before ports: what is accepted can be served. */
  async start(round: number, settings: WorkerSettings): Promise<void> {
    const { deps, state } = this;
    deps.logger.setLevel(settings.logLevel);
    this.setRegistry(settings.registry);
    const errors = state.store.apply(settings.resources, []);
    if (settings.identity !== null) this.swapIdentity(settings.identity);
    this.data = await createDataPath({
      ...state,
      logger: deps.logger,
      clock: deps.clock,
      random: deps.random,
      ownAddresses: new Set(settings.ownAddresses),
      originalDestination: deps.originalDestination,
      outbound: settings.outbound,
      inbound: settings.inbound,
      reusePort: true,
    });
    this.answer(round, { errors });
  }

  handle(message: Exclude<ToWorker, { type: 'start' }>): void {
    switch (message.type) {
      case 'apply': {
        const errors = this.state.store.apply(message.resources, message.removed);
        this.answer(message.round, { errors });
        return this.state.resolver.trim();
      }
      case 'identity':
        this.swapIdentity(message.identity);
        return this.answer(message.round, {});
      case 'registry':
        return this.setRegistry(message.registry);
      case 'log-level':
        return this.deps.logger.setLevel(message.level);
      case 'report':
        return this.answer(message.round, { report: this.report() });
      case 'profile':
        return this.profile(message.round, message.kind, message.seconds);
      case 'inspect':
        return this.answer(message.round, { view: this.view() });
      case 'tap':
        return this.watch(message.id, message.wish);
      case 'drain':
        this.data?.drainInbound();
        return this.publish(message.token);
      case 'refuse':
        this.data?.refuseInbound();
        return this.publish(message.token);
      case 'close':
        this.end(message.round, message.graceMs).catch((error: unknown) => this.deps.fail(error));
    }
  }

  private answer(round: number, answer: Answer): void {
    this.deps.send({ type: 'answer', round, answer });
  }

  private setRegistry(registry: RegistryLink): void {
    this.registry = registry;
    this.registrySinceMs = this.deps.clock.nowMs();
  }

  private registryNow() {
    const { registry, registrySinceMs } = this;
    if (registry.type === 'none') return 'none';
    const lostAtMs = registry.type === 'open' ? null : registrySinceMs - registry.forMs;
    return registryState(lostAtMs, this.deps.clock.nowMs());
  }

  private swapIdentity({ material, checked }: SharedIdentity): void {
    const { rootsPem } = material;
    this.state.holder.swap({ secureContext: secureContextOf(material), rootsPem, ...checked });
  }

  private figures(): Figures {
    const { data } = this;
    const of = (direction: 'inbound' | 'outbound') => ({
      inFlight: data?.inFlight(direction) ?? 0,
      connections: data?.connections(direction) ?? 0,
    });
    return { inbound: of('inbound'), outbound: of('outbound') };
  }

  private report(): WorkerReport {
    const { counters, accessLog, holder } = this.state;
    return {
      series: bothDirections(counters),
      outside: counters.outside.snapshot(),
      figures: this.figures(),
      pooled: this.data?.pooled() ?? 0,
      accessLogDropped: accessLog.dropped(),
      spans: this.data?.spans() ?? { exported: 0, dropped: 0 },
      eventLoop: this.state.eventLoop.delay(),
      handshakes: this.data?.handshakes ?? newHandshakes(),
      heapUsed: this.deps.heapUsed(),
      serial: holder.current()?.serial ?? null,
    };
  }

  private view(): ThreadView {
    const { data, state } = this;
    return {
      inbound: listed(data?.list('inbound') ?? []),
      outbound: listed(data?.list('outbound') ?? []),
      pool: listed(data?.pool() ?? []),
      endpoints: endpointViews(state.store),
      eventLoop: state.eventLoop.delay().recent,
    };
  }

  private profile(round: number, kind: ProfileKind, seconds: number): void {
    recordProfile(kind, seconds).then(
      (profile) => this.answer(round, { profile }),
      (error: Error) => this.answer(round, { profile: { error: error.message } }),
    );
  }

  private watch(id: number, wish: TapWish | null): void {
    this.taps.get(id)?.();
    this.taps.delete(id);
    if (wish === null) return;
    const stop = this.state.tap.open(wish, (line, leftOut) =>
      this.deps.send({ type: 'tapped', id, line, leftOut }),
    );
    this.taps.set(id, stop);
  }

  private publish(token: number): void {
    this.token = token;
    this.figuresTimer?.cancel();
    this.sendFigures();
  }

  private sendFigures(): void {
    this.deps.send({ type: 'figures', token: this.token, figures: this.figures() });
    this.figuresTimer = this.deps.clock.after(figuresMs, () => this.sendFigures());
  }

  private async end(round: number, graceMs: number): Promise<void> {
    await this.data?.close(graceMs);
    this.figuresTimer?.cancel();
    this.state.accessLog.flush();
    await this.deps.flushed();
    this.answer(round, { report: this.report() });
    this.deps.close();
  }
}
