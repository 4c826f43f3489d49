// The server side of one HTTP/1.1 connection without I/O (RFC 9112): requests in, answers out, one exchange at a
// time; pipelined requests wait unread. Refuses broken requests itself; routing and policy are others'.
import { EMPTY, H1BodyWriter } from './h1-body-writer.ts';
import { H1_FAULTS } from './h1-faults.ts';
import type { H1Fault } from './h1-faults.ts';
import { H1RequestParser } from './h1-head.ts';
import type { BodyFraming } from './h1-head.ts';
import { h1Options } from './h1-options.ts';
import type { H1Options } from './h1-options.ts';
import { H1Reader } from './h1-reader.ts';
import type { H1ReaderSink } from './h1-reader.ts';
import { fieldLines, fieldValue, statusLine } from './h1-text.ts';
import { parseTrailers } from './h1-trailers.ts';
import { Output } from './output.ts';
import { acceptLine, keyOf } from './websocket-bridge.ts';
import type { Fields, RequestHead, ResetReason, ResponseHead } from './session.ts';
import type { ServerSession, ServerStream, StreamListener } from './session.ts';

export function createH1ServerSession(options: Partial<H1Options> = {}): ServerSession {
  return new H1ServerSession(h1Options(options));
}

/** Hears nothing: what a stream has until its own listener is known, and once it is over. */
const DEAF: StreamListener<RequestHead> = {
  onHead: () => {},
  onData: () => {},
  onTrailers: () => {},
  onReset: () => {},
  onDrained: () => {},
};

/** Unread bytes of further requests above this stop the reading; below it a FIN is still noticed. */
const PIPELINE_BYTES = 16384;
/** The last answer is out and the rest of its request does not come: longer than any client pauses that means to send it. */
const LATE_BODY_MS = 30000;

class H1ServerStream implements ServerStream {
  readonly id: number;
  readonly method: string;
  readonly upgrade: string | null;
  readonly websocketKey: string | null;
  readonly http10: boolean;
  readonly body = new H1BodyWriter();
  readonly #session: H1ServerSession;
  listener: StreamListener<RequestHead> = DEAF;
  keepAlive: boolean;
  /** The client waits for 100 before it sends the body. */
  awaitsContinue: boolean;
  requestDone = false;
  headSent = false;
  dead = false;
  unconsumed = 0;
  wantsDrain = false;

  constructor(session: H1ServerSession, id: number, parser: H1RequestParser) {
    const head = parser.head!;
    this.#session = session;
    this.id = id;
    this.method = head.method;
    this.upgrade = head.upgrade;
    this.websocketKey = head.upgrade === null ? null : keyOf(head.upgrade, head.fields);
    this.http10 = parser.http10;
    this.keepAlive = parser.keepAlive;
    this.awaitsContinue = parser.expectContinue;
  }

  get queuedBytes(): number {
    return this.dead ? 0 : this.#session.outputBytes;
  }

