// What one decision about a request costs, by the index that sidecars use and by asking each rule, for several shapes
// of policies; in this process.
import type {
  Authorization,
  AuthorizationAction,
  AuthorizationRule,
} from '../../proxy/api/authorization.ts';
import { callerOf } from '../../proxy/policy/authorization/caller.ts';
import { judgeOf } from '../../proxy/policy/authorization/compile.ts';
import { decide, type Judge } from '../../proxy/policy/authorization/decide.ts';
import { CallerFacts } from '../../proxy/policy/authorization/facts.ts';
import type { Finder } from '../../proxy/policy/authorization/finder.ts';
import { createIndex } from '../../proxy/policy/authorization/rule-index.ts';
import { compilePolicies, type RuleSets } from '../../proxy/policy/authorization/rule-sets.ts';
import { ruleHolds } from '../../proxy/policy/authorization/rule.ts';
import type { Caller, HttpRequest, Target } from '../../proxy/policy/authorization/types.ts';
import { median, row } from './process-figures.ts';

interface Asked {
  caller: Caller;
  target: Target;
  request: HttpRequest;
}

interface Shape {
  name: string;
  rule(i: number): Partial<AuthorizationRule>;
  /** What matches rule `i`; beyond the last rule, none. */
  asked(i: number): Asked;
  /** Each request comes from a connection of its own: nothing is known of its caller. */
  newCallers?: true;
}

const sizes = [100, 1000];
/** Connections that requests come from in turn. */
const connections = 64;
const rounds = 7;
const roundMs = 40;

export function benchAuthorization(): Promise<string[]> {
  const rows = [
    row('rules', 'shape', 'by index, hit / miss', 'asking each, hit / miss'),
    row('---', '---', '--:', '--:'),
  ];
  for (const size of sizes)
    for (const shape of shapes)
      for (const action of ['ALLOW', 'DENY'] as const) rows.push(measured(size, shape, action));
  return Promise.resolve(rows);
}

function measured(size: number, shape: Shape, action: AuthorizationAction): string {
  const authorization = authorizationOf(size, shape, action);
  const policies = compilePolicies(authorization);
  const byIndex = judgeOf(authorization, policies, createIndex);
  const byWalk = judgeOf(authorization, policies, createWalk);
  const hits = Array.from({ length: connections }, (_, i) => shape.asked((i * 7919) % size));
  const misses = Array.from({ length: connections }, (_, i) => shape.asked(size + i));
  for (const [list, hit] of [
    [hits, true],
    [misses, false],
  ] as const)
    for (const judge of [byIndex, byWalk]) mustDecide(judge, list, hit === (action === 'ALLOW'));
  const fresh = shape.newCallers === true;
  const cost = (judge: Judge): string =>
    `${costOf(judge, hits, fresh)} / ${costOf(judge, misses, fresh)}`;
  return row(size.toLocaleString('en'), `${action} ${shape.name}`, cost(byIndex), cost(byWalk));
}

function mustDecide(judge: Judge, list: readonly Asked[], allowed: boolean): void {
  for (const { caller, target, request } of list)
    if (decide(judge, caller, target, request).allowed !== allowed)
      throw new Error(`a request was decided otherwise than its shape says: ${request.path}`);
}

/** Median of the rounds, each of them the mean CPU time of a decision. */
function costOf(judge: Judge, list: readonly Asked[], fresh: boolean): string {
  const times = Array.from({ length: rounds + 2 }, () => {
    const { user } = process.threadCpuUsage();
    let decisions = 0;
    const endMs = performance.now() + roundMs;
    while (performance.now() < endMs) {
      for (const { caller, target, request } of list)
        decide(judge, fresh ? { ...caller } : caller, target, request);
      decisions += list.length;
    }
    return (process.threadCpuUsage().user - user) / decisions;
  });
  return `${median(times.slice(2)).toFixed(2)} µs`;
}

