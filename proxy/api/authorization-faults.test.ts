import { describe, expect, it } from '@jest/globals';
import { authorizationFaults } from './authorization-faults.ts';
import type { Authorization, AuthorizationRule } from './authorization.ts';

function faultsOf(rule: object): string[] {
  const whole = { name: 'rule 0', from: [], to: [], when: [], ...rule } as AuthorizationRule;
  const authorization: Authorization = {
    policies: [{ name: 'p', action: 'DENY', dryRun: false, rules: [whole] }],
    ambiguousPaths: 'allReadings',
  };
  return authorizationFaults(authorization).map(({ path, message }) => `${path}: ${message}`);
}

describe('authorization policies', () => {
  it('with all that they can say have no fault', () => {
    const both = (name: string, list: unknown[]) => ({
      [name]: list,
      [`not${name[0]!.toUpperCase()}${name.slice(1)}`]: list,
    });
    const from = {
      ...both('identities', ['c/ns/a/sa/b', 'c/*', '*/b', '*']),
      ...both('namespaces', ['a', 'a*', '*']),
      ...both('serviceAccounts', ['a/b', '*']),
      ...both('ipBlocks', ['10.0.0.0/8', '::1']),
    };
    const to = {
      ...both('hosts', ['a.b', '*.b', '[::1]:80', 'a:*']),
      ...both('ports', [1, 65_535]),
      ...both('methods', ['GET']),
      ...both('paths', [
        { exact: '/' },
        { prefix: '/a' },
        { suffix: 'b' },
        { template: '/{*}/a/{**}' },
      ]),
    };
    const when = [
      { key: 'request.headers[X-A]', ...both('values', ['', '*', 'a*b', '*b']) },
      { key: 'request.headers[host]', ...both('values', ['a']) },
      { key: 'source.serviceAccount', ...both('values', ['a/b', 'a/*']) },
      { key: 'destination.port', ...both('values', ['80']) },
      { key: 'destination.ip', ...both('values', ['::1']) },
      { key: 'source.identity', ...both('values', ['*']) },
    ];
    expect(faultsOf({ from: [from], to: [to], when })).toEqual([]);
    expect(faultsOf({})).toEqual([]);
  });

  it.each([
    [{ from: [{}] }, '/policies/0/rules/0/from/0: must say something'],
    [{ from: [{ namespaces: undefined }] }, '/policies/0/rules/0/from/0: must say something'],
    [{ from: [{ namespaces: [] }] }, '/policies/0/rules/0/from/0/namespaces: must not be empty'],
    [{ from: [{ namespaces: ['a', ''] }] }, '/from/0/namespaces/1: must not be empty'],
    [{ from: [{ namespaces: ['*a*'] }] }, "must have '*' only at its begin or only at its end"],
    [{ from: [{ identities: [''] }] }, '/from/0/identities/0: must not be empty'],
    [{ from: [{ identities: ['spiffe://a'] }] }, 'must be without spiffe://'],
    [{ from: [{ notIdentities: ['a*b'] }] }, '/from/0/notIdentities/0: must have'],
    [{ from: [{ serviceAccounts: ['a'] }] }, 'must be namespace/name of a service account'],
    [{ from: [{ serviceAccounts: ['a/*/b'] }] }, '/serviceAccounts/0: must have'],
    [
      { from: [{ ipBlocks: ['10.0.0.0/33'] }] },
      '/ipBlocks/0: must be an IP address or a CIDR block',
    ],
    [{ to: [{}] }, '/to/0: must say something'],
    [{ to: [{ hosts: [''] }] }, '/to/0/hosts/0: must not be empty'],
    [{ to: [{ hosts: ['a/b'] }] }, 'has a character that no host has'],
    [{ to: [{ hosts: ['*a*'] }] }, '/to/0/hosts/0: must have'],
    [{ to: [{ ports: [0] }] }, '/to/0/ports/0: must be a port from 1 to 65535'],
    [{ to: [{ ports: [1.5] }] }, 'must be a port from 1 to 65535'],
    [{ to: [{ notPorts: [65_536] }] }, 'must be a port from 1 to 65535'],
    [{ to: [{ methods: ['G T'] }] }, '/to/0/methods/0: must be an HTTP method'],
    [{ to: [{ paths: [{}] }] }, '/to/0/paths/0: must have exactly one of exact'],
    [{ to: [{ paths: [{ exact: '/a', prefix: '/b' }] }] }, 'must have exactly one of exact'],
    [{ to: [{ paths: [{ exact: '' }] }] }, '/to/0/paths/0: must not be empty'],
    [{ to: [{ paths: [{ prefix: '/a?b' }] }] }, 'must have no query'],
    [{ to: [{ notPaths: [{ prefix: 'a' }] }] }, "/to/0/notPaths/0: must begin with '/'"],
    [{ to: [{ paths: [{ template: '/a{*}' }] }] }, 'must have {*} and {**} as whole segments only'],
    [{ when: [{ key: 'a', values: ['b'] }] }, '/when/0/key: must be request.headers[name], or one'],
    [{ when: [{ key: 'request.headers[a b]', values: ['b'] }] }, 'must be request.headers[name]'],
    [{ when: [{ key: 'request.headers[TE]', values: ['b'] }] }, 'rules do not see it'],
    [{ when: [{ key: 'source.ip' }] }, '/when/0: must have values or notValues'],
    [{ when: [{ key: 'source.ip', values: ['a'] }] }, '/when/0/values/0: must be an IP address'],
    [{ when: [{ key: 'destination.port', values: ['0'] }] }, 'must be a port, such as "8080"'],
    [{ when: [{ key: 'destination.port', values: ['65536'] }] }, 'must be a port, such as "8080"'],
    [{ when: [{ key: 'source.serviceAccount', values: ['a'] }] }, 'must be namespace/name'],
    [{ when: [{ key: 'source.namespace', notValues: ['a*b'] }] }, '/notValues/0: must have'],
    [{ when: [{ key: 'request.headers[a]', values: ['*/*'] }] }, 'at its begin or at its end, not'],
  ])('are refused by the place: %j', (rule, words) => {
    expect(faultsOf(rule)).toEqual([expect.stringContaining(words)]);
  });
});
