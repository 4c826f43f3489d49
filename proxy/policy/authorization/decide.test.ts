import { describe, expect, it } from '@jest/globals';
import type { Authorization, AuthorizationCondition } from '../../api/authorization.ts';
import { callerOf } from './caller.ts';
import { compileAuthorization } from './compile.ts';
import { authorization, cart, get, nobody, operation, policy, web } from './test-policies.ts';
import type { Caller, Decision, HttpRequest } from './types.ts';

interface Asked {
  caller?: Caller;
  request?: HttpRequest | null;
}

function decided(
  from: Authorization | undefined,
  { caller = web, request = get('/') }: Asked = {},
): Decision {
  return compileAuthorization(from).decide(caller, cart, request);
}

const webOnly = { from: [{ namespaces: ['web'] }] };
const others = { from: [{ notNamespaces: ['web'] }] };

describe('policies decide in their order', () => {
  it('that nothing is refused where there are none, and nothing is asked', () => {
    for (const none of [undefined, authorization()]) {
      expect(compileAuthorization(none).active).toBe(false);
      expect(decided(none)).toEqual({ allowed: true, reason: 'no-policy', by: null, remarks: [] });
    }
    expect(compileAuthorization(authorization(policy('AUDIT', []))).active).toBe(true);
  });

  it('that a DENY rule refuses before an ALLOW rule lets in', () => {
    const both = authorization(policy('ALLOW', [{}]), policy('DENY', [others, webOnly]));
    expect(decided(both)).toMatchObject({
      allowed: false,
      reason: 'deny-rule',
      by: { policy: 'AuthorizationPolicy shop/deny', rule: 'rule 1' },
    });
    const missed = authorization(policy('ALLOW', [others, {}]), policy('DENY', [others]));
    expect(decided(missed)).toMatchObject({
      allowed: true,
      reason: 'allow-rule',
      by: { policy: 'AuthorizationPolicy shop/allow', rule: 'rule 1' },
    });
  });

  it('that DENY alone lets in what it does not match', () => {
    expect(decided(authorization(policy('DENY', [others])))).toMatchObject({
      allowed: true,
      by: null,
    });
    expect(decided(authorization(policy('DENY', [])))).toMatchObject({ reason: 'no-policy' });
  });

  it('that an ALLOW policy without rules lets nothing in', () => {
    const by = { policy: 'AuthorizationPolicy shop/allow', rule: '' };
    const none = authorization(policy('ALLOW', []));
    expect(decided(none)).toMatchObject({ allowed: false, reason: 'no-allow-rule', by });
    expect(decided(none, { request: null })).toMatchObject({ allowed: false, by });
  });

  it('that several ALLOW policies are named where none of them lets in', () => {
    const named = (...names: string[]) =>
      decided(authorization(...names.map((name) => policy('ALLOW', [others], { name })))).by
        ?.policy;
    expect(named('a', 'b', 'c')).toBe('a, b, c');
    expect(named('a', 'b', 'c', 'd', 'e')).toBe('a, b, c and 2 more');
  });

  it('that each reading of a path may be let in by another rule, and the one as sent is named', () => {
    const exact = (path: string) => ({ to: [{ paths: [{ exact: path }] }] });
    const all = authorization(policy('ALLOW', [exact('/a/b'), exact('/a//b')]));
    expect(decided(all, { request: get('/a//b') })).toMatchObject({
      allowed: true,
      by: { rule: 'rule 1' },
    });
    const one = authorization(policy('ALLOW', [exact('/a/b')]));
    expect(decided(one, { request: get('/a//b') })).toMatchObject({ reason: 'no-allow-rule' });
    const deny = authorization(policy('DENY', [exact('/c'), exact('/b'), exact('/a/../b')]));
    expect(decided(deny, { request: get('/a/../b') })).toMatchObject({ by: { rule: 'rule 1' } });
  });
});

