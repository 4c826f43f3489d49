// Whether a request is one that a match asks for, and how its parts are read for that. Which route is looked at when is
// route-table.ts. Pure.

import type { Fields, RequestHead } from '../codec/session.ts';
import type { PreparedMatch, PreparedSource } from '../state/prepared.ts';

/** Whose sidecar this is, for matches that ask for their caller. */
export interface Caller {
  readonly namespace: string;
  readonly labels: ReadonlyMap<string, string>;
}

/** The target without its query. */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

/** `path` as `pathOf` gives it. A match that asks for its caller does not hold where none is known. */
export function matchHolds(
  match: PreparedMatch,
  head: RequestHead,
  path: string,
  caller: Caller | null,
): boolean {
  return (match.path === null || match.path(path)) && restHolds(match, head, path, caller);
}

/** All but the path. */
export function restHolds(
  match: PreparedMatch,
  head: RequestHead,
  path: string,
  caller: Caller | null,
): boolean {
  const { methods, headers, query, source } = match;
  if (methods !== null && !methods.has(head.method)) return false;
  if (source !== null && !sourceHolds(source, caller)) return false;
  for (let i = 0; i < headers.length; i += 1) {
    const { name, value } = headers[i]!;
    if (!value(headerValue(head, name))) return false;
  }
  for (let i = 0; i < query.length; i += 1) {
    const { name, value } = query[i]!;
    if (!value(queryValue(head.path, path.length, name))) return false;
  }
  return true;
}

function sourceHolds({ labels, namespaces }: PreparedSource, caller: Caller | null): boolean {
  if (caller === null) return false;
  if (namespaces !== null && !namespaces.has(caller.namespace)) return false;
  for (let i = 0; i < labels.length; i += 1) {
    const { name, value } = labels[i]!;
    if (caller.labels.get(name) !== value) return false;
  }
  return true;
}

/** All values of a field in one line (RFC 9110 §5.3); `host` is the authority. */
export function headerValue(head: RequestHead, name: string): string | undefined {
  if (name === 'host' || name === ':authority') return head.authority;
  return fieldLine(head.fields, name);
}

export function fieldLine(fields: Fields, name: string): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== name) continue;
    found = found === undefined ? fields[i + 1]! : `${found}, ${fields[i + 1]!}`;
  }
  return found;
}

const percent = 0x25;
const plus = 0x2b;

/**
 * The first value of a query parameter as URLSearchParams reads it, decoded. `queryAt`: where the `?` stands, or the end
 * of the target.
 */
export function queryValue(target: string, queryAt: number, name: string): string | undefined {
  let start = queryAt + 1;
  while (start <= target.length) {
    const next = target.indexOf('&', start);
    const end = next < 0 ? target.length : next;
    if (end > start) {
      const value = pairValue(target, start, end, name);
      if (value !== undefined) return value;
    }
    start = end + 1;
  }
  return undefined;
}

/** Of one pair, where its name is the one asked for. */
function pairValue(target: string, start: number, end: number, name: string): string | undefined {
  for (let i = start; i < end; i += 1) {
    const code = target.charCodeAt(i);
    if (code === percent || code === plus) return decodedValue(target.slice(start, end), name);
  }
  const equals = target.indexOf('=', start);
  const nameEnd = equals < 0 || equals > end ? end : equals;
  if (nameEnd - start !== name.length || !target.startsWith(name, start)) return undefined;
  return nameEnd === end ? '' : target.slice(nameEnd + 1, end);
}

function decodedValue(pair: string, name: string): string | undefined {
  // A leading `?` would be taken off, but only one.
  return new URLSearchParams(`?${pair}`).get(name) ?? undefined;
}
