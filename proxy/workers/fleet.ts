// The workers of a sidecar as the main thread sees them (`concurrency` above 1): what holds for one holds
// for all of them before anybody hears of it, and what they count is one. It carries no traffic itself.

import type { ThreadView } from '../admin/inspect.ts';
import type { ProfileKind } from '../admin/profile.ts';
import type { Readable } from 'node:stream';
import type { Push, ResourceError } from '../api/discovery.ts';
import type { ResourceKey } from '../api/resources.ts';
import type { ListenerConfig } from '../config.ts';
import type { LogLevel } from '../errors.ts';
import type { Clock } from '../net/clock.ts';
import type { Store } from '../state/store.ts';
import type { Direction } from '../telemetry/counters.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { TapListener, TapWish } from '../telemetry/tap.ts';
import { createHoldings, type Holdings } from './holdings.ts';
import type {
  Answer,
  Figures,
  FromWorker,
  RegistryLink,
  SharedIdentity,
  ToWorker,
  WorkerReport,
} from './messages.ts';
import { createRounds, type Rounds } from './rounds.ts';

/** One worker thread. */
export interface WorkerPort {
  post(message: ToWorker): void;
  onMessage(listener: (message: FromWorker) => void): void;
  /** Once: the thread is over, whyever. */
  onEnd(listener: (reason: string) => void): void;
  heapSnapshot(): Promise<Readable>;
}

export interface FleetDeps {
  /** The worker with index 1 first. */
  ports: readonly WorkerPort[];
  /** Of the main thread; holds at least what any worker holds. */
  store: Store;
  /** Whether the main thread's own connections use a destination, or did lately. */
  holds(name: string): boolean;
  registry: () => RegistryLink;
  subscribe: (name: string) => void;
  unsubscribe: (names: readonly string[]) => void;
  /** A worker is gone: nothing can be said of its connections, and the sidecar ends. */
  onLost(error: Error): void;
  clock: Clock;
  logger: Logger;
}

export interface FleetStart {
  ownAddresses: string[];
  outbound: ListenerConfig[];
  inbound: ListenerConfig[];
}

/** A worker that owes an answer this long is taken for stuck. */
const stuckMs = 3000;
/** One that owes it this long, at that many looks, will not answer any more. */
const hopelessMs = 30_000;
const hopelessLooks = 5;
/** Metrics do without a worker that does not answer. */
const reportMs = 1000;
/** Above, a worker is stuck, and asking again would only fill its queue. */
const maxOpenReports = 8;
/** Unanswered questions of one worker: as many as its resolver lets wait. */
const maxAskedPerWorker = 1024;
/** After the grace that a worker was given to close. */
const closeSlackMs = 1000;

interface Member {
  index: number;
  port: WorkerPort;
  started: boolean;
  report: WorkerReport | null;
  figures: Figures | null;
  /** The last `drain` or `refuse` that `figures` were counted after. */
  token: number;
  /** Looks in a row at which it owed an answer. */
  missed: number;
}

export class Fleet {
  private readonly deps: FleetDeps;
  private readonly members: readonly Member[];
  private readonly rounds: Rounds<Answer>;
  private readonly holdings: Holdings;
  /** Until the start only: a key that is held would stand in a heap snapshot. */
  private identity: SharedIdentity | null = null;
  private readonly taps = new Map<number, TapListener>();
  private lastTap = 0;
  private startSent = false;
  private ending = false;
  private token = 0;
  private openReports = 0;
  private lostBeforeStart: Error | null = null;
  private failStart: (error: Error) => void = (error) => {
    this.lostBeforeStart = error;
  };

  constructor(deps: FleetDeps) {
    this.deps = deps;
    this.members = deps.ports.map((port, at) => ({
      index: at + 1,
      port,
      started: false,
      report: null,
      figures: null,
      token: 0,
      missed: 0,
    }));
    this.rounds = createRounds(this.members.map(({ index }) => index));
    this.holdings = createHoldings(deps.ports.length, maxAskedPerWorker * deps.ports.length);
    for (const member of this.members) {
      member.port.onMessage((message) => this.onMessage(member, message));
      member.port.onEnd((reason) => this.onEnd(member, reason));
    }
  }

  /** Resolves when all workers accept connections with what the main thread has in force. */
  start({ ownAddresses, outbound, inbound }: FleetStart): Promise<void> {
    const { store, logger, registry, clock } = this.deps;
    this.startSent = true;
    if (this.lostBeforeStart !== null) return Promise.reject(this.lostBeforeStart);
    return new Promise((resolve, reject) => {
      this.failStart = reject;
      const round = this.rounds.open(clock.nowMs(), () => {
        for (const member of this.members) member.started = true;
        resolve();
      });
      const resources = store.resources();
      const threads = this.members.length + 1;
      const same = { threads, ownAddresses, outbound, inbound, resources, identity: this.identity };
      for (const { index, port } of this.members) {
        const settings = { index, ...same, logLevel: logger.level(), registry: registry() };
        port.post({ type: 'start', round, settings });
      }
      this.identity = null;
    });
  }