describe('policies that decide nothing', () => {
  const dryRun = { dryRun: true };

  it('remark once each what AUDIT rules and DENY rules on trial match', () => {
    const some = authorization(
      policy('AUDIT', [others, webOnly, {}], { name: 'audit' }),
      policy('DENY', [webOnly, {}], { ...dryRun, name: 'trial' }),
      policy('DENY', [others], { ...dryRun, name: 'missed' }),
    );
    expect(decided(some)).toEqual({
      allowed: true,
      reason: 'no-policy',
      by: null,
      remarks: [
        { kind: 'audit', policy: 'audit', rule: 'rule 1' },
        { kind: 'would-deny', policy: 'trial', rule: 'rule 0' },
      ],
    });
  });

  it('remark beside a refusal, too', () => {
    const some = authorization(policy('AUDIT', [{}]), policy('DENY', [{}]));
    expect(decided(some)).toMatchObject({ allowed: false, remarks: [{ kind: 'audit' }] });
    const refusing = { ...some, ambiguousPaths: 'refuse' as const };
    expect(decided(refusing, { request: get('/a//b') })).toMatchObject({
      reason: 'ambiguous-path',
      remarks: [{ kind: 'audit' }],
    });
  });

  it('remark that ALLOW policies on trial would refuse, together, what none of them allows', () => {
    const trial = (...rules: object[]) =>
      policy('ALLOW', rules, { ...dryRun, name: `trial ${rules.length}` });
    const denies = [
      { kind: 'would-deny', policy: 'trial 1', rule: '' },
      { kind: 'would-deny', policy: 'trial 0', rule: '' },
    ];
    expect(decided(authorization(trial(others), trial()))).toMatchObject({
      allowed: true,
      remarks: denies,
    });
    expect(decided(authorization(trial(webOnly), trial())).remarks).toEqual([]);
    // Where ALLOW policies are in force, more of them refuse nothing more.
    expect(decided(authorization(policy('ALLOW', [{}]), trial(others))).remarks).toEqual([]);
  });

  it('remark if ALLOW policies on trial would refuse any reading of the path', () => {
    const rules = [{ to: [{ notPaths: [{ exact: '/a//b' }] }] }];
    const trial = authorization(policy('ALLOW', rules, dryRun));
    expect(decided(trial, { request: get('/a//b') }).remarks).toHaveLength(1);
    expect(decided(trial, { request: get('/a/b') }).remarks).toEqual([]);
  });

  it('never refuse a path for being ambiguous', () => {
    const trial = authorization(policy('DENY', [others], dryRun), policy('AUDIT', [others]));
    const refusing = { ...trial, ambiguousPaths: 'refuse' as const };
    expect(decided(refusing, { request: get('/a//b') })).toMatchObject({ allowed: true });
    const allow = authorization(policy('ALLOW', [{}]));
    expect(
      decided({ ...allow, ambiguousPaths: 'refuse' }, { request: get('/a//b') }),
    ).toMatchObject({
      reason: 'ambiguous-path',
    });
  });
});

describe('a method that is not in capitals', () => {
  const remove = get('/', { method: 'delete' });

  it.each([{ methods: ['GET', 'DELETE'] }, { notMethods: ['GET', 'DELETE'] }])(
    'is unknown to rules that name its capitals, which some apps take it for: %j',
    (to) => {
      expect(decided(operation('DENY', to), { request: remove }).allowed).toBe(false);
      expect(decided(operation('ALLOW', to), { request: remove }).allowed).toBe(false);
      expect(decided(operation('AUDIT', to), { request: remove }).remarks).toEqual([]);
    },
  );

  it('is another one to rules that name others', () => {
    expect(decided(operation('DENY', { methods: ['GET'] }), { request: remove }).allowed).toBe(
      true,
    );
    expect(decided(operation('ALLOW', { notMethods: ['GET'] }), { request: remove }).allowed).toBe(
      true,
    );
  });
});

describe('opaque TCP', () => {
  const http = [
    { hosts: ['cart.shop'] },
    { notHosts: ['cart.shop'] },
    { methods: ['GET'] },
    { notMethods: ['GET'] },
    { paths: [{ prefix: '/a' }] },
    { notPaths: [{ prefix: '/' }] },
  ];

  it.each(http)(
    'meets DENY rules whatever they ask of HTTP, and no ALLOW and AUDIT rules: %j',
    (to) => {
      expect(decided(operation('DENY', to), { request: null }).allowed).toBe(false);
      expect(decided(operation('DENY', { ...to, ports: [1] }), { request: null }).allowed).toBe(
        true,
      );
      expect(decided(operation('ALLOW', to), { request: null }).allowed).toBe(false);
      expect(decided(operation('AUDIT', to), { request: null }).remarks).toEqual([]);
    },
  );

  it('is judged by conditions on headers in the same way', () => {
    for (const lists of [{ values: ['a'] }, { notValues: ['a'] }]) {
      const when = [{ key: 'request.headers[x-a]', ...lists }];
      const rules = [{ when }];
      expect(decided(authorization(policy('DENY', rules)), { request: null }).allowed).toBe(false);
      expect(decided(authorization(policy('ALLOW', rules)), { request: null }).allowed).toBe(false);
    }
  });

  it('is let in by the operation of an ALLOW rule that asks for ports only', () => {
    const rules = [{ to: [{ methods: ['GET'] }, { ports: [cart.port] }] }];
    expect(decided(authorization(policy('ALLOW', rules)), { request: null }).allowed).toBe(true);
  });
});

