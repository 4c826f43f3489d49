// What both ends of an HTTP/2 connection do (RFC 9113): frames in, stream states, flow control, settings, errors and
// the end of the connection. Without I/O. Heads, and who may open streams, are h2-server.ts and h2-client.ts.
import { ClosedIds } from './h2-closed-ids.ts';
import { COST, FloodBudget, GAIN, RAPID_MS } from './h2-flood.ts';
import {
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  H2_ERROR,
  LARGEST_STREAM_ID,
  LARGEST_WINDOW,
} from './h2-frames.ts';
import { writeGoaway, writePing, writeRstStream, writeWindowUpdate } from './h2-frames.ts';
import { H2FrameReader } from './h2-frame-reader.ts';
import type { H2FrameSink } from './h2-frame-reader.ts';
import { H2HeadBuilder } from './h2-head.ts';
import { HeaderBlock } from './h2-header-block.ts';
import type { H2Options } from './h2-options.ts';
import { H2Sender } from './h2-sender.ts';
import { DEAF, RESET_CODES, reasonOf } from './h2-reasons.ts';
import { PeerSettings, writeGreeting, writeSettingsAck } from './h2-settings.ts';
import { lengthFits } from './h2-stream.ts';
import type { H2Stream, StreamHost } from './h2-stream.ts';
import { H2Timers } from './h2-timers.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { Fields, RequestHead, ResetReason, ResponseHead } from './session.ts';
import type { Session } from './session.ts';

type Head = RequestHead | ResponseHead;

/** Control frames that the peer does not read pile up; past this it is not listening (RFC 9113 §10.5). */
const MOST_UNREAD_CONTROL_BYTES = 1048576;
/** HPACK can hardly make a block that is within the list size larger than it. */
const BLOCK_SLACK_BYTES = 16384;

