import { describe, expect, it } from '@jest/globals';
import { callerOf } from './caller.ts';
import { explainDecision } from './explain.ts';
import { authorization, cart, get, policy, web } from './test-policies.ts';
import type { Caller, HttpRequest } from './types.ts';

function reasons(
  rule: object,
  request: HttpRequest | null = get('/a'),
  caller: Caller = web,
): string {
  return explainDecision(authorization(policy('ALLOW', [rule])), caller, cart, request).policies[0]!
    .rules[0]!.why;
}

describe('an explanation', () => {
  it('holds the decision, the readings of the path and every rule', () => {
    const rule = { to: [{ paths: [{ prefix: '/admin' }] }] };
    const policies = authorization(
      policy('DENY', [rule]),
      policy('ALLOW', [rule, {}], { dryRun: true }),
    );
    expect(explainDecision(policies, web, cart, get('/x/../admin'))).toEqual({
      decision: {
        allowed: false,
        reason: 'deny-rule',
        by: { policy: 'AuthorizationPolicy shop/deny', rule: 'rule 0' },
        remarks: [],
      },
      readings: ['/x/../admin', '/admin'],
      policies: [
        {
          policy: 'AuthorizationPolicy shop/deny',
          action: 'DENY',
          dryRun: false,
          rules: [
            {
              rule: 'rule 0',
              matches: true,
              holdsFor: [1],
              why: 'to[0].paths: the path is /x/../admin',
            },
          ],
        },
        {
          policy: 'AuthorizationPolicy shop/allow',
          action: 'ALLOW',
          dryRun: true,
          rules: [
            {
              rule: 'rule 0',
              matches: false,
              holdsFor: [1],
              why: 'to[0].paths: the path is /x/../admin',
            },
            { rule: 'rule 1', matches: true, holdsFor: [0, 1], why: '' },
          ],
        },
      ],
    });
  });

  it('is short without policies', () => {
    const decision = { allowed: true, reason: 'no-policy', by: null, remarks: [] };
    expect(explainDecision(undefined, web, cart, null)).toEqual({
      decision,
      readings: [null],
      policies: [],
    });
  });

  it('names of each alternative the field that does not hold, and what was there', () => {
    const from = [{ namespaces: ['a'] }, { ipBlocks: ['10.0.0.0/8'], notIdentities: ['*'] }];
    expect(reasons({ from, when: [{ key: 'destination.port', values: ['1'] }] })).toBe(
      [
        "from[0].namespaces: the caller's namespace is web",
        "from[1].notIdentities: the caller's identity is spiffe://cluster.local/ns/web/sa/front",
        'when[0].values: the port is 8080',
      ].join('; '),
    );
    expect(reasons({ from: [{ serviceAccounts: ['a/b'] }] })).toContain(
      'service account is web/front',
    );
    expect(reasons({ from: [{ ipBlocks: ['11.0.0.0/8'] }] })).toContain('address is 10.0.0.1');
    expect(reasons({ to: [{ methods: ['PUT'] }] })).toBe('to[0].methods: the method is GET');
    expect(reasons({ to: [{ hosts: ['a'] }] })).toBe('to[0].hosts: the host is cart.shop');
    expect(reasons({ when: [{ key: 'destination.ip', values: ['::1'] }] })).toContain(
      'called address is 10.0.0.2',
    );
  });

  it('says what is not there, or cannot be told', () => {
    const unknown = callerOf('', '');
    expect(reasons({ from: [{ identities: ['*'] }] }, null, unknown)).toContain(
      'identity is not verified',
    );
    expect(reasons({ from: [{ namespaces: ['*'] }] }, null, unknown)).toContain(
      'namespace is not verified',
    );
    expect(reasons({ from: [{ serviceAccounts: ['*'] }] }, null, unknown)).toContain(
      'account is not verified',
    );
    expect(reasons({ from: [{ ipBlocks: ['::/0'] }] }, null, unknown)).toContain(
      'address is unknown',
    );
    for (const to of [{ methods: ['GET'] }, { hosts: ['a'] }, { paths: [{ exact: '/' }] }])
      expect(reasons({ to: [to] }, null)).toContain(
        'opaque TCP, of which nothing of HTTP is known',
      );
    const header = { when: [{ key: 'request.headers[x-a]', values: ['a'] }] };
    expect(reasons(header, null)).toContain('opaque TCP');
    expect(reasons(header)).toBe('when[0].request.headers[x-a]: x-a is absent');
    expect(reasons(header, get('/', { fields: ['x-a', 'b', 'x-a', 'c'] }))).toContain(
      'x-a is "b" and "c"',
    );
    const host = { to: [{ hosts: ['a'] }] };
    expect(reasons(host, get('/', { authority: '' }))).toContain('no host was sent');
    expect(reasons(host, get('/', { authority: 'a@b' }))).toContain(
      'a@b can be read in several ways',
    );
    const path = { to: [{ paths: [{ exact: '/a' }] }] };
    expect(reasons(path, get(''))).toContain('the path is empty');
    expect(reasons(path, get(`/${'a;/..%2F%5C'.repeat(500)}`))).toContain('too many readings');
  });
});
