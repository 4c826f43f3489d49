// Cuts the bytes of one HTTP/1.1 connection into heads, body pieces and trailers (RFC 9112 §2, §6, §7), wherever
// the reads split them. Does not interpret heads: its sink does and says how the body is framed.
import { CR, LF } from './chars.ts';
import { H1_FAULTS } from './h1-faults.ts';
import type { H1Fault } from './h1-faults.ts';
import type { BodyFraming } from './h1-head.ts';
import {
  BAD_EXTENSION,
  SEMICOLON,
  bareLineFeed,
  hexDigit,
  isBlank,
  skipExtension,
} from './h1-lines.ts';

export interface H1ReaderSink {
  /**
   * A head with its empty line; answers by `expectBody`, and may `pause`. `more`: bytes follow it. A message without
   * a body is complete with this.
   */
  onHeadText(text: string, more: boolean): H1Fault | null;
  onBody(chunk: Buffer): void;
  /** The trailer section with its empty line, only where there are fields; `onMessageEnd` follows. */
  onTrailerText(text: string): H1Fault | null;
  /** The body is complete with `last`, if that is not null. May `pause`. `more`: bytes follow. */
  onMessageEnd(last: Buffer | null, more: boolean): void;
  /** The reader is dead from now on. */
  onFault(fault: H1Fault): void;
}

type State =
  | 'head'
  | 'length'
  | 'chunk-size'
  | 'chunk-data'
  | 'chunk-end'
  | 'trailer'
  | 'until-close'
  | 'dead';

const HEAD_END = Buffer.from('\r\n\r\n');
const MOST_EMPTY_LINES = 4;
/** A chunk of 2^52 bytes is more than any message has; before its last digit the size is below this. */
const MOST_SIZE_BEFORE_DIGIT = 2 ** 48;
/** Zeros may lead, but not for ever. */
const MOST_SIZE_DIGITS = 64;
/** Extensions mean nothing to us (RFC 9112 §7.1.1): enough to skip them, too little to be worth abusing. */
const MOST_EXTENSION_BYTES_PER_CHUNK = 1024;
const MOST_EXTENSION_BYTES_PER_MESSAGE = 65536;

export class H1Reader {
  readonly #sink: H1ReaderSink;
  readonly #maxHeadBytes: number;
  #state: State = 'head';
  #paused = false;
  #running = false;
  /** Bytes not yet consumed: a partial head, chunk line or trailer, or whatever came while paused. */
  #rest: Buffer | null = null;
  /** How many bytes of `#rest` are known not to end the head. */
  #scanned = 0;
  #emptyLines = 0;
  #remaining = 0;
  #extensionBytes = 0;

  constructor(sink: H1ReaderSink, maxHeadBytes: number) {
    this.#sink = sink;
    this.#maxHeadBytes = maxHeadBytes;
  }

  /** True between messages with nothing of the next one read. */
  get idle(): boolean {
    return this.#state === 'head' && this.#rest === null;
  }

  /** The body at hand ends with the connection. */
  get untilClose(): boolean {
    return this.#state === 'until-close';
  }

  /** Bytes received and not looked at. */
  get restBytes(): number {
    return this.#rest === null ? 0 : this.#rest.length;
  }

  /** Called by the sink from `onHeadText`, or while paused after it. */
  expectBody(framing: BodyFraming, length: number): void {
    this.#remaining = length;
    this.#extensionBytes = 0;
    if (framing === 'length') this.#state = 'length';
    else if (framing === 'chunked') this.#state = 'chunk-size';
    else if (framing === 'close' || framing === 'tunnel') this.#state = 'until-close';
    else this.#state = 'head';
  }

  /** Leave the rest unread until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const rest = this.#rest;
    if (rest === null || this.#running) return;
    this.#rest = null;
    this.receive(rest);
  }

  /** What follows is refused: the message turned out not to be a tunnel, or the connection broke. */
  kill(): void {
    this.#state = 'dead';
    this.#rest = null;
  }

  receive(bytes: Buffer): void {
    if (this.#state === 'dead') return;
    let input = bytes;
    if (this.#rest !== null) {
      // Only ever a partial head or line (bounded by maxHeadBytes), or one read that came in spite of `pause`.
      input = Buffer.concat([this.#rest, bytes]);
      this.#rest = null;
    }
    this.#running = true;
    let at = 0;
    while (at < input.length && !this.#paused) {
      const next = this.#step(input, at);
      if (next < 0) break;
      at = next;
    }
    this.#running = false;
    if (this.#isDead() || at >= input.length) return;
    this.#rest = at === 0 ? input : input.subarray(at);
  }

  /** A method, because sinks may kill the reader while `receive` runs. */
  #isDead(): boolean {
    return this.#state === 'dead';
  }

  /** Handles what begins at `at`; returns where it ends, or -1 where more is needed or nothing more is wanted. */
  #step(input: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#head(input, at);
      case 'length':
        return this.#lengthBody(input, at);
      case 'chunk-size':
        return this.#chunkSize(input, at);
      case 'chunk-data':
        return this.#chunkData(input, at);
      case 'chunk-end':
        return this.#chunkEnd(input, at);
      case 'trailer':
        return this.#trailer(input, at);
      case 'until-close':
        this.#sink.onBody(at === 0 ? input : input.subarray(at));
        return input.length;
      case 'dead':
        return -1;
    }
  }

  #fault(fault: H1Fault): -1 {
    this.kill();
    this.#sink.onFault(fault);
    return -1;
  }