export abstract class H2Core<Out extends Head, In extends Head>
  implements Session, H2FrameSink, StreamHost<Out, In>
{
  onWake: () => void = () => {};
  closing = false;
  aborting = false;
  error: string | null = null;
  /** Flow control does for each stream what pausing the socket would do to all. */
  readonly wantsRead = true;
  protected readonly options: H2Options;
  protected readonly sender: H2Sender;
  protected readonly builder: H2HeadBuilder;
  protected readonly peer = new PeerSettings();
  protected readonly streams = new Map<number, H2Stream<Out, In>>();
  protected readonly closedIds = new ClosedIds();
  protected readonly flood: FloodBudget;
  protected readonly timers: H2Timers;
  protected nowMs = 0;
  protected readonly isServer: boolean;
  readonly #reader: H2FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #block: HeaderBlock;
  #awake = false;
  /** What the peer may still send on the connection, and what it was not told that was consumed. */
  #receiveWindow: number;
  #owed = 0;
  /** The stream of the DATA frame at hand; null: its octets are dropped. */
  #dataStream: H2Stream<Out, In> | null = null;
  #dataEnd = false;
  #frames = 0;

  constructor(options: H2Options, isServer: boolean) {
    this.options = options;
    this.isServer = isServer;
    this.sender = new H2Sender(options);
    this.builder = new H2HeadBuilder(options.maxHeaderListBytes);
    this.flood = new FloodBudget(options.floodFactor);
    this.timers = new H2Timers(options);
    this.#reader = new H2FrameReader(this, options.maxFrameBytes, isServer);
    this.#decoder = new HpackDecoder(options.headerTableBytes, this.builder);
    this.#block = new HeaderBlock(options.maxHeaderListBytes + BLOCK_SLACK_BYTES);
    this.#receiveWindow = Math.max(DEFAULT_WINDOW, options.connectionWindowBytes);
  }

  get hasOutput(): boolean {
    return this.sender.hasOutput;
  }

  get openStreams(): number {
    return this.streams.size;
  }

  receive(bytes: Buffer, nowMs: number): void {
    this.nowMs = nowMs;
    this.flood.refill(nowMs);
    this.timers.heard(nowMs);
    this.#reader.receive(bytes);
    this.timers.busy(this.streams.size > 0, nowMs);
  }

  receiveEnd(nowMs: number): void {
    this.nowMs = nowMs;
    this.close();
  }

  close(): void {
    this.finish();
    this.endStreams('closed');
  }

  takeOutput(): Buffer[] {
    this.#awake = false;
    const before = this.sender.dataFrames;
    const output = this.sender.take();
    this.flood.gain((this.sender.dataFrames - before) * GAIN.dataSent);
    if (this.sender.hasOutput) this.wake();
    return output;
  }

  nextTimeoutMs(): number | null {
    return this.closing ? null : this.timers.next(this.streams.size > 0);
  }

  onTimeout(nowMs: number): void {
    this.nowMs = nowMs;
    if (this.closing) return;
    switch (this.timers.due(nowMs, this.streams.size > 0)) {
      case 'ping':
        writePing(this.sender.out, false, KEEPALIVE_PING);
        this.wake();
        break;
      case 'lost':
        this.error = 'the peer does not answer PING';
        this.aborting = true;
        this.finish();
        this.endStreams('closed');
        break;
      case 'idle':
        this.drain();
        break;
      case 'drained':
        this.finalGoaway();
        break;
      case 'none':
        break;
    }
  }

  abstract drain(): void;
  abstract sendHead(stream: H2Stream<Out, In>, head: Out, end: boolean): void;

  // ---- for the two ends

  /** A block was decoded into the builder; `stream` is null where the id has none. */
  protected abstract onBlock(id: number, end: boolean, stream: H2Stream<Out, In> | null): void;
  /** Whether a stream with this id was never opened by whoever may open it. */
  protected abstract isIdle(id: number): boolean;
  protected abstract onGoaway(lastId: number, code: number): void;
  /** The last stream id of the peer's that this side dealt with, for GOAWAY. */
  protected abstract readonly lastPeerId: number;
  protected abstract finalGoaway(): void;
  /** A stream left the map. */
  protected abstract onStreamClosed(): void;

  protected greet(): void {
    writeGreeting(this.sender.out, this.options, this.isServer);
  }

  protected windows(): { send: number; receive: number } {
    return { send: this.peer.initialWindowSize, receive: this.options.streamWindowBytes };
  }

  protected wake(): void {
    if (this.#awake) return;
    this.#awake = true;
    this.onWake();
  }

  /** Nothing more will be read or said after the output at hand. */
  protected finish(): void {
    this.#reader.kill();
    if (this.closing) return;
    this.closing = true;
    this.onWake();
  }

  protected endStreams(reason: ResetReason): void {
    const open = [...this.streams.values()];
    this.streams.clear();
    for (const stream of open) {
      this.#bury(stream);
      if (!this.#isOver(stream)) stream.listener.onReset(reason);
    }
  }

  /** RFC 9113 §5.4.1. */
  fail(code: number, text: string): void {
    if (this.closing) return;
    this.error = text;
    writeGoaway(this.sender.out, this.lastPeerId, code, text);
    this.finish();
    this.endStreams('protocol');
  }

  /** RFC 9113 §5.4.2: the peer broke the rules of one stream. */
  protected failStream(stream: H2Stream<Out, In>, code: number, reason: ResetReason): void {
    this.rst(stream.id, code);
    this.remove(stream, true);
    if (!this.#isOver(stream)) stream.listener.onReset(reason);
    this.spend(COST.streamError, 'too many stream errors');
  }

  protected rst(id: number, code: number): void {
    writeRstStream(this.sender.out, id, code);
    this.wake();
  }

  /** Takes an unfinished stream out: no more events, its unread octets are given back to the connection. */
  protected remove(stream: H2Stream<Out, In>, byUs: boolean): void {
    this.streams.delete(stream.id);
    this.closedIds.add(stream.id, byUs);
    this.#bury(stream);
    this.#creditConnection(stream.unconsumed);
    this.onStreamClosed();
  }

  #bury(stream: H2Stream<Out, In>): void {
    stream.dead = true;
    stream.wasReset = true;
    stream.queue.clear();
  }

  /** To a client whose response is complete, the end of its request's stream is no news. */
  #isOver(stream: H2Stream<Out, In>): boolean {
    return !this.isServer && stream.remoteDone;
  }

  protected closeIfDone(stream: H2Stream<Out, In>): void {
    if (!stream.localDone || !stream.remoteDone || stream.dead) return;
    stream.dead = true;
    this.streams.delete(stream.id);
    this.closedIds.add(stream.id, false);
    this.flood.gain(GAIN.streamDone);
    this.onStreamClosed();
  }

  protected spend(cost: number, text: string): boolean {
    if (this.flood.spend(cost)) return true;
    this.fail(H2_ERROR.enhanceYourCalm, text);
    return false;
  }

  // ---- what streams say

  sendData(stream: H2Stream<Out, In>, chunk: Buffer, end: boolean): boolean {
    if (!this.mayStillSend(stream)) return true;
    this.sender.send(stream.queue, chunk, end);
    const drained = stream.queue.bytes < this.options.highWaterBytes;
    if (!drained) stream.queue.wantsDrain = true;
    if (this.sender.hasOutput) this.wake();
    return drained;
  }

  sendTrailers(stream: H2Stream<Out, In>, fields: Fields): void {
    if (!this.mayStillSend(stream)) return;
    this.sender.sendTrailers(stream.queue, fields);
    this.wake();
  }

  protected mayStillSend(stream: H2Stream<Out, In>): boolean {
    if (stream.headSent && !stream.sendEnded) return true;
    this.failInternally(stream);
    return false;
  }

  /** The user of the session asked for something that the protocol cannot say. */
  protected failInternally(stream: H2Stream<Out, In>): void {
    this.rst(stream.id, H2_ERROR.internal);
    this.remove(stream, true);
    stream.listener.onReset('internal');
  }

  resetByUser(stream: H2Stream<Out, In>, reason: ResetReason): void {
    if (this.isServer && stream.sendEnded) {
      // RFC 9113 §8.1: a whole answer, and the rest of the request is not needed.
      stream.listener = DEAF;
      stream.resetWhenDone = true;
      if (stream.localDone) this.sendDone(stream);
      return;
    }
    this.rst(stream.id, RESET_CODES[reason]);
    this.remove(stream, true);
  }

  sendDone(stream: H2Stream<Out, In>): void {
    stream.localDone = true;
    if (stream.resetWhenDone && !stream.remoteDone) {
      this.rst(stream.id, H2_ERROR.none);
      this.remove(stream, true);
    } else this.closeIfDone(stream);
  }

  consumed(stream: H2Stream<Out, In>, bytes: number): void {
    stream.unconsumed -= bytes;
    this.#creditStream(stream, bytes);
    this.#creditConnection(bytes);
  }

  #creditStream(stream: H2Stream<Out, In>, bytes: number): void {
    stream.owed += bytes;
    if (stream.remoteDone || stream.dead || stream.owed * 2 < this.options.streamWindowBytes)
      return;
    writeWindowUpdate(this.sender.out, stream.id, stream.owed);
    stream.receiveWindow += stream.owed;
    stream.owed = 0;
    this.wake();
  }

  #creditConnection(bytes: number): void {
    this.#owed += bytes;
    if (this.closing || this.#owed * 2 < this.options.connectionWindowBytes) return;
    writeWindowUpdate(this.sender.out, 0, this.#owed);
    this.#receiveWindow += this.#owed;
    this.#owed = 0;
    this.wake();
  }

  // ---- what the reader says

  onFrameError(code: number, text: string): void {
    this.fail(code, text);
  }

  onDataStart(id: number, length: number, end: boolean): void {
    this.#dataStream = null;
    this.#dataEnd = end;
    if (!this.#inOrder(FRAME.data)) return;
    if (id === 0 || this.isIdle(id)) return this.fail(H2_ERROR.protocol, 'DATA without a stream');
    if (length > this.#receiveWindow) return this.fail(H2_ERROR.flowControl, 'connection window');
    this.#receiveWindow -= length;
    if (length === 0 && !end && !this.spend(COST.emptyFrame, 'empty DATA frames')) return;
    const stream = this.streams.get(id);
    if (stream === undefined) return this.#dataAfterEnd(id);
    if (stream.remoteDone) {
      return this.failStream(stream, H2_ERROR.streamClosed, 'protocol');
    }
    if (!stream.headReceived) return this.failStream(stream, H2_ERROR.protocol, 'protocol');
    if (length > stream.receiveWindow) {
      return this.failStream(stream, H2_ERROR.flowControl, 'flow-control');
    }
    stream.receiveWindow -= length;
    this.#dataStream = stream;
  }

  #dataAfterEnd(id: number): void {
    if (this.closedIds.find(id) === 'reset-by-us') return;
    this.rst(id, H2_ERROR.streamClosed);
    this.spend(COST.streamError, 'DATA on closed streams');
  }

  onDataPadding(bytes: number): void {
    const stream = this.#dataStream;
    if (stream !== null) this.#creditStream(stream, bytes);
    this.#creditConnection(bytes);
  }

  onDataPiece(piece: Buffer, last: boolean): void {
    const stream = this.#dataStream;
    const length = piece.length;
    if (stream === null || stream.dead) return this.#creditConnection(length);
    stream.received += length;
    stream.unconsumed += length;
    const end = last && this.#dataEnd;
    if (!lengthFits(stream, end)) return this.failStream(stream, H2_ERROR.protocol, 'protocol');
    if (end) {
      stream.remoteDone = true;
      this.closeIfDone(stream);
    }
    if (length > 0 || end) stream.listener.onData(piece, end);
  }

  onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    if (!this.#inOrder(type, id)) return;
    switch (type) {
      case FRAME.headers:
        return this.#onHeaders(flags, id, payload);
      case FRAME.windowUpdate:
        return this.#onWindowUpdate(id, payload);
      case FRAME.rstStream:
        return this.#onRstStream(id, payload);
      case FRAME.settings:
        return this.#onSettings(flags, id, payload);
      case FRAME.ping:
        return this.#onPing(flags, id, payload);
      case FRAME.continuation:
        return this.#onContinuation(flags, payload);
      case FRAME.goaway:
        if (id !== 0) return this.fail(H2_ERROR.protocol, 'GOAWAY on a stream');
        if (payload.length < 8) return this.fail(H2_ERROR.frameSize, 'GOAWAY too short');
        return this.onGoaway(payload.readUInt32BE(0) & LARGEST_WINDOW, payload.readUInt32BE(4));
      case FRAME.priority:
        return this.#onPriority(id, payload);
      case FRAME.pushPromise:
        return this.fail(H2_ERROR.protocol, 'PUSH_PROMISE without leave');
      default:
        this.spend(COST.unknownFrame, 'too many frames of unknown types');
    }
  }

  /** SETTINGS come first (RFC 9113 §3.4), and nothing comes between HEADERS and its CONTINUATIONs (§6.10). */
  #inOrder(type: number, id = -1): boolean {
    if (this.#frames === 0) {
      this.#frames = 1;
      if (type !== FRAME.settings) this.fail(H2_ERROR.protocol, 'the first frame is not SETTINGS');
    }
    const open = this.#block.id;
    const expected = open === 0 ? type !== FRAME.continuation : type === FRAME.continuation;
    if (!expected || (open !== 0 && id !== open)) {
      this.fail(H2_ERROR.protocol, 'CONTINUATION expected, or not expected');
    }
    return !this.closing;
  }

  #onHeaders(flags: number, id: number, payload: Buffer): void {
    if (id === 0) return this.fail(H2_ERROR.protocol, 'HEADERS without a stream');
    const fragment = HeaderBlock.fragment(payload, flags);
    if (fragment !== null && (flags & FLAG.priority) !== 0) {
      const at = (flags & FLAG.padded) !== 0 ? 1 : 0;
      if (this.#dependsOnItself(id, payload, at)) return;
    }
    if (fragment === null) return this.fail(H2_ERROR.protocol, 'HEADERS with too much padding');
    this.#block.begin(id, (flags & FLAG.endStream) !== 0, fragment);
    if (!this.#block.fits) return this.fail(H2_ERROR.enhanceYourCalm, 'header block too large');
    if ((flags & FLAG.endHeaders) !== 0) this.#endBlock();
  }

  #onContinuation(flags: number, payload: Buffer): void {
    const cost = payload.length === 0 ? COST.emptyFrame : COST.continuation;
    if (!this.spend(cost, 'too many CONTINUATION frames')) return;
    if (!this.#block.add(payload)) {
      return this.fail(H2_ERROR.enhanceYourCalm, 'header block too large or in too many pieces');
    }
    if ((flags & FLAG.endHeaders) !== 0) this.#endBlock();
  }

  #endBlock(): void {
    const { id, endStream } = this.#block;
    this.builder.reset();
    // Always decoded, whatever becomes of the stream: the table is the connection's.
    if (!this.#decoder.decode(this.#block.take())) {
      return this.fail(H2_ERROR.compression, 'HPACK is broken');
    }
    this.onBlock(id, endStream, this.streams.get(id) ?? null);
  }

  /** A block on a stream whose head is there already. */
  protected onTrailers(stream: H2Stream<Out, In>, end: boolean): void {
    if (stream.remoteDone) return this.failStream(stream, H2_ERROR.streamClosed, 'protocol');
    const fields = end && !this.builder.tooLarge ? this.builder.trailers() : null;
    if (fields === null || !lengthFits(stream, true)) {
      return this.failStream(stream, H2_ERROR.protocol, 'protocol');
    }
    stream.remoteDone = true;
    this.closeIfDone(stream);
    if (fields.length > 0) stream.listener.onTrailers(fields);
    else stream.listener.onData(NOTHING, true);
  }

  #onPriority(id: number, payload: Buffer): void {
    if (id === 0) return this.fail(H2_ERROR.protocol, 'PRIORITY without a stream');
    if (payload.length !== 5) {
      const stream = this.streams.get(id);
      if (stream === undefined) return this.fail(H2_ERROR.frameSize, 'PRIORITY of a wrong size');
      return this.failStream(stream, H2_ERROR.frameSize, 'protocol');
    }
    // Parsed and ignored (RFC 9113 §5.3.2).
    if (this.#dependsOnItself(id, payload, 0)) return;
    this.spend(COST.priority, 'too many PRIORITY frames');
  }

  /** An error in RFC 7540 §5.3.1 and never right; RFC 9113 says nothing. */
  #dependsOnItself(id: number, payload: Buffer, at: number): boolean {
    if ((payload.readUInt32BE(at) & LARGEST_STREAM_ID) !== id) return false;
    this.fail(H2_ERROR.protocol, 'a stream that depends on itself');
    return true;
  }

  #onRstStream(id: number, payload: Buffer): void {
    if (payload.length !== 4) return this.fail(H2_ERROR.frameSize, 'RST_STREAM of a wrong size');
    if (id === 0 || this.isIdle(id)) {
      return this.fail(H2_ERROR.protocol, 'RST_STREAM without a stream');
    }
    const stream = this.streams.get(id);
    const rapid = stream !== undefined && this.nowMs - stream.openedMs < RAPID_MS;
    const cost = rapid ? COST.rapidReset : COST.reset;
    if (!this.spend(cost, 'too many RST_STREAM frames') || stream === undefined) return;
    this.remove(stream, false);
    if (!this.#isOver(stream)) stream.listener.onReset(reasonOf(payload.readUInt32BE(0)));
  }

  #onWindowUpdate(id: number, payload: Buffer): void {
    if (payload.length !== 4) return this.fail(H2_ERROR.frameSize, 'WINDOW_UPDATE of a wrong size');
    if (id !== 0 && this.isIdle(id)) {
      return this.fail(H2_ERROR.protocol, 'WINDOW_UPDATE without a stream');
    }
    if (!this.spend(COST.windowUpdate, 'too many WINDOW_UPDATE frames')) return;
    const by = payload.readUInt32BE(0) & LARGEST_WINDOW;
    if (id === 0) return this.#widenConnection(by);
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    if (by === 0) return this.failStream(stream, H2_ERROR.protocol, 'protocol');
    if (!this.sender.widen(stream.queue, by)) {
      return this.failStream(stream, H2_ERROR.flowControl, 'flow-control');
    }
    if (this.sender.hasOutput) this.wake();
  }

  #widenConnection(by: number): void {
    if (by === 0) return this.fail(H2_ERROR.protocol, 'WINDOW_UPDATE by nothing');
    if (this.sender.window + by > LARGEST_WINDOW) {
      return this.fail(H2_ERROR.flowControl, 'connection window too large');
    }
    this.sender.window += by;
    if (this.sender.hasOutput) this.wake();
  }

  #onSettings(flags: number, id: number, payload: Buffer): void {
    if (id !== 0) return this.fail(H2_ERROR.protocol, 'SETTINGS on a stream');
    const ack = (flags & FLAG.ack) !== 0;
    if (ack ? payload.length !== 0 : payload.length % 6 !== 0) {
      return this.fail(H2_ERROR.frameSize, 'SETTINGS of a wrong size');
    }
    if (ack || !this.spend(COST.settings, 'too many SETTINGS frames')) return;
    const before = this.peer.initialWindowSize;
    const error = this.peer.apply(payload, !this.isServer);
    if (error !== H2_ERROR.none) return this.fail(error, 'invalid SETTINGS');
    this.sender.setMaxFrame(this.peer.maxFrameSize);
    this.sender.encoder.setPeerLimit(this.peer.headerTableSize);
    if (!this.#shiftWindows(this.peer.initialWindowSize - before)) {
      return this.fail(H2_ERROR.flowControl, 'SETTINGS make a window too large');
    }
    writeSettingsAck(this.sender.out);
    this.#answered();
  }

  /** RFC 9113 §6.9.2: the difference applies to every open stream. */
  #shiftWindows(by: number): boolean {
    if (by === 0) return true;
    for (const stream of this.streams.values()) {
      if (!this.sender.widen(stream.queue, by)) return false;
    }
    return true;
  }

  #onPing(flags: number, id: number, payload: Buffer): void {
    if (id !== 0) return this.fail(H2_ERROR.protocol, 'PING on a stream');
    if (payload.length !== 8) return this.fail(H2_ERROR.frameSize, 'PING of a wrong size');
    if ((flags & FLAG.ack) !== 0) {
      if (payload.equals(DRAIN_PING)) this.finalGoaway();
      return;
    }
    if (!this.spend(COST.ping, 'too many PING frames')) return;
    writePing(this.sender.out, true, payload);
    this.#answered();
  }

  /** Answers that the peer does not read must not pile up. */
  #answered(): void {
    if (this.sender.out.bytes > MOST_UNREAD_CONTROL_BYTES) {
      return this.fail(H2_ERROR.enhanceYourCalm, 'the peer sends and does not read');
    }
    this.wake();
  }
}

const NOTHING: Buffer = Buffer.alloc(0);
const KEEPALIVE_PING: Buffer = Buffer.from('tsm-live');
export const DRAIN_PING: Buffer = Buffer.from('tsm-last');
