// What both ends of an HTTP/2 connection make of the frames that come in (RFC 9113 §4 to §6): order, header blocks,
// DATA, settings and other control frames, and what of them is an error. Heads, and who may open streams, are
// h2-server.ts and h2-client.ts.
import { H2Connection } from './h2-connection.ts';
import { COST, RAPID_MS } from './h2-flood.ts';
import { FLAG, FRAME, H2_ERROR, LARGEST_STREAM_ID, LARGEST_WINDOW } from './h2-frames.ts';
import { writePing } from './h2-frames.ts';
import { H2HeadBuilder } from './h2-head.ts';
import { HeaderBlock } from './h2-header-block.ts';
import type { H2Options } from './h2-options.ts';
import { reasonOf } from './h2-reasons.ts';
import { writeSettingsAck } from './h2-settings.ts';
import { lengthFits } from './h2-stream.ts';
import type { H2Stream } from './h2-stream.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { RequestHead, ResponseHead } from './session.ts';

type Head = RequestHead | ResponseHead;

/** Control frames that the peer does not read pile up; past this it is not listening (RFC 9113 §10.5). */
const MOST_UNREAD_CONTROL_BYTES = 1048576;
/** HPACK can hardly make a block that is within the list size larger than it. */
const BLOCK_SLACK_BYTES = 16384;

export abstract class H2Core<Out extends Head, In extends Head> extends H2Connection<Out, In> {
  protected units = 0;
  protected readonly builder: H2HeadBuilder;
  readonly #decoder: HpackDecoder;
  readonly #block: HeaderBlock;
  /** The stream of the DATA frame at hand; null: its octets are dropped. */
  #dataStream: H2Stream<Out, In> | null = null;
  #dataEnd = false;
  #first = true;

  constructor(options: H2Options, isServer: boolean) {
    super(options, isServer);
    this.builder = new H2HeadBuilder(options.maxHeaderListBytes);
    this.#decoder = new HpackDecoder(options.headerTableBytes, this.builder);
    this.#block = new HeaderBlock(options.maxHeaderListBytes + BLOCK_SLACK_BYTES);
  }

  // ---- for the two ends

  /** A block was decoded into the builder; `stream` is null where the id has none. */
  protected abstract onBlock(id: number, end: boolean, stream: H2Stream<Out, In> | null): void;
  /** Whether a stream with this id was never opened by whoever may open it. */
  protected abstract isIdle(id: number): boolean;
  /** `text`: its debug data. */
  protected abstract onGoaway(lastId: number, code: number, text: string): void;
  /** The peer's settings were taken. */
  protected abstract onSettled(): void;

  protected get blockIsOpen(): boolean {
    return this.#block.id !== 0;
  }

  // ---- what the reader says

  onDataStart(id: number, length: number, end: boolean): void {
    this.#dataStream = null;
    this.#dataEnd = end;
    if (!this.#inOrder(FRAME.data)) return;
    if (id === 0 || this.isIdle(id)) return this.fail(H2_ERROR.protocol, 'DATA without a stream');
    const window = this.receiveWindow;
    if (length > window.left) return this.fail(H2_ERROR.flowControl, 'connection window');
    window.left -= length;
    if (window.owed > window.left) this.openWindow();
    if (window.left < window.low) this.lend();
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
    if (stream.owed > stream.receiveWindow) this.openStreamWindow(stream);
    this.#dataStream = stream;
  }

  #dataAfterEnd(id: number): void {
    if (this.closedIds.find(id) === 'reset-by-us') return;
    this.rst(id, H2_ERROR.streamClosed);
    this.spend(COST.streamError, 'DATA on closed streams');
  }

  onDataPadding(bytes: number): void {
    const stream = this.#dataStream;
    if (stream !== null) this.creditStream(stream, bytes);
    this.creditConnection(bytes);
  }

  onDataPiece(piece: Buffer, last: boolean): void {
    const stream = this.#dataStream;
    const length = piece.length;
    if (stream === null || stream.dead) return this.creditConnection(length);
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
        if (!this.spend(COST.unknownFrame, 'too many GOAWAY frames')) return;
        return this.onGoaway(
          payload.readUInt32BE(0) & LARGEST_WINDOW,
          payload.readUInt32BE(4),
          payload.toString('latin1', 8, 8 + LEAVING.length + 1),
        );
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
    if (this.#first) {
      this.#first = false;
      if (type !== FRAME.settings) this.fail(H2_ERROR.protocol, 'the first frame is not SETTINGS');
    }
    const open = this.#block.id;
    if (open === 0) this.units = (this.units + 1) | 0;
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
    if (this.builder.tooLarge && !this.#mayBeLarge(this.builder.listBytes)) return;
    this.onBlock(id, endStream, this.streams.get(id) ?? null);
  }

  /** What a few octets on the wire can stand for costs in proportion. */
  #mayBeLarge(listBytes: number): boolean {
    return this.spend(Math.ceil(listBytes / COST.bytesOfLargeList), 'HPACK bombs');
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
    if (fields.length > 0) stream.listener.onTrailers(fields, this.builder.neverIndexed);
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
    if (!this.isOver(stream)) stream.listener.onReset(reasonOf(payload.readUInt32BE(0)));
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
    if (!this.spend(COST.settings, 'too many SETTINGS frames')) return;
    if (ack) return this.timers.acknowledged();
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
    this.onSettled();
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
    if (!this.spend(COST.ping, 'too many PING frames')) return;
    if ((flags & FLAG.ack) !== 0) {
      if (payload.equals(DRAIN_PING)) this.finalGoaway();
      return;
    }
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
export const DRAIN_PING: Buffer = Buffer.from('tsm-last');
/** Debug data of the GOAWAY of a sidecar whose pod goes: other endpoints are to be preferred from now on. */
export const LEAVING = 'leaving';
