// The server side of one HTTP/2 connection without I/O: takes requests, sends answers, refuses what is malformed or too
// much, and says goodbye in two steps. Routing and policy are others'.
import { DRAIN_PING, H2Core, LEAVING } from './h2-core.ts';
import { COST } from './h2-flood.ts';
import { H2_ERROR, LARGEST_STREAM_ID, writeGoaway, writePing } from './h2-frames.ts';
import { h2Options } from './h2-options.ts';
import type { H2Options } from './h2-options.ts';
import { DEAF } from './h2-reasons.ts';
import { H2Stream } from './h2-stream.ts';
import type { Fields, RequestHead, ResponseHead } from './session.ts';
import type { Refusal, ServerSession } from './session.ts';

export function createH2ServerSession(options: Partial<H2Options> = {}): ServerSession {
  return new H2ServerSession(h2Options(options));
}

type Stream = H2Stream<ResponseHead, RequestHead>;

/** Shared strings: their hashes are computed once. */
const STATUS_TEXT: readonly string[] = Array.from({ length: 1000 }, (_, status) => String(status));

class H2ServerSession extends H2Core<ResponseHead, RequestHead> implements ServerSession {
  onRequest: ServerSession['onRequest'] = () => DEAF;
  refusal: Refusal | null = null;
  protected lastPeerId = 0;
  #drain: 'no' | 'announced' | 'final' = 'no';

  constructor(options: H2Options) {
    super(options, true);
    this.greet();
  }

  /** RFC 9113 §6.8: first that there will be an end, then, when requests under way have arrived, where it was. */
  drain(leaving = false): void {
    if (this.#drain !== 'no' || this.closing) return;
    this.#drain = 'announced';
    writeGoaway(this.sender.out, LARGEST_STREAM_ID, H2_ERROR.none, leaving ? LEAVING : 'draining');
    writePing(this.sender.out, false, DRAIN_PING);
    this.timers.startDrain(this.nowMs);
    this.wake();
  }

  override fail(code: number, text: string): void {
    if (!this.closing) this.refusal = { status: 0, text };
    super.fail(code, text);
  }

  protected finalGoaway(): void {
    if (this.#drain !== 'announced' || this.closing) return;
    this.#drain = 'final';
    this.timers.endDrain();
    writeGoaway(this.sender.out, this.lastPeerId, H2_ERROR.none, 'drained');
    this.wake();
    this.onStreamClosed();
  }

  protected onStreamClosed(): void {
    if (this.#drain === 'final' && this.streams.size === 0) this.finish();
  }

  protected onSettled(): void {
    // Nothing waits for a client's settings.
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.lastPeerId;
  }

  /** A client's GOAWAY is no limit for it (there are no pushes), but a client that leaves waits for no final one. */
  protected onGoaway(_lastId: number, code: number): void {
    if (code !== H2_ERROR.none) this.error ??= `the client ended the connection: code ${code}`;
    this.finalGoaway();
  }

  protected onBlock(id: number, end: boolean, stream: Stream | null): void {
    if (stream !== null) return this.onTrailers(stream, end);
    if (id % 2 === 0) return this.fail(H2_ERROR.protocol, 'a client stream with an even number');
    if (id <= this.lastPeerId) return this.#blockAfterEnd(id);
    // Above the last stream of the final GOAWAY: the client knows that it was not processed.
    if (this.#drain === 'final') return;
    this.lastPeerId = id;
    if (this.builder.tooLarge) return this.#answerTooLarge(id, end);
    const head = this.builder.request(true);
    if (head === null || (end && head.contentLength !== null && head.contentLength > 0)) {
      return this.#refuse(id, H2_ERROR.protocol);
    }
    const { maxConcurrentStreams, maxQueuedBytes } = this.options;
    if (this.streams.size >= maxConcurrentStreams || this.sender.queuedBytes > maxQueuedBytes) {
      return this.#refuse(id, H2_ERROR.refusedStream);
    }
    this.#accept(id, head, end);
  }

  #accept(id: number, head: RequestHead, end: boolean): void {
    const stream: Stream = new H2Stream(this, id, this.windows(), DEAF);
    stream.openedMs = this.nowMs;
    stream.headReceived = true;
    stream.remoteDone = end;
    stream.expected = head.contentLength ?? -1;
    stream.isHead = head.method === 'HEAD';
    stream.isConnect = head.method === 'CONNECT';
    stream.upgrade = head.upgrade;
    this.streams.set(id, stream);
    const listener = this.onRequest(stream, head, end);
    // Given up already: whoever did so wants to hear nothing.
    if (!stream.dead && !stream.resetWhenDone) stream.listener = listener;
  }

  #blockAfterEnd(id: number): void {
    const how = this.closedIds.find(id);
    if (how === 'reset-by-us') return;
    const code = how === 'ended' ? H2_ERROR.streamClosed : H2_ERROR.protocol;
    this.fail(code, 'HEADERS on a stream that is over');
  }

  #refuse(id: number, code: number): void {
    this.closedIds.add(id, true);
    this.rst(id, code);
    this.spend(COST.streamError, 'too many malformed or excess requests');
  }

  #answerTooLarge(id: number, end: boolean): void {
    this.closedIds.add(id, true);
    const tooLarge: ResponseHead = { status: 431, fields: [], contentLength: null };
    this.#writeHead(tooLarge, '431', 0);
    this.sender.endHeaders(id, true);
    if (!end) this.rst(id, H2_ERROR.none);
    this.wake();
    this.spend(COST.streamError, 'too many requests with too large heads');
  }

