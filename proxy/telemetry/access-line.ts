// One entry of the access log as one line, JSON or text. Whatever a caller sends, the line is printable ASCII, ends where it
// ends, and has a bounded length: no field can begin another line, or speak to a terminal.

import type { AccessEntry } from './access-log.ts';

/** Characters of one field, before its escapes: what is longer is cut, and says so. */
export const maxFieldChars = 1024;
const cutMark = '...';

/** Neither quote, backslash nor anything that is not printable ASCII. */
const plain = /^[ !#-[\]-~]*$/;
/** The same without blanks: stands in text as it is. */
const plainWord = /^[!#-[\]-~]+$/;
const special = /["\\]|[^ -~]/g;

/** In quotes; everything but printable ASCII as `\uXXXX`, as JSON has it. */
export function quoted(text: string): string {
  const short = text.length > maxFieldChars ? text.slice(0, maxFieldChars) + cutMark : text;
  return plain.test(short) ? `"${short}"` : `"${short.replace(special, escaped)}"`;
}

function escaped(char: string): string {
  if (char === '"' || char === '\\') return `\\${char}`;
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function word(text: string): string {
  if (text === '') return '-';
  if (text.length <= maxFieldChars && text !== '-' && plainWord.test(text)) return text;
  return quoted(text);
}

/** Microseconds are enough, and shorter. */
function milliseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** What only some entries have; empty: left out. */
const sometimes = ['claimedHost', 'claimedBy', 'policy', 'rule', 'reason'] as const;

/** `self`: identity of this pod, empty before the first certificate. Ends with a line feed. */
export function jsonLine(entry: AccessEntry, time: string, self: string): string {
  let line =
    `{"access":true,"time":"${time}","direction":"${entry.direction}"` +
    `,"protocol":${quoted(entry.protocol ?? '')},"destination":${quoted(entry.destination)}` +
    `,"endpoint":${quoted(entry.endpoint)},"route":${quoted(entry.route)}` +
    `,"method":${quoted(entry.method)},"authority":${quoted(entry.authority)}` +
    `,"path":${quoted(entry.path)},"status":${entry.status},"grpcStatus":${entry.grpcStatus}` +
    `,"self":${quoted(self)},"peer":${quoted(entry.peer)}` +
    `,"peerAddress":${quoted(entry.peerAddress)},"mtls":${entry.mtls}` +
    `,"requestId":${quoted(entry.requestId)},"traceId":${quoted(entry.traceId ?? '')}` +
    `,"durationMs":${milliseconds(entry.durationMs)}` +
    `,"firstByteMs":${milliseconds(entry.firstByteMs ?? -1)}` +
    `,"connectMs":${milliseconds(entry.connectMs ?? -1)},"attempts":${entry.attempts}` +
    `,"sentBytes":${entry.sentBytes},"receivedBytes":${entry.receivedBytes}` +
    `,"flag":${quoted(entry.flag)},"detail":${quoted(entry.detail)}`;
  for (const name of sometimes) {
    const value = entry[name];
    if (value !== undefined && value !== '') line += `,"${name}":${quoted(value)}`;
  }
  return `${line}}\n`;
}

/**
 * `TIME DIRECTION PROTOCOL DESTINATION ENDPOINT "METHOD AUTHORITY PATH" STATUS FLAG DURATIONms SENT RECEIVED`, and `name=value` of
 * the rest; `-` for what is empty.
 */
export function textLine(entry: AccessEntry, time: string, self: string): string {
  const status = entry.grpcStatus < 0 ? `${entry.status}` : `${entry.status}/${entry.grpcStatus}`;
  const { method, authority, path } = entry;
  const request = method === '' ? '-' : quoted(`${method} ${authority} ${path}`);
  let line =
    `${time} ${entry.direction} ${word(entry.protocol ?? '')} ${word(entry.destination)} ` +
    `${word(entry.endpoint)} ${request} ${status} ${word(entry.flag)} ` +
    `${milliseconds(entry.durationMs)}ms ${entry.sentBytes} ${entry.receivedBytes}` +
    ` firstByteMs=${milliseconds(entry.firstByteMs ?? -1)}` +
    ` connectMs=${milliseconds(entry.connectMs ?? -1)} attempts=${entry.attempts}` +
    ` route=${word(entry.route)} self=${word(self)} peer=${word(entry.peer)}` +
    ` peerAddress=${word(entry.peerAddress)} mtls=${entry.mtls}` +
    ` requestId=${word(entry.requestId)} traceId=${word(entry.traceId ?? '')}` +
    ` detail=${word(entry.detail)}`;
  for (const name of sometimes) {
    const value = entry[name];
    if (value !== undefined && value !== '') line += ` ${name}=${word(value)}`;
  }
  return `${line}\n`;
}