  /** Puts a push in force in all workers; `then` gets what they refused of it. */
  apply({ resources, removed }: Push, then: (errors: ResourceError[]) => void): void {
    for (const name of destinationsIn(resources)) this.holdings.pushed(name);
    for (const name of destinationsOf(removed)) this.holdings.gone(name);
    this.ask(
      (round) => ({ type: 'apply', round, resources, removed }),
      (answers) => then(distinct(answers.flatMap(({ errors }) => errors ?? []))),
    );
  }

  shareIdentity(identity: SharedIdentity, then: () => void): void {
    // Before the start: it goes along with the settings.
    if (!this.startSent) {
      this.identity = identity;
      return then();
    }
    this.ask((round) => ({ type: 'identity', round, identity }), then);
  }

  registryChanged(): void {
    const registry = this.deps.registry();
    if (this.startSent) this.broadcast({ type: 'registry', registry });
  }

  setLogLevel(level: LogLevel): void {
    this.broadcast({ type: 'log-level', level });
  }

  /** What the main thread's connections do not use any more. Returns what nobody does. */
  forget(names: readonly string[]): string[] {
    const unheld = this.holdings.unheld(names);
    this.letGo(unheld);
    return unheld;
  }

  /** Destinations that workers wait for. */
  asked(): string[] {
    return this.holdings.asked();
  }

  /** What passes in the workers; returns the way to stop. */
  tap(wish: TapWish, listener: TapListener): () => void {
    const id = (this.lastTap += 1);
    this.taps.set(id, listener);
    this.broadcast({ type: 'tap', id, wish });
    return () => {
      this.taps.delete(id);
      this.broadcast({ type: 'tap', id, wish: null });
    };
  }

  drain(): void {
    this.broadcast({ type: 'drain', token: (this.token += 1) });
  }

  refuse(): void {
    this.broadcast({ type: 'refuse', token: (this.token += 1) });
  }

  /** While draining, a worker that has not said how many since the last word counts as one. */
  inFlight(direction: Direction): number {
    return this.sum(direction, 'inFlight');
  }

  connections(direction: Direction): number {
    return this.sum(direction, 'connections');
  }

  /** Counters as they are now; of a worker that does not answer in time, the last known. */
  async reports(): Promise<WorkerReport[]> {
    if (this.openReports < maxOpenReports) await this.within(reportMs, (done) => this.report(done));
    for (const member of this.members) this.judge(member);
    return this.known();
  }

  /** What `reports` brought last. */
  known(): WorkerReport[] {
    return this.members.flatMap(({ report }) => report ?? []);
  }

  /** Why not all workers serve; null where they do. Asks them, so that the next look knows. */
  pending(): string | null {
    const nowMs = this.deps.clock.nowMs();
    for (const { index, started } of this.members) {
      if (!started) return `worker ${index} does not listen yet`;
      const sinceMs = this.rounds.owesSinceMs(index);
      if (sinceMs === null) continue;
      if (nowMs - sinceMs > stuckMs) return `worker ${index} does not answer`;
    }
    this.probe();
    return null;
  }

  /** Accepts no more; resolves when the connections ended in order, or some time after the grace. */
  async close(graceMs: number): Promise<void> {
    this.ending = true;
    await this.within(graceMs + closeSlackMs, (done) => {
      this.ask((round) => ({ type: 'close', round, graceMs }), done);
    });
  }

  /** Null where there is no such worker. */
  profile(worker: number, kind: ProfileKind, seconds: number): Promise<unknown> | null {
    const member = this.members.find(({ index }) => index === worker);
    if (member === undefined) return null;
    return new Promise((resolve) => {
      const round = this.rounds.openFor(
        worker,
        this.deps.clock.nowMs() + seconds * 1000,
        (answer) => resolve(answer.profile),
      );
      member.port.post({ type: 'profile', round, kind, seconds });
    });
  }

  /** What each of them has open; nothing where one does not answer in time. */
  async inspect(): Promise<ThreadView[]> {
    let views: ThreadView[] = [];
    await this.within(reportMs, (done) =>
      this.ask(
        (round) => ({ type: 'inspect', round }),
        (answers) => {
          views = answers.flatMap(({ view }) => view ?? []);
          done();
        },
      ),
    );
    return views;
  }

  /** Null where there is no such worker. */
  heapSnapshot(worker: number): Promise<Readable> | null {
    return this.members.find(({ index }) => index === worker)?.port.heapSnapshot() ?? null;
  }

