// The client side of one HTTP/1.1 connection without I/O (RFC 9112): one request at a time, reusable after a complete
// exchange. Refuses broken responses; retries, pooling and timeouts of requests are others'.
import { EMPTY } from './h1-body-writer.ts';
import { H1_FAULTS } from './h1-faults.ts';
import type { H1Fault } from './h1-faults.ts';
import { H1ResponseParser } from './h1-head.ts';
import { h1Options } from './h1-options.ts';
import type { H1Options } from './h1-options.ts';
import { H1Session } from './h1-session.ts';
import { H1Stream } from './h1-stream.ts';
import { fieldLines, hasField, requestLineAndHost } from './h1-text.ts';
import { keyLine } from './websocket-bridge.ts';
import type { Fields, RequestHead, ResetReason, ResponseHead } from './session.ts';
import type { ClientSession, ClientStream, StreamListener } from './session.ts';

export function createH1ClientSession(options: Partial<H1Options> = {}): ClientSession {
  return new H1ClientSession(h1Options(options));
}

/** RFC 9110 §15.2 sets no limit; nobody sends this many but to keep a client busy. */
const MOST_INTERIM = 64;

class H1ClientStream extends H1Stream<ResponseHead> implements ClientStream {
  readonly head: boolean;
  readonly connect: boolean;
  readonly upgrade: boolean;
  responseDone = false;
  interim = 0;
  /** What was sent before the peer agreed to a tunnel, in order; null: nothing waits. */
  early: Buffer[] | null = null;
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
    super(session, id, listener);
    this.head = head.method === 'HEAD';
    this.connect = head.method === 'CONNECT';
    this.upgrade = head.upgrade !== null;
    this.tunnelPending = this.connect || this.upgrade;
  }

  /** The head went out with `open`; HTTP has no second one. */
  sendHead(): boolean {
    this.fail();
    return true;
  }
}

class H1ClientSession extends H1Session<H1ClientStream> implements ClientSession {
  protected readonly parser: H1ResponseParser;
  #keepAlive = true;

  constructor(options: H1Options) {
    super(options);
    this.parser = new H1ResponseParser(options.maxFields);
  }

  get reusable(): boolean {
    return this.#keepAlive && !this.closing;
  }

  readonly streamLimit = null;

  get keepAliveText(): string | null {
    return this.parser.section.keepAliveText;
  }
  readonly peerLeaves = false;

  assumeStreamLimit(): void {
    // One at a time, always.
  }

  get capacity(): number {
    return this.stream === null && this.reusable ? 1 : 0;
  }

  open(head: RequestHead, end: boolean, listener: StreamListener<ResponseHead>): ClientStream {
    if (this.capacity === 0) throw new Error('H1 client session: open() without capacity');
    const stream = new H1ClientStream(this, ++this.streams, head, listener);
    this.stream = stream;
    this.deadlineMs = null;
    this.out.text(requestLineAndHost(head) + fieldLines(head.fields) + begin(stream, head, end));
    if (end && !stream.tunnelPending) stream.body.write(this.out, EMPTY, true);
    else if (end) stream.earlyEnd = true;
    this.wake();
    return stream;
  }

  receive(bytes: Buffer, nowMs: number): void {
    this.nowMs = nowMs;
    const stream = this.stream;
    if (stream === null ? !this.closing : stream.responseDone) return this.#unsolicited();
    this.reader.receive(bytes);
    this.reviewReading();
  }

  receiveEnd(nowMs: number): void {
    this.nowMs = nowMs;
    const stream = this.stream;
    if (stream === null) return this.finish();
    if (stream.responseDone) return this.abandon(stream, 'closed');
    if (this.reader.untilClose) return this.#endByClose(stream);
    this.error = H1_FAULTS.truncated.text;
    this.abandon(stream, 'closed');
  }

  drain(): void {
    this.#keepAlive = false;
    if (this.stream === null) this.finish();
  }

  onTimeout(nowMs: number): void {
    if (this.deadlineMs !== null && nowMs >= this.deadlineMs) this.finish();
  }

  // ---- what the reader says

