// Writes protobuf messages (protobuf.dev, "Encoding"): as much as telemetry needs. It knows no message types.
//
// A sidecar that traces all requests writes some twenty short fields for each: what is short and ASCII is written byte by
// byte, which costs less than the way into Buffer's own methods, and a nested message keeps one byte free for its length.

const startBytes = 4096;
/** What one byte of a varint holds. */
const oneByte = 0x80;

export class ProtobufWriter {
  #buffer = Buffer.allocUnsafe(startBytes);
  #at = 0;

  /** An int, uint, bool or enum that is not negative. */
  varint(field: number, value: number): void {
    this.#tag(field, 0);
    this.#varint(value);
  }

  /** As `high * 2 ** 32 + low`. */
  fixed64(field: number, high: number, low: number): void {
    this.#tag(field, 1);
    this.#room(8);
    this.#at = this.#buffer.writeUInt32LE(low, this.#at);
    this.#at = this.#buffer.writeUInt32LE(high, this.#at);
  }

  double(field: number, value: number): void {
    this.#tag(field, 1);
    this.#room(8);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  fixed32(field: number, value: number): void {
    this.#tag(field, 5);
    this.#room(4);
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
  }

  /** Bytes that are given in hexadecimal, lower case. */
  hex(field: number, digits: string): void {
    this.#tag(field, 2);
    const length = digits.length / 2;
    this.#varint(length);
    this.#room(length);
    const buffer = this.#buffer;
    for (let i = 0; i < length; i += 1)
      buffer[this.#at + i] =
        (nibble(digits.charCodeAt(2 * i)) << 4) | nibble(digits.charCodeAt(2 * i + 1));
    this.#at += length;
  }

  text(field: number, value: string): void {
    this.#tag(field, 2);
    if (value.length < oneByte && this.#asciiText(value)) return;
    const length = Buffer.byteLength(value);
    this.#varint(length);
    this.#room(length);
    this.#at += this.#buffer.write(value, this.#at);
  }

  /** A message inside of this one; `end` takes what this gives. */
  begin(field: number): number {
    this.#tag(field, 2);
    this.#room(1);
    this.#at += 1;
    return this.#at;
  }

  end(begin: number): void {
    const length = this.#at - begin;
    if (length < oneByte) {
      this.#buffer[begin - 1] = length;
      return;
    }
    const more = varintBytes(length) - 1;
    this.#room(more);
    // Its length needs more room than was kept: what was written moves behind it.
    this.#buffer.copyWithin(begin + more, begin, this.#at);
    this.#at = begin - 1;
    this.#varint(length);
    this.#at += length;
  }

  /** Fields that another writer wrote. */
  written(fields: Buffer): void {
    this.#room(fields.length);
    this.#at += fields.copy(this.#buffer, this.#at);
  }

  get length(): number {
    return this.#at;
  }

  /** All that was written. The writer begins anew. */
  finish(): Buffer {
    const done = this.#buffer.subarray(0, this.#at);
    this.#buffer = Buffer.allocUnsafe(startBytes);
    this.#at = 0;
    return done;
  }

  /** False, and nothing written, where a character is not ASCII. */
  #asciiText(value: string): boolean {
    const { length } = value;
    this.#room(1 + length);
    const buffer = this.#buffer;
    const at = this.#at + 1;
    for (let i = 0; i < length; i += 1) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) return false;
      buffer[at + i] = code;
    }
    buffer[this.#at] = length;
    this.#at = at + length;
    return true;
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    this.#room(10);
    let rest = value;
    // Beyond 32 bits there are no bit operations.
    for (; rest >= oneByte; rest = Math.floor(rest / oneByte))
      this.#buffer[this.#at++] = (rest % oneByte) | oneByte;
    this.#buffer[this.#at++] = rest;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= oneByte; rest = Math.floor(rest / oneByte)) bytes += 1;
  return bytes;
}

/** 0-9 are 0x30 to 0x39, a-f 0x61 to 0x66. */
function nibble(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
