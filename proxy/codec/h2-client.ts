// The client side of one HTTP/2 connection without I/O: opens streams for requests, takes responses, obeys GOAWAY and
// the server's limits. Pooling, retries and timeouts of requests are others'.
import { H2_PREFACE } from './detect.ts';
import { H2Core, LEAVING } from './h2-core.ts';
import { H2_ERROR, LARGEST_STREAM_ID, writeGoaway } from './h2-frames.ts';
import { UPGRADE_METHOD } from './h2-head.ts';
import { h2Options } from './h2-options.ts';
import type { H2Options } from './h2-options.ts';
import { H2Stream } from './h2-stream.ts';
import type { Fields, RequestHead, ResetReason, ResponseHead } from './session.ts';
import type { ClientSession, ClientStream, StreamListener } from './session.ts';

export function createH2ClientSession(options: Partial<H2Options> = {}): ClientSession {
  return new H2ClientSession(h2Options(options));
}

type Stream = H2Stream<RequestHead, ResponseHead>;

interface Held {
  readonly stream: Stream;
  readonly head: RequestHead;
  readonly end: boolean;
  /** What was sent on the stream since, in order. */
  readonly said: (() => void)[];
  bytes: number;
}

/** Interim responses of one stream; see h1-client.ts. */
const MOST_INTERIM = 64;

class H2ClientSession extends H2Core<RequestHead, ResponseHead> implements ClientSession {
  /** There are no server streams: none was dealt with. */
  protected readonly lastPeerId = 0;
  peerLeaves = false;
  #nextId = 1;
  #leaving = false;
  /** Requests that the server does not take: told at the next `takeOutput`, not from within `open`. */
  #stillborn: { readonly stream: Stream; readonly reason: ResetReason }[] = [];
  /** Extended CONNECTs that wait for the server's SETTINGS (RFC 8441 §3); their streams have negative ids. */
  #held: Held[] = [];
  #lastHeldId = 0;

  constructor(options: H2Options) {
    super(options, false);
    this.sender.out.payload(H2_PREFACE);
    this.greet();
  }

  get reusable(): boolean {
    return !this.closing && !this.#leaving && this.#nextId <= LARGEST_STREAM_ID;
  }

  get capacity(): number {
    if (!this.reusable) return 0;
    if (this.#isClogged) return 0;
    const limit = Math.min(this.peer.maxConcurrentStreams, this.options.maxConcurrentStreams);
    return Math.max(0, limit - this.streams.size);
  }

  readonly keepAliveText = null;

  get streamLimit(): number | null {
    return this.peer.received ? this.peer.maxConcurrentStreams : null;
  }

  assumeStreamLimit(limit: number): void {
    // At least one, or nobody would ever hear what it is now.
    if (!this.peer.received) this.peer.maxConcurrentStreams = Math.max(1, limit);
  }

  /** Most of the connection's window is held by streams whose receivers are slow: others would wait for them. */
  get #isClogged(): boolean {
    return this.receiveWindow.held * 4 > this.options.connectionWindowBytes * 3;
  }

  override get hasOutput(): boolean {
    return super.hasOutput || this.#stillborn.length > 0;
  }

  override takeOutput(): Buffer[] {
    const output = super.takeOutput();
    const stillborn = this.#stillborn;
    if (stillborn.length > 0) {
      this.#stillborn = [];
      for (const { stream, reason } of stillborn) stream.listener.onReset(reason);
    }
    return output;
  }

  open(head: RequestHead, end: boolean, listener: StreamListener<ResponseHead>): ClientStream {
    if (this.capacity === 0) throw new Error('H2 client session: open() without capacity');
    const stream: Stream = new H2Stream(this, this.#nextId, this.windows(), listener);
    stream.isHead = head.method === 'HEAD';
    stream.isConnect = head.method === 'CONNECT';
    stream.upgrade = head.upgrade;
    if (head.upgrade !== null && !this.peer.received) this.#hold(stream, head, end);
    else this.#begin(stream, head, end);
    return stream;
  }

  #begin(stream: Stream, head: RequestHead, end: boolean): void {
    this.wake();
    if (head.upgrade !== null && !this.peer.enableConnectProtocol) {
      return this.#refuse(stream, 'protocol');
    }
    const octets = this.sender.octetsOf(head.fields) + pseudoOctets(head);
    const count = head.fields.length / 2 + MOST_PSEUDO;
    if (!this.peer.takes(octets, count) && !this.#isTaken(head)) {
      return this.#refuse(stream, 'too-large');
    }
    stream.id = this.#nextId;
    stream.queue.id = this.#nextId;
    this.#nextId += 2;
    this.streams.set(stream.id, stream);
    stream.headSent = true;
    this.sender.beginHeaders(octets, count);
    this.#writeRequest(stream, head, end);
  }

