// One try of an exchange at one endpoint: waits for its pause and its connection, then hears the answer
// and hands it to the exchange, which decides. It holds no request body.

import type {
  ClientStream,
  Fields,
  ResetReason,
  ResponseHead,
  StreamListener,
} from '../codec/session.ts';
import type { ProxyErrorCode } from '../errors.ts';
import { isExpired, type Io } from '../net/link.ts';
import { Deadline } from '../net/timer-wheel.ts';
import type { DestinationUse } from '../policy/limits.ts';
import type { Outcome } from '../policy/retry.ts';
import type { StreamTaker } from '../pool/peer.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import type { Repeat } from './repeats.ts';

/** An unwanted answer that is longer, or slower, is not worth its connection. */
const mostReadOutBytes = 16 * 1024;
const readOutMs = 1_000;

/** What an attempt tells its exchange. */
export interface AttemptOwner {
  /** The pause is over: ask the pool. */
  onPauseOver(attempt: Attempt): void;
  /** A stream may be opened now. */
  onConnection(attempt: Attempt): void;
  onInterim(head: ResponseHead): void;
  onAnswer(attempt: Attempt, head: ResponseHead, end: boolean): void;
  onAnswerData(attempt: Attempt, chunk: Buffer, end: boolean): void;
  onAnswerTrailers(fields: Fields, neverIndexed: readonly string[] | null): void;
  onFailed(attempt: Attempt, failure: Failure): void;
  /** More of the request may be sent. */
  onUpstreamDrained(): void;
}

export interface Failure {
  outcome: Outcome;
  code: ProxyErrorCode;
  detail: string;
  /** Its time was over while it waited for a connection. */
  waited?: true;
}

/** As if it had been sent and answered so: another attempt would end alike. */
const headNotTaken: Outcome = { type: 'answer', status: 431, grpcStatus: -1 };

export class Attempt extends Deadline implements StreamListener<ResponseHead>, StreamTaker {
  readonly endpoint: EndpointHandle;
  /** Made because a policy asked for it: counts against the budget. */
  readonly byPolicy: boolean;
  readonly fresh: boolean;
  use: DestinationUse | null = null;
  connectTimeoutMs: number | null = null;
  connection: PooledConnection | null = null;
  stream: ClientStream | null = null;
  startedMs = 0;
  /** It was sent on its way, and its answer has not begun. */
  awaited = false;
  /** For a connection. */
  waitedMs = 0;
  /** After which its answer began, since it was sent, where its end is still to tell what it is worth. */
  latencyMs = -1;
  /** It finds out whether an ejected endpoint is well again. */
  probes = false;
  /** Nothing more is heard from it. */
  over = false;
  /** Bytes of the answer not credited yet. */
  owedBytes = 0;
  private pausing = false;
  private waitEndsMs: number | null = null;
  private tryFromMs: number | null = null;
  private reused = false;
  private writesBefore = 0;
  private readonly owner: AttemptOwner;
  /** Set while the rest of an unwanted answer is read. */
  private readingOut: { io: Io; leftBytes: number } | null = null;

  constructor(owner: AttemptOwner, endpoint: EndpointHandle, { byPolicy, fresh }: Repeat) {
    super();
    this.owner = owner;
    this.endpoint = endpoint;
    this.byPolicy = byPolicy;
    this.fresh = fresh;
  }

  /** The wheel calls `onDeadline` at the end of the pause. */
  pause(): void {
    this.pausing = true;
  }

  /** How long it waits for a connection at most. */
  boundWait(io: Io): void {
    const { connectTimeoutMs } = this;
    if (connectTimeoutMs === null) return;
    this.waitEndsMs = this.startedMs + connectTimeoutMs;
    io.wheel.schedule(this, this.waitEndsMs);
  }

  /** It has a connection, or the request is whole; `perTryMs` null: nothing (more) bounds it. */
  boundTry(io: Io, perTryMs: number | null): void {
    const dueMs = this.dueOf(io, perTryMs);
    if (dueMs !== null) io.wheel.schedule(this, dueMs);
    else if (this.slot >= 0) io.wheel.cancel(this);
  }

  /** The time of a try begins with it, where the request was whole then, or later where it was not. */
  private dueOf(io: Io, perTryMs: number | null): number | null {
    const waitEndsMs = this.connection === null ? this.waitEndsMs : null;
    if (perTryMs === null) return waitEndsMs;
    this.tryFromMs ??= this.stream === null ? this.startedMs : io.clock.nowMs();
    const tryEndsMs = this.tryFromMs + perTryMs;
    return waitEndsMs === null ? tryEndsMs : Math.min(waitEndsMs, tryEndsMs);
  }

  onDeadline(nowMs: number): void {
    if (this.over) {
      this.endReadOut('cancelled');
      return;
    }
    if (this.pausing) {
      this.pausing = false;
      this.owner.onPauseOver(this);
      return;
    }
    if (this.connection === null) this.failWaiting(nowMs);
    else this.fail({ outcome: { type: 'timeout' }, code: 'per-try-timeout', detail: '' });
  }

