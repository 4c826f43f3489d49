// Random authorization policies, callers and requests out of a small vocabulary, so that rules match often.
import type {
  Authorization,
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPath,
  AuthorizationPolicyRules,
  AuthorizationRule,
  AuthorizationSource,
} from '../../proxy/api/authorization.ts';
import { callerOf } from '../../proxy/policy/authorization/caller.ts';
import type { Caller, HttpRequest, Target } from '../../proxy/policy/authorization/types.ts';
import type { Random } from './random.ts';

const names = ['a', 'b', 'ab'];
const blocks = [
  '10.0.0.0/8',
  '10.0.0.1',
  '10.0.0.0/31',
  '0.0.0.0/0',
  'fd00:0:0:0:0:0:0:0/16',
  'fd00:0:0:0:0:0:0:1',
];
const addresses = ['10.0.0.1', '10.0.0.2', '11.0.0.1', 'fd00:0:0:0:0:0:0:1', '::ffff:10.0.0.1'];
const ports = [80, 8080, 1];
const methods = ['GET', 'POST', 'PUT'];
const hosts = ['a.b', 'A.b', '*.b', 'a.*', 'a.b:80', 'a.b.:8080', '*'];
const authorities = ['a.b', 'a.B:80', 'a.b.', 'a.b:', 'c.b:8080', 'b', '', 'a%2eb'];
const paths: readonly AuthorizationPath[] = [
  { exact: '/' },
  { exact: '/a' },
  { exact: '/a/b' },
  { exact: '/a%2Fb' },
  { exact: '/a b' },
  { prefix: '/' },
  { prefix: '/a' },
  { prefix: '/a/b/' },
  { prefix: '/b' },
  { suffix: 'b' },
  { suffix: '/b' },
  { suffix: '.x' },
  { suffix: '0b' },
  { template: '/{*}' },
  { template: '/{**}' },
  { template: '/a/{*}' },
  { template: '/{*}/b' },
  { template: '/a/{**}/b' },
  { template: '/{**}/b/{*}' },
  { template: '/a/b' },
];
const pathPieces = [
  '/a',
  '/b',
  '/ab',
  '/a.x',
  '/',
  '/%2e',
  '/..',
  '/a;b',
  '%2F',
  '\\',
  '%20b',
  '%25',
  '/%61',
  '%00',
  '?c',
];
/** The last has more readings than are looked at. */
const oddTargets = ['*', '', 'http://a.b/a', '/a;b%2F..%5C%252F//./%3F%00;%c0%ae/x%2525253B'];
const values = ['a', 'b', 'a*', '*b', '*', 'a, b', 'x'];
const headerValues = ['a', 'b', 'ab', 'a, b', 'b,a', 'x', ''];

/** Some of them, at least one. */
function some<T>(random: Random, from: readonly T[]): T[] {
  return [random.pick(from), ...random.list(1, () => random.pick(from))];
}

/** A list, its negation, or both. */
function asked(random: Random, name: string, make: () => unknown[]): Record<string, unknown> {
  const negated = `not${name[0]!.toUpperCase()}${name.slice(1)}`;
  const how = random.below(6);
  return {
    ...(how < 2 ? { [negated]: make() } : {}),
    ...(how === 0 || how > 1 ? { [name]: make() } : {}),
  };
}

function identity(random: Random): string {
  const whole = `c/ns/${random.pick(names)}/sa/${random.pick(names)}`;
  return random.pick([
    whole,
    whole,
    `c/ns/${random.pick(names)}/*`,
    `*/${random.pick(names)}`,
    '*',
  ]);
}

function source(random: Random): AuthorizationSource {
  const account = (): string => `${random.pick(names)}/${random.pick(names)}`;
  const kinds: (() => Record<string, unknown>)[] = [
    () =>
      asked(random, 'identities', () =>
        random.list(2, () => identity(random)).concat(identity(random)),
      ),
    () => asked(random, 'namespaces', () => some(random, [...names, 'a*', '*b'])),
    () => asked(random, 'serviceAccounts', () => [account(), account()]),
    () => asked(random, 'ipBlocks', () => some(random, blocks)),
  ];
  return Object.assign({ ...random.pick(kinds)() }, random.oneIn(3) ? random.pick(kinds)() : {});
}

