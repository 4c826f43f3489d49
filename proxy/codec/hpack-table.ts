// The static and the dynamic table of HPACK (RFC 7541 §2.3, Appendix A). Entries are counted from the oldest ever
// inserted; the index on the wire counts from the newest.

/** Index 1 is the first; name and value alternate. */
const STATIC: readonly (readonly [string, string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

export const STATIC_COUNT = 61;
/** [0] is empty, so that the wire's index is the position. */
export const STATIC_NAMES: readonly string[] = ['', ...STATIC.map(([name]) => name)];
export const STATIC_VALUES: readonly string[] = ['', ...STATIC.map(([, value]) => value)];

/** RFC 7541 §4.1: what an entry costs beside its octets. */
export const ENTRY_OVERHEAD = 32;

/** A ring of entries, with a number that the owner may attach to each. */
export class DynamicTable {
  #names: string[] = [];
  #values: string[] = [];
  #notes: number[] = [];
  #oldest = 0;
  #inserted = 0;
  #bytes = 0;
  #maxBytes: number;
  readonly #onEvict: ((name: string, value: string, ordinal: number) => void) | null;

  constructor(
    maxBytes: number,
    onEvict: ((name: string, value: string, ordinal: number) => void) | null = null,
  ) {
    this.#maxBytes = maxBytes;
    this.#onEvict = onEvict;
  }

  get count(): number {
    return this.#inserted - this.#oldest;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** How many entries were ever inserted: the ordinal of the next. */
  get inserted(): number {
    return this.#inserted;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  /** True if it went in; an entry larger than the table only empties it (RFC 7541 §4.4). */
  insert(name: string, value: string, note: number): boolean {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    this.#evictTo(this.#maxBytes - size);
    if (size > this.#maxBytes) return false;
    const slots = this.#names.length;
    if (this.count === slots) this.#grow();
    const slot = this.#inserted & (this.#names.length - 1);
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#notes[slot] = note;
    this.#inserted++;
    this.#bytes += size;
    return true;
  }

  /** The slot of the entry `age` insertions old (0: the newest), or -1; for `nameAt` and the like, until the next insert. */
  slot(age: number): number {
    return age < this.count ? (this.#inserted - 1 - age) & (this.#names.length - 1) : -1;
  }

  nameAt(slot: number): string {
    return this.#names[slot]!;
  }

  valueAt(slot: number): string {
    return this.#values[slot]!;
  }

  noteAt(slot: number): number {
    return this.#notes[slot]!;
  }

  #evictTo(bytes: number): void {
    while (this.#bytes > bytes && this.#oldest < this.#inserted) {
      const slot = this.#oldest & (this.#names.length - 1);
      const name = this.#names[slot]!;
      const value = this.#values[slot]!;
      this.#bytes -= name.length + value.length + ENTRY_OVERHEAD;
      this.#names[slot] = '';
      this.#values[slot] = '';
      this.#onEvict?.(name, value, this.#oldest);
      this.#oldest++;
    }
  }

  /** A power of two, so that a slot is a mask away from an ordinal. */
  #grow(): void {
    const slots = Math.max(16, this.#names.length * 2);
    const names: string[] = Array.from({ length: slots }, () => '');
    const values: string[] = Array.from({ length: slots }, () => '');
    const notes: number[] = Array.from({ length: slots }, () => 0);
    for (let ordinal = this.#oldest; ordinal < this.#inserted; ordinal++) {
      const from = ordinal & (this.#names.length - 1);
      const to = ordinal & (slots - 1);
      names[to] = this.#names[from]!;
      values[to] = this.#values[from]!;
      notes[to] = this.#notes[from]!;
    }
    this.#names = names;
    this.#values = values;
    this.#notes = notes;
  }
}