  /** Nothing was sent. */
  private failWaiting(nowMs: number): void {
    const isOver = this.waitEndsMs !== null && nowMs >= this.waitEndsMs;
    const code = isOver ? 'connect-timeout' : 'per-try-timeout';
    this.fail({ outcome: { type: 'connect', code }, code, detail: this.where, waited: true });
  }

  onConnection(connection: PooledConnection): void {
    this.connection = connection;
    this.reused = connection.opened > 0;
    this.writesBefore = connection.driver.writes;
    this.owner.onConnection(this);
  }

  onUnavailable(code: ProxyErrorCode, detail: string): void {
    const outcome: Outcome =
      code === 'destination-limit' ? { type: 'limited' } : { type: 'connect', code };
    this.fail({ outcome, code, detail });
  }

  onHead(head: ResponseHead, end: boolean): void {
    if (this.over) return;
    if (head.status < 200 && head.status !== 101) this.owner.onInterim(head);
    else this.owner.onAnswer(this, head, end);
  }

  onData(chunk: Buffer, end: boolean): void {
    if (!this.over) {
      this.owner.onAnswerData(this, chunk, end);
      return;
    }
    this.stream?.consumed(chunk.length);
    if (this.readingOut === null) return;
    this.readingOut.leftBytes -= chunk.length;
    if (end) this.endReadOut(null);
    else if (this.readingOut.leftBytes < 0) this.endReadOut('cancelled');
  }

  onTrailers(fields: Fields, neverIndexed: readonly string[] | null = null): void {
    if (!this.over) this.owner.onAnswerTrailers(fields, neverIndexed);
    else this.endReadOut(null);
  }

  onReset(reason: ResetReason): void {
    this.endReadOut(null);
    this.fail(this.failureOf(reason));
  }

  onDrained(): void {
    this.owner.onUpstreamDrained();
  }

  /** The answer moved on to the client. */
  credit(): void {
    if (this.owedBytes === 0) return;
    const bytes = this.owedBytes;
    this.owedBytes = 0;
    this.stream?.consumed(bytes);
  }

  /** No more interest: the owner hears nothing from it again. */
  abandon(reason: ResetReason): void {
    this.over = true;
    this.stream?.reset(reason);
  }

  /**
   * As `abandon`, but the rest of the answer is read where it is short: an HTTP/1.1 connection, here or at the
   * callee, could not be used again otherwise.
   */
  readOut(io: Io, contentLength: number | null): void {
    this.over = true;
    if (contentLength !== null && contentLength > mostReadOutBytes) {
      this.stream?.reset('cancelled');
      return;
    }
    this.readingOut = { io, leftBytes: mostReadOutBytes };
    io.wheel.schedule(this, io.clock.nowMs() + readOutMs);
  }

  private endReadOut(reason: ResetReason | null): void {
    if (this.readingOut === null) return;
    this.readingOut.io.wheel.cancel(this);
    this.readingOut = null;
    if (reason !== null) this.stream?.reset(reason);
  }

  /** Its connection was ended with the certificate that had opened it. */
  isExpired(wallTimeMs: number): boolean {
    return isExpired(this.connection?.link.peer ?? null, wallTimeMs);
  }

  private fail(failure: Failure): void {
    if (this.over) return;
    this.owner.onFailed(this, failure);
  }

  private get isToPeer(): boolean {
    return this.connection !== null && this.connection.link.peer !== null;
  }

  private get where(): string {
    return `${this.endpoint.address} port ${this.endpoint.port}`;
  }

  /** Where it was, and what was wrong with what came from there. */
  private detailOf(reason: ResetReason): string {
    const { where } = this;
    const cause = reason === 'protocol' ? (this.connection?.session.error ?? null) : null;
    return cause === null ? where : `${where}: ${cause}`;
  }

  private failureOf(reason: ResetReason): Failure {
    const detail = this.detailOf(reason);
    if (reason === 'refused')
      return { outcome: { type: 'unprocessed' }, code: 'upstream-refused', detail };
    if (reason === 'too-large') return { outcome: headNotTaken, code: 'head-not-taken', detail };
    if (reason === 'closed' && this.reused && this.awaited) this.connection?.noteRace();
    const unsent = reason === 'closed' && this.connection?.driver.writes === this.writesBefore;
    const outcome: Outcome = unsent
      ? { type: 'unprocessed' }
      : { type: 'reset', reused: this.reused && reason === 'closed' };
    const code = reason === 'insecure' && this.isToPeer ? 'denied-by-peer' : resetCodes[reason];
    return { outcome, code, detail };
  }
}

/** What a reset of the upstream's is called where it is no plain end of the connection. */
const resetCodes = {
  cancelled: 'upstream-cancelled',
  protocol: 'upstream-protocol-error',
  'flow-control': 'upstream-protocol-error',
  internal: 'upstream-failed',
  overloaded: 'upstream-overloaded',
  insecure: 'upstream-insecure',
  closed: 'upstream-reset',
  timeout: 'upstream-reset',
} as const satisfies Partial<Record<ResetReason, ProxyErrorCode>>;
