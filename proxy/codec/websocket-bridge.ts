// What a WebSocket handshake needs in HTTP/1.1 and has no place for in HTTP/2 (RFC 6455 §4, RFC 8441 §5): the key and its
// answer, made up where one side speaks HTTP/2. Values that a peer sent are passed on and never touched.
import { createHash } from 'node:crypto';
import { fieldValue } from './h1-text.ts';
import type { Fields } from './session.ts';

const KEY = 'sec-websocket-key';
const ACCEPT = 'sec-websocket-accept';
/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** 16 octets in base64. The key only proves that a server speaks WebSocket, so it need not be random. */
const OUR_KEY = 'dHNtZXNoIHdlYnNvY2tldA==';

function isWebSocket(upgrade: string | null): boolean {
  return upgrade !== null && upgrade.toLowerCase() === 'websocket';
}

/** The line to add to an HTTP/1.1 request, or nothing. */
export function keyLine(upgrade: string | null, fields: Fields): string {
  if (!isWebSocket(upgrade) || fieldValue(fields, KEY) !== null) return '';
  return `${KEY}: ${OUR_KEY}\r\n`;
}

/** The key that the answer to this request must prove, if any. */
export function keyOf(upgrade: string | null, fields: Fields): string | null {
  return isWebSocket(upgrade) ? fieldValue(fields, KEY) : null;
}

/** The line to add to a 101 of HTTP/1.1, or nothing. */
export function acceptLine(key: string | null, fields: Fields): string {
  if (key === null || fieldValue(fields, ACCEPT) !== null) return '';
  const proof = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  return `${ACCEPT}: ${proof}\r\n`;
}
