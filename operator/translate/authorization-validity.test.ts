import { describe, expect, it } from '@jest/globals';
import { authorizationPolicy } from '../model/test-objects.ts';
import type { AuthorizationPolicySpec, AuthorizationRuleSpec } from '../resources/tsmesh.ts';
import { authorizationFaults } from './authorization-validity.ts';

function faultsOf(spec: unknown, annotations: Record<string, string> = {}): string[] {
  const policy = authorizationPolicy('shop/p', spec as AuthorizationPolicySpec, { annotations });
  return authorizationFaults(policy).map(({ path, message }) => `${path}: ${message}`);
}

function ruleFaults(rule: unknown): string[] {
  return faultsOf({ rules: [rule] });
}

describe('an AuthorizationPolicy', () => {
  it('with all that the resource can say has no fault', () => {
    const rule: AuthorizationRuleSpec = {
      name: 'all-of-it',
      from: [
        {
          identities: ['cluster.local/ns/shop/sa/cart', 'cluster.local/ns/shop/*', '*/sa/x', '*'],
          notIdentities: ['other.example/*'],
          namespaces: ['shop', 'team-*', '*-prod'],
          notNamespaces: ['dev'],
          serviceAccounts: ['cart', 'shop/cart.v2'],
          notServiceAccounts: ['shop/x'],
          ipBlocks: ['10.0.0.0/8', '10.1.2.3', 'fd00::/8', '::1'],
          notIpBlocks: ['10.0.0.7/32'],
        },
      ],
      to: [
        {
          hosts: ['cart.shop', 'Cart.Shop:8080', '*.example.com', 'cart.*', '[fd00::7]:80'],
          notHosts: ['*'],
          ports: [8080],
          notPorts: [1, 65535],
          methods: ['GET', 'M-SEARCH'],
          notMethods: ['POST'],
          paths: [
            { exact: '/' },
            { prefix: '/cart' },
            { suffix: '.json' },
            { template: '/users/{*}/{**}' },
          ],
          notPaths: [{ template: '/' }],
        },
      ],
      when: [
        { key: 'request.headers[x-user]', values: ['a*', '*', ''], notValues: ['b'] },
        { key: 'source.ip', values: ['10.0.0.0/8'] },
        { key: 'destination.port', notValues: ['8080'] },
        { key: 'source.identity', values: ['*/sa/cart'] },
      ],
    };
    const selector = { matchLabels: { app: 'cart' } };
    expect(faultsOf({ selector, action: 'DENY', rules: [rule, {}] })).toEqual([]);
    expect(faultsOf({})).toEqual([]);
    expect(faultsOf({ action: 'ALLOW', rules: [] }, { 'tsmesh.dev/dry-run': 'false' })).toEqual([]);
  });

  it.each([
    [undefined, 'spec: is missing'],
    ['x', 'spec: is missing'],
    [{ acton: 'DENY' }, 'spec.acton: is no field; known are selector, action, rules'],
    [{ selector: 'app' }, 'spec.selector: must have matchLabels'],
    [{ selector: { labels: {} } }, 'spec.selector.labels: is no field'],
    [{ selector: { matchLabels: { app: 1 } } }, 'spec.selector.matchLabels: must be labels'],
    [{ action: 'deny' }, 'spec.action: "deny" must be one of ALLOW, DENY, AUDIT'],
    [{ action: 'DENY' }, 'spec.rules: a DENY policy without rules matches nothing'],
    [{ action: 'AUDIT', rules: [] }, 'spec.rules: an AUDIT policy without rules matches nothing'],
    [{ rules: {} }, 'spec.rules: must be a list'],
    [{ rules: ['all'] }, 'spec.rules[0]: must have from, to or when, or be {}'],
    [{ rules: [{ name: 'a' }, { name: 'a' }] }, 'spec.rules: "a" names of rules must be unique'],
  ])('is refused by the path of its field: %j', (spec, words) => {
    expect(faultsOf(spec)).toEqual([expect.stringContaining(words)]);
  });

  it.each([
    [{ form: [] }, 'spec.rules[0].form: is no field; known are name, from, to, when'],
    [{ name: 'Rule 1' }, 'spec.rules[0].name: "Rule 1" must be lower-case'],
    [{ from: [] }, 'spec.rules[0].from: must be a list with an entry'],
    [{ to: 'x' }, 'spec.rules[0].to: must be a list with an entry'],
    [{ from: [{}] }, 'spec.rules[0].from[0]: must say something: one of identities, namespaces'],
    [{ from: ['x'] }, 'spec.rules[0].from[0]: must have fields'],
    [{ from: [{ identites: ['*'] }] }, 'spec.rules[0].from[0].identites: is no field'],
    [{ from: [{ namespaces: [] }] }, 'from[0].namespaces: must be a list with an entry'],
    [{ from: [{ identities: ['spiffe://a/ns/b/sa/c'] }] }, 'identities[0]: "spiffe://a/ns/b/sa/c"'],
    [{ from: [{ identities: ['cart'] }] }, 'go into serviceAccounts'],
    [{ from: [{ identities: ['a*b'] }] }, 'must have * only at its begin or only at its end'],
    [{ from: [{ identities: ['*a*'] }] }, 'must have * only at its begin or only at its end'],
    [{ from: [{ identities: [''] }] }, 'must be a text'],
    [{ from: [{ namespaces: ['Shop'] }] }, '"Shop" must be like shop or team-*'],
    [{ from: [{ serviceAccounts: ['a/b/c'] }] }, 'must be the name of a service account'],
    [{ from: [{ ipBlocks: ['10.0.0.0/33'] }] }, '"10.0.0.0/33" must be an IP address or a CIDR'],
    [{ from: [{ ipBlocks: ['10.0.0'] }] }, 'must be an IP address or a CIDR block'],
    [{ from: [{ notIpBlocks: ['fd00::/129'] }] }, 'notIpBlocks[0]'],
    [{ from: [{ ipBlocks: ['fe80::1%eth0'] }] }, 'must be an IP address or a CIDR block'],
    [{ to: [{ hosts: ['a b'] }] }, 'hosts[0]: "a b" must be like cart.shop'],
    [{ to: [{ ports: ['80'] }] }, 'ports[0]: "80" must be a port from 1 to 65535'],
    [{ to: [{ ports: [0] }] }, 'ports[0]: 0 must be a port from 1 to 65535'],
    [{ to: [{ methods: ['get'] }] }, 'methods[0]: "get" must be an HTTP method in capitals'],
    [{ to: [{ paths: ['/x'] }] }, 'paths[0]: "/x" must have exactly one of exact'],
    [{ to: [{ paths: [{ exact: '/a', prefix: '/b' }] }] }, 'must have exactly one of exact'],
    [{ to: [{ paths: [{ regex: '/a' }] }] }, 'must have exactly one of exact'],
    [{ to: [{ paths: [{ exact: 'a' }] }] }, "exact must be a path that begins with '/'"],
    [{ to: [{ paths: [{ prefix: '/a?b' }] }] }, "prefix must be a path that begins with '/'"],
    [{ to: [{ paths: [{ template: '/a{*}' }] }] }, 'template must be a path'],
    [{ to: [{ paths: [{ template: '/{id}' }] }] }, 'template must be a path'],
    [{ to: [{ notPaths: [{ template: 'x/{*}' }] }] }, 'notPaths[0]'],
    [{ when: [{ key: 'request.header[a]', values: ['x'] }] }, 'must be request.headers[name]'],
    [{ when: [{ key: 'request.headers[a b]', values: ['x'] }] }, 'must name a header field'],
    [{ when: [{ key: 'request.headers[Upgrade]', values: ['x'] }] }, 'rules do not see it'],
    [{ when: [{ key: 'request.headers[a]', values: ['*/*'] }] }, 'at its begin or at its end, not'],
    [{ when: [{ key: 'source.identity', values: ['a*b'] }] }, 'only at its begin or only at its'],
    [{ when: [{ key: 'source.namespace' }] }, 'when[0]: must have values or notValues'],
    [{ when: [{ key: 'source.ip', values: ['x'] }] }, 'when[0].values[0]: "x" must be an IP'],
    [{ when: [{ key: 'destination.port', values: ['http'] }] }, 'must be a port'],
    [{ when: [{ key: 'source.namespace', values: [1] }] }, 'must be a text'],
    [{ when: [{ key: 'source.namespace', value: ['a'], values: ['a'] }] }, 'value: is no field'],
  ])('is refused by the path of what is wrong in a rule: %j', (rule, words) => {
    expect(ruleFaults(rule)).toEqual([expect.stringContaining(words)]);
  });

  it('whose dry run is neither true nor false is refused', () => {
    expect(faultsOf({}, { 'tsmesh.dev/dry-run': 'yes' })).toEqual([
      'metadata.annotations[tsmesh.dev/dry-run]: "yes" must be "true" or "false"',
    ]);
  });

  it('of any shape whatever gives words and never throws', () => {
    for (const odd of [null, 1, 'x', [], [[]], [null], { a: null }, [{ from: [null] }]]) {
      for (const field of ['selector', 'action', 'rules']) {
        expect(() => faultsOf({ [field]: odd })).not.toThrow();
      }
      for (const field of ['name', 'from', 'to', 'when']) {
        expect(() => ruleFaults({ [field]: odd })).not.toThrow();
      }
      for (const field of ['identities', 'paths', 'ports', 'key', 'values']) {
        expect(() =>
          ruleFaults({ from: [{ [field]: odd }], to: [{ [field]: odd }] }),
        ).not.toThrow();
        expect(() => ruleFaults({ when: [{ key: 'source.ip', [field]: odd }] })).not.toThrow();
      }
    }
  });
});
