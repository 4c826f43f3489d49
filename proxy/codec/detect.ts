// Tells from the first bytes of a connection which protocol the client speaks. Pure: the caller keeps the bytes,
// asks again when more came, and decides how long to wait.
import { CR, LF, SP } from './chars.ts';

/** `need-more`: what came so far could still become one of the others. */
export type Detected = 'tls' | 'http1' | 'http2' | 'other' | 'need-more';

/** The client's connection preface (RFC 9113 §3.4). */
export const H2_PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** A request line that is longer than this is taken for one if everything up to here looks like it. */
const ENOUGH_OF_A_LINE = 1024;
const LONGEST_METHOD = 32;
const VERSION = ' HTTP/1.';

export function detect(bytes: Buffer): Detected {
  if (bytes.length === 0) return 'need-more';
  if (bytes[0] === 0x16) return detectTls(bytes);
  if (bytes[0] === H2_PREFACE[0] && startsAlike(bytes, H2_PREFACE)) {
    return bytes.length >= H2_PREFACE.length ? 'http2' : 'need-more';
  }
  return detectHttp1(bytes);
}

function startsAlike(bytes: Buffer, whole: Buffer): boolean {
  const length = Math.min(bytes.length, whole.length);
  return bytes.compare(whole, 0, length, 0, length) === 0;
}

/** A handshake record of SSL 3.0 or TLS (RFC 8446 §5.1) whose message is a ClientHello (§4). */
function detectTls(bytes: Buffer): Detected {
  if (bytes.length > 1 && bytes[1] !== 0x03) return 'other';
  if (bytes.length > 2 && bytes[2]! > 0x04) return 'other';
  if (bytes.length < 6) return 'need-more';
  return bytes[5] === 0x01 ? 'tls' : 'other';
}

/**
 * Request line: upper-case method, one space, target, ` HTTP/1.`. Only the version tells it from other protocols
 * with commands in words (Redis, memcached and SMTP all begin like a method). Controls in the target do not make it
 * another protocol: some server might take it, so it is HTTP's rules that refuse it.
 */
function detectHttp1(bytes: Buffer): Detected {
  const start = skipEmptyLines(bytes);
  let i = start;
  while (i < bytes.length && isMethodByte(bytes[i]!)) i++;
  if (i - start > LONGEST_METHOD) return 'other';
  if (i === bytes.length) return 'need-more';
  if (i === start) return bytes[i] === CR && i + 1 === bytes.length ? 'need-more' : 'other';
  if (bytes[i] !== SP) return 'other';
  const lineEnd = bytes.indexOf(LF, i);
  if (lineEnd < 0) return bytes.length - start < ENOUGH_OF_A_LINE ? 'need-more' : 'http1';
  const line = bytes.toString('latin1', i, lineEnd);
  return line.lastIndexOf(VERSION) > 0 ? 'http1' : 'other';
}

function skipEmptyLines(bytes: Buffer): number {
  let i = 0;
  while (bytes[i] === CR && bytes[i + 1] === LF) i += 2;
  return i;
}

/** A-Z and `-`, as all registered methods are (RFC 9110 §16.1.1). */
function isMethodByte(c: number): boolean {
  return (c >= 0x41 && c <= 0x5a) || c === 0x2d;
}