  /** Counts exactly where the upper bound is not enough. */
  #isTaken({
    method,
    scheme,
    path,
    authority,
    upgrade,
    fields,
    contentLength,
  }: RequestHead): boolean {
    const own: Fields = [':method', upgrade === null ? method : 'CONNECT'];
    if (upgrade !== null || method !== 'CONNECT') own.push(':scheme', scheme, ':path', path);
    if (authority !== '') own.push(':authority', authority);
    if (upgrade !== null) own.push(':protocol', upgrade);
    if (upgrade !== null && method !== 'GET') own.push(UPGRADE_METHOD, method);
    if (contentLength !== null) own.push('content-length', String(contentLength));
    const octets = this.sender.octetsOf(own) + this.sender.octetsOf(fields);
    return this.peer.takes(octets, (own.length + fields.length) / 2);
  }

  #refuse(stream: Stream, reason: ResetReason): void {
    stream.dead = true;
    stream.wasReset = true;
    this.#stillborn.push({ stream, reason });
  }

  #hold(stream: Stream, head: RequestHead, end: boolean): void {
    stream.id = --this.#lastHeldId;
    this.streams.set(stream.id, stream);
    this.#held.push({ stream, head, end, said: [], bytes: 0 });
  }

  protected onSettled(): void {
    if (this.#held.length === 0) return;
    for (const { stream, head, end, said, bytes } of this.#held.splice(0)) {
      if (stream.dead) continue;
      this.streams.delete(stream.id);
      this.#begin(stream, head, end);
      for (const say of said) if (!stream.dead) say();
      const { highWaterBytes } = this.options;
      if (bytes >= highWaterBytes && !stream.dead && stream.queue.bytes < highWaterBytes)
        stream.listener.onDrained();
    }
  }

  override sendData(stream: Stream, chunk: Buffer, end: boolean): boolean {
    if (stream.id > 0) return super.sendData(stream, chunk, end);
    const bytes = this.#sayLater(stream, chunk.length, () => super.sendData(stream, chunk, end));
    return bytes < this.options.highWaterBytes;
  }

  override sendTrailers(stream: Stream, fields: Fields, never: readonly string[] | null): void {
    if (stream.id > 0) super.sendTrailers(stream, fields, never);
    else this.#sayLater(stream, 0, () => super.sendTrailers(stream, fields, never));
  }

  /** Behind the head, once that may go; answers how many bytes wait. */
  #sayLater(stream: Stream, bytes: number, say: () => void): number {
    const held = this.#held.find((one) => one.stream === stream);
    if (held === undefined) return 0;
    held.said.push(say);
    held.bytes += bytes;
    return held.bytes;
  }

  #writeRequest(stream: Stream, head: RequestHead, end: boolean): void {
    const { sender } = this;
    const { encoder } = sender;
    if (head.upgrade !== null) {
      encoder.field(':method', 'CONNECT');
      encoder.field(':protocol', head.upgrade);
    } else encoder.field(':method', head.method);
    if (!stream.isConnect) {
      encoder.field(':scheme', head.scheme);
      encoder.field(':path', head.path);
    }
    if (head.authority !== '') encoder.field(':authority', head.authority);
    if (head.upgrade !== null && head.method !== 'GET') encoder.field(UPGRADE_METHOD, head.method);
    sender.fields(head.fields, head.neverIndexed ?? null);
    if (head.contentLength !== null) encoder.field('content-length', String(head.contentLength));
    sender.endHeaders(stream.id, end);
    if (!end) return;
    stream.queue.end = true;
    stream.localDone = true;
  }

  /** The head went out with `open`; HTTP has no second one. */
  sendHead(stream: Stream): boolean {
    this.failInternally(stream);
    return true;
  }

  drain(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.onStreamClosed();
  }

  protected finalGoaway(): void {
    // A client's drain has one step: it just opens no more streams.
  }

  protected onStreamClosed(): void {
    if (!this.#leaving || this.streams.size > 0 || this.closing) return;
    writeGoaway(this.sender.out, 0, H2_ERROR.none, 'done');
    this.finish();
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id >= this.#nextId;
  }

  /** RFC 9113 §6.8: what is above the last stream was not processed; the rest goes on. */
  protected onGoaway(lastId: number, code: number, text: string): void {
    this.#leaving = true;
    if (text === LEAVING) this.peerLeaves = true;
    if (code !== H2_ERROR.none) this.error ??= `the server ended the connection: code ${code}`;
    const refused = [...this.streams.values()].filter(({ id }) => id > lastId || id < 0);
    for (const stream of refused) {
      this.remove(stream, true);
      stream.listener.onReset('refused');
    }
    this.onWake();
    this.onStreamClosed();
  }

  protected onBlock(id: number, end: boolean, stream: Stream | null): void {
    if (stream === null) {
      if (this.isIdle(id)) this.fail(H2_ERROR.protocol, 'HEADERS on a stream that nobody opened');
      return;
    }
    if (stream.headReceived) return this.onTrailers(stream, end);
    const head = this.builder.tooLarge ? null : this.builder.response();
    if (head === null) return this.failStream(stream, H2_ERROR.protocol, 'protocol');
    if (head.status < 200) return this.#onInterim(stream, head, end);
    this.#onFinal(stream, head, end);
  }

  #onInterim(stream: Stream, head: ResponseHead, end: boolean): void {
    if (end || ++stream.interim > MOST_INTERIM) {
      return this.failStream(stream, H2_ERROR.protocol, 'protocol');
    }
    stream.listener.onHead(head, false);
  }

  #onFinal(stream: Stream, head: ResponseHead, end: boolean): void {
    stream.headReceived = true;
    const tunnel = (stream.isConnect || stream.upgrade !== null) && head.status < 300;
    const bodiless = stream.isHead || head.status === 304 || head.status === 204;
    if (tunnel) head.contentLength = null;
    stream.expected = bodiless ? 0 : (head.contentLength ?? -1);
    if (end && stream.expected > 0) {
      return this.failStream(stream, H2_ERROR.protocol, 'protocol');
    }
    if (tunnel && stream.upgrade !== null) head.status = 101;
    if (end) {
      stream.remoteDone = true;
      this.closeIfDone(stream);
    }
    stream.listener.onHead(head, end);
  }
}

/** Pseudo-header fields, the method of an upgrade and the length. */
const MOST_PSEUDO = 8;

/** An upper bound for names and values that are not in `fields`. */
function pseudoOctets(head: RequestHead): number {
  const { method, scheme, authority, path, upgrade } = head;
  const values = method.length * 2 + scheme.length + authority.length + path.length;
  return 128 + values + (upgrade === null ? 0 : upgrade.length);
}