function authorizationOf(size: number, shape: Shape, action: AuthorizationAction): Authorization {
  const rules = Array.from({ length: size }, (_, i) => ({
    name: `rule ${i}`,
    from: [],
    to: [],
    when: [],
    ...shape.rule(i),
  }));
  // Ten rules a policy, as people write them.
  const policies = Array.from({ length: size / 10 }, (_, i) => ({
    name: `AuthorizationPolicy shop/p${i}`,
    action,
    dryRun: false,
    rules: rules.slice(10 * i, 10 * i + 10),
  }));
  return { policies, ambiguousPaths: 'allReadings' };
}

/** What the index spares: asks each rule in turn. */
function createWalk(sets: RuleSets): Finder {
  return {
    known: (caller) => new CallerFacts(caller),
    look: () => undefined,
    first(set, facts) {
      const rules = sets[set];
      for (let i = 0; i < rules.length; i++) if (ruleHolds(rules[i]!, facts)) return i;
      return -1;
    },
    collect: () => undefined,
  };
}

const front = 'spiffe://cluster.local/ns/web/sa/front';

function get(path: string, more: Partial<Asked & { method: string }> = {}): Asked {
  const { method = 'GET', caller = callerOf(front, '10.0.0.1'), target } = more;
  return {
    caller,
    target: target ?? { address: '10.0.0.2', port: 8080 },
    request: { method, authority: 'cart.shop:8080', path, fields: ['accept', '*/*'] },
  };
}

const methods = ['GET', 'POST', 'PUT', 'DELETE'];

const byIdentity: Shape = {
  name: 'by identity',
  rule: (i) => ({ from: [{ identities: [`cluster.local/ns/team-${i % 50}/sa/app-${i}`] }] }),
  asked: (i) =>
    get('/cart/items?page=2', {
      caller: callerOf(`spiffe://cluster.local/ns/team-${i % 50}/sa/app-${i}`, '10.0.0.1'),
    }),
};

const shapes: readonly Shape[] = [
  byIdentity,
  { ...byIdentity, name: 'by identity, first request of a connection', newCallers: true },
  {
    name: 'by address',
    rule: (i) => ({ from: [{ ipBlocks: [`10.${i >>> 8}.${i & 255}.0/24`] }] }),
    asked: (i) => get('/cart', { caller: callerOf(front, `10.${i >>> 8}.${i & 255}.7`) }),
  },
  {
    name: 'by path prefix',
    rule: (i) => ({ to: [{ paths: [{ prefix: `/api/v1/resources-${i}` }] }] }),
    asked: (i) => get(`/api/v1/resources-${i}/items/17?page=2`),
  },
  {
    name: 'by template',
    rule: (i) => ({ to: [{ paths: [{ template: `/tenants/{*}/resources-${i}` }] }] }),
    asked: (i) => get(`/tenants/acme/resources-${i}`),
  },
  {
    name: 'by port and method',
    rule: (i) => ({ to: [{ ports: [1000 + (i >>> 2)], methods: [methods[i & 3]!] }] }),
    asked: (i) =>
      get('/cart/items', {
        method: methods[i & 3]!,
        target: { address: '10.0.0.2', port: 1000 + (i >>> 2) },
      }),
  },
  {
    name: 'mixed',
    rule: (i) => ({
      from: [{ namespaces: [`team-${i % 20}`], notIpBlocks: ['10.255.0.0/16'] }],
      to: [
        {
          ports: [8080],
          methods: ['GET', 'HEAD'],
          paths: [{ prefix: `/r-${i}` }, { suffix: '.ico' }],
        },
        { ports: [9090], hosts: ['*.internal'] },
      ],
      when: i % 3 === 0 ? [{ key: 'request.headers[accept]', notValues: ['text/html'] }] : [],
    }),
    asked: (i) =>
      get(`/r-${i}/items/17`, {
        caller: callerOf(`spiffe://cluster.local/ns/team-${i % 20}/sa/a`, '10.0.0.1'),
      }),
  },
];
