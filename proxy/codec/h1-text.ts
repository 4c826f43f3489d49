// Writes HTTP/1.1 heads and trailers as text (RFC 9112) from parsed messages. Framing and connection options are
// decided by the caller; nothing of what was received is copied.
import type { Fields, RequestHead } from './session.ts';

const REASONS: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  102: 'Processing',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

function buildStatusLines(): readonly string[] {
  const lines: string[] = [];
  for (let status = 0; status < 1000; status++) {
    lines.push(`HTTP/1.1 ${status} ${REASONS[status] ?? ''}\r\n`);
  }
  return lines;
}

const STATUS_LINES = buildStatusLines();

export function statusLine(status: number): string {
  return STATUS_LINES[status] ?? `HTTP/1.1 ${status} \r\n`;
}

export function requestLineAndHost(head: RequestHead): string {
  return `${head.method} ${targetOf(head)} HTTP/1.1\r\nhost: ${head.authority}\r\n`;
}

/** RFC 9112 §3.2. */
function targetOf(head: RequestHead): string {
  if (head.method === 'CONNECT') return head.authority;
  if (head.absoluteForm === undefined) return head.path;
  // OPTIONS of a whole server has no path in this form (RFC 9112 §3.2.4).
  const path = head.path === '*' ? '' : head.path;
  return `${head.scheme}://${head.authority}${path}`;
}

export function fieldLines(fields: Fields): string {
  let text = '';
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return text;
}

export function hasField(fields: Fields, name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return true;
  return false;
}

export function fieldValue(fields: Fields, name: string): string | null {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1]!;
  return null;
}
