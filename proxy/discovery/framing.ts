// gRPC's five-byte message frames (grpc/doc/PROTOCOL-HTTP2.md): text in, frames out, and back. No I/O.

/** A push of everything that a pod with thousands of destinations talks to stays far below. */
export const maxMessageBytes = 32 << 20;

const prefixBytes = 5;

export function encodeFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(prefixBytes + length);
  frame[0] = 0;
  frame.writeUInt32BE(length, 1);
  frame.write(text, prefixBytes, 'utf8');
  return frame;
}

export class FramingError extends Error {
  override name = 'FramingError';
}

export interface FrameDecoder {
  /** Complete messages in order. Throws a FramingError, after which the decoder is useless. */
  push(bytes: Buffer): string[];
}

export function createFrameDecoder(maxBytes = maxMessageBytes): FrameDecoder {
  let parts: Buffer[] = [];
  let held = 0;

  /** Bytes of the message whose prefix stands first; null while the prefix is incomplete. */
  function nextLength(): number | null {
    if (held < prefixBytes) return null;
    const first = parts[0]!.length >= prefixBytes ? parts[0]! : joined();
    if (first[0] !== 0) throw new FramingError('a compressed message, which was not agreed on');
    const length = first.readUInt32BE(1);
    if (length > maxBytes)
      throw new FramingError(`a message of ${length} bytes, above ${maxBytes}`);
    return length;
  }

  function joined(): Buffer {
    if (parts.length > 1) parts = [Buffer.concat(parts)];
    return parts[0] ?? Buffer.alloc(0);
  }

  return {
    push(bytes) {
      parts.push(bytes);
      held += bytes.length;
      const messages: string[] = [];
      for (;;) {
        const length = nextLength();
        if (length === null || held < prefixBytes + length) return messages;
        const all = joined();
        messages.push(all.toString('utf8', prefixBytes, prefixBytes + length));
        parts = [all.subarray(prefixBytes + length)];
        held = parts[0]!.length;
      }
    },
  };
}
