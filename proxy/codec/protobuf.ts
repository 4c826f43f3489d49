// Writes protobuf messages (protobuf.dev, "Encoding"): as much as telemetry needs. It knows no message types.

const startBytes = 4096;

export class ProtobufWriter {
  #buffer = Buffer.allocUnsafe(startBytes);
  #at = 0;

  /** An int, uint, bool or enum that is not negative. */
  varint(field: number, value: number): void {
    this.#tag(field, 0);
    this.#varint(value);
  }

  fixed64(field: number, value: bigint): void {
    this.#tag(field, 1);
    this.#room(8);
    this.#at = this.#buffer.writeBigUInt64LE(value, this.#at);
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

  bytes(field: number, value: Buffer): void {
    this.#tag(field, 2);
    this.#varint(value.length);
    this.#room(value.length);
    this.#at += value.copy(this.#buffer, this.#at);
  }

  text(field: number, value: string): void {
    const length = Buffer.byteLength(value);
    this.#tag(field, 2);
    this.#varint(length);
    this.#room(length);
    this.#at += this.#buffer.write(value, this.#at);
  }

  /** A message inside of this one. */
  message(field: number, write: (inner: this) => void): void {
    this.#tag(field, 2);
    const begin = this.#at;
    write(this);
    const length = this.#at - begin;
    const prefix = varintBytes(length);
    this.#room(prefix);
    // Its length was not known before: what was written moves behind it.
    this.#buffer.copyWithin(begin + prefix, begin, this.#at);
    this.#at = begin;
    this.#varint(length);
    this.#at = begin + prefix + length;
  }

  /** All that was written. The writer begins anew. */
  finish(): Buffer {
    const done = this.#buffer.subarray(0, this.#at);
    this.#buffer = Buffer.allocUnsafe(startBytes);
    this.#at = 0;
    return done;
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    this.#room(10);
    let rest = value;
    // Beyond 32 bits there are no bit operations.
    for (; rest > 0x7f; rest = Math.floor(rest / 128))
      this.#buffer[this.#at++] = (rest % 128) | 0x80;
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
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}
