// Reads server name and ALPN out of a TLS ClientHello (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301), so that a mesh peer is
// known before a TLS stack is chosen. Verifies nothing: the handshake does.

export interface ClientHello {
  serverName: string | null;
  alpn: string[];
}

/**
 * `bytes` are all bytes of the connection so far; ask again with more where it says `need-more` (which it no longer
 * does once MAX_CLIENT_HELLO_BYTES are there). The message may span several records.
 */
export function parseClientHello(bytes: Buffer): ClientHello | 'need-more' | 'invalid' {
  const message = handshakeMessage(bytes);
  if (typeof message === 'string') return message;
  return parseBody(message) ?? 'invalid';
}

/** Hybrid post-quantum hellos are about 1.8 KB; this leaves room for long tickets and lists. */
export const MAX_CLIENT_HELLO_BYTES = 32768;

const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ALPN = 16;
/** 2^14, RFC 8446 §5.1. */
const MAX_RECORD = 16384;

/** The body of the first handshake message, put together from its records. */
function handshakeMessage(bytes: Buffer): Buffer | 'need-more' | 'invalid' {
  const parts: Buffer[] = [];
  let have = 0;
  /** Of the whole message; unknown before its header is there. */
  let need = Infinity;
  let at = 0;
  while (bytes.length - at >= RECORD_HEADER) {
    const length = bytes.readUInt16BE(at + 3);
    const wrong = bytes[at] !== HANDSHAKE || bytes[at + 1] !== 3 || length === 0;
    if (wrong || length > MAX_RECORD) return 'invalid';
    const end = at + RECORD_HEADER + length;
    // A record that goes on may hold the whole message already.
    const fragment = bytes.subarray(at + RECORD_HEADER, end);
    parts.push(fragment);
    have += fragment.length;
    if (need === Infinity && have >= MESSAGE_HEADER) {
      const header = Buffer.concat(parts, MESSAGE_HEADER);
      need = MESSAGE_HEADER + header.readUIntBE(1, 3);
      if (header[0] !== CLIENT_HELLO || need > MAX_CLIENT_HELLO_BYTES) return 'invalid';
    }
    // Put together once, however many records there are: a record may hold one octet.
    if (have >= need) return Buffer.concat(parts, need).subarray(MESSAGE_HEADER);
    at = Math.min(end, bytes.length);
  }
  return bytes.length >= MAX_CLIENT_HELLO_BYTES ? 'invalid' : 'need-more';
}

/** Walks length-prefixed vectors; `bad` once any did not fit. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;
  bad = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  number(size: 1 | 2): number {
    if (this.left < size) {
      this.bad = true;
      return 0;
    }
    const value = this.#bytes.readUIntBE(this.#at, size);
    this.#at += size;
    return value;
  }

  take(length: number): Buffer {
    if (this.left < length) this.bad = true;
    const part = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at = Math.min(this.#at + length, this.#bytes.length);
    return part;
  }

  vector(size: 1 | 2): Buffer {
    return this.take(this.number(size));
  }
}

function parseBody(body: Buffer): ClientHello | null {
  const cursor = new Cursor(body);
  cursor.take(2 + 32); // legacy_version, random
  cursor.vector(1); // legacy_session_id
  cursor.vector(2); // cipher_suites
  cursor.vector(1); // legacy_compression_methods
  const hello: ClientHello = { serverName: null, alpn: [] };
  if (cursor.bad) return null;
  if (cursor.left === 0) return hello;
  const extensions = new Cursor(cursor.vector(2));
  if (cursor.bad || cursor.left > 0) return null;
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const data = extensions.vector(2);
    if (extensions.bad) return null;
    if (type === SERVER_NAME && !readServerName(data, hello)) return null;
    if (type === ALPN && !readAlpn(data, hello)) return null;
  }
  return hello;
}

function readServerName(data: Buffer, hello: ClientHello): boolean {
  const outer = new Cursor(data);
  const list = new Cursor(outer.vector(2));
  while (list.left > 0) {
    const type = list.number(1);
    const name = list.vector(2);
    if (type === 0 && hello.serverName === null) hello.serverName = name.toString('latin1');
  }
  return !outer.bad && !list.bad;
}

function readAlpn(data: Buffer, hello: ClientHello): boolean {
  const outer = new Cursor(data);
  const list = new Cursor(outer.vector(2));
  while (list.left > 0) hello.alpn.push(list.vector(1).toString('latin1'));
  return !outer.bad && !list.bad;
}
