// Decodes HPACK header blocks (RFC 7541 §6). Says field by field what a block holds; what the fields mean, and
// whether they may be, is the sink's business.
import { huffmanDecode } from './hpack-huffman.ts';
import { DynamicTable, STATIC_COUNT, STATIC_NAMES, STATIC_VALUES } from './hpack-table.ts';

export interface FieldSink {
  /**
   * A number about the field that is worth remembering with it: computed once for each entry of a table, and for each
   * literal, and handed to `onField`.
   */
  classify(name: string, value: string): number;
  /** `never`: a never-indexed literal, to be sent on as one (RFC 7541 §6.2.3). */
  onField(name: string, value: string, note: number, never: boolean): void;
}

/** Longer strings than the block is could only come from Huffman: at most 8/5 of it. */
const FIRST_SCRATCH_BYTES = 512;
const SCRATCH_KEPT_BYTES = 4096;

export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #limit: number;
  readonly #sink: FieldSink;
  readonly #staticNotes: number[];
  #scratch: Buffer | null = null;
  #text = '';
  #at = 0;
  #end = 0;
  #bad = false;

  /** `maxTableBytes`: what SETTINGS_HEADER_TABLE_SIZE grants the peer's encoder. */
  constructor(maxTableBytes: number, sink: FieldSink) {
    this.#limit = maxTableBytes;
    this.#table = new DynamicTable(maxTableBytes);
    this.#sink = sink;
    this.#staticNotes = STATIC_NAMES.map((name, i) => sink.classify(name, STATIC_VALUES[i]!));
  }

  get tableBytes(): number {
    return this.#table.bytes;
  }

  /** `block`: a whole header block, one byte per character. False: a COMPRESSION_ERROR, the decoder is of no more use. */
  decode(block: string): boolean {
    this.#text = block;
    this.#end = block.length;
    this.#at = 0;
    this.#bad = false;
    let first = true;
    while (this.#at < this.#end) {
      const byte = block.charCodeAt(this.#at++);
      if (byte >= 0x80) this.#indexed(this.#integer(byte, 0x7f));
      else if (byte >= 0x40) this.#literal(this.#integer(byte, 0x3f), true, false);
      else if (byte >= 0x20) this.#sizeUpdate(this.#integer(byte, 0x1f), first);
      else this.#literal(this.#integer(byte, 0x0f), false, byte >= 0x10);
      if (this.#bad) return false;
      // Size updates come before the first field (RFC 7541 §4.2).
      if (byte >= 0x40 || byte < 0x20) first = false;
    }
    if (this.#scratch !== null && this.#scratch.length > SCRATCH_KEPT_BYTES) this.#scratch = null;
    this.#text = '';
    return true;
  }

  #indexed(index: number): void {
    if (this.#bad) return;
    if (index <= STATIC_COUNT) {
      if (index === 0) this.#bad = true;
      else {
        const note = this.#staticNotes[index]!;
        this.#sink.onField(STATIC_NAMES[index]!, STATIC_VALUES[index]!, note, false);
      }
      return;
    }
    const table = this.#table;
    const slot = table.slot(index - STATIC_COUNT - 1);
    if (slot < 0) this.#bad = true;
    else this.#sink.onField(table.nameAt(slot), table.valueAt(slot), table.noteAt(slot), false);
  }

  #literal(nameIndex: number, index: boolean, never: boolean): void {
    if (this.#bad) return;
    const name = nameIndex === 0 ? this.#string() : this.#nameOf(nameIndex);
    const value = this.#string();
    if (this.#bad) return;
    const note = this.#sink.classify(name, value);
    if (index) this.#table.insert(name, value, note);
    this.#sink.onField(name, value, note, never);
  }

  #nameOf(index: number): string {
    if (index <= STATIC_COUNT) return STATIC_NAMES[index]!;
    const slot = this.#table.slot(index - STATIC_COUNT - 1);
    if (slot >= 0) return this.#table.nameAt(slot);
    this.#bad = true;
    return '';
  }

  #sizeUpdate(bytes: number, allowed: boolean): void {
    if (!allowed || bytes > this.#limit) this.#bad = true;
    else this.#table.resize(bytes);
  }

  /** RFC 7541 §5.1, bounded to 28 bits: no index, length or size that means anything is larger. */
  #integer(byte: number, mask: number): number {
    let value = byte & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) break;
      const next = this.#text.charCodeAt(this.#at++);
      value += (next & 0x7f) << shift;
      if (next < 0x80) return value;
    }
    this.#bad = true;
    return 0;
  }

  #string(): string {
    if (this.#bad || this.#at >= this.#end) {
      this.#bad = true;
      return '';
    }
    const byte = this.#text.charCodeAt(this.#at++);
    const length = this.#integer(byte, 0x7f);
    const from = this.#at;
    const to = from + length;
    if (this.#bad || to > this.#end) {
      this.#bad = true;
      return '';
    }
    this.#at = to;
    return byte < 0x80 ? this.#text.slice(from, to) : this.#huffman(from, to);
  }

  #huffman(from: number, to: number): string {
    const need = (to - from) * 2;
    if (this.#scratch === null || this.#scratch.length < need) {
      this.#scratch = Buffer.allocUnsafeSlow(Math.max(FIRST_SCRATCH_BYTES, need));
    }
    const length = huffmanDecode(this.#text, from, to, this.#scratch);
    if (length >= 0) return this.#scratch.toString('latin1', 0, length);
    this.#bad = true;
    return '';
  }
}
