// gRPC's message frames (PROTOCOL-HTTP2: one flag byte, four of length), with JSON inside. Bounded; no I/O.

const prefixBytes = 5;

export function encodeFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(prefixBytes + length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(length, 1);
  frame.write(text, prefixBytes);
  return frame;
}

export type DecodeResult =
  { ok: true; messages: string[] } | { ok: false; reason: 'too-large' | 'compressed' };

/** Collects bytes into messages. After a failure it takes no more. */
export class FrameDecoder {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #size = 0;
  #wanted = prefixBytes;
  #inBody = false;

  constructor(maxMessageBytes: number) {
    this.#maxBytes = maxMessageBytes;
  }

  /** True while part of a message waits for the rest. */
  get partial(): boolean {
    return this.#size > 0 || this.#inBody;
  }

  /** Bytes that wait for the rest of their message. */
  get held(): number {
    return this.#size;
  }

  push(bytes: Buffer): DecodeResult {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    const messages: string[] = [];
    while (this.#size >= this.#wanted) {
      const piece = this.#take(this.#wanted);
      if (this.#inBody) {
        messages.push(piece.toString('utf8'));
        this.#inBody = false;
        this.#wanted = prefixBytes;
        continue;
      }
      if (piece.readUInt8(0) !== 0) return { ok: false, reason: 'compressed' };
      this.#wanted = piece.readUInt32BE(1);
      if (this.#wanted > this.#maxBytes) return { ok: false, reason: 'too-large' };
      this.#inBody = true;
    }
    return { ok: true, messages };
  }

  #take(length: number): Buffer {
    const whole = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#size -= length;
    this.#parts = this.#size > 0 ? [whole.subarray(length)] : [];
    return whole.subarray(0, length);
  }
}
