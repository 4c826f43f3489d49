// How an HTTP/1.1 response is framed from its sender's side, and the lines that say so (RFC 9112 §6.3, §9.3). Pure.
import type { BodyFraming } from './h1-head.ts';
import { fieldValue } from './h1-text.ts';
import type { ResponseHead } from './session.ts';
import { acceptLine } from './websocket-bridge.ts';

/** What the framing of an answer depends on in its request. */
export interface Asked {
  readonly method: string;
  readonly upgrade: string | null;
  readonly websocketKey: string | null;
  readonly http10: boolean;
  readonly keepAlive: boolean;
}

/** Null: a response that this request cannot have. */
export function responseFraming(
  asked: Asked,
  head: ResponseHead,
  end: boolean,
): BodyFraming | null {
  const status = head.status;
  if (status === 101) return asked.upgrade === null ? null : 'tunnel';
  if (asked.method === 'CONNECT' && status < 300) return 'tunnel';
  if (asked.method === 'HEAD' || status === 204 || status === 304 || end) return 'none';
  if (head.contentLength !== null) return 'length';
  return asked.http10 ? 'close' : 'chunked';
}

export function framingLines(
  { method }: Asked,
  framing: BodyFraming,
  head: ResponseHead,
  end: boolean,
): string {
  switch (framing) {
    case 'length':
      return `content-length: ${head.contentLength}\r\n`;
    case 'chunked':
      return 'transfer-encoding: chunked\r\n';
    case 'none':
      if (head.status === 204) return '';
      if (method === 'HEAD' || head.status === 304) {
        return head.contentLength === null ? '' : `content-length: ${head.contentLength}\r\n`;
      }
      return end ? 'content-length: 0\r\n' : '';
    case 'close':
    case 'tunnel':
      return '';
  }
}

export function connectionLines(asked: Asked, framing: BodyFraming, head: ResponseHead): string {
  if (head.status === 101) {
    const chosen = fieldValue(head.fields, 'upgrade');
    const upgrade = chosen === null ? `upgrade: ${asked.upgrade}\r\n` : '';
    return `connection: upgrade\r\n${upgrade}${acceptLine(asked.websocketKey, head.fields)}`;
  }
  if (framing === 'tunnel') return '';
  if (!asked.keepAlive) return 'connection: close\r\n';
  return asked.http10 ? 'connection: keep-alive\r\n' : '';
}
