// What the operator accepts, a sidecar can compile: a policy that passed every check and that the sidecar
// then refused would stop all configuration of its pods.

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { acceptAuthorizationPolicy } from '../../operator/controllers/authorization-policy.ts';
import { authorizationReferences } from '../../operator/controllers/authorization-references.ts';
import { authorizationPolicy, pod, viewOf } from '../../operator/model/test-objects.ts';
import type { AuthorizationPolicySpec } from '../../operator/resources/tsmesh.ts';
import { authorizationFaults } from '../../operator/translate/authorization-validity.ts';
import { translateWorkload } from '../../operator/translate/workload.ts';
import { createStore } from '../../proxy/state/store.ts';

const caller = { identity: '', namespace: '', serviceAccount: '', address: '10.0.0.9' };
const target = { address: '10.0.0.1', port: 8080 };
const request = { method: 'GET', authority: 'cart', path: '/a', fields: ['host', 'cart'] };

/** Right values, odd ones, and wrong ones, side by side. */
const oddWords = `
  * shop sh* *op a*b ** shop/cart a/b/c Shop 10.0.0.1 10.0.0.0/8 10.0.0.1/33 1.2.3 ::1
  fd00::/8 ::ffff:10.0.0.1 ::1/129 [::1] fe80::1%eth0 010.0.0.1 1.2.3.4.5 ::: ::/0 0.0.0.0/0
  1::2::3 ::1.2.3.4 cluster.local/ns/shop/sa/cart cluster.local/* spiffe://a/ns/b/sa/c
  */sa/cart GET get M-SEARCH / /a /a/{*} /{**} /a{*} {*} /a?b /%2F/%zz // cart.shop cart:80
  cart:99999 :80 [fd00::1]:80 *.shop 8080 0 65536
`;
const words = fc.constantFrom('', 'x y', ...oddWords.trim().split(/\s+/));
const port = fc.oneof(
  { weight: 100, arbitrary: fc.constantFrom<number | string>(1, 8080, 65_535) },
  { weight: 1, arbitrary: fc.constantFrom<number | string>(0, 65_536, '80', 1.5) },
);
const path = fc.oneof(
  ...(['exact', 'prefix', 'suffix', 'template'] as const).map((form) => ({
    weight: 60,
    arbitrary: fc
      .constantFrom('/', '/a', '/a/', '/%2F/%zz', '//', '/a/{*}', '/{**}/b', '/a/../b', '/{*}/{**}')
      .map((text) => ({ [form]: text })),
  })),
  ...(['exact', 'prefix', 'suffix', 'template', 'regex'] as const).map((form) => ({
    weight: 1,
    arbitrary: words.map((text) => ({ [form]: text })),
  })),
);
const few = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 1, maxLength: 2 });
/** Mostly what belongs there. */
const listOf = (...right: string[]) =>
  few(
    fc.oneof(
      { weight: 100, arbitrary: fc.constantFrom(...right) },
      { weight: 1, arbitrary: words },
      { weight: 1, arbitrary: fc.string({ maxLength: 6 }) },
    ),
  );
