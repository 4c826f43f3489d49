// The body of one request on its way: held until there is a stream to send it on, kept up to a bound for
// another attempt, credited to the client as it moves on. It decides nothing about attempts.

import type { ClientStream, Fields, ServerStream } from '../codec/session.ts';

/** A request whose body is longer is sent once only. */
export const replayBytes = 64 * 1024;

const nothing = Buffer.alloc(0);

export class RequestBody {
  /** The request was received to its end. */
  ended: boolean;
  /** The head said that there is no body: not the same as a body that is empty (chunked, or by an empty DATA frame). */
  readonly endedWithHead: boolean;
  totalBytes = 0;
  private readonly source: ServerStream;
  private target: ClientStream | null = null;
  /** Null: nothing was held yet, or (with `lost`) no longer all of it. */
  private chunks: Buffer[] | null = null;
  private trailers: Fields | null = null;
  private trailersNever: readonly string[] | null = null;
  private lost = false;
  private discarding = false;
  /** Received and not credited to the client yet. */
  private owedBytes = 0;
  /** No more attempts: what was sent need not be kept. */
  private final = false;
  private blocked = false;

  constructor(source: ServerStream, ended: boolean) {
    this.source = source;
    this.ended = ended;
    this.endedWithHead = ended;
  }

  /** Another attempt could send all of it. */
  get isWhole(): boolean {
    return !this.lost;
  }

  take(chunk: Buffer, end: boolean): void {
    this.totalBytes += chunk.length;
    if (end) this.ended = true;
    if (this.discarding) {
      this.source.consumed(chunk.length);
      return;
    }
    this.owedBytes += chunk.length;
    this.keep(chunk);
    if (this.target !== null) this.pass(this.target, chunk, end);
  }

  takeTrailers(fields: Fields, neverIndexed: readonly string[] | null): void {
    this.ended = true;
    this.trailers = fields;
    this.trailersNever = neverIndexed;
    this.target?.sendTrailers(fields, neverIndexed);
  }

  /** Sends what is held, and from now on what comes. Only while it is whole. */
  attach(target: ClientStream): void {
    this.target = target;
    this.blocked = false;
    const held = this.chunks ?? [];
    const bodyEnds = this.ended && this.trailers === null;
    for (const [index, chunk] of held.entries())
      if (!target.sendData(chunk, bodyEnds && index === held.length - 1)) this.blocked = true;
    if (this.trailers !== null) target.sendTrailers(this.trailers, this.trailersNever);
    else if (bodyEnds && held.length === 0 && !this.endedWithHead) target.sendData(nothing, true);
    this.trim();
    if (!this.blocked) this.credit();
  }

  detach(): void {
    this.target = null;
  }

  /** No further attempt will be made. */
  forget(): void {
    this.final = true;
    this.drop();
  }

  /** Nobody wants the rest: it is read and thrown away, so that the client can finish. */
  discard(): void {
    this.discarding = true;
    this.target = null;
    this.drop();
    this.credit();
  }

  onDrained(): void {
    this.blocked = false;
    this.credit();
  }

  private pass(target: ClientStream, chunk: Buffer, end: boolean): void {
    if (!target.sendData(chunk, end)) this.blocked = true;
    this.trim();
    if (!this.blocked) this.credit();
  }

  private keep(chunk: Buffer): void {
    if (this.lost || chunk.length === 0) {
      // An empty end is sent by `attach` with the last chunk, or by itself.
      return;
    }
    if (this.chunks === null) this.chunks = [chunk];
    else this.chunks.push(chunk);
  }

  /** What was sent on is kept only while it is short. */
  private trim(): void {
    if (this.final || this.totalBytes > replayBytes) this.drop();
  }

  private drop(): void {
    if (this.totalBytes > 0) this.lost = true;
    this.chunks = null;
  }

  private credit(): void {
    if (this.owedBytes === 0) return;
    const bytes = this.owedBytes;
    this.owedBytes = 0;
    this.source.consumed(bytes);
  }
}