  private ask(message: (round: number) => ToWorker, then: (answers: Answer[]) => void): void {
    this.broadcast(message(this.rounds.open(this.deps.clock.nowMs(), then)));
  }

  private broadcast(message: ToWorker): void {
    for (const { port } of this.members) port.post(message);
  }

  /** One question at a time: a stuck worker must not be sent one for every look. */
  private probe(): void {
    if (this.members.some(({ index }) => this.rounds.owesSinceMs(index) !== null)) return;
    this.report(() => undefined);
  }

  /**
   * Nobody else sees a worker that hangs: the connections that the kernel gives it wait for ever. Counted
   * in looks as well, so that a process that was stopped and goes on is not taken for one.
   */
  private judge(member: Member): void {
    const sinceMs = this.rounds.owesSinceMs(member.index);
    const ageMs = sinceMs === null ? 0 : this.deps.clock.nowMs() - sinceMs;
    member.missed = ageMs < reportMs ? 0 : member.missed + 1;
    if (this.ending || ageMs < hopelessMs || member.missed < hopelessLooks) return;
    this.ending = true;
    const seconds = Math.round(ageMs / 1000);
    this.deps.onLost(new Error(`worker ${member.index} has not answered for ${seconds} s`));
  }

  private report(done: () => void): void {
    this.openReports += 1;
    this.ask(
      (round) => ({ type: 'report', round }),
      () => {
        this.openReports -= 1;
        done();
      },
    );
  }

  private onMessage(member: Member, message: FromWorker): void {
    switch (message.type) {
      case 'answer':
        member.report = message.answer.report ?? member.report;
        return this.rounds.answer(member.index, message.round, message.answer);
      case 'wanted':
        return this.onWanted(member, message.name);
      case 'unwanted':
        return this.onUnwanted(member, message.names);
      case 'tapped':
        return this.taps.get(message.id)?.(message.line, message.leftOut);
      case 'figures':
        member.figures = message.figures;
        member.token = message.token;
    }
  }

  private onEnd({ index, started }: Member, reason: string): void {
    if (this.ending) return;
    const error = new Error(`worker ${index} ended: ${reason}`);
    if (started) this.deps.onLost(error);
    else this.failStart(error);
  }

  private onWanted(member: Member, name: string): void {
    const { store, subscribe } = this.deps;
    const held = store.resources().find(({ resource }) => isDestination(resource, name));
    if (held === undefined) {
      this.holdings.ask(name);
      return subscribe(name);
    }
    this.holdings.give(member.index, name);
    // Its Endpoints are in every worker.
    member.port.post({ type: 'apply', round: 0, resources: [held], removed: [] });
  }

  private onUnwanted(member: Member, names: readonly string[]): void {
    const { destinations } = this.deps.store.snapshot();
    const known = names.filter((name) => destinations.has(name));
    const unheld = this.holdings.drop(member.index, known).filter((name) => !this.deps.holds(name));
    if (unheld.length === 0) return;
    this.deps.store.forget(unheld);
    this.letGo(unheld);
    this.deps.unsubscribe(unheld);
  }

  /** A push may have brought one back to a worker that said it forgot it. */
  private letGo(names: readonly string[]): void {
    if (names.length === 0) return;
    for (const name of names) this.holdings.gone(name);
    const removed = names.map((name): ResourceKey => `Destination/${name}`);
    this.broadcast({ type: 'apply', round: 0, resources: [], removed });
  }

  private sum(direction: Direction, what: 'inFlight' | 'connections'): number {
    let total = 0;
    for (const { figures, report, token } of this.members) {
      if (this.token > 0 && token < this.token) total += 1;
      else total += (figures ?? report?.figures)?.[direction][what] ?? 0;
    }
    return total;
  }

  private within(ms: number, run: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.deps.clock.after(ms, resolve);
      run(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}

function isDestination(resource: { type: string; name: string }, name: string): boolean {
  return resource.type === 'Destination' && resource.name === name;
}

/** Their form is not checked yet. */
function destinationsIn(resources: Push['resources']): string[] {
  const loose = resources as { resource?: { type?: unknown; name?: unknown } }[];
  return loose.flatMap(({ resource }) =>
    resource?.type === 'Destination' && typeof resource.name === 'string' ? [resource.name] : [],
  );
}

function destinationsOf(keys: readonly ResourceKey[]): string[] {
  const prefix = 'Destination/';
  return keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
}

/** All threads refuse the same, once is enough. */
function distinct(errors: readonly ResourceError[]): ResourceError[] {
  const byPlace = new Map(errors.map((error) => [`${error.key} ${error.path}`, error]));
  return [...byPlace.values()];
}