  onHeadText(text: string, more: boolean): H1Fault | null {
    const stream = this.stream;
    if (stream === null) return H1_FAULTS.unsolicited;
    const parser = this.parser;
    const fault = parser.parse(text, stream);
    if (fault !== null) return fault;
    const head = parser.head!;
    if (head.status < 200 && head.status !== 101) {
      if (++stream.interim > MOST_INTERIM) return H1_FAULTS.interim;
      this.reader.expectBody('none', 0);
      stream.listener.onHead(head, false);
      return null;
    }
    if (!parser.keepAlive || parser.framing === 'tunnel') this.#keepAlive = false;
    const ended = parser.framing === 'none';
    this.reader.expectBody(parser.framing, head.contentLength ?? 0);
    if (stream.tunnelPending) this.#settleTunnel(stream, parser.framing === 'tunnel');
    if (ended) this.#responseEnded(stream, more);
    stream.listener.onHead(head, ended);
    return null;
  }

  onMessageEnd(last: Buffer | null, more: boolean): void {
    const stream = this.stream!;
    const trailers = this.takeTrailers();
    if (last !== null) stream.unconsumed += last.length;
    this.#responseEnded(stream, more);
    this.tellEnd(stream, last, trailers);
  }

  onFault(fault: H1Fault): void {
    this.error = fault.text;
    const stream = this.stream;
    if (stream !== null) this.abandon(stream, 'protocol');
    else this.finish();
  }

  // ---- what the stream says

  sendData(stream: H1ClientStream, chunk: Buffer, end: boolean): boolean {
    if (stream.tunnelPending) return this.#sendEarly(stream, chunk, end);
    if (stream.declined) return true;
    if (stream.body.done || !stream.body.write(this.out, chunk, end)) {
      this.resetStream(stream, 'internal');
      return true;
    }
    const room = this.hasRoom(stream);
    if (end) this.#requestEnded(stream);
    this.wake();
    return room;
  }

  sendTrailers(stream: H1ClientStream, fields: Fields): void {
    if (stream.declined) return;
    if (stream.tunnelPending) this.#sendEarly(stream, EMPTY, true);
    else if (stream.body.done || !stream.body.trailers(this.out, fields)) {
      return this.resetStream(stream, 'internal');
    } else this.#requestEnded(stream);
    this.wake();
  }

  reviewReading(): void {
    const stream = this.stream;
    this.wantRead(stream === null || stream.unconsumed <= this.options.receiveWindowBytes);
  }

  // ---- parts

  /** Bytes of a tunnel that the peer has not agreed to wait: sent now, they could be read as a request. */
  #sendEarly(stream: H1ClientStream, chunk: Buffer, end: boolean): boolean {
    if (chunk.length > 0) (stream.early ??= []).push(chunk);
    stream.earlyBytes += chunk.length;
    if (end) stream.earlyEnd = true;
    const drained = stream.earlyBytes < this.options.highWaterBytes;
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
    for (const chunk of early) stream.body.write(this.out, chunk, false);
    if (end) {
      stream.body.write(this.out, EMPTY, true);
      this.#requestEnded(stream);
    }
    if (early.length > 0) this.wake();
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
      this.reader.kill();
    }
    if (stream.body.done) this.#exchangeEnded(stream);
    else if (!this.#keepAlive) {
      // The peer will not read the rest of the request.
      this.retire(stream);
      this.finish();
    }
  }

  #exchangeEnded(stream: H1ClientStream): void {
    this.retire(stream);
    if (!this.#keepAlive) return this.finish();
    const { idleTimeoutMs } = this.options;
    this.deadlineMs = idleTimeoutMs === null ? null : this.nowMs + idleTimeoutMs;
    this.reviewReading();
  }

  #endByClose(stream: H1ClientStream): void {
    stream.responseDone = true;
    if (stream.body.done || stream.body.framing !== 'tunnel') {
      this.retire(stream);
      this.finish();
    }
    stream.listener.onData(EMPTY, true);
  }

  /** Between exchanges, or behind a response whose request still goes out: nobody would read the rest of that. */
  #unsolicited(): void {
    this.error = H1_FAULTS.unsolicited.text;
    if (this.stream !== null) this.retire(this.stream);
    this.finish();
  }

  protected abandon(stream: H1ClientStream, reason: ResetReason): void {
    this.retire(stream);
    this.aborting = true;
    this.finish();
    stream.listener.onReset(reason);
  }

  protected override finish(): void {
    this.#keepAlive = false;
    super.finish();
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
