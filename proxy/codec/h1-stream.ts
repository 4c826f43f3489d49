// What both ends of an HTTP/1.1 connection keep of one exchange, as the session's own record and as the handle that the
// user of the session holds. Decisions are the session's.
import { H1BodyWriter } from './h1-body-writer.ts';
import type { Fields, RequestHead, ResetReason, ResponseHead } from './session.ts';
import type { StreamListener } from './session.ts';

type Head = RequestHead | ResponseHead;

/** Hears nothing: what a stream has until its own listener is known, and once it is over. */
export const DEAF: StreamListener<Head> = {
  onHead: () => {},
  onData: () => {},
  onTrailers: () => {},
  onReset: () => {},
  onDrained: () => {},
};

/** What a stream asks of its session. */
export interface H1StreamHost<In extends Head> {
  readonly outputBytes: number;
  sendData(stream: H1Stream<In>, chunk: Buffer, end: boolean): boolean;
  sendTrailers(stream: H1Stream<In>, fields: Fields): void;
  resetStream(stream: H1Stream<In>, reason: ResetReason): void;
  reviewReading(): void;
}

export abstract class H1Stream<In extends Head> {
  readonly id: number;
  readonly body = new H1BodyWriter();
  readonly #host: H1StreamHost<In>;
  listener: StreamListener<In>;
  /** No longer in the session. */
  dead = false;
  unconsumed = 0;
  wantsDrain = false;
  /** What the session keeps back of it (h1-client.ts). */
  earlyBytes = 0;

  constructor(host: H1StreamHost<In>, id: number, listener: StreamListener<In>) {
    this.#host = host;
    this.id = id;
    this.listener = listener;
  }

  get queuedBytes(): number {
    return this.dead ? 0 : this.#host.outputBytes + this.earlyBytes;
  }

  sendData(chunk: Buffer, end: boolean): boolean {
    return this.dead || this.#host.sendData(this, chunk, end);
  }

  sendTrailers(fields: Fields): void {
    if (!this.dead) this.#host.sendTrailers(this, fields);
  }

  reset(reason: ResetReason): void {
    if (this.dead) return;
    this.listener = DEAF;
    this.#host.resetStream(this, reason);
  }

  /** The user of the stream asked for something that HTTP/1.1 cannot say. */
  protected fail(): void {
    if (!this.dead) this.#host.resetStream(this, 'internal');
  }

  consumed(bytes: number): void {
    this.unconsumed -= bytes;
    if (!this.dead) this.#host.reviewReading();
  }
}