  #head(input: Buffer, at: number): number {
    if (input[at] === CR && input.length - at > 1 && input[at + 1] === LF) {
      if (++this.#emptyLines > MOST_EMPTY_LINES) return this.#fault(H1_FAULTS.emptyLines);
      return at + 2;
    }
    const found = input.indexOf(HEAD_END, at + Math.max(0, this.#scanned - 3));
    if (found < 0 || found + 4 - at > this.#maxHeadBytes) return this.#noHeadYet(input, at);
    this.#scanned = 0;
    this.#emptyLines = 0;
    const end = found + 4;
    const fault = this.#sink.onHeadText(input.toString('latin1', at, end), end < input.length);
    return fault === null ? end : this.#fault(fault);
  }

  /** No whole head within the limit: is what there is already wrong, already too long, or just not complete? */
  #noHeadYet(input: Buffer, at: number): number {
    const limit = Math.min(input.length, at + this.#maxHeadBytes);
    const bare = bareLineFeed(input, at, at + Math.max(0, this.#scanned - 1), limit);
    if (bare >= 0) {
      // Let the parser name what is wrong first; it cannot like a bare LF.
      const fault = this.#sink.onHeadText(input.toString('latin1', at, bare + 1), false);
      return this.#fault(fault ?? H1_FAULTS.lineEnd);
    }
    if (input.length - at >= this.#maxHeadBytes) {
      const line = input.indexOf(LF, at);
      const lineTooLong = line < 0 || line >= limit;
      return this.#fault(lineTooLong ? H1_FAULTS.targetTooLong : H1_FAULTS.headTooLong);
    }
    this.#scanned = input.length - at;
    return -1;
  }

  #lengthBody(input: Buffer, at: number): number {
    const take = Math.min(this.#remaining, input.length - at);
    const end = at + take;
    this.#remaining -= take;
    if (this.#remaining > 0) this.#sink.onBody(view(input, at, end));
    else {
      this.#state = 'head';
      this.#sink.onMessageEnd(view(input, at, end), end < input.length);
    }
    return end;
  }

  /** chunk-size [ chunk-ext ] CRLF, whole: a partial line is kept as rest. */
  #chunkSize(input: Buffer, at: number): number {
    let size = 0;
    let i = at;
    for (; i < input.length; i++) {
      const digit = hexDigit(input[i]!);
      if (digit < 0) break;
      if (size >= MOST_SIZE_BEFORE_DIGIT || i - at >= MOST_SIZE_DIGITS) {
        return this.#fault(H1_FAULTS.chunkSize);
      }
      size = size * 16 + digit;
    }
    if (i === input.length) return -1;
    if (i === at) return this.#fault(H1_FAULTS.chunkSize);
    if (input[i] !== CR) {
      i = this.#extension(input, i);
      if (i < 0) return -1;
    }
    if (i + 1 === input.length) return -1;
    if (input[i + 1] !== LF) return this.#fault(H1_FAULTS.lineEnd);
    this.#remaining = size;
    this.#state = size === 0 ? 'trailer' : 'chunk-data';
    return i + 2;
  }

  /** From what follows a size to the CR; -1 where that is not there, or never will be. */
  #extension(input: Buffer, at: number): number {
    if (input[at] !== SEMICOLON && !isBlank(input[at]!)) return this.#fault(H1_FAULTS.chunkSize);
    const end = skipExtension(input, at);
    const length = (end < 0 ? input.length : end) - at;
    if (end === BAD_EXTENSION || length > MOST_EXTENSION_BYTES_PER_CHUNK) {
      return this.#fault(H1_FAULTS.chunkExtension);
    }
    if (end < 0) return -1;
    this.#extensionBytes += length;
    const tooMany = this.#extensionBytes > MOST_EXTENSION_BYTES_PER_MESSAGE;
    return tooMany ? this.#fault(H1_FAULTS.chunkExtension) : end;
  }

  #chunkData(input: Buffer, at: number): number {
    const take = Math.min(this.#remaining, input.length - at);
    this.#remaining -= take;
    if (this.#remaining === 0) this.#state = 'chunk-end';
    this.#sink.onBody(view(input, at, at + take));
    return at + take;
  }

  #chunkEnd(input: Buffer, at: number): number {
    if (input[at] !== CR) return this.#fault(H1_FAULTS.chunkEnd);
    if (at + 1 === input.length) return -1;
    if (input[at + 1] !== LF) return this.#fault(H1_FAULTS.chunkEnd);
    this.#state = 'chunk-size';
    return at + 2;
  }

  #trailer(input: Buffer, at: number): number {
    if (input[at] === CR) {
      if (at + 1 === input.length) return -1;
      if (input[at + 1] !== LF) return this.#fault(H1_FAULTS.lineEnd);
      this.#state = 'head';
      this.#sink.onMessageEnd(null, at + 2 < input.length);
      return at + 2;
    }
    const found = input.indexOf(HEAD_END, at + Math.max(0, this.#scanned - 3));
    if (found < 0 || found + 4 - at > this.#maxHeadBytes) return this.#noTrailerYet(input, at);
    this.#scanned = 0;
    const end = found + 4;
    const fault = this.#sink.onTrailerText(input.toString('latin1', at, end));
    if (fault !== null) return this.#fault(fault);
    this.#state = 'head';
    this.#sink.onMessageEnd(null, end < input.length);
    return end;
  }

  #noTrailerYet(input: Buffer, at: number): number {
    const limit = Math.min(input.length, at + this.#maxHeadBytes);
    const bare = bareLineFeed(input, at, at + Math.max(0, this.#scanned - 1), limit);
    if (bare >= 0) {
      const fault = this.#sink.onTrailerText(input.toString('latin1', at, bare + 1));
      return this.#fault(fault ?? H1_FAULTS.lineEnd);
    }
    if (input.length - at >= this.#maxHeadBytes) return this.#fault(H1_FAULTS.headTooLong);
    this.#scanned = input.length - at;
    return -1;
  }
}

function view(input: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === input.length ? input : input.subarray(from, to);
}
