// Remembers the streams that ended last, to tell a late frame from a wrong one (RFC 9113 §5.1 "closed").

const SIZE = 128;

export class ClosedIds {
  #ids: Int32Array | null = null;
  #byUs: Uint8Array | null = null;
  #next = 0;

  /** `byUs`: this side sent RST_STREAM, so frames of the peer may still be under way. */
  add(id: number, byUs: boolean): void {
    this.#ids ??= new Int32Array(SIZE);
    this.#byUs ??= new Uint8Array(SIZE);
    this.#ids[this.#next] = id;
    this.#byUs[this.#next] = byUs ? 1 : 0;
    this.#next = (this.#next + 1) % SIZE;
  }

  /** Null: not among the last. */
  find(id: number): 'reset-by-us' | 'ended' | null {
    const at = this.#ids === null ? -1 : this.#ids.lastIndexOf(id);
    if (at < 0) return null;
    return this.#byUs![at] === 1 ? 'reset-by-us' : 'ended';
  }
}
