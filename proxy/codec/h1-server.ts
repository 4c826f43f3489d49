// The server side of one HTTP/1.1 connection without I/O (RFC 9112): requests in, answers out, one exchange at a
// time; pipelined requests wait unread. Refuses broken requests itself; routing and policy are others'.
import { EMPTY } from './h1-body-writer.ts';
import { H1_FAULTS } from './h1-faults.ts';
import type { H1Fault } from './h1-faults.ts';
import { H1RequestParser } from './h1-head.ts';
import type { BodyFraming } from './h1-head.ts';
import { h1Options } from './h1-options.ts';
import type { H1Options } from './h1-options.ts';
import { connectionLines, framingLines, responseFraming } from './h1-response-lines.ts';
import type { Asked } from './h1-response-lines.ts';
import { H1Session } from './h1-session.ts';
import { DEAF, H1Stream } from './h1-stream.ts';
import { fieldLines, statusLine } from './h1-text.ts';
import { keyOf } from './websocket-bridge.ts';
import type { Fields, RequestHead, ResetReason, ResponseHead } from './session.ts';
import type { Refusal, ServerSession, ServerStream } from './session.ts';

export function createH1ServerSession(options: Partial<H1Options> = {}): ServerSession {
  return new H1ServerSession(h1Options(options));
}

/** Unread bytes of further requests above this stop the reading; below it a FIN is still noticed. */
const PIPELINE_BYTES = 16384;
/** The last answer is out and the rest of its request does not come: longer than any client pauses that means to send it. */
const LATE_BODY_MS = 30000;

class H1ServerStream extends H1Stream<RequestHead> implements ServerStream, Asked {
  readonly method: string;
  readonly upgrade: string | null;
  readonly websocketKey: string | null;
  readonly http10: boolean;
  readonly #session: H1ServerSession;
  keepAlive: boolean;
  /** The client waits for 100 before it sends the body. */
  awaitsContinue: boolean;
  requestDone = false;
  headSent = false;

  constructor(session: H1ServerSession, id: number, parser: H1RequestParser) {
    super(session, id, DEAF);
    const head = parser.head!;
    this.#session = session;
    this.method = head.method;
    this.upgrade = head.upgrade;
    this.websocketKey = head.upgrade === null ? null : keyOf(head.upgrade, head.fields);
    this.http10 = parser.http10;
    this.keepAlive = parser.keepAlive;
    this.awaitsContinue = parser.expectContinue;
  }

  /** True: HTTP/1.1 knows no limit of the peer's. */
  sendHead(head: ResponseHead, end: boolean): boolean {
    if (!this.dead) this.#session.sendHead(this, head, end);
    return true;
  }
}

class H1ServerSession extends H1Session<H1ServerStream> implements ServerSession {
  onRequest: ServerSession['onRequest'] = () => DEAF;
  refusal: Refusal | null = null;
  protected readonly parser: H1RequestParser;
  #draining = false;
  /** The deadline was set without knowing the time: it is moved once when it comes. */
  #deadlineEarly = false;
  #headSinceMs: number | null = null;

  constructor(options: H1Options) {
    super(options);
    this.parser = new H1RequestParser(options.maxFields, options.scheme);
    // A client that never says anything is idle from the start; the first call with the time says since when.
    this.#setDeadline();
    this.#deadlineEarly = this.deadlineMs !== null;
  }

  receive(bytes: Buffer, nowMs: number): void {
    this.nowMs = nowMs;
    this.reader.receive(bytes);
    this.reviewReading();
    this.#setDeadline();
  }

  receiveEnd(nowMs: number): void {
    this.nowMs = nowMs;
    const stream = this.stream;
    if (stream === null) {
      if (!this.reader.idle && !this.closing) this.error = H1_FAULTS.truncated.text;
      this.finish();
    } else if (stream.body.framing === 'tunnel' && !stream.requestDone) {
      stream.requestDone = true;
      this.#completeIfDone(stream);
      stream.listener.onData(EMPTY, true);
    } else if (stream.requestDone && this.options.allowHalfClose) stream.keepAlive = false;
    else {
      if (!stream.requestDone) this.error = H1_FAULTS.truncated.text;
      this.abandon(stream, 'closed');
    }
  }

  drain(): void {
    this.#draining = true;
    if (this.stream === null && this.reader.idle) this.finish();
  }

  onTimeout(nowMs: number): void {
    this.nowMs = nowMs;
    if (this.deadlineMs === null || nowMs < this.deadlineMs) return;
    if (this.#deadlineEarly) {
      this.#headSinceMs = null;
      this.#setDeadline();
    } else if (this.#headSinceMs !== null) {
      this.reader.kill();
      this.onFault(H1_FAULTS.slowHead);
    } else if (this.stream !== null) this.abandon(this.stream, 'closed');
    else this.finish();
  }

  // ---- what the reader says

  onHeadText(text: string, _more: boolean): H1Fault | null {
    const parser = this.parser;
    const fault = parser.parse(text);
    if (fault !== null) return fault;
    this.#headSinceMs = null;
    this.deadlineMs = null;
    const head = parser.head!;
    const stream = new H1ServerStream(this, ++this.streams, parser);
    this.stream = stream;
    const ended = parser.framing === 'none';
    stream.requestDone = ended;
    if (ended || parser.framing === 'tunnel') {
      // A tunnel opens only with the answer; until then its bytes belong to nobody.
      this.reader.expectBody('none', 0);
      this.reader.pause();
    } else this.reader.expectBody(parser.framing, head.contentLength ?? 0);
    stream.listener = this.onRequest(stream, head, ended);
    return null;
  }

  override onBody(chunk: Buffer): void {
    this.stream!.awaitsContinue = false;
    super.onBody(chunk);
  }

