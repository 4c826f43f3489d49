// The client side of one HTTP/1.1 connection without I/O (RFC 9112): one request at a time, reusable after a complete
// exchange. Refuses broken responses; retries, pooling and timeouts of requests are others'.
import { EMPTY, H1BodyWriter } from './h1-body-writer.ts';
import { H1_FAULTS } from './h1-faults.ts';
import type { H1Fault } from './h1-faults.ts';
import { H1ResponseParser } from './h1-head.ts';
import { h1Options } from './h1-options.ts';
import type { H1Options } from './h1-options.ts';
import { H1Reader } from './h1-reader.ts';
import type { H1ReaderSink } from './h1-reader.ts';
import { fieldLines, hasField, requestLineAndHost } from './h1-text.ts';
import { parseTrailers } from './h1-trailers.ts';
import { Output } from './output.ts';
import { keyLine } from './websocket-bridge.ts';
import type { Fields, RequestHead, ResetReason, ResponseHead } from './session.ts';
import type { ClientSession, ClientStream, StreamListener } from './session.ts';

export function createH1ClientSession(options: Partial<H1Options> = {}): ClientSession {
  return new H1ClientSession(h1Options(options));
}

/** Hears nothing: what a stream has once its owner gave it up. */
const DEAF: StreamListener<ResponseHead> = {
  onHead: () => {},
  onData: () => {},
  onTrailers: () => {},
  onReset: () => {},
  onDrained: () => {},
};

/** RFC 9110 §15.2 sets no limit; nobody sends this many but to keep a client busy. */
const MOST_INTERIM = 64;

class H1ClientStream implements ClientStream {
  readonly id: number;
  readonly head: boolean;
  readonly connect: boolean;
  readonly upgrade: boolean;
  readonly body = new H1BodyWriter();
  readonly #session: H1ClientSession;
  listener: StreamListener<ResponseHead>;
  responseDone = false;
  dead = false;
  interim = 0;
  unconsumed = 0;
  wantsDrain = false;
  /** What was sent before the peer agreed to a tunnel, in order; null: nothing waits. */
  early: Buffer[] | null = null;
  earlyBytes = 0;
  earlyEnd = false;
  /** Asked for a tunnel and has no answer yet. */
  tunnelPending: boolean;
  /** No tunnel came of it: what was meant for one, its end included, has no place to go. */
  declined = false;

  constructor(
    session: H1ClientSession,
    id: number,
    head: RequestHead,
    listener: StreamListener<ResponseHead>,
  ) {
    this.#session = session;
    this.id = id;
    this.head = head.method === 'HEAD';
    this.connect = head.method === 'CONNECT';
    this.upgrade = head.upgrade !== null;
    this.tunnelPending = this.connect || this.upgrade;
    this.listener = listener;
  }

  get queuedBytes(): number {
    return this.dead ? 0 : this.#session.outputBytes + this.earlyBytes;
  }

  /** The head went out with `open`; HTTP has no second one. */
  sendHead(): boolean {
    if (!this.dead) this.#session.resetStream(this, 'internal');
    return true;
  }

  sendData(chunk: Buffer, end: boolean): boolean {
    return this.dead || this.#session.sendData(this, chunk, end);
  }

  sendTrailers(fields: Fields): void {
    if (!this.dead) this.#session.sendTrailers(this, fields);
  }

  reset(reason: ResetReason): void {
    if (this.dead) return;
    this.listener = DEAF;
    this.#session.resetStream(this, reason);
  }

  consumed(bytes: number): void {
    this.unconsumed -= bytes;
    if (!this.dead) this.#session.reviewReading();
  }
}

class H1ClientSession implements ClientSession, H1ReaderSink {
  onWake: () => void = () => {};
  closing = false;
  aborting = false;
  error: string | null = null;
  wantsRead = true;
  readonly #options: H1Options;
  readonly #out: Output;
  readonly #reader: H1Reader;
  readonly #parser: H1ResponseParser;
  #stream: H1ClientStream | null = null;
  #trailers: Fields | null = null;
  #streams = 0;
  #keepAlive = true;
  #awake = false;
  #nowMs = 0;
  #deadlineMs: number | null = null;

  constructor(options: H1Options) {
    this.#options = options;
    this.#out = new Output(options.slabs);
    this.#reader = new H1Reader(this, options.maxHeadBytes);
    this.#parser = new H1ResponseParser(options.maxFields);
  }

  get hasOutput(): boolean {
    return this.#out.bytes > 0;
  }

  get outputBytes(): number {
    return this.#out.bytes;
  }

  get openStreams(): number {
    return this.#stream === null ? 0 : 1;
  }

  get reusable(): boolean {
    return this.#keepAlive && !this.closing;
  }

  readonly streamLimit = null;

  assumeStreamLimit(): void {
    // One at a time, always.
  }

  get capacity(): number {
    return this.#stream === null && this.reusable ? 1 : 0;
  }

