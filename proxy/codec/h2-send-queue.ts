// What one HTTP/2 stream still has to send, and how much of it the peer's window lets through. A queue, no frames.
import type { Fields } from './session.ts';

const GONE = Buffer.alloc(0);
/** Places of chunks that went, before they are taken out together. */
const MOST_GONE = 64;

/** Hears from the sender what became of the queue. */
export interface SendQueueOwner {
  /** END_STREAM was written. */
  onSendDone(): void;
  onQueueDrained(): void;
}

export interface Trailers {
  fields: Fields;
  /** Of names and values together. */
  octets: number;
  /** Names whose values are to be sent as never indexed. */
  never: readonly string[] | null;
}

export class H2SendQueue {
  id: number;
  readonly owner: SendQueueOwner;
  /** May be negative after the peer made its initial window smaller (RFC 9113 §6.9.2). */
  window: number;
  bytes = 0;
  /** Nothing is put in after this; the stream's half ends when the queue is empty. */
  end = false;
  trailers: Trailers | null = null;
  wantsDrain = false;
  /** Sweeps of the connection since bytes were written. */
  sweepsUnmoved = 0;
  /** In the sender's round. */
  scheduled = false;
  #chunks: Buffer[] = [];
  #first = 0;
  #offset = 0;

  constructor(id: number, owner: SendQueueOwner, window: number) {
    this.id = id;
    this.owner = owner;
    this.window = window;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
  }

  /** The next piece, at most `most` bytes of one chunk; only while `bytes` is above 0. */
  shift(most: number): Buffer {
    const chunk = this.#chunks[this.#first]!;
    const left = chunk.length - this.#offset;
    const take = Math.min(left, most);
    const whole = take === chunk.length;
    const piece = whole ? chunk : chunk.subarray(this.#offset, this.#offset + take);
    this.bytes -= take;
    this.#offset += take;
    if (take === left) this.#next();
    return piece;
  }

  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#offset = 0;
    this.bytes = 0;
    this.trailers = null;
    this.wantsDrain = false;
  }

  /** Lets the chunk go at once: under a steady sender the queue is never empty, and would hold all of a body. */
  #next(): void {
    this.#offset = 0;
    this.#chunks[this.#first++] = GONE;
    if (this.#first < this.#chunks.length && this.#first < MOST_GONE) return;
    this.#chunks.splice(0, this.#first);
    this.#first = 0;
  }
}
