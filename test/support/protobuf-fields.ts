// Test support: the top-level fields of a protobuf message as they stand, so that a program between two
// others can change one and leave the rest alone. It knows no message types.

export interface ProtobufField {
  number: number;
  /** A varint's value; -1 for other wire types. */
  value: number;
  /** Without the length, for wire type 2; empty for others. */
  content: Buffer;
  /** With the tag, as it stood. */
  bytes: Buffer;
}

/** Throws where the bytes are no message. */
export function readFields(message: Buffer): ProtobufField[] {
  const fields: ProtobufField[] = [];
  for (let at = 0; at < message.length;) {
    const tag = readVarint(message, at);
    const field = readValue(message, tag.end, tag.value & 7);
    const bytes = message.subarray(at, field.end);
    fields.push({ number: tag.value >>> 3, value: field.value, content: field.content, bytes });
    at = field.end;
  }
  return fields;
}

export function varintField(number: number, value: number): Buffer {
  return Buffer.from([...varint(number << 3), ...varint(value)]);
}

/** Messages in a stream, each behind its length in 4 bytes. */
export class DelimitedReader {
  private held = Buffer.alloc(0);

  push(bytes: Buffer): Buffer[] {
    this.held = Buffer.concat([this.held, bytes]);
    const messages: Buffer[] = [];
    while (this.held.length >= 4) {
      const end = 4 + this.held.readUInt32BE(0);
      if (this.held.length < end) break;
      messages.push(this.held.subarray(4, end));
      this.held = this.held.subarray(end);
    }
    return messages;
  }
}

export function delimited(message: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return Buffer.concat([length, message]);
}

function readValue(
  message: Buffer,
  at: number,
  wireType: number,
): { value: number; content: Buffer; end: number } {
  const none = Buffer.alloc(0);
  switch (wireType) {
    case 0: {
      const { value, end } = readVarint(message, at);
      return { value, content: none, end };
    }
    case 1:
      return { value: -1, content: none, end: at + 8 };
    case 2: {
      const length = readVarint(message, at);
      const end = length.end + length.value;
      return { value: -1, content: message.subarray(length.end, end), end };
    }
    case 5:
      return { value: -1, content: none, end: at + 4 };
    default:
      throw new Error(`protobuf: wire type ${wireType} at byte ${at}`);
  }
}

function readVarint(message: Buffer, from: number): { value: number; end: number } {
  let value = 0;
  for (let at = from, factor = 1; at < message.length; at += 1, factor *= 128) {
    const byte = message[at]!;
    value += (byte & 127) * factor;
    if (byte < 128) return { value, end: at + 1 };
  }
  throw new Error(`protobuf: a varint at byte ${from} has no end`);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return bytes;
}