const some = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { requiredKeys: [] });
const from = some({
  identities: listOf('cluster.local/ns/shop/sa/cart', 'cluster.local/*', '*/sa/cart', '*'),
  notIdentities: listOf('cluster.local/ns/shop/sa/cart', 'cluster.local/*'),
  namespaces: listOf('shop', 'sh*', '*op', '*'),
  serviceAccounts: listOf('shop/cart', 'cart'),
  notServiceAccounts: listOf('shop/cart', 'cart'),
  ipBlocks: listOf('10.0.0.1', '10.0.0.0/8', 'fd00::/8', '::ffff:10.0.0.1', '::/0', '::1.2.3.4'),
  notIpBlocks: listOf('10.0.0.9/7', '1::2', '::ffff:0:0/96', '::ffff:10.0.0.0/104'),
});
const to = some({
  hosts: listOf('cart.shop', 'cart:80', '*.shop', 'cart.*', '[fd00::1]:80', 'a:99999', ':80'),
  notHosts: listOf('*', '*:80', 'cart:*', '10.0.0.1', '[::1]'),
  ports: few(port),
  notPorts: few(port),
  methods: listOf('GET', 'M-SEARCH'),
  paths: few(path),
  notPaths: few(path),
});
const texts = listOf('shop', 'sh*', '*op', '*', '');
const when = fc.oneof(
  ...[
    'source.identity',
    'source.namespace',
    'source.serviceAccount',
    'request.headers[x-user]',
  ].map((key) => condition(key, texts)),
  ...['source.ip', 'destination.ip'].map((key) => condition(key, listOf('10.0.0.0/8', '::/0'))),
  condition('destination.port', listOf('8080')),
  ...[
    'request.path',
    'request.headers[]',
    'request.headers[a b]',
    'source.port',
    'request.headers[TE]',
  ].map((key) => condition(key, texts)),
);

function condition(key: string, list: fc.Arbitrary<string[]>) {
  const fields = { key: fc.constant(key), values: list, notValues: list };
  return fc.record(fields, { requiredKeys: ['key', 'values'] });
}
const rule = some({ from: few(from), to: few(to), when: few(when) });
const action = fc.constantFrom('ALLOW', 'DENY', 'AUDIT');

function refusedBySidecar(spec: unknown): unknown[] {
  const view = viewOf({
    Pod: [pod('shop/cart-1', { ip: '10.0.0.1' })],
    AuthorizationPolicy: [authorizationPolicy('shop/p', spec as AuthorizationPolicySpec)],
  });
  const { resource } = translateWorkload(view, 'shop/cart-1')!;
  const store = createStore();
  const errors = store.apply([{ version: '1', resource }], []);
  const authorizer = store.snapshot().workload?.authorizer;
  // Compiled rules are also asked, with and without HTTP.
  authorizer?.decide(caller, target, request);
  authorizer?.decide(caller, target, null);
  return errors;
}

describe('every AuthorizationPolicy that the operator', () => {
  it('finds no fault with is one that a sidecar takes', () => {
    let taken = 0;
    fc.assert(
      fc.property(action, few(rule), (act, rules) => {
        const spec = { action: act, rules } as unknown as AuthorizationPolicySpec;
        if (authorizationFaults(authorizationPolicy('shop/p', spec)).length > 0) return;
        taken += 1;
        expect(refusedBySidecar(spec)).toEqual([]);
      }),
      { numRuns: 2000 },
    );
    expect(taken).toBeGreaterThan(300);
  });

  it('finds fault with is still one that a sidecar takes, in its safe reading', () => {
    fc.assert(
      fc.property(fc.oneof(action, fc.constant('CUSTOM')), few(rule), (act, rules) => {
        expect(refusedBySidecar({ action: act, rules })).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  it('meets, whatever JSON stands in its fields, stops neither translation nor status nor sidecar', () => {
    const odd = fc.jsonValue({ maxDepth: 2 });
    const field = fc.constantFrom('name', 'from', 'to', 'when', 'identities', 'paths', 'ipBlocks');
    const nested = fc.dictionary(field, fc.oneof(odd, fc.array(fc.dictionary(field, odd))));
    const spec = some({
      selector: fc.oneof(odd, fc.record({ matchLabels: odd })),
      action: fc.oneof(action, odd),
      rules: fc.oneof(odd, fc.array(fc.oneof(odd, nested), { maxLength: 3 })),
    });
    fc.assert(
      fc.property(spec, (any) => {
        const policy = authorizationPolicy('shop/p', any as unknown as AuthorizationPolicySpec);
        expect(refusedBySidecar(any)).toEqual([]);
        const view = viewOf({ Pod: [pod('shop/cart-1')] });
        acceptAuthorizationPolicy(view, policy);
        authorizationReferences(view, policy);
      }),
      { numRuns: 500 },
    );
  });
});
