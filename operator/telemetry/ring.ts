// Numbers by time, in slots of one length, of which the last so many are kept. What was counted between two instants is spread
// evenly over the slots between them. Pure; time comes in.

export interface RingShape {
  /** Numbers in a slot. */
  readonly width: number;
  readonly slots: number;
  readonly slotMs: number;
  /** Sums of fractions of whole numbers are those whole numbers again; else to seven digits. */
  readonly exact?: boolean;
}

export class Ring {
  readonly #shape: RingShape;
  readonly #values: Float32Array | Float64Array;
  /** Number of the last slot since 1970. */
  #head: number;

  constructor(shape: RingShape, nowMs: number) {
    this.#shape = shape;
    const length = shape.width * shape.slots;
    this.#values = shape.exact === true ? new Float64Array(length) : new Float32Array(length);
    this.#head = Math.floor(nowMs / shape.slotMs);
  }

  get head(): number {
    return this.#head;
  }

  /** Slots that begin meanwhile are empty. */
  advance(nowMs: number): void {
    const { slots, slotMs } = this.#shape;
    const now = Math.floor(nowMs / slotMs);
    for (let slot = Math.max(this.#head, now - slots) + 1; slot <= now; slot += 1) {
      this.at(slot).fill(0);
    }
    this.#head = Math.max(this.#head, now);
  }

  /** `fromMs` not before `toMs`: all of it happened at `toMs`. What is older than the ring is dropped. */
  add(delta: ArrayLike<number>, fromMs: number, toMs: number): void {
    const { slots, slotMs } = this.#shape;
    this.advance(toMs);
    const spanMs = toMs - fromMs;
    if (spanMs <= 0) return this.#addTo(Math.floor(toMs / slotMs), delta, 1);
    const first = Math.max(Math.floor(fromMs / slotMs), this.#head - slots + 1);
    for (let slot = first; slot * slotMs < toMs; slot += 1) {
      const begin = Math.max(fromMs, slot * slotMs);
      const end = Math.min(toMs, (slot + 1) * slotMs);
      this.#addTo(slot, delta, (end - begin) / spanMs);
    }
  }

  /** Adds the slots that touch the time between to `sums`. */
  sumInto(sums: number[], fromMs: number, toMs: number): void {
    const { slots, slotMs, width } = this.#shape;
    const first = Math.max(Math.floor(fromMs / slotMs), this.#head - slots + 1);
    const last = Math.min(Math.ceil(toMs / slotMs) - 1, this.#head);
    for (let slot = first; slot <= last; slot += 1) {
      const begin = (slot % slots) * width;
      for (let i = 0; i < width; i += 1) sums[i]! += this.#values[begin + i]!;
    }
  }

  /** Its numbers themselves. */
  at(slot: number): Float32Array | Float64Array {
    const { slots, width } = this.#shape;
    const begin = (slot % slots) * width;
    return this.#values.subarray(begin, begin + width);
  }

  #addTo(slot: number, delta: ArrayLike<number>, part: number): void {
    const { slots, width } = this.#shape;
    if (slot <= this.#head - slots) return;
    const begin = (slot % slots) * width;
    for (let i = 0; i < width; i += 1) {
      if (delta[i] !== 0) this.#values[begin + i]! += delta[i]! * part;
    }
  }
}
