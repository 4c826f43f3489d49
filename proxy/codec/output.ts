// Collects what a connection owes its peer as few buffers: small pieces are written side by side into a slab,
// large payloads are passed on without copying. Knows nothing of protocols or sockets.

/** Payloads up to this size are cheaper to copy than to hand over as a buffer (and TLS record) of their own. */
const COPY_LIMIT = 4096;
const SLAB_BYTES = 65536;

export interface Slab {
  readonly buffer: Buffer;
  used: number;
}

/**
 * The slab that all connections of a process write into, one after the other: what a turn of the event loop costs in
 * memory is what was said in it, however many connections spoke, and an idle connection holds none. Give one to all
 * sessions; bytes once handed out by a session are never written again.
 */
export class SlabPool {
  #current: Slab = { buffer: Buffer.alloc(0), used: 0 };

  /** A slab with so much room behind `used`. */
  withRoom(room: number): Slab {
    const slab = this.#current;
    if (slab.buffer.length - slab.used >= room) return slab;
    const next = { buffer: Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, room)), used: 0 };
    // One that is all but full already would only be in the way.
    if (room < SLAB_BYTES) this.#current = next;
    return next;
  }
}

export class Output {
  readonly #pool: SlabPool;
  #parts: Buffer[] = [];
  #slab: Slab | null = null;
  /** The piece that is being written into the slab; another session may write behind its end at any time. */
  #start = 0;
  #end = 0;
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
    this.#advance(slab, text.length);
  }

  /** Takes the payload over: it must not change afterwards. */
  payload(chunk: Buffer): void {
    const length = chunk.length;
    if (length === 0) return;
    if (length <= COPY_LIMIT) {
      const slab = this.#room(length);
      slab.buffer.set(chunk, slab.used);
      this.#advance(slab, length);
      return;
    }
    this.#cut();
    this.#bytes += length;
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
    this.#advance(this.#slab!, bytes);
  }

  take(): Buffer[] {
    this.#cut();
    this.#slab = null;
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    return parts;
  }

  #room(room: number): Slab {
    const slab = this.#slab;
    if (slab !== null && slab.used === this.#end && slab.buffer.length - this.#end >= room)
      return slab;
    this.#cut();
    const next = this.#pool.withRoom(room);
    this.#slab = next;
    this.#start = next.used;
    this.#end = next.used;
    return next;
  }

  #advance(slab: Slab, bytes: number): void {
    slab.used += bytes;
    this.#end = slab.used;
    this.#bytes += bytes;
  }

  #cut(): void {
    const slab = this.#slab;
    if (slab === null || this.#end === this.#start) return;
    this.#parts.push(slab.buffer.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }
}
