// All HTTP connections to one endpoint in one protocol: gives out streams, dials when there is none to
// give, queues a bounded number of askers. It chooses no endpoint.

import type { ClientSession } from '../codec/session.ts';
import type { ProxyErrorCode } from '../errors.ts';
import { connectTimeoutMs, Dial, type DialTarget } from '../net/dial.ts';
import type { Io, Link } from '../net/link.ts';
import { isExpired, resetLink } from '../net/link.ts';
import type { DestinationUse } from '../policy/limits.ts';
import { idleSlackMs, keepAliveTimeoutMs, longestIdleMs, type IdleLimit } from './idle-limit.ts';
import { PooledConnection } from './pooled-connection.ts';
import { Redial, type DialFailure } from './redial.ts';

/** Asks for a stream; exactly one of both is called, perhaps from within the asking. */
export interface StreamTaker {
  /** What waiting and a connection made for it count against; absent or null: nothing. */
  readonly use?: DestinationUse | null;
  /** How long it waits for a connection, if not as long as an attempt to make one may take anyway. */
  readonly connectTimeoutMs?: number | null;
  /** Only a connection that carried nothing yet will do, where one can be made. */
  readonly fresh?: boolean;
  /** Open one stream on it now. */
  onConnection(connection: PooledConnection): void;
  onUnavailable(code: ProxyErrorCode, detail: string): void;
}

export interface PeerLimits {
  maxConnections: number;
  maxWaiting: number;
}

export interface PeerDeps {
  io: Io;
  limits: PeerLimits;
  /** Null: there is no identity to make mutual TLS with. */
  target(): DialTarget | null;
  newSession(): ClientSession;
  /** Whether a connection may carry new streams (its identity is the one in force). */
  current(link: Link): boolean;
  /** How long its idle connections last; null: they say themselves when they end (HTTP/2). */
  idleLimit: IdleLimit | null;
  /** The endpoint said that it goes. */
  onLeaving(): void;
  /** Nothing is left: forget it. */
  onEmpty(): void;
}

export class Peer {
  private readonly deps: PeerDeps;
  private readonly connections = new Set<PooledConnection>();
  /** Those that had room when last looked at; the last one is tried first, so that idle ones age. */
  private readonly withRoom: PooledConnection[] = [];
  private readonly waiting: StreamTaker[] = [];
  /** With what each counts against. */
  private readonly dials = new Map<Dial, DestinationUse | null>();
  private readonly multiplexed: boolean;
  private readonly redial = new Redial();
  /** How many streams the endpoint takes at once on one connection, as far as it told. */
  private streamLimit: number | null = null;
  /** Idle for too long to be used: it is kept to see how long it lasts. */
  private resting: PooledConnection | null = null;
  private heardText: string | null = null;

  /** `multiplexed`: a connection carries many streams, so one dial serves all that wait. */
  constructor(deps: PeerDeps, multiplexed: boolean) {
    this.deps = deps;
    this.multiplexed = multiplexed;
  }

  request(taker: StreamTaker): void {
    const connection = this.waiting.length === 0 && taker.fresh !== true ? this.pick() : null;
    if (connection !== null) {
      this.hand(connection, taker);
      return;
    }
    if (this.waiting.length >= this.deps.limits.maxWaiting) {
      taker.onUnavailable('overload', 'requests waiting for a connection to one endpoint');
      return;
    }
    const refusal = this.refusal();
    if (refusal !== null) {
      taker.onUnavailable(refusal.code, refusal.detail);
      return;
    }
    if (taker.use?.takePending() === false) {
      taker.onUnavailable('destination-limit', 'maxPendingRequests');
      return;
    }
    this.waiting.push(taker);
    this.dialIfNeeded();
    if (taker.fresh === true) this.serveWaiting();
  }

  /** There is no connection, and one cannot be made just now. */
  private refusal(): DialFailure | null {
    if (this.connected) return null;
    return this.redial.refusal(this.deps.io.clock.nowMs());
  }

