// What a request brings to the choice of its endpoint: the hash of what the policy names, and its affinity cookie; and the
// cookies that its answer gets. Pure.

import type { HashSource } from '../api/resources.ts';
import type { Fields, RequestHead } from '../codec/session.ts';
import type {
  EndpointHandle,
  EndpointSet,
  PreparedBackend,
  PreparedBackends,
  Snapshot,
} from '../state/prepared.ts';
import { tokenOf, type BalanceAsk, type Balancers, type CookieOptions } from './balancer.ts';
import { hashText } from './hash.ts';
import { fieldLine, queryValue } from './route-match.ts';

export interface AskFacts {
  /** Of the app's connection. */
  readonly sourceAddress: string;
  readonly sources: { readonly random: () => number };
}

export function askOf(
  balancers: Balancers,
  head: RequestHead,
  { sourceAddress, sources }: AskFacts,
): BalanceAsk {
  const { by, affinity } = balancers.policy;
  if (by.length === 0 && affinity === null) return balancers.plain;
  const token = affinity === null ? '' : (cookieValue(head.fields, affinity.cookie) ?? '');
  for (const source of by) {
    const value = valueOf(source, head, sourceAddress);
    if (value !== undefined) return { balancers, token, hash: hashText(value), setCookie: null };
    if ('cookie' in source && source.ttlMs !== null) {
      const given = randomValue(sources.random);
      const options = { cookie: source.cookie, path: source.path, ttlMs: source.ttlMs };
      return { balancers, token, hash: hashText(given), setCookie: setCookie(options, given) };
    }
  }
  return { balancers, token, hash: -1, setCookie: null };
}

function valueOf(source: HashSource, head: RequestHead, address: string): string | undefined {
  if ('sourceAddress' in source) return address;
  if ('cookie' in source) return cookieValue(head.fields, source.cookie);
  if ('header' in source)
    return source.header === 'host' ? head.authority : fieldLine(head.fields, source.header);
  const queryAt = head.path.indexOf('?');
  return queryAt < 0 ? undefined : queryValue(head.path, queryAt, source.query);
}

/** Of several backends the one that has the endpoint of the caller's affinity cookie; null: there is none. */
export function keptBackend(
  balancers: Balancers | null,
  { list }: PreparedBackends,
  head: RequestHead,
  snapshot: Pick<Snapshot, 'endpoints' | 'workload'>,
): PreparedBackend | null {
  if (balancers === null || balancers.policy.affinity === null || list.length < 2) return null;
  const token = cookieValue(head.fields, balancers.policy.affinity.cookie);
  if (token === undefined) return null;
  for (const backend of list) {
    const set = snapshot.endpoints.get(backend.endpoints);
    // What gets no share any more keeps nobody.
    if (set === undefined || backend.weight === 0 || backend.missing !== null) continue;
    if (balancers.of(set, snapshot.workload?.zone ?? '').named(token) !== undefined) return backend;
  }
  return null;
}

/** Of a connection that is not HTTP: only where it comes from. */
export function askOfConnection(balancers: Balancers, sourceAddress: string): BalanceAsk {
  const hashed = balancers.policy.by.some((source) => 'sourceAddress' in source);
  return hashed ? { ...balancers.plain, hash: hashText(sourceAddress) } : balancers.plain;
}

/** Of the first cookie of that name (RFC 6265 §4.2.1); HTTP/2 may split them over several fields. */
export function cookieValue(fields: Fields, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'cookie') continue;
    const value = valueIn(fields[i + 1]!, name);
    if (value !== undefined) return value;
  }
  return undefined;
}

function valueIn(line: string, name: string): string | undefined {
  let start = 0;
  while (start < line.length) {
    while (line[start] === ' ') start += 1;
    const next = line.indexOf(';', start);
    const end = next < 0 ? line.length : next;
    if (line.startsWith(name, start) && line[start + name.length] === '=')
      return line.slice(start + name.length + 1, end).trimEnd();
    start = end + 1;
  }
  return undefined;
}

function randomValue(random: () => number): string {
  const part = (): string =>
    Math.trunc(random() * 0x100000000)
      .toString(16)
      .padStart(8, '0');
  return part() + part();
}

function setCookie({ cookie, path, ttlMs }: CookieOptions, value: string): string {
  const age = ttlMs === 0 ? '' : `; Max-Age=${Math.ceil(ttlMs / 1000)}`;
  return `${cookie}=${value}; Path=${path}${age}; HttpOnly; SameSite=Lax`;
}

/**
 * The fields of an answer, with the cookies that the caller is to have. One whose endpoint is in the set keeps its cookie,
 * also while another answers for it. The list given stays as it is.
 */
export function withCookies(
  fields: Fields,
  ask: BalanceAsk,
  from: { endpoint: EndpointHandle; set: EndpointSet | undefined; zone: string },
): Fields {
  const { balancers, token } = ask;
  const { affinity } = balancers.policy;
  const { endpoint, set, zone } = from;
  const added: Fields = ask.setCookie === null ? [] : ['set-cookie', ask.setCookie];
  if (affinity !== null && set !== undefined) {
    const kept = token !== '' && balancers.of(set, zone).named(token) !== undefined;
    if (!kept) added.push('set-cookie', setCookie(affinity, tokenOf(endpoint)));
  }
  return added.length === 0 ? fields : [...fields, ...added];
}
