// Puts a header block together from HEADERS and CONTINUATION (RFC 9113 §6.2, §6.10), within bounds.
import { FLAG } from './h2-frames.ts';

/** Nobody who means well cuts a block of this size into more pieces. */
const MOST_CONTINUATIONS = 32;

export class HeaderBlock {
  readonly #maxBytes: number;
  #text = '';
  #continuations = 0;
  /** The stream whose block is open; 0: none. */
  id = 0;
  endStream = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes a HEADERS payload without padding and priority. Null: padding is wrong. */
  static fragment(payload: Buffer, flags: number): Buffer | null {
    let from = 0;
    let to = payload.length;
    if ((flags & FLAG.padded) !== 0) {
      from = 1;
      to -= payload[0] ?? 0;
    }
    if ((flags & FLAG.priority) !== 0) from += 5;
    return from <= to ? payload.subarray(from, to) : null;
  }

  begin(id: number, endStream: boolean, fragment: Buffer): void {
    this.id = id;
    this.endStream = endStream;
    this.#continuations = 0;
    this.#text = fragment.toString('latin1');
  }

  /** False: more than anybody should send. */
  add(fragment: Buffer): boolean {
    this.#text += fragment.toString('latin1');
    this.#continuations++;
    return this.#text.length <= this.#maxBytes && this.#continuations <= MOST_CONTINUATIONS;
  }

  get fits(): boolean {
    return this.#text.length <= this.#maxBytes;
  }

  /** The whole block, one byte per character; none is open afterwards. */
  take(): string {
    const text = this.#text;
    this.#text = '';
    this.id = 0;
    return text;
  }
}
