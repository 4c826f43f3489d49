// Finds the route of a request: first match wins. Pure.

import type { Fields, RequestHead } from '../codec/session.ts';
import type { PreparedMatch, PreparedRoute } from '../state/prepared.ts';

export interface RouteFound {
  route: PreparedRoute;
  /** The path prefix that matched, for prefix rewrites; null if it was not a prefix. */
  prefix: string | null;
}

export function findRoute(routes: readonly PreparedRoute[], head: RequestHead): RouteFound | null {
  let path: string | null = null;
  for (const route of routes) {
    if (route.matches.length === 0) return { route, prefix: null };
    path ??= pathOf(head.path);
    for (const match of route.matches)
      if (matches(match, head, path)) return { route, prefix: match.prefix };
  }
  return null;
}

function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

function matches(match: PreparedMatch, head: RequestHead, path: string): boolean {
  if (match.path !== null && !match.path(path)) return false;
  if (match.methods !== null && !match.methods.has(head.method)) return false;
  if (!match.headers.every(({ name, value }) => value(headerValue(head, name)))) return false;
  if (match.query.length === 0) return true;
  const query = new URLSearchParams(head.path.slice(path.length));
  return match.query.every(({ name, value }) => value(query.get(name) ?? undefined));
}

/** All values of a field in one line (RFC 9110 §5.3); `host` is the authority. */
function headerValue(head: RequestHead, name: string): string | undefined {
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
