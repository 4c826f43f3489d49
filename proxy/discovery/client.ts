// The sidecar's end of discovery: keeps one stream to the operator, says what is held and wanted, puts
// pushes in force and acknowledges them, reports counters. How bytes travel is the transport's.

import type { DownMessage, Hello, Push, ResourceError, UpMessage } from '../api/discovery.ts';
import type { Statistics } from '../api/statistics.ts';
import { checkDownMessage } from '../api/validate.ts';
import type { Identity, IdentityStore } from '../identity/store.ts';
import type { Clock, Timer } from '../net/clock.ts';
import type { Store } from '../state/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { backoffMs } from './backoff.ts';
import type { DiscoveryStream, OpenStream } from './transport.ts';

export interface DiscoveryDeps {
  /** Tried in order. */
  addresses: readonly { host: string; port: number }[];
  pod: Hello['pod'];
  proxyVersion: string;
  identity: IdentityStore;
  store: Pick<Store, 'apply' | 'held' | 'snapshot'>;
  /** Names of the Destinations to subscribe to. */
  wanted(): string[];
  statistics(): Statistics;
  /** After each push that was put in force. */
  onApplied(refused: number): void;
  /** Puts a push in force in other threads, before it is here; `then` gets what they refused. */
  applyElsewhere?: (push: Push, then: (errors: ResourceError[]) => void) => void;
  /** Brings up to date what `statistics` will tell. */
  gather?: (then: () => void) => void;
  /** The stream was opened or lost. */
  onConnection?: () => void;
  openStream: OpenStream;
  clock: Clock;
  /** Runs once this turn of the event loop is over. */
  afterTurn(run: () => void): void;
  random(): number;
  logger: Logger;
}

export interface DiscoveryClient {
  start(): void;
  connected(): boolean;
  /** Since when there is no stream (monotonic milliseconds); null while there is one. */
  disconnectedSinceMs(): number | null;
  subscribe(name: string): void;
  unsubscribe(names: readonly string[]): void;
  /** Tells the operator that this pod is going. */
  draining(): void;
  /** A last report, then the end of the stream. */
  stop(): void;
}

/** A certificate changed: all sidecars of a service account see it at about the same time. */
const renewalJitterMs = 5000;
/** Counters may wait while the operator is slow; they are cumulative. */
const maxQueuedForStatistics = 256 << 10;
const defaultStatisticsMs = 3000;
/** A stream that was open this long was a good one. */
const lastingMs = 5000;

/** One stream with what was agreed on it. */
interface Link {
  stream: DiscoveryStream;
  address: string;
  open: boolean;
  openedAtMs: number;
}

class Client implements DiscoveryClient {
  private readonly deps: DiscoveryDeps;
  /** The stream in use, or being opened first. */
  private current: Link | null = null;
  /** Opened to replace `current`, which serves until this one is accepted. */
  private successor: Link | null = null;
  private nextAddress = 0;
  private failures = 0;
  private retryTimer: Timer | null = null;
  private replaceTimer: Timer | null = null;
  private statisticsTimer: Timer | null = null;
  private readonly toSubscribe = new Set<string>();
  private readonly toUnsubscribe = new Set<string>();
  private flushScheduled = false;
  private isDraining = false;
  private stopped = false;
  private lostAtMs: number | null;
  private lastReason = '';

  constructor(deps: DiscoveryDeps) {
    this.deps = deps;
    this.lostAtMs = deps.clock.nowMs();
  }

  start(): void {
    this.deps.identity.onChange((identity) => this.onIdentity(identity));
    this.connect();
  }

  connected(): boolean {
    return this.current?.open ?? false;
  }

  disconnectedSinceMs(): number | null {
    return this.connected() ? null : this.lostAtMs;
  }

  subscribe(name: string): void {
    this.toUnsubscribe.delete(name);
    this.toSubscribe.add(name);
    this.scheduleFlush();
  }

  unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      this.toSubscribe.delete(name);
      this.toUnsubscribe.add(name);
    }
    this.scheduleFlush();
  }

  draining(): void {
    if (this.isDraining) return;
    this.isDraining = true;
    this.broadcast({ draining: true });
  }

  stop(): void {
    this.stopped = true;
    for (const timer of [this.retryTimer, this.replaceTimer, this.statisticsTimer]) timer?.cancel();
    this.current?.stream.send({ statistics: this.deps.statistics() });
    this.successor?.stream.close();
    this.current?.stream.close();
  }

  private onIdentity(identity: Identity): void {
    if (this.stopped) return;
    if (this.current === null) {
      this.retryTimer?.cancel();
      return this.connect();
    }
    this.deps.logger.debug('certificate changed, discovery connects again soon', {
      serial: identity.serial,
    });
    this.replaceSoon(this.deps.random() * renewalJitterMs);
  }

  private replaceSoon(delayMs: number): void {
    this.replaceTimer?.cancel();
    this.replaceTimer = this.deps.clock.after(delayMs, () => this.replace());
  }

  private connect(): void {
    const identity = this.deps.identity.current();
    if (identity === null || this.stopped || this.current !== null) return;
    this.current = this.open(identity);
  }

  private replace(): void {
    const identity = this.deps.identity.current();
    if (identity === null || this.stopped || this.successor !== null) return;
    if (this.current?.open !== true) return;
    this.nextAddress = 0;
    this.successor = this.open(identity);
  }

  private open(identity: Identity): Link {
    const { addresses } = this.deps;
    const { host, port } = addresses[this.nextAddress % addresses.length]!;
    const stream = this.deps.openStream(
      { host, port, identity },
      {
        onOpen: () => this.onOpen(link),
        onMessage: (text) => this.onMessage(link, text),
        onEnd: (reason) => this.onEnd(link, reason),
      },
    );
    const link: Link = { stream, address: host, open: false, openedAtMs: 0 };
    link.stream.send({ hello: this.hello() });
    return link;
  }

  private hello(): Hello {
    const { pod, proxyVersion, store } = this.deps;
    const subscribe = [...new Set([...this.deps.wanted(), ...this.toSubscribe])];
    return { pod, proxyVersion, held: store.held(), subscribe };
  }

  private onOpen(link: Link): void {
    link.open = true;
    if (link === this.successor) {
      this.current?.stream.close();
      this.current = link;
      this.successor = null;
    }
    link.openedAtMs = this.deps.clock.nowMs();
    this.nextAddress = 0;
    this.lostAtMs = null;
    this.lastReason = '';
    this.deps.onConnection?.();
    this.deps.logger.info('discovery connected', { address: link.address });
    if (this.isDraining) link.stream.send({ draining: true });
    this.report();
  }

  private onMessage(link: Link, text: string): void {
    const message = parseMessage(text);
    if (typeof message === 'string') {
      this.deps.logger.error('discovery message refused', { reason: message });
      link.stream.close();
      return;
    }
    if (message.push !== undefined) this.onPush(link, message.push);
    else if (message.reconnect === true && link === this.current) this.replaceSoon(0);
  }

  /** What is held here is said to be held (Hello, ACK): the other threads come first. */
  private onPush(link: Link, push: Push): void {
    const { applyElsewhere } = this.deps;
    if (applyElsewhere === undefined) this.putInForce(link, push);
    else applyElsewhere(push, (refused) => this.putInForce(link, push, refused));
  }

  private putInForce(link: Link, push: Push, refusedElsewhere: ResourceError[] = []): void {
    const errors = this.deps.store.apply(push.resources, push.removed);
    errors.push(...refusedElsewhere.filter((one) => !errors.some(({ key }) => key === one.key)));
    link.stream.send({ ack: { nonce: push.nonce, errors } });
    for (const error of errors) {
      this.deps.logger.error('configuration refused', { ...error });
    }
    this.deps.onApplied(errors.length);
  }

  private onEnd(link: Link, reason: string): void {
    if (link === this.successor) {
      this.successor = null;
      this.deps.logger.warn('discovery could not be replaced', { reason });
      if (!this.stopped) this.replaceSoon(backoffMs((this.failures += 1), this.deps.random()));
      return;
    }
    if (link !== this.current) return;
    this.current = this.successor;
    this.successor = null;
    this.noteLoss(link);
    this.statisticsTimer?.cancel();
    if (this.stopped || this.current !== null) return;
    this.logLoss(link, reason);
    this.retry();
  }

  /** A stream that lasted ends a series of failures; one that broke at once belongs to it. */
  private noteLoss(link: Link): void {
    if (!link.open) return;
    const nowMs = this.deps.clock.nowMs();
    this.lostAtMs = nowMs;
    this.deps.onConnection?.();
    if (nowMs - link.openedAtMs >= lastingMs) this.failures = 0;
  }

  /** Once per reason: the operator may be away for hours. */
  private logLoss(link: Link, reason: string): void {
    const text = `${link.address} ${reason}`;
    const level = text === this.lastReason ? 'debug' : 'warn';
    this.lastReason = text;
    this.deps.logger.log(level, 'discovery not connected', { address: link.address, reason });
  }

  /** The other addresses at once, then a pause that grows. */
  private retry(): void {
    this.nextAddress += 1;
    const roundOver = this.nextAddress % this.deps.addresses.length === 0;
    const delay = roundOver ? backoffMs(this.failures, this.deps.random()) : 0;
    if (roundOver) this.failures += 1;
    this.retryTimer = this.deps.clock.after(delay, () => this.connect());
  }

  private scheduleFlush(): void {
    if (this.flushScheduled) return;
    this.flushScheduled = true;
    this.deps.afterTurn(() => this.flush());
  }

  private flush(): void {
    this.flushScheduled = false;
    const subscribe = [...this.toSubscribe];
    const unsubscribe = [...this.toUnsubscribe];
    this.toSubscribe.clear();
    this.toUnsubscribe.clear();
    // Without a stream nothing is lost: the next Hello says all that is wanted.
    if (subscribe.length > 0) this.broadcast({ subscribe });
    if (unsubscribe.length > 0) this.broadcast({ unsubscribe });
  }

  private broadcast(message: UpMessage): void {
    this.current?.stream.send(message);
    this.successor?.stream.send(message);
  }

  private report(): void {
    this.statisticsTimer?.cancel();
    if (this.current === null || this.stopped) return;
    const { gather } = this.deps;
    if (gather === undefined) this.sendStatistics();
    else gather(() => this.sendStatistics());
    const every = this.deps.store.snapshot().workload?.statisticsIntervalMs ?? defaultStatisticsMs;
    // Spread over a tenth, so that sidecars started together drift apart.
    const delay = every * (0.95 + 0.1 * this.deps.random());
    this.statisticsTimer = this.deps.clock.after(delay, () => this.report());
  }

  private sendStatistics(): void {
    const { stream } = this.current ?? {};
    if (stream === undefined || this.stopped) return;
    if (stream.queuedBytes() >= maxQueuedForStatistics) return;
    stream.send({ statistics: this.deps.statistics() });
  }
}

export function createDiscoveryClient(deps: DiscoveryDeps): DiscoveryClient {
  return new Client(deps);
}

/** The message, or why it is none. */
function parseMessage(text: string): DownMessage | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  const checked = checkDownMessage(value);
  if (checked.ok) return checked.value;
  return `${checked.fault.path || '/'} ${checked.fault.message}`;
}
