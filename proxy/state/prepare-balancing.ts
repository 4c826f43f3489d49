// From the balancing of a Destination, and the hints of an Endpoints resource, to what choices go by. A value that is wrong
// throws a ShapeError with its place; nothing is decided here.

import type { BalancingMethod, HashSource } from '../api/resources.ts';
import { Balancers, type CookieOptions, type PreparedBalancing } from '../policy/balancer.ts';
import type { EndpointSet } from './prepared.ts';
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
  type JsonObject,
} from './reader.ts';

const methods: readonly BalancingMethod[] = [
  'least-request',
  'round-robin',
  'random',
  'consistent-hash',
];
/** Browsers keep cookies for 400 days at most (RFC 6265bis §5.5). */
const ttlRange = { min: 0, max: 400 * 86_400_000 } as const;
const slowStartRange = { min: 1, max: 3_600_000 } as const;
/** Below 100 there would be no room for all requests. */
const loadRange = { min: 101, max: 1_000_000 } as const;
const defaultLoadPercent = 125;
const maxSources = 8;
/** RFC 9110 §5.6.2, which RFC 6265 §4.1.1 has for names of cookies too. */
const token = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$/;
/** RFC 6265 §4.1.1 path-value. */
const cookiePath = /^\/[\x20-\x3a\x3c-\x7e]{0,1023}$/;

/** Null: least request and nothing else, for which nothing is prepared. */
export function prepareBalancing(value: unknown, path: string): Balancers | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const policy: PreparedBalancing = {
    method: oneOf(from, 'method', path, methods),
    ...prepareHash(from, path),
    slowStartMs: integerOrNull(from, 'slowStartMs', path, slowStartRange) ?? 0,
    affinity: prepareAffinity(from['affinity'], pointer(path, 'affinity')),
    zones: from['zones'] != null && oneOf(from, 'zones', path, ['prefer-same-zone']) !== undefined,
  };
  const { method, slowStartMs, affinity, zones } = policy;
  const isDefault = method === 'least-request' && slowStartMs === 0 && affinity === null && !zones;
  return isDefault ? null : new Balancers(policy);
}

function prepareHash(
  from: JsonObject,
  path: string,
): Pick<PreparedBalancing, 'by' | 'loadPercent'> {
  if (from['method'] !== 'consistent-hash') return { by: [], loadPercent: defaultLoadPercent };
  const at = pointer(path, 'hash');
  const hash = object(from['hash'], at);
  const by = list(hash, 'by', at, prepareSource);
  if (by.length === 0) fail(pointer(at, 'by'), 'must name what to hash by');
  if (by.length > maxSources) fail(pointer(at, 'by'), `more than ${maxSources}`);
  return { by, loadPercent: integer(hash, 'loadPercent', at, loadRange) };
}

function prepareSource(value: unknown, path: string): HashSource {
  const from = object(value, path);
  if ('header' in from) return { header: name(from, 'header', path).toLowerCase() };
  if ('query' in from) return { query: text(from, 'query', path) };
  if ('cookie' in from)
    return { ...cookieOf(from, path), ttlMs: integerOrNull(from, 'ttlMs', path, ttlRange) };
  if (from['sourceAddress'] === true) return { sourceAddress: true };
  return fail(path, 'must have one of header, cookie, query, sourceAddress');
}

function prepareAffinity(value: unknown, path: string): CookieOptions | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  return { ...cookieOf(from, path), ttlMs: integerOrNull(from, 'ttlMs', path, ttlRange) ?? 0 };
}

function cookieOf(from: JsonObject, path: string): { cookie: string; path: string } {
  const at = text(from, 'path', path);
  if (!cookiePath.test(at)) fail(pointer(path, 'path'), 'is not the path of a cookie');
  return { cookie: name(from, 'cookie', path), path: at };
}

function name(from: JsonObject, key: string, path: string): string {
  const value = text(from, key, path);
  return token.test(value) ? value : fail(pointer(path, key), 'is not a name');
}

/** Of all endpoints of a set; null where one has none, which makes those of the others void. */
export function prepareHints(from: JsonObject): EndpointSet['hints'] {
  const hints = list(from, 'endpoints', '', (value, path) => {
    const one = object(value, path);
    return list(one, 'forZones', path, stringItem);
  });
  return hints.length === 0 || hints.some(({ length }) => length === 0) ? null : hints;
}

/** What has its turns goes on where a destination is replaced by one that balances alike. */
export function keptBalancers(
  next: Balancers | null,
  before: Balancers | null | undefined,
): Balancers | null {
  if (next === null || before == null) return next;
  return JSON.stringify(next.policy) === JSON.stringify(before.policy) ? before : next;
}
