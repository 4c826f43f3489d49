// Encodes header blocks as HPACK (RFC 7541 §6) into a buffer of the caller. Decides what is worth an entry in the
// table: values that come back, not those that change with every request.
import { huffmanEncode, huffmanLength } from './hpack-huffman.ts';
import { DynamicTable, STATIC_COUNT, STATIC_NAMES, STATIC_VALUES } from './hpack-table.ts';

/** `smaller`: Huffman where it saves bytes; `never`: always plain, which costs the least CPU on both ends. */
export type HuffmanUse = 'smaller' | 'never';

/** Never-indexed, so that no table can be probed for them (RFC 7541 §7.1.3). */
export const SENSITIVE: ReadonlySet<string> = new Set(
  'authorization proxy-authorization cookie set-cookie x-api-key x-auth-token'.split(' '),
);
/** A value this long would push out most of the table. */
const LONGEST_INDEXED = 1024;
/** How many values of a name may be indexed without one of them coming back. */
const TRUST = 3;
const MOST_TRUST = 8;
/** An index, two string lengths and a flag byte never need more. */
const MOST_FIELD_OVERHEAD = 16;
/** Up to here a loop beats the call into the runtime that copies a string. */
const SHORT_STRING = 24;

/** First bytes of the literal representations (RFC 7541 §6.2). */
const INDEXING = 0x40;
const NOT_INDEXING = 0x00;
const NEVER_INDEXED = 0x10;

/** What the encoder knows of one field name. */
interface NameEntry {
  /** Of the static table; 0: none. */
  readonly staticIndex: number;
  readonly staticValues: ReadonlyMap<string, number> | null;
  readonly sensitive: boolean;
  /** Value → ordinal in the dynamic table. */
  readonly values: Map<string, number>;
  trust: number;
  /** A value that was not indexed: if it comes again, it is. */
  lastValue: string;
}

function buildStatic(): ReadonlyMap<string, { index: number; values: Map<string, number> }> {
  const names = new Map<string, { index: number; values: Map<string, number> }>();
  for (let i = 1; i <= STATIC_COUNT; i++) {
    const name = STATIC_NAMES[i]!;
    const known = names.get(name) ?? { index: i, values: new Map<string, number>() };
    if (STATIC_VALUES[i] !== '') known.values.set(STATIC_VALUES[i]!, i);
    names.set(name, known);
  }
  return names;
}

const STATIC_BY_NAME = buildStatic();

export class HpackEncoder {
  readonly #table: DynamicTable;
  readonly #names = new Map<string, NameEntry>();
  readonly #huffman: HuffmanUse;
  readonly #ownMax: number;
  /** Size updates owed at the start of the next block: the smallest since the last block, and the last. */
  #smallest = -1;
  #pending = -1;
  #into: Buffer = NOTHING;
  #at = 0;

