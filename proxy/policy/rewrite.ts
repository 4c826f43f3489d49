// Rewrites of a request target and the location of redirects (Gateway API HTTPRoute semantics). Pure.

import type { HttpRoute } from '../api/resources.ts';
import type { RequestHead } from '../codec/session.ts';
import { trimSlash } from './string-match.ts';

type PathChange = { prefix: string } | { full: string };

/** Keeps the query. `prefix` is what matched; null replaces the root. `*` and CONNECT have no path. */
export function rewriteTarget(target: string, change: PathChange, prefix: string | null): string {
  if (!target.startsWith('/')) return target;
  const queryAt = target.indexOf('?');
  const path = queryAt < 0 ? target : target.slice(0, queryAt);
  const query = queryAt < 0 ? '' : target.slice(queryAt);
  if ('full' in change) return `${change.full}${query}`;
  const rest = path.slice(trimSlash(prefix ?? '/').length);
  const joined = `${trimSlash(change.prefix)}${rest}`;
  return `${joined === '' ? '/' : joined}${query}`;
}

/** The Location of a redirect (RFC 9110 §10.2.2). */
export function redirectLocation(
  redirect: NonNullable<HttpRoute['redirect']>,
  head: RequestHead,
  prefix: string | null,
): string {
  const scheme = redirect.scheme ?? head.scheme;
  const target =
    redirect.path === null ? head.path : rewriteTarget(head.path, redirect.path, prefix);
  const [host, ownPort] = splitAuthority(head.authority);
  // A new scheme brings its own default port; otherwise the caller's port is kept.
  const port = redirect.port ?? (redirect.scheme === null ? ownPort : null);
  const shown = port === null || port === defaultPort(scheme) ? '' : `:${port}`;
  return `${scheme}://${redirect.host ?? host}${shown}${target}`;
}

function splitAuthority(authority: string): [string, number | null] {
  const match = /^(.*?)(?::([0-9]{1,5}))?$/.exec(authority);
  // An IPv6 address without a port ends in its bracket.
  if (match === null || match[2] === undefined) return [authority, null];
  return [match[1]!, Number(match[2])];
}

function defaultPort(scheme: string): number {
  return scheme === 'https' ? 443 : 80;
}