function operation(random: Random): AuthorizationOperation {
  const kinds: (() => Record<string, unknown>)[] = [
    () => asked(random, 'paths', () => some(random, paths)),
    () => asked(random, 'paths', () => some(random, paths)),
    () => asked(random, 'ports', () => some(random, ports)),
    () => asked(random, 'methods', () => some(random, methods)),
    () => asked(random, 'hosts', () => some(random, hosts)),
  ];
  return Object.assign({ ...random.pick(kinds)() }, random.oneIn(2) ? random.pick(kinds)() : {});
}

function condition(random: Random): AuthorizationCondition {
  const kinds: (() => [string, unknown[]])[] = [
    () => ['request.headers[X-A]', some(random, values)],
    () => ['request.headers[x-b]', some(random, values)],
    () => ['request.headers[host]', some(random, hosts)],
    () => ['source.ip', some(random, blocks)],
    () => ['source.identity', [identity(random)]],
    () => ['source.namespace', some(random, names)],
    () => ['source.serviceAccount', ['a/a', 'b/*']],
    () => ['destination.ip', some(random, blocks)],
    () => ['destination.port', some(random, ports).map(String)],
  ];
  const [key, list] = random.pick(kinds)();
  return { key, ...asked(random, 'values', () => list) };
}

function rule(random: Random, i: number): AuthorizationRule {
  return {
    name: `rule ${i}`,
    from: random.oneIn(2) ? [] : random.list(2, () => source(random)),
    to: random.oneIn(3) ? [] : random.list(2, () => operation(random)),
    when: random.oneIn(3) ? random.list(2, () => condition(random)) : [],
  };
}

function policy(random: Random, i: number, mostRules: number): AuthorizationPolicyRules {
  let rules = 0;
  return {
    name: `AuthorizationPolicy a/${i}`,
    action: random.pick(['ALLOW', 'ALLOW', 'DENY', 'AUDIT']),
    dryRun: random.oneIn(5),
    rules: random.list(mostRules, () => rule(random, rules++)),
  };
}

export function randomAuthorization(random: Random): Authorization {
  const mostRules = random.oneIn(60) ? 60 : 4;
  let policies = 0;
  return {
    policies: random.list(4, () => policy(random, policies++, mostRules)),
    ambiguousPaths: random.oneIn(4) ? 'refuse' : 'allReadings',
  };
}

export interface Asked {
  caller: Caller;
  target: Target;
  request: HttpRequest | null;
}

export function randomAsked(random: Random): Asked {
  const id = random.oneIn(5) ? '' : `spiffe://c/ns/${random.pick(names)}/sa/${random.pick(names)}`;
  return {
    caller: callerOf(id, random.pick(addresses)),
    target: { address: random.pick(addresses.slice(0, 4)), port: random.pick(ports) },
    request: random.oneIn(8) ? null : randomRequest(random),
  };
}

function randomRequest(random: Random): HttpRequest {
  const plain = random.oneIn(2);
  const pieces = random
    .list(4, () => random.pick(plain ? pathPieces.slice(0, 4) : pathPieces))
    .join('');
  const field = (): string[] => [
    random.pick(['x-a', 'x-b', 'x_a', 'y']),
    random.pick(headerValues),
  ];
  const fields = random.list(2, field).flat();
  return {
    method: random.pick([...methods, 'put']),
    authority: random.pick(authorities),
    path: random.oneIn(20)
      ? random.pick(oddTargets)
      : pieces.startsWith('/')
        ? pieces
        : `/${pieces}`,
    // The same twice, too.
    fields: random.oneIn(3) ? [...fields, ...fields] : fields,
  };
}