  /** Nothing is lost with it. */
  isForgettable(nowMs: number): boolean {
    const left = this.connections.size + this.dials.size + this.waiting.length;
    return left === 0 && this.redial.isForgotten(nowMs);
  }

  /** The taker no longer wants a stream. */
  cancel(taker: StreamTaker): void {
    const at = this.waiting.indexOf(taker);
    if (at < 0) return;
    this.waiting.splice(at, 1);
    taker.use?.endPending();
  }

  /**
   * It has waited since then, and for the most part for an attempt to connect. Otherwise it was for a place: under a limit
   * of ours, or until another request is done. An attempt may have begun a moment ago, with a place that became free.
   */
  awaitsDial(taker: StreamTaker, sinceMs: number): boolean {
    const at = this.waiting.indexOf(taker);
    const [oldest] = this.dials.keys();
    if (at < 0 || oldest === undefined) return false;
    if (!this.multiplexed && at >= this.dials.size) return false;
    const nowMs = this.deps.io.clock.nowMs();
    return 2 * (nowMs - oldest.startedMs) >= nowMs - sinceMs;
  }

  /** Connections that may not be used for new streams finish those they have. */
  retireStale(): void {
    for (const connection of this.connections) {
      if (this.deps.current(connection.link)) continue;
      this.unlist(connection);
      connection.session.drain();
    }
  }

  /** Ends connections whose certificates have ended, and idle ones. */
  sweep(wallTimeMs: number, idleSinceMs: number): void {
    for (const connection of this.connections) {
      const { session, link, driver } = connection;
      if (isExpired(link.peer, wallTimeMs)) driver.destroy();
      else if (session.openStreams > 0) connection.lastUsedMs = this.deps.io.clock.nowMs();
      else if (this.multiplexed && connection.lastUsedMs < idleSinceMs) {
        this.unlist(connection);
        session.drain();
      }
    }
  }

  /** Of those that count there, the one that has been idle for longest; null: none is, or somebody waits for it. */
  longestIdle(use: DestinationUse): PooledConnection | null {
    if (this.waiting.length > 0) return null;
    let oldest: PooledConnection | null = null;
    for (const connection of this.connections) {
      if (connection.use !== use || connection.session.openStreams > 0) continue;
      if (oldest === null || connection.lastUsedMs < oldest.lastUsedMs) oldest = connection;
    }
    return oldest;
  }

  /** Its place is free at once, and nobody waits for it any more while its server still has to close. */
  giveUp(connection: PooledConnection): void {
    connection.use?.endConnection();
    connection.use = null;
    connection.idleSinceMs = -1;
    this.connections.delete(connection);
    this.unlist(connection);
    connection.session.drain();
  }

  drain(): void {
    for (const connection of this.connections) connection.session.drain();
  }

  destroy(): void {
    for (const [dial, use] of this.dials) {
      dial.cancel();
      use?.endConnection();
    }
    this.dials.clear();
    for (const connection of this.connections) connection.driver.destroy();
  }

  describe(): { opened: number; usable: boolean }[] {
    return [...this.connections].map(({ opened, usable }) => ({ opened, usable }));
  }

  get size(): number {
    return this.connections.size;
  }

  /** There is a connection, or will be soon. */
  get connected(): boolean {
    return this.connections.size + this.dials.size > 0;
  }

  private pick(): PooledConnection | null {
    for (;;) {
      const connection = this.withRoom.at(-1);
      if (connection === undefined) return null;
      if (connection.usable && this.isRecent(connection)) return connection;
      this.withRoom.pop();
      connection.listed = false;
      if (connection.usable) this.rest(connection);
    }
  }