  /** True: HTTP/1.1 knows no limit of the peer's. */
  sendHead(head: ResponseHead, end: boolean): boolean {
    if (!this.dead) this.#session.sendHead(this, head, end);
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

class H1ServerSession implements ServerSession, H1ReaderSink {
  onRequest: ServerSession['onRequest'] = () => DEAF;
  onWake: () => void = () => {};
  closing = false;
  aborting = false;
  error: string | null = null;
  wantsRead = true;
  readonly #options: H1Options;
  readonly #out: Output;
  readonly #reader: H1Reader;
  readonly #parser: H1RequestParser;
  #stream: H1ServerStream | null = null;
  #trailers: Fields | null = null;
  #streams = 0;
  #draining = false;
  #awake = false;
  #nowMs = 0;
  #deadlineMs: number | null = null;
  /** The deadline was set without knowing the time: it is moved once when it comes. */
  #deadlineEarly = false;
  #headSinceMs: number | null = null;

  constructor(options: H1Options) {
    this.#options = options;
    this.#out = new Output(options.slabs);
    this.#reader = new H1Reader(this, options.maxHeadBytes);
    this.#parser = new H1RequestParser(options.maxFields, options.scheme);
    // A client that never says anything is idle from the start; the first call with the time says since when.
    this.#setDeadline();
    this.#deadlineEarly = this.#deadlineMs !== null;
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

  receive(bytes: Buffer, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#reader.receive(bytes);
    this.reviewReading();
    this.#setDeadline();
  }

  receiveEnd(nowMs: number): void {
    this.#nowMs = nowMs;
    const stream = this.#stream;
    if (stream === null) {
      if (!this.#reader.idle && !this.closing) this.error = H1_FAULTS.truncated.text;
      this.#finish();
    } else if (stream.body.framing === 'tunnel' && !stream.requestDone) {
      stream.requestDone = true;
      this.#completeIfDone(stream);
      stream.listener.onData(EMPTY, true);
    } else if (stream.requestDone && this.#options.allowHalfClose) stream.keepAlive = false;
    else {
      if (!stream.requestDone) this.error = H1_FAULTS.truncated.text;
      this.#abandon(stream, 'closed');
    }
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
    if (stream !== null && stream.wantsDrain) {
      stream.wantsDrain = false;
      stream.listener.onDrained();
    }
    return output;
  }

  drain(): void {
    this.#draining = true;
    if (this.#stream === null && this.#reader.idle) this.#finish();
  }

  nextTimeoutMs(): number | null {
    return this.#deadlineMs;
  }

  onTimeout(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#deadlineMs === null || nowMs < this.#deadlineMs) return;
    if (this.#deadlineEarly) {
      this.#headSinceMs = null;
      this.#setDeadline();
    } else if (this.#headSinceMs !== null) {
      this.#reader.kill();
      this.onFault(H1_FAULTS.slowHead);
    } else if (this.#stream !== null) this.#abandon(this.#stream, 'closed');
    else this.#finish();
  }

  // ---- what the reader says

  onHeadText(text: string, _more: boolean): H1Fault | null {
    const parser = this.#parser;
    const fault = parser.parse(text);
    if (fault !== null) return fault;
    this.#headSinceMs = null;
    this.#deadlineMs = null;
    const head = parser.head!;
    const stream = new H1ServerStream(this, ++this.#streams, parser);
    this.#stream = stream;
    const ended = parser.framing === 'none';
    stream.requestDone = ended;
    if (ended || parser.framing === 'tunnel') {
      // A tunnel opens only with the answer; until then its bytes belong to nobody.
      this.#reader.expectBody('none', 0);
      this.#reader.pause();
    } else this.#reader.expectBody(parser.framing, head.contentLength ?? 0);
    stream.listener = this.onRequest(stream, head, ended);
    return null;
  }

  onBody(chunk: Buffer): void {
    const stream = this.#stream!;
    stream.unconsumed += chunk.length;
    stream.awaitsContinue = false;
    stream.listener.onData(chunk, false);
  }

  onTrailerText(text: string): H1Fault | null {
    const section = this.#parser.section;
    const fault = parseTrailers(section, text);
    this.#trailers = section.fields;
    return fault;
  }

  onMessageEnd(last: Buffer | null, _more: boolean): void {
    const stream = this.#stream!;
    const trailers = this.#trailers;
    this.#trailers = null;
    this.#reader.pause();
    stream.requestDone = true;
    stream.awaitsContinue = false;
    if (last !== null) stream.unconsumed += last.length;
    this.#completeIfDone(stream);
    if (trailers !== null && trailers.length > 0) stream.listener.onTrailers(trailers);
    else stream.listener.onData(last ?? EMPTY, true);
  }

  onFault(fault: H1Fault): void {
    this.error = fault.text;
    const stream = this.#stream;
    const answered = stream !== null && stream.headSent;
    if (!answered) {
      const body = `${fault.status}: ${fault.text}\n`;
      this.#out.text(
        `${statusLine(fault.status)}content-type: text/plain\r\ncontent-length: ${body.length}\r\n` +
          `connection: close\r\n\r\n${body}`,
      );
    }
    if (stream !== null) this.#abandon(stream, 'protocol', !answered);
    else this.#finish();
  }

  // ---- what the stream says

  sendHead(stream: H1ServerStream, head: ResponseHead, end: boolean): void {
    const status = head.status;
    if (stream.headSent) return this.resetStream(stream, 'internal');
    if (status < 200 && status !== 101) return this.#sendInterim(stream, head);
    const framing = this.#responseFraming(stream, head, end);
    if (framing === null) return this.resetStream(stream, 'internal');
    stream.headSent = true;
    const tunnelAsked = stream.upgrade !== null || stream.method === 'CONNECT';
    if (this.#draining || (stream.method === 'CONNECT' && framing !== 'tunnel')) {
      stream.keepAlive = false;
    }
    // The client may or may not send the body it was not asked for: nothing after this could be told apart.
    if (stream.awaitsContinue) stream.keepAlive = false;
    stream.body.begin(framing, head.contentLength ?? 0);
    this.#out.text(
      statusLine(status) +
        fieldLines(head.fields) +
        this.#framingLines(stream, head, end) +
        this.#connectionLines(stream, head) +
        '\r\n',
    );
    if (end) stream.body.write(this.#out, EMPTY, true);
    if (tunnelAsked) this.#settleTunnel(stream, framing);
    this.#completeIfDone(stream);
    this.#wakeForOutput();
  }

  sendData(stream: H1ServerStream, chunk: Buffer, end: boolean): boolean {
    if (!stream.headSent || stream.body.done || !stream.body.write(this.#out, chunk, end)) {
      this.resetStream(stream, 'internal');
      return true;
    }
    const drained = this.#out.bytes < this.#options.highWaterBytes;
    if (!drained) stream.wantsDrain = true;
    if (end) this.#completeIfDone(stream);
    this.#wakeForOutput();
    return drained;
  }

  sendTrailers(stream: H1ServerStream, fields: Fields): void {
    if (!stream.headSent || stream.body.done || !stream.body.trailers(this.#out, fields)) {
      return this.resetStream(stream, 'internal');
    }
    this.#completeIfDone(stream);
    this.#wakeForOutput();
  }

  /** This side gives the exchange up. HTTP/1.1 has no other way to say so than to end the connection. */
  resetStream(stream: H1ServerStream, reason: ResetReason): void {
    this.error ??= `stream reset: ${reason}`;
    this.#abandon(stream, reason);
  }

  reviewReading(): void {
    const stream = this.#stream;
    const wants =
      stream === null ||
      (this.#reader.restBytes <= PIPELINE_BYTES &&
        stream.unconsumed <= this.#options.receiveWindowBytes);
    if (wants === this.wantsRead) return;
    this.wantsRead = wants;
    this.onWake();
  }

  // ---- parts

  #sendInterim(stream: H1ServerStream, head: ResponseHead): void {
    // HTTP/1.0 has no interim responses (RFC 9110 §15.2).
    if (stream.http10) return;
    if (head.status === 100) stream.awaitsContinue = false;
    this.#out.text(`${statusLine(head.status)}${fieldLines(head.fields)}\r\n`);
    this.#wakeForOutput();
  }

  /** RFC 9112 §6.3 from the sender's side; null: a response that this request cannot have. */
  #responseFraming(stream: H1ServerStream, head: ResponseHead, end: boolean): BodyFraming | null {
    const status = head.status;
    if (status === 101) return stream.upgrade === null ? null : 'tunnel';
    if (stream.method === 'CONNECT' && status < 300) return 'tunnel';
    if (stream.method === 'HEAD' || status === 204 || status === 304 || end) return 'none';
    if (head.contentLength !== null) return 'length';
    if (!stream.http10) return 'chunked';
    stream.keepAlive = false;
    return 'close';
  }

  #framingLines(stream: H1ServerStream, head: ResponseHead, end: boolean): string {
    switch (stream.body.framing) {
      case 'length':
        return `content-length: ${head.contentLength}\r\n`;
      case 'chunked':
        return 'transfer-encoding: chunked\r\n';
      case 'none':
        if (head.status === 204) return '';
        if (stream.method === 'HEAD' || head.status === 304) {
          return head.contentLength === null ? '' : `content-length: ${head.contentLength}\r\n`;
        }
        return end ? 'content-length: 0\r\n' : '';
      case 'close':
      case 'tunnel':
        return '';
    }
  }

  #connectionLines(stream: H1ServerStream, head: ResponseHead): string {
    if (head.status === 101) {
      const chosen = fieldValue(head.fields, 'upgrade');
      const upgrade = chosen === null ? `upgrade: ${stream.upgrade}\r\n` : '';
      return `connection: upgrade\r\n${upgrade}${acceptLine(stream.websocketKey, head.fields)}`;
    }
    if (stream.body.framing === 'tunnel') return '';
    if (!stream.keepAlive) return 'connection: close\r\n';
    return stream.http10 ? 'connection: keep-alive\r\n' : '';
  }

  /** The answer to an Upgrade or a CONNECT decides what the bytes after its head are. */
  #settleTunnel(stream: H1ServerStream, framing: BodyFraming): void {
    if (framing === 'tunnel') {
      stream.keepAlive = false;
      this.#reader.expectBody('tunnel', 0);
      this.#reader.resume();
      return;
    }
    stream.requestDone = true;
    stream.listener.onData(EMPTY, true);
  }

  #completeIfDone(stream: H1ServerStream): void {
    if (!stream.body.done || stream.dead) return;
    if (!stream.keepAlive || this.#draining) {
      // Say goodbye now; a tunnel or a late body may still be read.
      this.closing = true;
      if (stream.requestDone) this.#retire(stream);
      else {
        this.#setDeadline();
        this.#deadlineEarly = this.#deadlineMs !== null;
      }
      this.onWake();
      return;
    }
    if (!stream.requestDone) return;
    this.#retire(stream);
    this.#reader.resume();
    this.reviewReading();
    this.#setDeadline();
    this.#deadlineEarly = this.#deadlineMs !== null;
  }

  #retire(stream: H1ServerStream): void {
    stream.dead = true;
    if (this.#stream === stream) this.#stream = null;
  }

  /** The exchange ends before it was complete, and the connection with it. */
  #abandon(stream: H1ServerStream, reason: ResetReason, orderly = false): void {
    this.#retire(stream);
    // A complete answer, or none at all, may end in order; half an answer may not look complete.
    this.aborting = !orderly && stream.headSent && !stream.body.done;
    this.#finish();
    stream.listener.onReset(reason);
  }

  #finish(): void {
    this.#reader.kill();
    this.#deadlineMs = null;
    this.closing = true;
    this.onWake();
  }

  #wakeForOutput(): void {
    if (this.#awake) return;
    this.#awake = true;
    this.onWake();
  }

  /** Until when the rest of a request is waited for behind the last answer; a tunnel has all the time. */
  #lateBodyMs(): number | null {
    const stream = this.#stream;
    if (stream === null || !this.closing || stream.body.framing === 'tunnel') return null;
    return this.#nowMs + LATE_BODY_MS;
  }

  #setDeadline(): void {
    this.#deadlineEarly = false;
    const { idleTimeoutMs, headTimeoutMs } = this.#options;
    if (this.#stream !== null || this.closing) this.#deadlineMs = this.#lateBodyMs();
    else if (this.#reader.idle) {
      this.#headSinceMs = null;
      this.#deadlineMs = idleTimeoutMs === null ? null : this.#nowMs + idleTimeoutMs;
    } else {
      this.#headSinceMs ??= this.#nowMs;
      this.#deadlineMs = headTimeoutMs === null ? null : this.#headSinceMs + headTimeoutMs;
    }
  }
}