  /** `maxTableBytes`: the most this side wants to keep; the peer's setting may lower it. */
  constructor(maxTableBytes: number, huffman: HuffmanUse) {
    this.#ownMax = maxTableBytes;
    // 4096 until the peer's settings say otherwise (RFC 9113 §6.5.2).
    this.#table = new DynamicTable(Math.min(4096, maxTableBytes), (name, value, ordinal) =>
      this.#forget(name, value, ordinal),
    );
    this.#huffman = huffman;
    if (maxTableBytes < 4096) {
      this.#smallest = maxTableBytes;
      this.#pending = maxTableBytes;
    }
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerLimit(bytes: number): void {
    const size = Math.min(bytes, this.#ownMax);
    if (this.#pending < 0 && size === this.#table.maxBytes) return;
    this.#smallest = this.#pending < 0 ? size : Math.min(this.#smallest, size);
    this.#pending = size;
  }

  /** An upper bound for a block of `count` fields with `octets` in names and values together. */
  static room(octets: number, count: number): number {
    return octets + (count + 2) * MOST_FIELD_OVERHEAD;
  }

  /** Fields are then written one by one with `field`, from `at` on; `into` must have the room. */
  begin(into: Buffer, at: number): void {
    this.#into = into;
    this.#at = at;
    if (this.#pending < 0) return;
    if (this.#smallest < this.#pending) this.#integer(0x20, 0x1f, this.#smallest);
    this.#integer(0x20, 0x1f, this.#pending);
    this.#table.resize(this.#smallest);
    this.#table.resize(this.#pending);
    this.#pending = -1;
  }

  /** Where the block ends. */
  end(): number {
    this.#into = NOTHING;
    return this.#at;
  }

  /** `never`: this value is to be indexed by nobody on its way. */
  field(name: string, value: string, never = false): void {
    const entry = this.#names.get(name) ?? this.#entryOf(name);
    if (never || entry.sensitive) return this.#literal(NEVER_INDEXED, entry, name, value);
    const inStatic = entry.staticValues === null ? undefined : entry.staticValues.get(value);
    if (inStatic !== undefined) {
      this.#into[this.#at++] = 0x80 | inStatic;
      return;
    }
    const ordinal = entry.values.get(value);
    if (ordinal !== undefined) {
      if (entry.trust < MOST_TRUST) entry.trust++;
      this.#integer(0x80, 0x7f, STATIC_COUNT + this.#table.inserted - ordinal);
      return;
    }
    if (!this.#worthIndexing(entry, value)) return this.#literal(NOT_INDEXING, entry, name, value);
    this.#literal(INDEXING, entry, name, value);
    const inserted = this.#table.inserted;
    if (this.#table.insert(name, value, 0)) {
      // Inserting may have evicted the last value of this very name.
      entry.values.set(value, inserted);
      this.#names.set(name, entry);
    }
  }

  #worthIndexing(entry: NameEntry, value: string): boolean {
    if (value.length > LONGEST_INDEXED) return false;
    if (entry.trust > 0) {
      entry.trust--;
      return true;
    }
    if (entry.lastValue === value) return true;
    entry.lastValue = value;
    return false;
  }

  #entryOf(name: string): NameEntry {
    const known = STATIC_BY_NAME.get(name);
    const entry: NameEntry = {
      staticIndex: known === undefined ? 0 : known.index,
      staticValues: known === undefined || known.values.size === 0 ? null : known.values,
      sensitive: SENSITIVE.has(name),
      values: new Map<string, number>(),
      trust: TRUST,
      lastValue: '',
    };
    // Names of the static table are few; others are remembered while they have a value in the table.
    if (known !== undefined) this.#names.set(name, entry);
    return entry;
  }

  #forget(name: string, value: string, ordinal: number): void {
    const entry = this.#names.get(name)!;
    if (entry.values.get(value) === ordinal) entry.values.delete(value);
    if (entry.values.size === 0 && entry.staticIndex === 0) this.#names.delete(name);
  }

  #literal(pattern: number, entry: NameEntry, name: string, value: string): void {
    const mask = pattern === INDEXING ? 0x3f : 0x0f;
    let index = entry.staticIndex;
    if (index === 0 && entry.values.size > 0) {
      for (const ordinal of entry.values.values()) {
        index = STATIC_COUNT + this.#table.inserted - ordinal;
        break;
      }
    }
    this.#integer(pattern, mask, index);
    if (index === 0) this.#string(name);
    this.#string(value);
  }

  #integer(pattern: number, mask: number, value: number): void {
    if (value < mask) {
      this.#into[this.#at++] = pattern | value;
      return;
    }
    this.#into[this.#at++] = pattern | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      this.#into[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#into[this.#at++] = rest;
  }

  #string(text: string): void {
    const length = text.length;
    if (this.#huffman === 'smaller') {
      const coded = huffmanLength(text);
      if (coded < length) {
        this.#integer(0x80, 0x7f, coded);
        this.#at = huffmanEncode(text, this.#into, this.#at);
        return;
      }
    }
    this.#integer(0, 0x7f, length);
    if (length <= SHORT_STRING) {
      const into = this.#into;
      let at = this.#at;
      for (let i = 0; i < length; i++) into[at++] = text.charCodeAt(i);
    } else this.#into.write(text, this.#at, length, 'latin1');
    this.#at += length;
  }
}

const NOTHING: Buffer = Buffer.alloc(0);