  /** Its server will not end it before a request arrives. */
  private isRecent({ idleSinceMs, opened }: PooledConnection): boolean {
    const { idleLimit, io } = this.deps;
    if (idleLimit === null) return true;
    const { safeMs } = idleLimit;
    if (safeMs === Number.POSITIVE_INFINITY) return true;
    // Its answer was read in this very turn: it is not noted yet that it is idle.
    const idleMs = idleSinceMs < 0 ? 0 : io.clock.nowMs() - idleSinceMs;
    return opened === 0 || idleMs <= safeMs;
  }

  /** One at a time: its end, which costs no request, tells whether what is known still holds. */
  private rest(connection: PooledConnection): void {
    if (this.resting === null) {
      this.resting = connection;
      return;
    }
    connection.idleSinceMs = -1;
    connection.session.drain();
  }

  /** Whoever waits for a place needs it more than what its end would teach. */
  private endResting(): void {
    const { resting } = this;
    if (resting === null) return;
    this.resting = null;
    resting.idleSinceMs = -1;
    resting.session.drain();
  }

  private hand(connection: PooledConnection, taker: StreamTaker): void {
    const nowMs = this.deps.io.clock.nowMs();
    connection.lastUsedMs = nowMs;
    connection.idledMs = connection.idleSinceMs < 0 ? 0 : nowMs - connection.idleSinceMs;
    connection.idleSinceMs = -1;
    taker.onConnection(connection);
  }

  private dialIfNeeded(): void {
    const { maxConnections } = this.deps.limits;
    const wanted = this.multiplexed ? Math.min(1, this.waiting.length) : this.waiting.length;
    while (this.dials.size < wanted && this.connections.size + this.dials.size < maxConnections) {
      const target = this.deps.target();
      if (target === null) {
        this.failWaiting('no-identity', '');
        return;
      }
      const payer = this.payer();
      if (payer === undefined) {
        this.endResting();
        break;
      }
      this.dial(target, payer);
    }
    // Whoever may not have a connection of its own waits for that of another, where there is one.
    if (this.waiting.length > 0 && !this.connected)
      this.failWaiting('destination-limit', 'maxConnections');
  }

  /** The first of those without a dial of their own who may have one more connection. */
  private payer(): StreamTaker | undefined {
    const { waiting, dials } = this;
    for (let i = dials.size; i < waiting.length; i += 1)
      if (waiting[i]!.use?.takeConnection() !== false) return waiting[i];
    return undefined;
  }

  /** Who waits less leaves sooner; it goes on for others. */
  private dial(target: DialTarget, payer: StreamTaker): void {
    const use = payer.use ?? null;
    const timeoutMs = Math.max(connectTimeoutMs, payer.connectTimeoutMs ?? 0);
    const dial: Dial = new Dial({ ...target, timeoutMs }, this.deps.io, {
      onConnected: (link) => {
        this.dials.delete(dial);
        this.redial.succeeded();
        this.onConnected(link, use);
      },
      onFailed: (code, detail) => {
        this.dials.delete(dial);
        this.redial.failed({ code, detail }, this.deps.io.clock.nowMs());
        use?.endConnection();
        this.onDialFailed(code, detail);
      },
    });
    this.dials.set(dial, use);
  }

  private onConnected(link: Link, use: DestinationUse | null): void {
    if (!this.deps.current(link)) {
      // The identity changed meanwhile: new streams belong on a connection made with the new one.
      resetLink(link);
      use?.endConnection();
      this.dialIfNeeded();
      this.reportIfEmpty();
      return;
    }
    const connection: PooledConnection = new PooledConnection(
      link,
      this.newSession(),
      this.deps.io,
      {
        onServed: () => this.onServed(connection),
        onClosed: () => this.onClosed(connection),
      },
    );
    connection.lastUsedMs = this.deps.io.clock.nowMs();
    connection.use = use;
    connection.idleLimit = this.deps.idleLimit;
    this.connections.add(connection);
    this.list(connection);
    this.serveWaiting();
    connection.driver.start(null);
  }

  /** Knows what other connections were told: without that, a burst would only be refused again. */
  private newSession(): ClientSession {
    const session = this.deps.newSession();
    for (const connection of this.connections) this.learnLimit(connection.session);
    if (this.streamLimit !== null) session.assumeStreamLimit(this.streamLimit);
    return session;
  }

