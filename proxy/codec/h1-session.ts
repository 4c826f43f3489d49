// What both ends of an HTTP/1.1 connection do: output, wake-ups, trailers, and the end of exchange and connection. Heads,
// framing and what follows an exchange are h1-server.ts and h1-client.ts.
import { EMPTY } from './h1-body-writer.ts';
import type { H1Fault } from './h1-faults.ts';
import type { H1FieldSection } from './h1-fields.ts';
import type { H1Options } from './h1-options.ts';
import { H1Reader } from './h1-reader.ts';
import type { H1ReaderSink } from './h1-reader.ts';
import type { H1Stream } from './h1-stream.ts';
import { parseTrailers } from './h1-trailers.ts';
import { Output } from './output.ts';
import type { Fields, RequestHead, ResetReason, ResponseHead } from './session.ts';

export abstract class H1Session<
  S extends H1Stream<RequestHead> | H1Stream<ResponseHead>,
> implements H1ReaderSink {
  onWake: () => void = () => {};
  closing = false;
  aborting = false;
  error: string | null = null;
  wantsRead = true;
  protected readonly options: H1Options;
  protected readonly out: Output;
  protected readonly reader: H1Reader;
  protected abstract readonly parser: { readonly section: H1FieldSection };
  protected stream: S | null = null;
  protected streams = 0;
  protected nowMs = 0;
  protected deadlineMs: number | null = null;
  #trailers: Fields | null = null;
  #awake = false;

  constructor(options: H1Options) {
    this.options = options;
    this.out = new Output(options.slabs);
    this.reader = new H1Reader(this, options.maxHeadBytes);
  }

  get hasOutput(): boolean {
    return this.out.bytes > 0;
  }

  get outputBytes(): number {
    return this.out.bytes;
  }

  get openStreams(): number {
    return this.stream === null ? 0 : 1;
  }

  close(): void {
    const stream = this.stream;
    if (stream !== null) this.abandon(stream, 'closed');
    else this.finish();
  }

  takeOutput(): Buffer[] {
    this.#awake = false;
    const output = this.out.take();
    const stream = this.stream;
    if (stream !== null && stream.wantsDrain && stream.earlyBytes === 0) {
      stream.wantsDrain = false;
      stream.listener.onDrained();
    }
    return output;
  }

  nextTimeoutMs(): number | null {
    return this.deadlineMs;
  }

  abstract onHeadText(text: string, more: boolean): H1Fault | null;
  abstract onMessageEnd(last: Buffer | null, more: boolean): void;
  abstract onFault(fault: H1Fault): void;

  onBody(chunk: Buffer): void {
    const stream = this.stream!;
    stream.unconsumed += chunk.length;
    stream.listener.onData(chunk, false);
  }

  onTrailerText(text: string): H1Fault | null {
    const { section } = this.parser;
    const fault = parseTrailers(section, text);
    this.#trailers = section.fields;
    return fault;
  }

  /** This side gives the exchange up. HTTP/1.1 has no other way to say so than to end the connection. */
  resetStream(stream: S, reason: ResetReason): void {
    this.error ??= `stream reset: ${reason}`;
    this.abandon(stream, reason);
  }

  // ---- for the two ends

  /** The exchange ends before it was complete, and the connection with it. */
  protected abstract abandon(stream: S, reason: ResetReason): void;

  /** The trailers of the message that ends, once. */
  protected takeTrailers(): Fields | null {
    const trailers = this.#trailers;
    this.#trailers = null;
    return trailers;
  }

  protected tellEnd(stream: S, last: Buffer | null, trailers: Fields | null): void {
    if (trailers !== null && trailers.length > 0) stream.listener.onTrailers(trailers);
    else stream.listener.onData(last ?? EMPTY, true);
  }

  /** Whether there is room for more output; if not, `takeOutput` tells when there is. */
  protected hasRoom(stream: S): boolean {
    const room = this.out.bytes < this.options.highWaterBytes;
    if (!room) stream.wantsDrain = true;
    return room;
  }

  protected retire(stream: S): void {
    stream.dead = true;
    if (this.stream === stream) this.stream = null;
  }

  protected wantRead(wants: boolean): void {
    if (wants === this.wantsRead) return;
    this.wantsRead = wants;
    this.onWake();
  }

  /** Nothing more will be read, nor said after the output at hand. */
  protected finish(): void {
    this.reader.kill();
    this.deadlineMs = null;
    this.closing = true;
    this.onWake();
  }

  protected wake(): void {
    if (this.#awake) return;
    this.#awake = true;
    this.onWake();
  }
}