describe('a caller', () => {
  const matches = (source: object, caller: Caller): boolean =>
    !decided(authorization(policy('DENY', [{ from: [source] }])), { caller }).allowed;

  it.each([
    [{ identities: ['cluster.local/ns/web/sa/front'] }, true],
    [{ identities: ['cluster.local/ns/web/sa/*'] }, true],
    [{ identities: ['*/sa/front'] }, true],
    [{ identities: ['*'] }, true],
    [{ identities: ['cluster.local/ns/web/sa/fron'] }, false],
    [{ identities: ['other/*', '*/back'] }, false],
    [{ namespaces: ['web'] }, true],
    [{ namespaces: ['w*', 'x'] }, true],
    [{ namespaces: ['*b'] }, true],
    [{ namespaces: ['we'] }, false],
    [{ serviceAccounts: ['web/front'] }, true],
    [{ serviceAccounts: ['shop/front', 'front'] }, false],
    [{ ipBlocks: ['10.0.0.1'] }, true],
    [{ ipBlocks: ['fd00::/8', '10.0.0.0/24'] }, true],
    [{ ipBlocks: ['10.0.0.0/32', '::/0'] }, false],
    [{ namespaces: ['web'], ipBlocks: ['11.0.0.0/8'] }, false],
  ])('with an identity is matched by its parts: %j', (source, expected) => {
    expect(matches(source, web)).toBe(expected);
    const [[field, list]] = Object.entries(source) as [[string, string[]]];
    if (Object.keys(source).length > 1) return;
    const negated = { [`not${field[0]!.toUpperCase()}${field.slice(1)}`]: list };
    expect(matches(negated, web)).toBe(!expected);
  });

  it.each([
    [{ identities: ['*'] }, false],
    [{ namespaces: ['*'] }, false],
    [{ serviceAccounts: ['*'] }, false],
    [{ notIdentities: ['*'] }, true],
    [{ notNamespaces: ['*'] }, true],
    [{ notServiceAccounts: ['*'] }, true],
    [{ ipBlocks: ['192.168.0.0/16'] }, true],
  ])(
    'without a verified identity is matched by negations, and by its address: %j',
    (source, expected) => {
      expect(matches(source, nobody)).toBe(expected);
    },
  );

  it('of whom no address can be read is refused rather than let in', () => {
    const caller = callerOf('', 'pipe');
    for (const source of [{ ipBlocks: ['10.0.0.0/8'] }, { notIpBlocks: ['10.0.0.0/8'] }]) {
      expect(matches(source, caller)).toBe(true);
      const allow = authorization(policy('ALLOW', [{ from: [source] }]));
      expect(decided(allow, { caller }).allowed).toBe(false);
    }
  });

  it('is known by a SPIFFE id of the mesh, and by an address without a prefix', () => {
    expect(callerOf('spiffe://c/ns/a/sa/b', '::ffff:10.0.0.1')).toEqual({
      identity: 'spiffe://c/ns/a/sa/b',
      namespace: 'a',
      serviceAccount: 'b',
      address: '10.0.0.1',
    });
    expect(callerOf('spiffe://c/other', 'fd00::1')).toEqual({
      identity: '',
      namespace: '',
      serviceAccount: '',
      address: 'fd00::1',
    });
    expect(callerOf('', '::ffff:1').address).toBe('::ffff:1');
  });
});

