import { describe, expect, it } from '@jest/globals';
import {
  authorizationPolicy,
  mesh,
  namespace,
  pod,
  service,
  viewOf,
} from '../model/test-objects.ts';
import type { View } from '../model/view.ts';
import type { AuthorizationPolicySpec } from '../resources/tsmesh.ts';
import { acceptAuthorizationPolicy } from './authorization-policy.ts';
import { authorizationReferences } from './authorization-references.ts';

const ports = [
  { name: 'http', port: 80, targetPort: 8080 },
  { name: 'tcp-line', port: 7000, targetPort: 7001 },
];
const shop = viewOf({
  Mesh: [mesh({})],
  Namespace: [namespace('shop'), namespace('other')],
  Service: [service('shop/cart', '10.96.0.1', ports)],
  Pod: [
    pod('shop/cart-1', { ip: '10.0.0.1', labels: { app: 'cart' }, serviceAccount: 'cart' }),
    pod('shop/cart-2', { ip: '10.0.0.2', labels: { app: 'cart' }, serviceAccount: 'cart' }),
    pod('shop/old', { ip: '10.0.0.3', labels: { app: 'old' }, meshed: false }),
    pod('other/web', { ip: '10.0.0.4', labels: { app: 'web' }, serviceAccount: 'web' }),
  ],
});

function accept(spec: AuthorizationPolicySpec, key = 'shop/p', view: View = shop) {
  return acceptAuthorizationPolicy(view, authorizationPolicy(key, spec));
}

function references(spec: AuthorizationPolicySpec) {
  return authorizationReferences(shop, authorizationPolicy('shop/p', spec));
}

const ofCart = { matchLabels: { app: 'cart' } };

describe('acceptance of an AuthorizationPolicy', () => {
  it('says for how many pods it holds, and which have no sidecar to hold it', () => {
    expect(accept({ selector: ofCart })).toEqual({
      type: 'Accepted',
      status: 'True',
      reason: 'Accepted',
      message: 'holds for 2 pods',
    });
    expect(accept({}).message).toBe(
      'holds for 2 pods; 1 selected pod has no sidecar, and nothing is enforced there: old',
    );
    expect(accept({ selector: { matchLabels: { app: 'x' } } }).message).toBe(
      'selects no pod with a sidecar at this time',
    );
  });

  it('says that one of the system namespace holds everywhere', () => {
    expect(accept({}, 'tsmesh-system/p').message).toBe(
      'holds for 3 pods, in every namespace of the mesh',
    );
  });

  it.each([
    ['DENY', 'rule "reads" refuses whatever the rest of it matches there'],
    ['ALLOW', 'rule "reads" lets nothing in there'],
    ['AUDIT', 'rule "reads" never matches there'],
  ] as const)('says how a %s rule reads where a port is declared as TCP', (action, words) => {
    const rules = [{ name: 'reads', to: [{ methods: ['GET'] }] }, { to: [{ ports: [7001] }] }];
    const { message } = accept({ selector: ofCart, action, rules });
    expect(message).toContain('at ports declared as TCP (7001 of shop Pod/cart-1, 7001 of shop');
    expect(message).toContain(words);
  });

  it('says nothing of ports that a rule does not meet there', () => {
    const quiet = (rules: AuthorizationPolicySpec['rules']) =>
      expect(accept({ selector: ofCart, rules: rules! }).message).toBe('holds for 2 pods');
    quiet([{ to: [{ methods: ['GET'], ports: [8080] }] }]);
    quiet([{ to: [{ methods: ['GET'], notPorts: [7001] }] }]);
    quiet([{ from: [{ namespaces: ['shop'] }] }]);
    quiet([{ to: [{ ports: [8080] }], when: [{ key: 'request.headers[x-user]', values: ['a'] }] }]);
    const anywhere = [{ when: [{ key: 'request.headers[x-user]', values: ['a'] }] }];
    expect(accept({ selector: ofCart, rules: anywhere }).message).toContain('rule "rule 0"');
  });

  it('refuses what it does not understand, with the path, and says how it reads until then', () => {
    const rules = [{ from: [{ ipBlocks: ['10.0.0.0/99'] }] }];
    expect(accept({ rules })).toMatchObject({ status: 'False', reason: 'Invalid' });
    expect(accept({ rules }).message).toMatch(
      /^spec\.rules\[0\]\.from\[0\]\.ipBlocks\[0\]: "10\.0\.0\.0\/99" must be .*; until this is mended, rules with a fault match nothing/,
    );
    expect(accept({ action: 'DENY', rules }).message).toContain('so that more is refused');
    const annotations = { 'tsmesh.dev/dry-run': 'maybe' };
    const odd = authorizationPolicy('shop/p', {}, { annotations });
    expect(acceptAuthorizationPolicy(shop, odd).message).toMatch(/mended, it is enforced$/);
  });
});

