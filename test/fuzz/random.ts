// Random choices that a seed repeats exactly, for generators. Not for secrets.

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    // Neighbouring seeds begin alike: a few steps part them.
    for (let i = 0; i < 4; i++) this.next();
  }

  /** 32 bits (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** 0 … `limit` - 1; 0 for a limit of 0. */
  below(limit: number): number {
    return limit <= 0 ? 0 : this.next() % limit;
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Mostly small, sometimes up to `most`. */
  size(most: number): number {
    return this.below(this.oneIn(4) ? most + 1 : Math.min(most + 1, 40));
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) bytes[i] = this.next();
    return bytes;
  }

  /** `length` characters out of `from`. */
  chars(from: string, length: number): string {
    let text = '';
    for (let i = 0; i < length; i++) text += from[this.below(from.length)]!;
    return text;
  }

  /** Up to `most` things that `make` makes. */
  list<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  /** `bytes` in pieces: bytewise, in two, or anyhow. */
  split(bytes: Buffer): Buffer[] {
    const how = this.below(4);
    if (how === 0 && bytes.length < 5000)
      return Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
    const pieces: Buffer[] = [];
    const largest = how === 1 ? bytes.length : this.between(1, 300);
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + this.between(1, Math.max(1, largest)));
      pieces.push(bytes.subarray(at, end));
      at = end;
    }
    return pieces;
  }
}