describe('a host', () => {
  const matches = (hosts: string[], authority: string): boolean =>
    !decided(operation('DENY', { hosts }), { request: get('/', { authority }) }).allowed;

  it.each([
    ['cart.shop', 'cart.shop', true],
    ['cart.shop', 'CART.shop', true],
    ['Cart.Shop', 'cart.shop:8080', true],
    ['cart.shop', 'cart.shop.', true],
    ['cart.shop.', 'cart.shop.:80', true],
    ['cart.shop:80', 'cart.shop', true],
    ['cart.shop:80', 'cart.shop:', true],
    ['cart.shop:80', 'cart.shop:080', true],
    ['cart.shop:8080', 'cart.shop', false],
    ['cart.shop:*', 'cart.shop:1', true],
    ['cart', 'cart.shop', false],
    ['cart*', 'cart.shop', true],
    ['*.shop', 'cart.shop:1', true],
    ['*.shop:2', 'cart.shop:1', false],
    ['*', 'x', true],
    ['[fd00::1]', '[FD00::1]:80', true],
    ['[fd00::1]:81', '[fd00::1]', false],
  ])('%s is asked of %s', (pattern, authority, expected) => {
    expect(matches([pattern], authority)).toBe(expected);
  });

  it.each(['', 'c%61rt.shop', 'a@cart.shop', 'a,b', 'cart.shop:8o'])(
    'that nobody can tell (%j) is refused rather than let in',
    (authority) => {
      const request = get('/', { authority });
      for (const to of [{ hosts: ['x'] }, { notHosts: ['x'] }]) {
        expect(decided(operation('DENY', to), { request }).allowed).toBe(false);
        expect(decided(operation('ALLOW', to), { request }).allowed).toBe(false);
      }
      const when: AuthorizationCondition[] = [{ key: 'request.headers[Host]', notValues: ['x'] }];
      expect(decided(authorization(policy('ALLOW', [{ when }])), { request }).allowed).toBe(false);
    },
  );
});

describe('a header', () => {
  const matches = (action: 'ALLOW' | 'DENY', lists: object, fields: string[]): boolean => {
    const when = [{ key: 'request.headers[X-A]', ...lists }];
    const { reason } = decided(authorization(policy(action, [{ when }])), {
      request: get('/', { fields }),
    });
    return reason === 'allow-rule' || reason === 'deny-rule';
  };

  it.each([
    // Sent once.
    [{ values: ['a'] }, ['x-a', 'a'], true, true],
    [{ values: ['a'] }, ['x-a', 'A'], false, false],
    [{ values: ['a*'] }, ['x-a', 'ab'], true, true],
    [{ values: ['*b'] }, ['x-b', 'b', 'x-a', 'ab'], true, true],
    [{ values: ['*'] }, ['x-a', ''], true, true],
    [{ values: ['*'], notValues: ['b'] }, ['x-a', 'b'], false, false],
    // Absent.
    [{ values: ['*'] }, [], false, false],
    [{ notValues: ['*'] }, [], true, true],
    // Twice: an app may take either, or both in one.
    [{ values: ['a'] }, ['x-a', 'a', 'x-a', 'b'], true, false],
    [{ values: ['b'] }, ['x-a', 'a', 'x-a', 'b'], true, false],
    [{ values: ['a'] }, ['x-a', 'a', 'x-a', 'a'], true, false],
    [{ values: ['a, b'] }, ['x-a', 'a', 'x-a', 'b'], true, false],
    [{ values: ['a', 'b', 'a, b'] }, ['x-a', 'a', 'x-a', 'b'], true, true],
    [{ notValues: ['a'] }, ['x-a', 'a', 'x-a', 'b'], true, false],
    [{ notValues: ['c'] }, ['x-a', 'a', 'x-a', 'b'], true, true],
    // Under another name: some apps take it for the same.
    [{ values: ['a'] }, ['x_a', 'a'], true, false],
    [{ values: ['a'] }, ['x-a', 'a', 'x_a', 'b'], true, false],
    [{ values: ['*'] }, ['x-a', 'a', 'x_a', 'b'], true, true],
    [{ notValues: ['a'] }, ['x_a', 'a'], true, false],
    [{ notValues: ['a'] }, ['x-b', 'a'], true, true],
    // A list: an app may take any of it.
    [{ values: ['b'] }, ['x-a', 'a, b'], true, false],
    [{ values: ['a*'] }, ['x-a', 'a, b'], true, true],
    [{ values: ['a, b'] }, ['x-a', 'a, b'], true, true],
    [{ notValues: ['a, b'] }, ['x-a', 'a, b'], true, false],
  ])('asked for %j, sent as %j: DENY %s, ALLOW %s', (lists, fields, deny, allow) => {
    expect(matches('DENY', lists, fields)).toBe(deny);
    expect(matches('ALLOW', lists, fields)).toBe(allow);
  });
});

