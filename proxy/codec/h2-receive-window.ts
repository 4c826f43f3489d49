// How much the peer of an HTTP/2 connection may still send (RFC 9113 §5.2): the connection's window, what of it is owed,
// what is lent beyond it, and how far the windows of its streams have grown. Numbers only; frames are the session's.
import { DEFAULT_WINDOW } from './h2-frames.ts';
import type { H2Options } from './h2-options.ts';
import { initialWindow } from './h2-settings.ts';

/** What it knows of a stream. */
interface GrowingStream {
  windowBytes: number;
  readonly unconsumed: number;
}

export class ReceiveWindow {
  /** What the peer may still send, and what it was not told that was consumed. */
  left: number;
  owed = 0;
  /** With less left than this the others are lent some. */
  readonly low: number;
  readonly streamBytes: number;
  readonly #options: H2Options;
  /** Of what the peer may send, so much is beyond the window. */
  #lent = 0;
  /** By how much the windows of all streams are larger than at first. */
  #grown = 0;

  constructor(options: H2Options) {
    this.#options = options;
    this.left = Math.max(DEFAULT_WINDOW, options.connectionWindowBytes);
    this.low = options.connectionWindowBytes / 8;
    this.streamBytes = initialWindow(options);
  }

  /** Received and not consumed: memory. */
  get held(): number {
    return this.#options.connectionWindowBytes + this.#lent - this.left - this.owed;
  }

  /** Counts what was consumed: what was lent is paid back first. */
  consume(bytes: number): void {
    const paid = this.#lent > 0 ? Math.min(bytes, this.#lent) : 0;
    this.#lent -= paid;
    this.owed += bytes - paid;
  }

  /** What is owed, to be told to the peer now. */
  pay(): number {
    const { owed } = this;
    this.left += owed;
    this.owed = 0;
    return owed;
  }

  /** How much to lend, because slow receivers hold most of the window; 0: nothing more. */
  lend(): number {
    const { connectionWindowBytes, connectionLoanBytes } = this.#options;
    const bytes = Math.floor(Math.min(connectionWindowBytes / 4, connectionLoanBytes - this.#lent));
    this.#lent += bytes;
    this.left += bytes;
    return bytes;
  }

  /** Doubles the window of a stream whose receiver keeps up: a slow one, and many that slow down, shall not hold much. */
  growth(stream: GrowingStream): number {
    const { windowBytes } = stream;
    if (stream.unconsumed * 4 > windowBytes) return 0;
    const { streamWindowBytes, connectionWindowBytes } = this.#options;
    const left = connectionWindowBytes - this.#grown;
    const by = Math.min(windowBytes, streamWindowBytes - windowBytes, left);
    stream.windowBytes += by;
    this.#grown += by;
    return by;
  }

  /** The stream is over. */
  shrink(stream: GrowingStream): void {
    this.#grown -= stream.windowBytes - this.streamBytes;
    stream.windowBytes = this.streamBytes;
  }
}
