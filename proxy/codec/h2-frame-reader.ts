// Cuts the bytes of an HTTP/2 connection into frames (RFC 9113 §4.1). DATA is passed on as it comes, without being
// put together; other frames come whole. Interprets nothing but length, type and padding of DATA.
import { H2_PREFACE } from './detect.ts';
import { FLAG, FRAME, FRAME_HEADER_BYTES, H2_ERROR } from './h2-frames.ts';

export interface H2FrameSink {
  /** `payload` is a view. DATA never comes here. */
  onFrame(type: number, flags: number, id: number, payload: Buffer): void;
  /** A DATA frame begins; `length` is what flow control counts (RFC 9113 §6.9.1). */
  onDataStart(id: number, length: number, end: boolean): void;
  /** A piece of it without padding; `last`: the frame is complete. An empty frame gives one empty, last piece. */
  onDataPiece(piece: Buffer, last: boolean): void;
  /** Octets of it that carry nothing: padding and its length. */
  onDataPadding(bytes: number): void;
  onFrameError(code: number, text: string): void;
}

type State = 'preface' | 'header' | 'payload' | 'pad-length' | 'data' | 'padding' | 'dead';

export class H2FrameReader {
  readonly #sink: H2FrameSink;
  readonly #maxFrameBytes: number;
  #state: State;
  #prefaceAt = 0;
  /** A frame header or payload that a read cut in two, and how much of it is there. */
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #have = 0;
  #payload: Buffer = NOTHING;
  #type = 0;
  #flags = 0;
  #id = 0;
  /** What is left of the DATA payload without padding, and of the padding. */
  #left = 0;
  #padding = 0;

  constructor(sink: H2FrameSink, maxFrameBytes: number, expectPreface: boolean) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
    this.#state = expectPreface ? 'preface' : 'header';
  }

  /** A frame that is not DATA began, and goes on. */
  get isAmidFrame(): boolean {
    return this.#state === 'payload' || this.#state === 'preface' || this.#have > 0;
  }

  kill(): void {
    this.#state = 'dead';
    this.#payload = NOTHING;
  }

  receive(input: Buffer): void {
    let at = 0;
    while (at < input.length) {
      switch (this.#state) {
        case 'header':
          at = this.#readHeader(input, at);
          break;
        case 'data':
          at = this.#readData(input, at);
          break;
        case 'payload':
          at = this.#readPayload(input, at);
          break;
        case 'pad-length':
          at = this.#readPadLength(input, at);
          break;
        case 'padding':
          at = this.#skipPadding(input, at);
          break;
        case 'preface':
          at = this.#readPreface(input, at);
          break;
        case 'dead':
          return;
      }
    }
  }

  #fail(code: number, text: string): void {
    this.kill();
    this.#sink.onFrameError(code, text);
  }

  #readPreface(input: Buffer, at: number): number {
    const length = Math.min(input.length - at, H2_PREFACE.length - this.#prefaceAt);
    const from = this.#prefaceAt;
    if (input.compare(H2_PREFACE, from, from + length, at, at + length) !== 0) {
      this.#fail(H2_ERROR.protocol, 'not the HTTP/2 preface');
    } else {
      this.#prefaceAt += length;
      if (this.#prefaceAt === H2_PREFACE.length) this.#state = 'header';
    }
    return at + length;
  }

  #readHeader(input: Buffer, at: number): number {
    if (this.#have === 0 && input.length - at >= FRAME_HEADER_BYTES) {
      this.#begin(input, at);
      return this.#wholeFrame(input, at + FRAME_HEADER_BYTES);
    }
    const take = Math.min(FRAME_HEADER_BYTES - this.#have, input.length - at);
    input.copy(this.#header, this.#have, at, at + take);
    this.#have += take;
    if (this.#have < FRAME_HEADER_BYTES) return at + take;
    this.#have = 0;
    this.#begin(this.#header, 0);
    return this.#wholeFrame(input, at + take);
  }

  /** Takes the frame header at `at`, and says by the state what follows. */
  #begin(bytes: Buffer, at: number): void {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    this.#type = bytes[at + 3]!;
    this.#flags = bytes[at + 4]!;
    this.#id = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    this.#left = length;
    if (length > this.#maxFrameBytes) return this.#fail(H2_ERROR.frameSize, 'frame too large');
    if (this.#type === FRAME.data) this.#beginData(length);
    else this.#state = 'payload';
  }

  #beginData(length: number): void {
    const padded = (this.#flags & FLAG.padded) !== 0;
    if (padded && length === 0) return this.#fail(H2_ERROR.frameSize, 'padding without length');
    this.#padding = 0;
    this.#state = padded ? 'pad-length' : 'data';
    this.#sink.onDataStart(this.#id, length, (this.#flags & FLAG.endStream) !== 0);
    if (this.#state === 'data' && length === 0) {
      this.#state = 'header';
      this.#sink.onDataPiece(NOTHING, true);
    }
  }

  /** The common case: the payload of a frame that is not DATA lies in one read. */
  #wholeFrame(input: Buffer, at: number): number {
    if (this.#state !== 'payload') return at;
    const end = at + this.#left;
    if (end > input.length) {
      this.#payload = Buffer.allocUnsafe(this.#left);
      return at;
    }
    this.#state = 'header';
    this.#sink.onFrame(this.#type, this.#flags, this.#id, input.subarray(at, end));
    return end;
  }

  #readPayload(input: Buffer, at: number): number {
    const filled = this.#payload.length - this.#left;
    const take = Math.min(this.#left, input.length - at);
    input.copy(this.#payload, filled, at, at + take);
    this.#left -= take;
    if (this.#left > 0) return at + take;
    const payload = this.#payload;
    this.#payload = NOTHING;
    this.#state = 'header';
    this.#sink.onFrame(this.#type, this.#flags, this.#id, payload);
    return at + take;
  }

  #readPadLength(input: Buffer, at: number): number {
    this.#padding = input[at]!;
    this.#left -= 1 + this.#padding;
    if (this.#left < 0) this.#fail(H2_ERROR.protocol, 'more padding than payload');
    else {
      this.#sink.onDataPadding(1 + this.#padding);
      // The sink may have ended the connection.
      if (this.#state === 'pad-length') this.#state = 'data';
      if (this.#state === 'data' && this.#left === 0) this.#endData(NOTHING);
    }
    return at + 1;
  }

  #readData(input: Buffer, at: number): number {
    const take = Math.min(this.#left, input.length - at);
    const end = at + take;
    const piece = at === 0 && end === input.length ? input : input.subarray(at, end);
    this.#left -= take;
    if (this.#left > 0) this.#sink.onDataPiece(piece, false);
    else this.#endData(piece);
    return end;
  }

  #endData(piece: Buffer): void {
    this.#state = this.#padding > 0 ? 'padding' : 'header';
    this.#sink.onDataPiece(piece, true);
  }

  #skipPadding(input: Buffer, at: number): number {
    const take = Math.min(this.#padding, input.length - at);
    this.#padding -= take;
    if (this.#padding === 0) this.#state = 'header';
    return at + take;
  }
}

const NOTHING: Buffer = Buffer.alloc(0);
