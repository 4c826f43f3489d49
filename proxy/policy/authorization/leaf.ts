// The single questions that rules are made of, compiled: the same functions decide and explain. Pure.
//
// What cannot be known (HTTP on a TCP connection, the host of a request without one, a path with too many readings)
// answers every question about it, negated or not, in the safe way: yes in a DENY rule, no in ALLOW and AUDIT rules.

import type {
  AuthorizationAction,
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPath,
  AuthorizationSource,
} from '../../api/authorization.ts';
import {
  blockHolds,
  parseIpAddress,
  parseIpBlock,
  type IpAddress,
  type IpBlock,
} from '../../api/ip-block.ts';
import type { Facts } from './facts.ts';
import { fieldMatcher } from './field-match.ts';
import { hostPattern, matchesHost } from './host.ts';
import { compilePath } from './path-match.ts';
import { matchesAnyText, textPattern } from './text-pattern.ts';

export interface Leaf {
  /** As its author finds it: `from[0].notNamespaces`. */
  readonly field: string;
  test(facts: Facts): boolean;
  /** What was looked at, in words: `the caller's namespace is web`. */
  seen(facts: Facts): string;
}

/** Null: unknown. */
type Ask = (facts: Facts) => boolean | null;
type Seen = (facts: Facts) => string;

/** Collects the leaves of one source, operation or list of conditions. */
class Leaves {
  readonly list: Leaf[] = [];
  readonly #place: string;
  readonly #safe: boolean;

  constructor(place: string, action: AuthorizationAction) {
    this.#place = place;
    this.#safe = action === 'DENY';
  }

  /** An absent list asks nothing; what an empty one asks nobody knows (and `authorizationFaults` refuses it). */
  add<T>(
    name: string,
    values: readonly T[] | undefined,
    make: (values: readonly T[]) => [Ask, Seen],
  ): void {
    if (values === undefined) return;
    const [ask, seen] = make(values);
    const negated = name.startsWith('not');
    const signed: Ask = (facts) => {
      const answer = ask(facts);
      return answer === null ? null : answer !== negated;
    };
    this.push(name, values.length === 0 ? () => null : signed, seen);
  }

  push(name: string, ask: Ask, seen: Seen): void {
    const safe = this.#safe;
    const field = `${this.#place}.${name}`;
    this.list.push({ field, test: (facts) => ask(facts) ?? safe, seen });
  }
}

export function sourceLeaves(
  source: AuthorizationSource,
  place: string,
  action: AuthorizationAction,
): Leaf[] {
  const leaves = new Leaves(place, action);
  leaves.add('identities', source.identities, identities);
  leaves.add('notIdentities', source.notIdentities, identities);
  leaves.add('namespaces', source.namespaces, namespaces);
  leaves.add('notNamespaces', source.notNamespaces, namespaces);
  leaves.add('serviceAccounts', source.serviceAccounts, serviceAccounts);
  leaves.add('notServiceAccounts', source.notServiceAccounts, serviceAccounts);
  leaves.add('ipBlocks', source.ipBlocks, callerBlocks);
  leaves.add('notIpBlocks', source.notIpBlocks, callerBlocks);
  return leaves.list;
}

export function operationLeaves(
  operation: AuthorizationOperation,
  place: string,
  action: AuthorizationAction,
): Leaf[] {
  const leaves = new Leaves(place, action);
  leaves.add('ports', operation.ports, ports);
  leaves.add('notPorts', operation.notPorts, ports);
  leaves.add('methods', operation.methods, methods);
  leaves.add('notMethods', operation.notMethods, methods);
  leaves.add('paths', operation.paths, paths);
  leaves.add('notPaths', operation.notPaths, paths);
  leaves.add('hosts', operation.hosts, hosts);
  leaves.add('notHosts', operation.notHosts, hosts);
  return leaves.list;
}

export function conditionLeaves(
  condition: AuthorizationCondition,
  place: string,
  action: AuthorizationAction,
): Leaf[] {
  const leaves = new Leaves(place, action);
  const name = headerOf(condition.key);
  // Not among the fields of a request; as a host it is read without case and default port.
  if (name === 'host') {
    leaves.add('values', condition.values, hosts);
    leaves.add('notValues', condition.notValues, hosts);
    return leaves.list;
  }
  if (name !== null) {
    const match = fieldMatcher(name, condition, action);
    const empty = condition.values?.length === 0 || condition.notValues?.length === 0;
    const ask: Ask = ({ fields }) => (fields === null || empty ? null : match.test(fields));
    leaves.push(condition.key, ask, ({ fields }) =>
      fields === null ? unknownHttp : `${name} is ${match.seen(fields)}`,
    );
    return leaves.list;
  }
  const make = attributes[condition.key];
  if (make === undefined) throw new TypeError(`${place}.key: ${condition.key} is no key`);
  leaves.add('values', condition.values, make);
  leaves.add('notValues', condition.notValues, make);
  return leaves.list;
}

