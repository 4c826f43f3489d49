// The little of gRPC that the test apps need: length-prefixed frames and a message of one string
// field (protobuf: tag 0x0a, varint length, UTF-8).

export const echoService = '/tsmesh.test.Echo';
export const healthCheck = '/grpc.health.v1.Health/Check';

export function encodeMessage(text: string): Buffer {
  const utf8 = Buffer.from(text);
  const length: number[] = [];
  let rest = utf8.length;
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128);
  length.push(rest);
  return frame(Buffer.concat([Buffer.from([0x0a, ...length]), utf8]));
}

export function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

export function decodeMessage(message: Buffer): string {
  if (message[0] !== 0x0a) return '';
  let at = 1;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = message[at++] ?? 0;
    length |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  return message.subarray(at, at + length).toString();
}

/** Collects bytes and hands out each complete message. */
export class FrameReader {
  #held = Buffer.alloc(0);

  push(bytes: Buffer): Buffer[] {
    this.#held = Buffer.concat([this.#held, bytes]);
    const messages: Buffer[] = [];
    while (this.#held.length >= 5) {
      const length = this.#held.readUInt32BE(1);
      if (this.#held.length < 5 + length) break;
      messages.push(this.#held.subarray(5, 5 + length));
      this.#held = this.#held.subarray(5 + length);
    }
    return messages;
  }
}
