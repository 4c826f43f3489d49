import { describe, expect, it } from '@jest/globals';
import { authorizationPolicy, mesh, pod, viewOf } from '../model/test-objects.ts';
import type { View } from '../model/view.ts';
import type {
  AuthorizationPolicy,
  AuthorizationPolicySpec,
  AuthorizationRuleSpec,
} from '../resources/tsmesh.ts';
import { authorizationFor, rememberRules, translateAuthorizationPolicy } from './authorization.ts';
import { translateWorkload } from './workload.ts';

const cart = pod('shop/cart-1', { ip: '10.0.0.1', labels: { app: 'cart' } });
const ofCart = { matchLabels: { app: 'cart' } };
const anything = [{}];

function viewWith(policies: AuthorizationPolicy[], spec = {}): View {
  return viewOf({ Mesh: [mesh(spec)], Pod: [cart], AuthorizationPolicy: policies });
}

function namesFor(policies: AuthorizationPolicy[]): string[] {
  const view = viewWith(policies);
  const found = authorizationFor(view, view.pods.get('shop/cart-1')!);
  return (found?.policies ?? []).map(({ name }) => name.replace('AuthorizationPolicy ', ''));
}

function rulesOf(spec: unknown) {
  return translateAuthorizationPolicy(
    authorizationPolicy('shop/p', spec as AuthorizationPolicySpec),
  );
}

describe('the authorization of a pod', () => {
  it('is absent where no policy selects it, so that a sidecar has nothing to ask', () => {
    const others = [
      authorizationPolicy('shop/web', { selector: { matchLabels: { app: 'web' } } }),
      authorizationPolicy('other/all', {}),
    ];
    const view = viewWith(others);
    expect(authorizationFor(view, view.pods.get('shop/cart-1')!)).toBeUndefined();
    const translated = translateWorkload(view, 'shop/cart-1')!;
    expect('authorization' in translated.resource).toBe(false);
    expect(translated.resource.policies.map(({ kind }) => kind)).toEqual(['Mesh']);
  });

  it('is of the policies of its namespace, by labels, and of those of the system namespace', () => {
    expect(
      namesFor([
        authorizationPolicy('shop/all', {}),
        authorizationPolicy('shop/cart', { selector: ofCart }),
        authorizationPolicy('shop/web', { selector: { matchLabels: { app: 'web' } } }),
        authorizationPolicy('tsmesh-system/mesh', {}),
        authorizationPolicy('tsmesh-system/carts', { selector: ofCart }),
        authorizationPolicy('other/all', {}),
      ]),
    ).toEqual(['shop/all', 'shop/cart', 'tsmesh-system/carts', 'tsmesh-system/mesh']);
  });

  it('lists DENY, ALLOW and AUDIT; of one action the oldest first, then by name', () => {
    const at = (creationTimestamp: string) => ({ creationTimestamp });
    expect(
      namesFor([
        authorizationPolicy('shop/a', { action: 'AUDIT', rules: anything }),
        authorizationPolicy('shop/b', {}, at('2026-01-03T00:00:00Z')),
        authorizationPolicy('shop/c', {}, at('2026-01-02T00:00:00Z')),
        authorizationPolicy('shop/e', { action: 'DENY', rules: anything }),
        authorizationPolicy('shop/d', { action: 'DENY', rules: anything }),
      ]),
    ).toEqual(['shop/d', 'shop/e', 'shop/c', 'shop/b', 'shop/a']);
  });

  it('says how the Mesh wants odd paths to be read', () => {
    const of = (spec: object) => {
      const view = viewWith([authorizationPolicy('shop/all', {})], spec);
      return authorizationFor(view, view.pods.get('shop/cart-1')!)?.ambiguousPaths;
    };
    expect(of({})).toBe('allReadings');
    expect(of({ authorization: { ambiguousPaths: 'AllReadings' } })).toBe('allReadings');
    expect(of({ authorization: { ambiguousPaths: 'Refuse' } })).toBe('refuse');
  });

  it('names its policies in the resource, which changes with them and with nothing else', () => {
    const view = viewWith([
      authorizationPolicy('shop/all', {}, { generation: 4 }),
      authorizationPolicy('tsmesh-system/mesh', {}),
    ]);
    const { resource, shapedBy, dependsOn } = translateWorkload(view, 'shop/cart-1')!;
    const refs = resource.policies.filter(({ kind }) => kind === 'AuthorizationPolicy');
    expect(refs).toEqual([
      { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'all', generation: 4 },
      { kind: 'AuthorizationPolicy', namespace: 'tsmesh-system', name: 'mesh', generation: 1 },
    ]);
    expect(shapedBy).toHaveLength(3);
    expect(dependsOn).toContain('authorization:shop');
    expect(dependsOn).toContain('authorization:tsmesh-system');
  });
});