/** In lower case; null where the key is no header. */
export function headerOf(key: string): string | null {
  const match = /^request\.headers\[(.+)\]$/.exec(key);
  return match === null ? null : match[1]!.toLowerCase();
}

const unknownHttp = 'the connection is opaque TCP, of which nothing of HTTP is known';

const attributes: Readonly<Record<string, (values: readonly string[]) => [Ask, Seen]>> = {
  'source.ip': callerBlocks,
  'source.identity': identities,
  'source.namespace': namespaces,
  'source.serviceAccount': serviceAccounts,
  'destination.ip': targetBlocks,
  'destination.port': (values) => ports(values.map(Number)),
};

function identities(values: readonly string[]): [Ask, Seen] {
  const exact = new Set<string>();
  const patterns = values.map(textPattern).map((pattern) => {
    if (pattern.kind === 'suffix') return pattern;
    return { kind: pattern.kind, text: `spiffe://${pattern.text}` };
  });
  for (const pattern of patterns) if (pattern.kind === 'exact') exact.add(pattern.text);
  const others = patterns.filter(({ kind }) => kind !== 'exact');
  return [
    ({ caller: { identity } }) =>
      identity !== '' && (exact.has(identity) || matchesAnyText(others, identity)),
    ({ caller: { identity } }) =>
      `the caller's identity is ${identity === '' ? 'not verified' : identity}`,
  ];
}

function namespaces(values: readonly string[]): [Ask, Seen] {
  const patterns = values.map(textPattern);
  return [
    ({ caller: { namespace } }) => namespace !== '' && matchesAnyText(patterns, namespace),
    ({ caller: { namespace } }) =>
      `the caller's namespace is ${namespace === '' ? 'not verified' : namespace}`,
  ];
}

function serviceAccounts(values: readonly string[]): [Ask, Seen] {
  const patterns = values.map(textPattern);
  return [
    ({ known: { account } }) => account !== '' && matchesAnyText(patterns, account),
    ({ known: { account } }) =>
      `the caller's service account is ${account === '' ? 'not verified' : account}`,
  ];
}

function callerBlocks(values: readonly string[]): [Ask, Seen] {
  const inAny = blocks(values);
  return [
    ({ known }) => inAny(known.ip),
    ({ caller }) => `the caller's address is ${caller.address === '' ? 'unknown' : caller.address}`,
  ];
}

function targetBlocks(values: readonly string[]): [Ask, Seen] {
  const inAny = blocks(values);
  return [
    ({ target }) => inAny(parseIpAddress(target.address)),
    ({ target }) => `the called address is ${target.address}`,
  ];
}

function blocks(values: readonly string[]): (address: IpAddress | null) => boolean | null {
  const list = values.map((value): IpBlock => {
    const block = parseIpBlock(value);
    if (block === null) throw new TypeError(`${value} is no IP block`);
    return block;
  });
  return (address) => {
    if (address === null) return null;
    for (let i = 0; i < list.length; i++) if (blockHolds(list[i]!, address)) return true;
    return false;
  };
}

function ports(values: readonly number[]): [Ask, Seen] {
  return [
    ({ target }) => values.includes(target.port),
    ({ target }) => `the port is ${target.port}`,
  ];
}

function methods(values: readonly string[]): [Ask, Seen] {
  return [
    ({ request }) => (request === null ? null : namesMethod(values, request.method)),
    ({ request }) => (request === null ? unknownHttp : `the method is ${request.method}`),
  ];
}

/** Methods have case (RFC 9110 §9.1), but some apps take `delete` for DELETE: where only that is named, nobody knows. */
function namesMethod(values: readonly string[], method: string): boolean | null {
  if (values.includes(method)) return true;
  return isInCapitals(method) || !values.includes(method.toUpperCase()) ? false : null;
}

/** Without a small letter. */
export function isInCapitals(method: string): boolean {
  for (let i = 0; i < method.length; i++) {
    const c = method.charCodeAt(i);
    if (c >= 0x61 && c <= 0x7a) return false;
  }
  return true;
}

function paths(values: readonly AuthorizationPath[]): [Ask, Seen] {
  const matches = values.map(compilePath);
  return [
    ({ path }) => {
      if (path === null) return null;
      for (let i = 0; i < matches.length; i++) if (matches[i]!(path)) return true;
      return false;
    },
    ({ path, request }) => {
      if (request === null) return unknownHttp;
      if (path === null) return 'the path has too many readings';
      return `the path is ${path === '' ? 'empty' : path}`;
    },
  ];
}

function hosts(values: readonly string[]): [Ask, Seen] {
  const patterns = values.map(hostPattern);
  return [
    ({ host }) => (host === null ? null : patterns.some((pattern) => matchesHost(pattern, host))),
    ({ host, request }) => {
      if (request === null) return unknownHttp;
      if (host !== null) return `the host is ${request.authority}`;
      return request.authority === ''
        ? 'no host was sent'
        : `the host ${request.authority} can be read in several ways`;
    },
  ];
}