  onMessageEnd(last: Buffer | null, _more: boolean): void {
    const stream = this.stream!;
    const trailers = this.takeTrailers();
    this.reader.pause();
    stream.requestDone = true;
    stream.awaitsContinue = false;
    if (last !== null) stream.unconsumed += last.length;
    this.#completeIfDone(stream);
    this.tellEnd(stream, last, trailers);
  }

  onFault(fault: H1Fault): void {
    this.error = fault.text;
    const stream = this.stream;
    if (stream === null) this.refusal = fault;
    const answered = stream !== null && stream.headSent;
    if (!answered) {
      const body = `${fault.status}: ${fault.text}\n`;
      this.out.text(
        `${statusLine(fault.status)}content-type: text/plain\r\ncontent-length: ${body.length}\r\n` +
          `connection: close\r\n\r\n${body}`,
      );
    }
    if (stream !== null) this.abandon(stream, 'protocol', !answered);
    else this.finish();
  }

  // ---- what the stream says

  sendHead(stream: H1ServerStream, head: ResponseHead, end: boolean): void {
    const status = head.status;
    if (stream.headSent) return this.resetStream(stream, 'internal');
    if (status < 200 && status !== 101) return this.#sendInterim(stream, head);
    const framing = responseFraming(stream, head, end);
    if (framing === null) return this.resetStream(stream, 'internal');
    if (framing === 'close') stream.keepAlive = false;
    stream.headSent = true;
    const tunnelAsked = stream.upgrade !== null || stream.method === 'CONNECT';
    if (this.#draining || (stream.method === 'CONNECT' && framing !== 'tunnel')) {
      stream.keepAlive = false;
    }
    // The client may or may not send the body it was not asked for: nothing after this could be told apart.
    if (stream.awaitsContinue) stream.keepAlive = false;
    stream.body.begin(framing, head.contentLength ?? 0);
    this.out.text(
      statusLine(status) +
        fieldLines(head.fields) +
        framingLines(stream, framing, head, end) +
        connectionLines(stream, framing, head) +
        '\r\n',
    );
    if (end) stream.body.write(this.out, EMPTY, true);
    if (tunnelAsked) this.#settleTunnel(stream, framing);
    this.#completeIfDone(stream);
    this.wake();
  }

  sendData(stream: H1ServerStream, chunk: Buffer, end: boolean): boolean {
    if (!stream.headSent || stream.body.done || !stream.body.write(this.out, chunk, end)) {
      this.resetStream(stream, 'internal');
      return true;
    }
    const room = this.hasRoom(stream);
    if (end) this.#completeIfDone(stream);
    this.wake();
    return room;
  }

  sendTrailers(stream: H1ServerStream, fields: Fields): void {
    if (!stream.headSent || stream.body.done || !stream.body.trailers(this.out, fields)) {
      return this.resetStream(stream, 'internal');
    }
    this.#completeIfDone(stream);
    this.wake();
  }

  reviewReading(): void {
    const stream = this.stream;
    const wants =
      stream === null ||
      (this.reader.restBytes <= PIPELINE_BYTES &&
        stream.unconsumed <= this.options.receiveWindowBytes);
    this.wantRead(wants);
  }

  // ---- parts

  #sendInterim(stream: H1ServerStream, head: ResponseHead): void {
    // HTTP/1.0 has no interim responses (RFC 9110 §15.2).
    if (stream.http10) return;
    if (head.status === 100) stream.awaitsContinue = false;
    this.out.text(`${statusLine(head.status)}${fieldLines(head.fields)}\r\n`);
    this.wake();
  }

  /** The answer to an Upgrade or a CONNECT decides what the bytes after its head are. */
  #settleTunnel(stream: H1ServerStream, framing: BodyFraming): void {
    if (framing === 'tunnel') {
      stream.keepAlive = false;
      this.reader.expectBody('tunnel', 0);
      this.reader.resume();
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
      if (stream.requestDone) {
        this.retire(stream);
        this.reader.kill();
        this.deadlineMs = null;
      } else {
        this.#setDeadline();
        this.#deadlineEarly = this.deadlineMs !== null;
      }
      this.onWake();
      return;
    }
    if (!stream.requestDone) return;
    this.retire(stream);
    this.reader.resume();
    this.reviewReading();
    this.#setDeadline();
    this.#deadlineEarly = this.deadlineMs !== null;
  }

  /** The exchange ends before it was complete, and the connection with it. */
  protected abandon(stream: H1ServerStream, reason: ResetReason, orderly = false): void {
    this.retire(stream);
    // A complete answer, or none at all, may end in order; half an answer may not look complete.
    this.aborting = !orderly && stream.headSent && !stream.body.done;
    this.finish();
    stream.listener.onReset(reason);
  }

  /** Until when the rest of a request is waited for behind the last answer; a tunnel has all the time. */
  #lateBodyMs(): number | null {
    const stream = this.stream;
    if (stream === null || !this.closing || stream.body.framing === 'tunnel') return null;
    return this.nowMs + LATE_BODY_MS;
  }

  #setDeadline(): void {
    this.#deadlineEarly = false;
    const { idleTimeoutMs, headTimeoutMs } = this.options;
    if (this.stream !== null || this.closing) this.deadlineMs = this.#lateBodyMs();
    else if (this.reader.idle) {
      this.#headSinceMs = null;
      this.deadlineMs = idleTimeoutMs === null ? null : this.nowMs + idleTimeoutMs;
    } else {
      this.#headSinceMs ??= this.nowMs;
      this.deadlineMs = headTimeoutMs === null ? null : this.#headSinceMs + headTimeoutMs;
    }
  }
}