  private learnLimit(session: ClientSession): void {
    this.streamLimit = session.streamLimit ?? this.streamLimit;
  }

  private onServed(connection: PooledConnection): void {
    if (connection.session.peerLeaves) this.deps.onLeaving();
    if (this.deps.idleLimit !== null) this.watchIdle(connection, this.deps.idleLimit);
    if (connection.listed || !connection.usable || !this.deps.current(connection.link)) return;
    if (connection === this.resting) return;
    this.list(connection);
    if (this.waiting.length > 0) this.serveWaiting();
  }

  /** Notes when it becomes idle, and how long it was when its server ends it. */
  private watchIdle(connection: PooledConnection, limit: IdleLimit): void {
    const { session } = connection;
    if (session.openStreams > 0) return;
    const nowMs = this.deps.io.clock.nowMs();
    if (!session.reusable) {
      this.noteEnd(connection, limit, nowMs);
      return;
    }
    if (connection.idleSinceMs >= 0) return;
    connection.idleSinceMs = nowMs;
    const text = session.keepAliveText;
    if (text === this.heardText || text === null) return;
    this.heardText = text;
    const saidMs = keepAliveTimeoutMs(text);
    if (saidMs !== null) limit.heard(saidMs, nowMs);
  }

  private noteEnd(connection: PooledConnection, limit: IdleLimit, nowMs: number): void {
    const { idleSinceMs } = connection;
    if (idleSinceMs < 0) return;
    connection.idleSinceMs = -1;
    const idleMs = nowMs - idleSinceMs;
    if (idleMs < longestIdleMs - idleSlackMs) limit.ended(idleMs, nowMs);
    else limit.outlasted();
  }

  private serveWaiting(): void {
    while (this.waiting.length > 0) {
      const connection = this.pick();
      if (connection === null) break;
      const at = this.waiting.findIndex((taker) => this.suits(connection, taker));
      if (at < 0) break;
      this.hand(connection, this.shift(at)!);
    }
    this.dialIfNeeded();
  }

  private suits({ opened }: PooledConnection, { fresh }: StreamTaker): boolean {
    return this.multiplexed || fresh !== true || opened === 0 || this.dials.size === 0;
  }

  private onDialFailed(code: ProxyErrorCode, detail: string): void {
    if (this.multiplexed) this.failWaiting(code, detail);
    else this.shift()?.onUnavailable(code, detail);
    this.dialIfNeeded();
    this.reportIfEmpty();
  }

  private failWaiting(code: ProxyErrorCode, detail: string): void {
    const takers = this.waiting.splice(0);
    for (const { use } of takers) use?.endPending();
    for (const taker of takers) taker.onUnavailable(code, detail);
  }

  private shift(at = 0): StreamTaker | undefined {
    const [taker] = this.waiting.splice(at, 1);
    taker?.use?.endPending();
    return taker;
  }

  private onClosed(connection: PooledConnection): void {
    this.learnLimit(connection.session);
    const { idleLimit, io } = this.deps;
    if (idleLimit !== null) this.noteEnd(connection, idleLimit, io.clock.nowMs());
    if (this.resting === connection) this.resting = null;
    this.connections.delete(connection);
    connection.use?.endConnection();
    this.unlist(connection);
    this.dialIfNeeded();
    this.reportIfEmpty();
  }

  private list(connection: PooledConnection): void {
    connection.listed = true;
    this.withRoom.push(connection);
  }

  private unlist(connection: PooledConnection): void {
    const at = connection.listed ? this.withRoom.indexOf(connection) : -1;
    if (at >= 0) this.withRoom.splice(at, 1);
    connection.listed = false;
  }

  private reportIfEmpty(): void {
    const left = this.connections.size + this.dials.size + this.waiting.length;
    if (left === 0) this.deps.onEmpty();
  }
}