describe('a policy on its way to a sidecar', () => {
  it('keeps its words, gives every rule a name, and completes names of service accounts', () => {
    const from = [{ serviceAccounts: ['web', 'other/web'], notServiceAccounts: ['old'] }];
    const to = [{ methods: ['GET'], paths: [{ prefix: '/a' }] }];
    const when = [
      { key: 'source.ip', values: ['10.0.0.0/8'] },
      { key: 'source.serviceAccount', values: ['web', '*'], notValues: ['other/web'] },
    ];
    expect(rulesOf({ selector: ofCart, rules: [{ from, to, when }, { name: 'any' }] })).toEqual({
      name: 'AuthorizationPolicy shop/p',
      action: 'ALLOW',
      dryRun: false,
      rules: [
        {
          name: 'rule 0',
          from: [{ serviceAccounts: ['shop/web', 'other/web'], notServiceAccounts: ['shop/old'] }],
          to,
          when: [when[0], { ...when[1], values: ['shop/web', '*'] }],
        },
        { name: 'any', from: [], to: [], when: [] },
      ],
    });
  });

  it('is read once for all pods, and anew when it is another object', () => {
    const rulesOf = rememberRules();
    const policy = authorizationPolicy('shop/p', {});
    expect(rulesOf(policy)).toEqual(translateAuthorizationPolicy(policy));
    expect(rulesOf(policy)).toBe(rulesOf(policy));
    expect(rulesOf({ ...policy, spec: { action: 'DENY', rules: anything } }).action).toBe('DENY');
  });

  it('in dry run says so, and is another object to whoever asks what is in force', () => {
    const of = (annotations: Record<string, string>) =>
      authorizationPolicy('shop/p', {}, { annotations });
    const states = ['true', 'false', 'yes'].map((value) => of({ 'tsmesh.dev/dry-run': value }));
    expect(states.map((policy) => translateAuthorizationPolicy(policy).dryRun)).toEqual([
      true,
      false,
      false,
    ]);
    const uids = states.map((policy) => {
      const made = translateWorkload(viewWith([policy]), 'shop/cart-1')!;
      return made.shapedBy.find(({ kind }) => kind === 'AuthorizationPolicy')!.uid;
    });
    expect(uids).toEqual(['uid-ap-shop-p+dry-run', 'uid-ap-shop-p', 'uid-ap-shop-p']);
  });
});

describe('a policy that cannot be understood', () => {
  it('as ALLOW lets nothing in by the rule that is wrong, and stays in force', () => {
    const good = { from: [{ namespaces: ['shop'] }] };
    const bad = { from: [{ namespaces: ['shop'], ipBlocks: ['10.0.0.0/99'] }] };
    const { action, rules } = rulesOf({ rules: [bad, good] });
    expect(action).toBe('ALLOW');
    expect(rules).toEqual([{ name: 'rule 1', ...good, to: [], when: [] }]);
    expect(rulesOf({ rules: [{ to: [{ paths: [{ regex: '/a' }] }] }] }).rules).toEqual([]);
    expect(rulesOf({ rules: [{ name: 'B A D' }] }).rules).toEqual([]);
    expect(rulesOf({ rules: 'all' }).rules).toEqual([]);
  });

  it('as AUDIT matches nothing by the rule that is wrong', () => {
    const rules = [{ to: [{ methods: ['get'] }] }, {}];
    expect(rulesOf({ action: 'AUDIT', rules }).rules.map(({ name }) => name)).toEqual(['rule 1']);
  });

  it('as DENY denies more: what is wrong is left out of the rule', () => {
    const of = (rule: unknown) => rulesOf({ action: 'DENY', rules: [rule] }).rules;
    expect(of({ name: 'x', from: [{ namespaces: ['a'], ipBlocks: ['?'] }] })).toEqual([
      { name: 'x', from: [{ namespaces: ['a'] }], to: [], when: [] },
    ]);
    // Of several callers one is not known: any may be meant.
    expect(of({ from: [{ ipBlocks: ['?'] }, { namespaces: ['a'] }] })[0]?.from).toEqual([]);
    expect(of({ from: [{ namspaces: ['a'] }], to: [{ ports: [1] }] })).toEqual([
      { name: 'rule 0', from: [], to: [{ ports: [1] }], when: [] },
    ]);
    expect(
      of({
        to: [{ methods: ['get'], serviceAccounts: ['x'] }],
        when: [
          { key: 'x', values: ['a'] },
          { key: 'source.ip', values: ['10.0.0.1'] },
        ],
      }),
    ).toEqual([
      { name: 'rule 0', from: [], to: [], when: [{ key: 'source.ip', values: ['10.0.0.1'] }] },
    ]);
    expect(of({ from: 'x', to: ['y'], when: 'z', name: 7 })).toEqual([
      { name: 'rule 0', from: [], to: [], when: [] },
    ]);
    expect(of('all')).toEqual([{ name: 'rule 0', from: [], to: [], when: [] }]);
    expect(of(null)).toEqual([{ name: 'rule 0', from: [], to: [], when: [] }]);
  });

  it('of an unknown action is one that lets nothing in', () => {
    expect(rulesOf({ action: 'CUSTOM', rules: anything })).toMatchObject({
      action: 'ALLOW',
      rules: [],
    });
  });

  it('with a selector that is none selects every pod of its namespace', () => {
    const selector = { matchLabels: 'cart' } as unknown as AuthorizationPolicySpec['selector'];
    expect(namesFor([authorizationPolicy('shop/odd', { selector })])).toEqual(['shop/odd']);
  });

  it('reads a DENY rule with a list in place of an entry as one that always holds', () => {
    const rules = [{ from: [['']] }] as unknown as AuthorizationRuleSpec[];
    const policy = authorizationPolicy('shop/p', { action: 'DENY', rules });
    expect(translateAuthorizationPolicy(policy).rules).toEqual([
      { name: 'rule 0', from: [], to: [], when: [] },
    ]);
  });
});