  sendHead(stream: Stream, head: ResponseHead, end: boolean): boolean {
    const switching = head.status === 101;
    if (stream.headSent || (switching && stream.upgrade === null)) {
      this.failInternally(stream);
      return true;
    }
    const octets = this.sender.octetsOf(head.fields);
    const fits = this.peer.takes(octets + MOST_OWN_OCTETS, head.fields.length / 2 + 2);
    if (head.status < 200 && !switching) {
      // Nobody depends on an interim answer: one that is too large is left out.
      if (!fits) return true;
      this.#writeHead(head, STATUS_TEXT[head.status] ?? '500', octets);
      this.sender.endHeaders(stream.id, false);
    } else {
      if (!fits) return false;
      this.#sendFinal(stream, switching ? accepted(head) : head, octets, end);
    }
    this.wake();
    return true;
  }

  #sendFinal(stream: Stream, head: ResponseHead, octets: number, end: boolean): void {
    stream.headSent = true;
    this.#writeHead(head, STATUS_TEXT[head.status] ?? '500', octets);
    this.sender.endHeaders(stream.id, end);
    if (!end) return;
    stream.queue.end = true;
    this.sendDone(stream);
  }

  /** `octets`: in its fields. */
  #writeHead(head: ResponseHead, status: string, octets: number): void {
    const { fields, contentLength } = head;
    this.sender.beginHeaders(octets + MOST_OWN_OCTETS, fields.length / 2 + 2);
    this.sender.encoder.field(':status', status);
    this.sender.fields(fields, head.neverIndexed ?? null);
    if (contentLength !== null && head.status >= 200 && head.status !== 204) {
      this.sender.encoder.field('content-length', String(contentLength));
    }
  }
}

/** `:status` and `content-length` with the largest number. */
const MOST_OWN_OCTETS = 40;

/** What a 101 is in HTTP/2: the request named the protocol, and the field may not be sent (RFC 8441 §5). */
function accepted(head: ResponseHead): ResponseHead {
  const fields: Fields = [];
  for (let i = 0; i < head.fields.length; i += 2) {
    if (head.fields[i] !== 'upgrade') fields.push(head.fields[i]!, head.fields[i + 1]!);
  }
  return { ...head, status: 200, fields };
}