describe('what an AuthorizationPolicy names', () => {
  const from = (source: object) => references({ rules: [{ from: [source] }] });

  it('may all exist', () => {
    const verdict = from({
      namespaces: ['shop', 'team-*'],
      serviceAccounts: ['cart', 'other/web'],
      identities: ['cluster.local/ns/shop/sa/cart', '*', 'cluster.local/*', '*/sa/x'],
    });
    expect(verdict).toEqual({
      type: 'ResolvedRefs',
      status: 'True',
      reason: 'ResolvedRefs',
      message: 'everything that is named exists',
    });
    expect(references({}).status).toBe('True');
  });

  it.each([
    [{ namespaces: ['shp'] }, 'NamespaceNotFound', 'namespaces[0]: there is no namespace shp'],
    [{ notNamespaces: ['shp'] }, 'NamespaceNotFound', 'notNamespaces[0]: there is no namespace'],
    [{ serviceAccounts: ['x/web'] }, 'NamespaceNotFound', 'there is no namespace x'],
    [
      { identities: ['td2/ns/shop/sa/cart'] },
      'OtherTrustDomain',
      'is of trust domain td2; this mesh is cluster.local, and no caller has it',
    ],
    [{ notIdentities: ['td2/*'] }, 'OtherTrustDomain', 'is of trust domain td2'],
    [
      { identities: ['cluster.local/ns/x/sa/cart'] },
      'NamespaceNotFound',
      'identities[0]: there is no namespace x',
    ],
  ])('and does not exist is told: %j', (source, reason, words) => {
    expect(from(source)).toMatchObject({ status: 'False', reason });
    expect(from(source).message).toContain(words);
  });

  it('by a condition is looked at, too', () => {
    const when = [
      { key: 'source.namespace', notValues: ['shp'] },
      { key: 'source.identity', values: ['td2/*'] },
      { key: 'source.serviceAccount', values: ['x/web', 'x/*'] },
      { key: 'request.headers[x]', values: ['anything'] },
    ];
    const { message } = references({ rules: [{ when }] });
    expect(message).toContain('spec.rules[0].when[0].notValues[0]: there is no namespace shp');
    expect(message).toContain('spec.rules[0].when[1].values[0]: td2/* is of trust domain td2');
    expect(message).toContain('spec.rules[0].when[2].values[0]: there is no namespace x');
    expect(message).not.toContain('when[2].values[1]');
    expect(message).not.toContain('anything');
  });

  it('and has no pod at this time is a remark only: it may come', () => {
    const verdict = from({ serviceAccounts: ['job'] });
    expect(verdict.status).toBe('True');
    expect(verdict.message).toContain('no pod runs as service account shop/job at this time');
  });

  it('as addresses comes with a word on whose addresses they are', () => {
    expect(from({ ipBlocks: ['10.0.0.0/8'] }).message).toContain('peer address of the connection');
  });

  it('in a policy of any shape gives words and never throws', () => {
    for (const odd of [null, 1, 'x', [null], [{ from: [null], when: [null] }]]) {
      expect(() => references({ rules: odd } as never)).not.toThrow();
    }
  });
});
