// What both ends of an HTTP/2 connection keep and say (RFC 9113): the streams, windows and deadlines of the connection,
// its errors and its end, and what streams ask of it. Without I/O. The frames that come in are h2-core.ts.
import { ClosedIds } from './h2-closed-ids.ts';
import { COST, FloodBudget, GAIN } from './h2-flood.ts';
import { H2_ERROR } from './h2-frames.ts';
import { writeGoaway, writePing, writeRstStream, writeWindowUpdate } from './h2-frames.ts';
import { H2FrameReader } from './h2-frame-reader.ts';
import type { H2FrameSink } from './h2-frame-reader.ts';
import type { H2Options } from './h2-options.ts';
import { DEAF, RESET_CODES } from './h2-reasons.ts';
import { ReceiveWindow } from './h2-receive-window.ts';
import { H2Sender } from './h2-sender.ts';
import { PeerSettings, writeGreeting } from './h2-settings.ts';
import type { H2Stream, StreamHost } from './h2-stream.ts';
import { H2Timers, SWEEPS } from './h2-timers.ts';
import type { Fields, RequestHead, ResetReason, ResponseHead } from './session.ts';
import type { Session } from './session.ts';

type Head = RequestHead | ResponseHead;

export abstract class H2Connection<Out extends Head, In extends Head>
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
  protected readonly peer = new PeerSettings();
  protected readonly streams = new Map<number, H2Stream<Out, In>>();
  protected readonly closedIds = new ClosedIds();
  protected readonly flood: FloodBudget;
  protected readonly timers: H2Timers;
  protected nowMs = 0;
  protected readonly isServer: boolean;
  protected readonly receiveWindow: ReceiveWindow;
  readonly #reader: H2FrameReader;
  #awake = false;
  /** Sweeps since the transport last took output. */
  #sweepsUntaken = 0;

  constructor(options: H2Options, isServer: boolean) {
    this.options = options;
    this.isServer = isServer;
    this.sender = new H2Sender(options);
    this.flood = new FloodBudget(options.floodFactor);
    this.timers = new H2Timers(options);
    this.#reader = new H2FrameReader(this, options.maxFrameBytes, isServer);
    this.receiveWindow = new ReceiveWindow(options);
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
    this.timers.unfinished(this.blockIsOpen || this.#reader.isAmidFrame, this.units, nowMs);
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
    this.#sweepsUntaken = 0;
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
        this.#abort('the peer does not answer PING', 'closed');
        break;
      case 'settings':
        this.fail(H2_ERROR.settingsTimeout, 'SETTINGS were not acknowledged in time');
        break;
      case 'unfinished':
        this.fail(H2_ERROR.enhanceYourCalm, 'a header block or frame was not finished in time');
        break;
      case 'sweep':
        this.#sweep();
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

  #abort(text: string, reason: ResetReason): void {
    this.error = text;
    this.aborting = true;
    this.finish();
    this.endStreams(reason);
  }

  /** Ends what has not moved for as many sweeps as make up the stall timeout: its bytes are memory. */
  #sweep(): void {
    if (this.sender.out.bytes > 0 && ++this.#sweepsUntaken > SWEEPS) {
      return this.#abort('the peer does not read', 'timeout');
    }
    for (const stream of this.streams.values()) {
      const { queue } = stream;
      if (queue.bytes === 0 || ++queue.sweepsUnmoved <= SWEEPS) continue;
      this.rst(stream.id, H2_ERROR.cancel);
      this.remove(stream, true);
      stream.listener.onReset('timeout');
    }
  }

  abstract drain(): void;
  abstract sendHead(stream: H2Stream<Out, In>, head: Out, end: boolean): boolean;

  // ---- for the two ends

  abstract onDataStart(id: number, length: number, end: boolean): void;
  abstract onDataPiece(piece: Buffer, last: boolean): void;
  abstract onDataPadding(bytes: number): void;
  abstract onFrame(type: number, flags: number, id: number, payload: Buffer): void;
  /** Counts what came whole: frames, and header blocks. */
  protected abstract readonly units: number;
  /** HEADERS came, and their block goes on. */
  protected abstract readonly blockIsOpen: boolean;
  /** The last stream id of the peer's that this side dealt with, for GOAWAY. */
  protected abstract readonly lastPeerId: number;
  protected abstract finalGoaway(): void;
  /** A stream left the map. */
  protected abstract onStreamClosed(): void;

  protected greet(): void {
    writeGreeting(this.sender.out, this.options, this.isServer);
  }

  protected windows(): { send: number; receive: number } {
    return { send: this.peer.initialWindowSize, receive: this.receiveWindow.streamBytes };
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
      if (!this.isOver(stream)) stream.listener.onReset(reason);
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
    if (!this.isOver(stream)) stream.listener.onReset(reason);
    this.spend(COST.streamError, 'too many stream errors');
  }

  protected rst(id: number, code: number): void {
    // Not on the wire yet (h2-client.ts): there is nothing to reset.
    if (id < 0) return;
    writeRstStream(this.sender.out, id, code);
    this.wake();
  }

  /** Takes an unfinished stream out: no more events, its unread octets are given back to the connection. */
  protected remove(stream: H2Stream<Out, In>, byUs: boolean): void {
    this.streams.delete(stream.id);
    this.closedIds.add(stream.id, byUs);
    this.#bury(stream);
    this.creditConnection(stream.unconsumed);
    this.onStreamClosed();
  }

  #bury(stream: H2Stream<Out, In>): void {
    stream.dead = true;
    stream.wasReset = true;
    this.receiveWindow.shrink(stream);
    this.sender.clear(stream.queue);
  }

  /** To a client whose response is complete, the end of its request's stream is no news. */
  protected isOver(stream: H2Stream<Out, In>): boolean {
    return !this.isServer && stream.remoteDone;
  }

  protected closeIfDone(stream: H2Stream<Out, In>): void {
    if (!stream.localDone || !stream.remoteDone || stream.dead) return;
    stream.dead = true;
    this.receiveWindow.shrink(stream);
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
    const drained = stream.queue.bytes === 0 || this.#hasRoom(stream.queue.bytes);
    if (!drained) stream.queue.wantsDrain = true;
    if (this.sender.hasOutput) this.wake();
    return drained;
  }

  #hasRoom(queuedBytes: number): boolean {
    const { highWaterBytes, connectionHighWaterBytes } = this.options;
    return queuedBytes < highWaterBytes && this.sender.queuedBytes < connectionHighWaterBytes;
  }

  sendTrailers(stream: H2Stream<Out, In>, fields: Fields, never: readonly string[] | null): void {
    if (!this.mayStillSend(stream)) return;
    const octets = this.sender.octetsOf(fields);
    if (!this.peer.takes(octets, fields.length / 2)) return this.failInternally(stream);
    this.sender.sendTrailers(stream.queue, { fields, octets, never });
    this.wake();
  }

  protected mayStillSend(stream: H2Stream<Out, In>): boolean {
    if (stream.headSent && !stream.sendEnded) return true;
    this.failInternally(stream);
    return false;
  }

  /** The user of the session asked for something that cannot be said. */
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

  forget(stream: H2Stream<Out, In>): void {
    stream.wasReset = true;
    this.creditConnection(stream.unconsumed);
    stream.unconsumed = 0;
  }

  consumed(stream: H2Stream<Out, In>, bytes: number): void {
    stream.unconsumed -= bytes;
    this.creditStream(stream, bytes);
    this.creditConnection(bytes);
  }

  protected creditStream(stream: H2Stream<Out, In>, bytes: number): void {
    stream.owed += bytes;
    if (stream.owed > stream.receiveWindow) this.openStreamWindow(stream);
  }

  protected creditConnection(bytes: number): void {
    const window = this.receiveWindow;
    window.consume(bytes);
    if (window.owed > window.left) this.openWindow();
  }

  /**
   * Called when more is owed than is left: that is half the window where all is consumed at once, and sooner where slow
   * receivers hold some of it, because the rest is all that the others have.
   */
  protected openWindow(): void {
    if (this.closing) return;
    writeWindowUpdate(this.sender.out, 0, this.receiveWindow.pay());
    this.wake();
  }

  /** Little is left, because receivers are slow. Their streams have windows of their own, so they cannot take it all. */
  protected lend(): void {
    const bytes = this.closing ? 0 : this.receiveWindow.lend();
    if (bytes === 0) return;
    writeWindowUpdate(this.sender.out, 0, bytes);
    this.wake();
  }

  protected openStreamWindow(stream: H2Stream<Out, In>): void {
    if (stream.remoteDone || stream.dead) return;
    const by = stream.owed + this.receiveWindow.growth(stream);
    writeWindowUpdate(this.sender.out, stream.id, by);
    stream.receiveWindow += by;
    stream.owed = 0;
    this.wake();
  }

  // ---- what the reader says

  onFrameError(code: number, text: string): void {
    this.fail(code, text);
  }
}

const KEEPALIVE_PING: Buffer = Buffer.from('tsm-live');
