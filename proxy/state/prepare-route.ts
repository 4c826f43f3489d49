// From the HTTP routes of a Destination to what the hot path reads. A value that is wrong throws a
// ShapeError with its place; nothing is decided here.

import type { HeaderChange, HttpRoute } from '../api/resources.ts';
import { prepareAnswers } from './prepare-answers.ts';
import { prepareMatch } from './prepare-match.ts';
import { durationOrNull, durationRange, prepareRetry } from './prepare-times.ts';
import type { PreparedBackend, PreparedBackends, PreparedRoute } from './prepared.ts';
import {
  fail,
  integer,
  integerOrNull,
  list,
  object,
  oneOf,
  pointer,
  stringItem,
  text,
  textOrNull,
  type JsonObject,
} from './reader.ts';

const redirectStatuses = [301, 302, 303, 307, 308] as const;

export function prepareRoute(value: unknown, path: string): PreparedRoute {
  const from = object(value, path);
  const redirect = prepareRedirect(from['redirect'], pointer(path, 'redirect'));
  return {
    name: text(from, 'name', path),
    matches: list(from, 'matches', path, prepareMatch),
    backends: prepareBackends(from, 'backends', path),
    timeoutMs: integerOrNull(from, 'timeoutMs', path, durationRange),
    idleTimeoutMs: durationOrNull(from, 'idleTimeoutMs', path),
    retry: prepareRetry(from['retry'], pointer(path, 'retry')),
    requestHeaders: prepareHeaderChange(from['requestHeaders'], pointer(path, 'requestHeaders')),
    responseHeaders: prepareHeaderChange(from['responseHeaders'], pointer(path, 'responseHeaders')),
    rewrite: prepareRewrite(from['rewrite'], pointer(path, 'rewrite')),
    redirect,
    ...prepareAnswers(from, path),
  };
}

export function prepareBackends(from: JsonObject, key: string, path: string): PreparedBackends {
  const backends = list(from, key, path, (value, at): PreparedBackend => {
    const backend = object(value, at);
    return {
      endpoints: text(backend, 'endpoints', at),
      weight: integer(backend, 'weight', at, { min: 0, max: 1_000_000 }),
      missing: textOrNull(backend, 'missing', at),
    };
  });
  return { list: backends, totalWeight: backends.reduce((sum, one) => sum + one.weight, 0) };
}

function prepareHeaderChange(value: unknown, path: string): HeaderChange | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const pair = (item: unknown, at: string) => {
    const one = object(item, at);
    return { name: headerName(text(one, 'name', at), at), value: headerValue(one, at) };
  };
  const change = {
    set: list(from, 'set', path, pair),
    add: list(from, 'add', path, pair),
    remove: list(from, 'remove', path, (item, at) => headerName(stringItem(item, at), at)),
  };
  return change.set.length + change.add.length + change.remove.length === 0 ? null : change;
}

/** RFC 9110 §5.6.2 token; fields that frame the message are the codec's alone. */
const token = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const framing = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'upgrade']);

function headerName(name: string, path: string): string {
  const lower = name.toLowerCase();
  if (!token.test(lower)) fail(path, 'not a header name');
  if (framing.has(lower)) fail(path, `${lower} cannot be changed by a route`);
  return lower;
}

function headerValue(from: JsonObject, path: string): string {
  const value = text(from, 'value', path);
  // RFC 9110 §5.5: visible characters, space and tab; latin1 at most.
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
    fail(pointer(path, 'value'), 'holds a character that no header may hold');
  return value.trim();
}

function prepareRewrite(value: unknown, path: string): HttpRoute['rewrite'] {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  return {
    path: pathChange(from['path'], pointer(path, 'path')),
    host: textOrNull(from, 'host', path),
  };
}

function prepareRedirect(value: unknown, path: string): HttpRoute['redirect'] {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const status = redirectStatuses.find((one) => one === from['status']);
  if (status === undefined) fail(pointer(path, 'status'), 'must be 301, 302, 303, 307 or 308');
  const scheme = from['scheme'] === null ? null : oneOf(from, 'scheme', path, ['http', 'https']);
  return {
    scheme,
    host: textOrNull(from, 'host', path),
    port: integerOrNull(from, 'port', path, { min: 1, max: 65535 }),
    path: pathChange(from['path'], pointer(path, 'path')),
    status,
  };
}

function pathChange(value: unknown, path: string): { prefix: string } | { full: string } | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  return 'full' in from
    ? { full: text(from, 'full', path) }
    : { prefix: text(from, 'prefix', path) };
}
