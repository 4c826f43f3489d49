// Collects what a connection owes its peer as few buffers: small pieces are written side by side into a slab,
// large payloads are passed on without copying. Knows nothing of protocols or sockets.

/** Payloads up to this size are cheaper to copy than to hand over as a buffer (and TLS record) of their own. */
const COPY_LIMIT = 4096;
const SLAB_BYTES = 65536;
/** A slab with less room than this is left to the garbage collector when it comes back. */
const LEAST_ROOM = 2048;
/** More free slabs than a turn of the event loop can use are memory for nothing. */
const MOST_FREE = 16;

export interface Slab {
  readonly buffer: Buffer;
  used: number;
}

/**
 * Slabs that connections share one after the other, so that an idle connection holds none. Give one pool to all
 * sessions of a process; bytes once handed out by a session are never written again.
 */
export class SlabPool {
  readonly #free: Slab[] = [];

  acquire(room: number): Slab {
    const slab = this.#free.pop();
    if (slab !== undefined && slab.buffer.length - slab.used >= room) return slab;
    return { buffer: Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, room)), used: 0 };
  }

  release(slab: Slab): void {
    const room = slab.buffer.length - slab.used;
    if (room >= LEAST_ROOM && this.#free.length < MOST_FREE) this.#free.push(slab);
  }
}

export class Output {
  readonly #pool: SlabPool;
  #parts: Buffer[] = [];
  #slab: Slab | null = null;
  /** Where the piece begins that is being written into the slab. */
  #start = 0;
  #bytes = 0;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** Bytes put in since the last `take`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `text` must be latin1. */
  text(text: string): void {
    const slab = this.#room(text.length);
    slab.buffer.write(text, slab.used, text.length, 'latin1');
    slab.used += text.length;
    this.#bytes += text.length;
  }

  /** Takes the payload over: it must not change afterwards. */
  payload(chunk: Buffer): void {
    const length = chunk.length;
    if (length === 0) return;
    this.#bytes += length;
    if (length <= COPY_LIMIT) {
      const slab = this.#room(length);
      slab.buffer.set(chunk, slab.used);
      slab.used += length;
      return;
    }
    this.#cut();
    this.#parts.push(chunk);
  }

  /**
   * A place for `room` bytes that the caller writes itself, beginning at `used`; `wrote` says how many it became.
   * Nothing else may be put in between.
   */
  open(room: number): Slab {
    return this.#room(room);
  }

  wrote(bytes: number): void {
    this.#slab!.used += bytes;
    this.#bytes += bytes;
  }

  take(): Buffer[] {
    this.#cut();
    if (this.#slab !== null) {
      this.#pool.release(this.#slab);
      this.#slab = null;
    }
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    return parts;
  }

  #room(room: number): Slab {
    const slab = this.#slab;
    if (slab !== null && slab.buffer.length - slab.used >= room) return slab;
    if (slab !== null) this.#cut();
    const next = this.#pool.acquire(room);
    this.#slab = next;
    this.#start = next.used;
    return next;
  }

  #cut(): void {
    const slab = this.#slab;
    if (slab === null || slab.used === this.#start) return;
    this.#parts.push(slab.buffer.subarray(this.#start, slab.used));
    this.#start = slab.used;
  }
}