  open(head: RequestHead, end: boolean, listener: StreamListener<ResponseHead>): ClientStream {
    if (this.capacity === 0) throw new Error('H1 client session: open() without capacity');
    const stream = new H1ClientStream(this, ++this.#streams, head, listener);
    this.#stream = stream;
    this.#deadlineMs = null;
    this.#out.text(requestLineAndHost(head) + fieldLines(head.fields) + begin(stream, head, end));
    if (end && !stream.tunnelPending) stream.body.write(this.#out, EMPTY, true);
    else if (end) stream.earlyEnd = true;
    this.#wakeForOutput();
    return stream;
  }

  receive(bytes: Buffer, nowMs: number): void {
    this.#nowMs = nowMs;
    const stream = this.#stream;
    if (stream === null ? !this.closing : stream.responseDone) return this.#unsolicited();
    this.#reader.receive(bytes);
    this.reviewReading();
  }

  receiveEnd(nowMs: number): void {
    this.#nowMs = nowMs;
    const stream = this.#stream;
    if (stream === null) return this.#finish();
    if (stream.responseDone) return this.#abandon(stream, 'closed');
    if (this.#reader.untilClose) return this.#endByClose(stream);
    this.error = H1_FAULTS.truncated.text;
    this.#abandon(stream, 'closed');
  }

  close(): void {
    const stream = this.#stream;
    if (stream !== null) this.#abandon(stream, 'closed');
    else this.#finish();
  }

  takeOutput(): Buffer[] {
    this.#awake = false;
    const output = this.#out.take();
    const stream = this.#stream;
    if (stream !== null && stream.wantsDrain && stream.early === null) {
      stream.wantsDrain = false;
      stream.listener.onDrained();
    }
    return output;
  }

  drain(): void {
    this.#keepAlive = false;
    if (this.#stream === null) this.#finish();
  }

  nextTimeoutMs(): number | null {
    return this.#deadlineMs;
  }

  onTimeout(nowMs: number): void {
    if (this.#deadlineMs !== null && nowMs >= this.#deadlineMs) this.#finish();
  }

  // ---- what the reader says

  onHeadText(text: string, more: boolean): H1Fault | null {
    const stream = this.#stream;
    if (stream === null) return H1_FAULTS.unsolicited;
    const parser = this.#parser;
    const fault = parser.parse(text, stream);
    if (fault !== null) return fault;
    const head = parser.head!;
    if (head.status < 200 && head.status !== 101) {
      if (++stream.interim > MOST_INTERIM) return H1_FAULTS.interim;
      this.#reader.expectBody('none', 0);
      stream.listener.onHead(head, false);
      return null;
    }
    if (!parser.keepAlive || parser.framing === 'tunnel') this.#keepAlive = false;
    const ended = parser.framing === 'none';
    this.#reader.expectBody(parser.framing, head.contentLength ?? 0);
    if (stream.tunnelPending) this.#settleTunnel(stream, parser.framing === 'tunnel');
    if (ended) this.#responseEnded(stream, more);
    stream.listener.onHead(head, ended);
    return null;
  }

  onBody(chunk: Buffer): void {
    const stream = this.#stream!;
    stream.unconsumed += chunk.length;
    stream.listener.onData(chunk, false);
  }

  onTrailerText(text: string): H1Fault | null {
    const section = this.#parser.section;
    const fault = parseTrailers(section, text);
    this.#trailers = section.fields;
    return fault;
  }

  onMessageEnd(last: Buffer | null, more: boolean): void {
    const stream = this.#stream!;
    const trailers = this.#trailers;
    this.#trailers = null;
    if (last !== null) stream.unconsumed += last.length;
    this.#responseEnded(stream, more);
    if (trailers !== null && trailers.length > 0) stream.listener.onTrailers(trailers);
    else stream.listener.onData(last ?? EMPTY, true);
  }

  onFault(fault: H1Fault): void {
    this.error = fault.text;
    const stream = this.#stream;
    if (stream !== null) this.#abandon(stream, 'protocol');
    else this.#finish();
  }

  // ---- what the stream says

  sendData(stream: H1ClientStream, chunk: Buffer, end: boolean): boolean {
    if (stream.tunnelPending) return this.#sendEarly(stream, chunk, end);
    if (stream.declined) return true;
    if (stream.body.done || !stream.body.write(this.#out, chunk, end)) {
      this.resetStream(stream, 'internal');
      return true;
    }
    const drained = this.#out.bytes < this.#options.highWaterBytes;
    if (!drained) stream.wantsDrain = true;
    if (end) this.#requestEnded(stream);
    this.#wakeForOutput();
    return drained;
  }

  sendTrailers(stream: H1ClientStream, fields: Fields): void {
    if (stream.declined) return;
    if (stream.tunnelPending) this.#sendEarly(stream, EMPTY, true);
    else if (stream.body.done || !stream.body.trailers(this.#out, fields)) {
      return this.resetStream(stream, 'internal');
    } else this.#requestEnded(stream);
    this.#wakeForOutput();
  }

  /** This side gives the exchange up: a request cannot be taken back but by ending the connection. */
  resetStream(stream: H1ClientStream, reason: ResetReason): void {
    this.error ??= `stream reset: ${reason}`;
    this.#abandon(stream, reason);
  }

  reviewReading(): void {
    const stream = this.#stream;
    const wants = stream === null || stream.unconsumed <= this.#options.receiveWindowBytes;
    if (wants === this.wantsRead) return;
    this.wantsRead = wants;
    this.onWake();
  }

  // ---- parts

  /** Bytes of a tunnel that the peer has not agreed to wait: sent now, they could be read as a request. */
  #sendEarly(stream: H1ClientStream, chunk: Buffer, end: boolean): boolean {
    if (chunk.length > 0) (stream.early ??= []).push(chunk);
    stream.earlyBytes += chunk.length;
    if (end) stream.earlyEnd = true;
    const drained = stream.earlyBytes < this.#options.highWaterBytes;
    if (!drained) stream.wantsDrain = true;
    return drained;
  }

  #settleTunnel(stream: H1ClientStream, agreed: boolean): void {
    stream.tunnelPending = false;
    const early = stream.early ?? [];
    const end = stream.earlyEnd;
    stream.early = null;
    stream.earlyBytes = 0;
    if (!agreed) {
      // The request was complete with its head.
      stream.declined = true;
      stream.body.begin('none', 0);
      stream.body.done = true;
      return;
    }
    stream.body.begin('tunnel', 0);
    for (const chunk of early) stream.body.write(this.#out, chunk, false);
    if (end) {
      stream.body.write(this.#out, EMPTY, true);
      this.#requestEnded(stream);
    }
    if (early.length > 0) this.#wakeForOutput();
  }

  #requestEnded(stream: H1ClientStream): void {
    if (stream.body.framing === 'tunnel') {
      this.closing = true;
      this.onWake();
    }
    if (stream.responseDone) this.#exchangeEnded(stream);
  }

  #responseEnded(stream: H1ClientStream, more: boolean): void {
    stream.responseDone = true;
    if (more && this.#keepAlive) {
      // Nothing may follow the only response there can be (RFC 9112 §9.2): the next one could not be trusted.
      this.error = H1_FAULTS.unsolicited.text;
      this.#keepAlive = false;
      this.#reader.kill();
    }
    if (stream.body.done) this.#exchangeEnded(stream);
    else if (!this.#keepAlive) {
      // The peer will not read the rest of the request.
      stream.dead = true;
      this.#stream = null;
      this.#finish();
    }
  }

  #exchangeEnded(stream: H1ClientStream): void {
    stream.dead = true;
    this.#stream = null;
    if (!this.#keepAlive) return this.#finish();
    const { idleTimeoutMs } = this.#options;
    this.#deadlineMs = idleTimeoutMs === null ? null : this.#nowMs + idleTimeoutMs;
    this.reviewReading();
  }

  #endByClose(stream: H1ClientStream): void {
    stream.responseDone = true;
    if (stream.body.done || stream.body.framing !== 'tunnel') {
      stream.dead = true;
      this.#stream = null;
      this.#finish();
    }
    stream.listener.onData(EMPTY, true);
  }

  /** Between exchanges, or behind a response whose request still goes out: nobody would read the rest of that. */
  #unsolicited(): void {
    this.error = H1_FAULTS.unsolicited.text;
    if (this.#stream !== null) this.#stream.dead = true;
    this.#stream = null;
    this.#finish();
  }

  #abandon(stream: H1ClientStream, reason: ResetReason): void {
    stream.dead = true;
    this.#stream = null;
    this.aborting = true;
    this.#finish();
    stream.listener.onReset(reason);
  }

  #finish(): void {
    this.#reader.kill();
    this.#keepAlive = false;
    this.#deadlineMs = null;
    this.closing = true;
    this.onWake();
  }

  #wakeForOutput(): void {
    if (this.#awake) return;
    this.#awake = true;
    this.onWake();
  }
}

/** Chooses the request's framing, begins it, and returns the lines that say so, with the head's empty line. */
function begin(stream: H1ClientStream, head: RequestHead, end: boolean): string {
  const te = hasField(head.fields, 'te') ? 'te' : '';
  if (head.upgrade !== null) {
    const options = te === '' ? 'upgrade' : 'upgrade, te';
    const key = keyLine(head.upgrade, head.fields);
    return `${key}connection: ${options}\r\nupgrade: ${head.upgrade}\r\n\r\n`;
  }
  const connection = te === '' ? '\r\n' : 'connection: te\r\n\r\n';
  if (stream.connect) return connection;
  if (end) {
    stream.body.begin('none', 0);
    // Said only where the request said so: who sent none got along without (RFC 9112 §6.3, rule 7).
    return (head.contentLength === null ? '' : 'content-length: 0\r\n') + connection;
  }
  if (head.contentLength !== null) {
    stream.body.begin('length', head.contentLength);
    return `content-length: ${head.contentLength}\r\n${connection}`;
  }
  stream.body.begin('chunked', 0);
  return `transfer-encoding: chunked\r\n${connection}`;
}