describe('a condition on an attribute', () => {
  it.each([
    [{ key: 'source.ip', values: ['10.0.0.0/8'] }, true],
    [{ key: 'source.ip', notValues: ['10.0.0.0/8'] }, false],
    [{ key: 'source.identity', values: ['*/front'] }, true],
    [{ key: 'source.namespace', notValues: ['web'] }, false],
    [{ key: 'source.serviceAccount', values: ['web/*'] }, true],
    [{ key: 'destination.ip', values: ['10.0.0.2'] }, true],
    [{ key: 'destination.ip', values: ['10.0.0.3'] }, false],
    [{ key: 'destination.port', values: ['80', '8080'] }, true],
    [{ key: 'destination.port', notValues: ['8080'] }, false],
  ])('%j', (condition, expected) => {
    const rules = [{ when: [condition] }];
    expect(decided(authorization(policy('DENY', rules)), { request: null }).allowed).toBe(
      !expected,
    );
    expect(decided(authorization(policy('ALLOW', rules)), { request: null }).allowed).toBe(
      expected,
    );
  });

  it('that is none is a mistake of whoever did not check it', () => {
    const broken = (when: AuthorizationCondition[]) => () =>
      compileAuthorization(authorization(policy('DENY', [{ when }])));
    expect(broken([{ key: 'source.name', values: ['a'] }])).toThrow(
      'when[0].key: source.name is no key',
    );
    expect(broken([{ key: 'source.ip', values: ['x'] }])).toThrow('x is no IP block');
  });

  it('or a field with an empty list is read safely', () => {
    for (const rule of [
      { to: [{ methods: [] }] },
      { from: [{ notNamespaces: [] }] },
      { when: [{ key: 'request.headers[x-a]', values: ['a'], notValues: [] }] },
    ]) {
      const request = get('/', { fields: ['x-a', 'b'] });
      expect(decided(authorization(policy('DENY', [rule])), { request }).allowed).toBe(false);
      expect(decided(authorization(policy('ALLOW', [rule])), { request }).allowed).toBe(false);
    }
  });
});

describe('a path', () => {
  const matches = (path: object, sent: string): boolean =>
    !decided(operation('DENY', { paths: [path as { exact: string }] }), { request: get(sent) })
      .allowed;

  it.each([
    [{ exact: '/a' }, '/a?b', true],
    [{ exact: '/a' }, '/a/', false],
    [{ exact: '/a b/Ü' }, '/a%20b/%c3%9c', true],
    [{ exact: '/a%2fb' }, '/a%2Fb', true],
    [{ prefix: '/a' }, '/a', true],
    [{ prefix: '/a/' }, '/a', true],
    [{ prefix: '/a' }, '/a/b', true],
    [{ prefix: '/a' }, '/ab', false],
    [{ prefix: '/' }, '/', true],
    [{ prefix: '/' }, '*', true],
    [{ prefix: '/a' }, '', false],
    [{ suffix: '.json' }, '/a.json', true],
    [{ suffix: '/a.json' }, '/a.json', true],
    [{ suffix: 'b.json' }, '/a.json', false],
    [{ suffix: '20b' }, '/a%20b', false],
    [{ suffix: '%20b' }, '/a%20b', true],
    [{ template: '/a/{*}' }, '/a/b', true],
    [{ template: '/a/{*}' }, '/a/', false],
    [{ template: '/a/{*}' }, '/a/b/c', false],
    [{ template: '/a/{**}' }, '/a', true],
    [{ template: '/a/{**}' }, '/a/b/c/', true],
    [{ template: '/a/{**}/c' }, '/a/c', true],
    [{ template: '/a/{**}/c' }, '/a/c/b/c', true],
    [{ template: '/a/{**}/c' }, '/a/c/b', false],
    [{ template: '/{**}/b/{**}/b' }, '/b/a/b', true],
    [{ template: '/{**}/b/{**}/b' }, '/a/b', false],
    [{ template: '/{**}' }, '*', true],
    [{ template: '/{*}' }, '', false],
    [{ template: '/a/b' }, '/a/b', true],
  ])('%j is asked of %s', (path, sent, expected) => {
    expect(matches(path, sent)).toBe(expected);
  });
});
