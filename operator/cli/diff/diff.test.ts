// What files would change, in the words that people read; the way there is in test/cluster/command-line.test.ts.

import { describe, expect, it } from '@jest/globals';
import {
  authorizationPolicy,
  ManualClock,
  mesh,
  namespace,
  peerAuthentication,
  pod,
  service,
  slice,
  trafficPolicy,
  type Objects,
} from '../../model/test-objects.ts';
import type { HoldingRow } from '../../console/api.ts';
import type { Kind } from '../../resources/api-client.ts';
import { checkObjects } from '../files/check.ts';
import { readDocuments } from '../files/documents.ts';
import { styleOf } from '../style.ts';
import type { LiveObjects } from '../world-view.ts';
import { effectsOf } from './effects.ts';
import { changeText, fieldChanges, isWithin } from './fields.ts';
import { planOf } from './plan.ts';
import { diffText } from './print.ts';
import { touchedBy } from './touched.ts';
import { statusChanges } from './verdicts.ts';

const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
const meshed = { 'tsmesh.dev/inject': 'enabled' };

function podOf(name: string, ip: string, app = name) {
  const labels = { app, 'pod-template-hash': '5f7' };
  const owner = { kind: 'ReplicaSet', name: `${name}-5f7` };
  const serviceAccount = name;
  return pod(`shop/${name}-5f7-1`, { ip, labels, owner, serviceAccount, ports: [] });
}

const shop: Objects = {
  Mesh: [mesh({ mtls: { mode: 'PERMISSIVE' } })],
  Namespace: [namespace('shop', meshed), namespace('pay')],
  Service: [service('shop/cart', '10.96.0.7', ports, { selector: { app: 'cart' } })],
  Pod: [podOf('web', '10.1.0.1'), podOf('cart', '10.1.0.2')],
  EndpointSlice: [
    slice(
      'shop/cart',
      [{ address: '10.1.0.2', pod: 'cart-5f7-1' }],
      [{ name: 'http', port: 8080 }],
    ),
  ],
};
const holdings: HoldingRow[] = [
  { namespace: 'shop', pod: 'web-5f7-1', destinations: ['10.96.0.7:80'] },
  { namespace: 'shop', pod: 'cart-5f7-1', destinations: [] },
];

function diffOf(yaml: string, objects: Objects = shop, remove = false) {
  const live: LiveObjects = new Map(Object.entries(objects) as [Kind, never[]][]);
  const { objects: found, faults } = readDocuments([{ name: 'f.yaml', text: yaml }], 'shop');
  const checked = checkObjects(found);
  expect([...faults, ...checked.faults]).toEqual([]);
  const plan = planOf(checked.objects, live, { clock: new ManualClock(), remove });
  const { before, after } = plan;
  return {
    objects: plan.objects,
    effects: effectsOf(before, after),
    statuses: statusChanges(before, after),
    sidecars: touchedBy(before, after, holdings),
    notes: plan.notes,
  };
}

function linesOf(yaml: string, objects?: Objects, remove?: boolean): string[] {
  return diffText(diffOf(yaml, objects, remove), styleOf(false));
}

const own = (kind: string, name: string, spec: object): string =>
  JSON.stringify({ apiVersion: 'tsmesh.dev/v1alpha1', kind, metadata: { name }, spec });
const slow = { service: { name: 'cart' }, routes: [{ name: 'all', timeout: '2s' }] };
const strict = { mtls: { mode: 'STRICT' } };

describe('a diff', () => {
  it('of a new TrafficPolicy tells the routes of its Service, and who is sent them', () => {
    expect(linesOf(own('TrafficPolicy', 'cart', slow))).toEqual([
      'TrafficPolicy shop/cart  new',
      '',
      'Service shop/cart, port 80 (http)',
      '  - default: every request → to its own endpoints',
      '  + TrafficPolicy shop/cart, route all: every request → to its own endpoints; at most 2 s',
      '',
      '1 of 2 sidecars would be sent something else',
      '  Deployment shop/web, 1 pod: how it calls cart.shop:80',
    ]);
  });

  it('of a policy as it is says so, and touches nobody', () => {
    const there = { ...shop, TrafficPolicy: [trafficPolicy('shop/cart', slow as never)] };
    const diff = diffOf(own('TrafficPolicy', 'cart', slow), there);
    expect(diff).toMatchObject({ objects: [{ state: 'unchanged' }], effects: [], statuses: [] });
    expect(diff.sidecars).toEqual({ touched: [], of: 2 });
  });

  it('of a changed one names the fields', () => {
    const there = {
      ...shop,
      PeerAuthentication: [peerAuthentication('shop/default', strict as never)],
    };
    expect(
      linesOf(own('PeerAuthentication', 'default', { mtls: { mode: 'PERMISSIVE' } }), there),
    ).toEqual([
      'PeerAuthentication shop/default  changed',
      '  spec.mtls.mode: "STRICT" → "PERMISSIVE"',
      '',
      'Deployment shop/cart (1 pod)',
      '  - mTLS STRICT at every port (PeerAuthentication shop/default)',
      '  + mTLS PERMISSIVE at every port (PeerAuthentication shop/default)',
      '',
      'Deployment shop/web (1 pod)',
      '  - mTLS STRICT at every port (PeerAuthentication shop/default)',
      '  + mTLS PERMISSIVE at every port (PeerAuthentication shop/default)',
      '',
      '2 of 2 sidecars would be sent something else',
      '  Deployment shop/web, 1 pod: how it takes calls',
      '  Deployment shop/cart, 1 pod: how it takes calls',
    ]);
  });

  it('of an AuthorizationPolicy tells whom it lets in, rule by rule', () => {
    const from = (name: string) => ({
      selector: { matchLabels: { app: 'cart' } },
      action: 'ALLOW',
      rules: [{ from: [{ serviceAccounts: [name] }] }],
    });
    const fresh = diffOf(own('AuthorizationPolicy', 'cart', from('web')));
    expect(fresh.effects).toEqual([
      {
        where: 'Deployment shop/cart',
        pods: 1,
        gone: ['may call: no AuthorizationPolicy: everyone whom mTLS lets in'],
        comes: [
          'may call: whom an ALLOW rule matches; all others are refused',
          'AuthorizationPolicy shop/cart: ALLOW, 1 rule',
          'AuthorizationPolicy shop/cart, rule 0: service account shop/web → anything',
        ],
        others: [],
      },
    ]);
    const there = {
      ...shop,
      AuthorizationPolicy: [authorizationPolicy('shop/cart', from('web') as never)],
    };
    const changed = diffOf(own('AuthorizationPolicy', 'cart', from('cart')), there);
    expect(changed.effects).toMatchObject([
      {
        gone: ['AuthorizationPolicy shop/cart, rule 0: service account shop/web → anything'],
        comes: ['AuthorizationPolicy shop/cart, rule 0: service account shop/cart → anything'],
        others: [],
      },
    ]);
  });

  it('tells of two policies for one Service which one loses, the older or the newer', () => {
    const there = { ...shop, TrafficPolicy: [trafficPolicy('shop/first', slow as never)] };
    expect(diffOf(own('TrafficPolicy', 'second', slow), there).statuses).toEqual([
      {
        policy: 'TrafficPolicy shop/second',
        says: expect.stringContaining('Accepted=False, Conflicted: TrafficPolicy first holds'),
        problem: true,
      },
    ]);
    const narrower = { ...slow, service: { name: 'cart', port: 80 } };
    expect(diffOf(own('TrafficPolicy', 'second', narrower), there).statuses).toMatchObject([
      { policy: 'TrafficPolicy shop/first', problem: true },
    ]);
  });

  it('tells what a policy names that is not there, and what the files bring along', () => {
    const spec = {
      service: { name: 'cart' },
      routes: [{ name: 'all', backends: [{ service: 'v2' }] }],
    };
    const policy = own('TrafficPolicy', 'cart', spec);
    expect(diffOf(policy).statuses).toMatchObject([
      { says: expect.stringContaining('ResolvedRefs=False, BackendNotFound'), problem: true },
    ]);
    const backend = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'v2' },
      spec: { selector: { app: 'v2' }, ports },
    });
    const both = diffOf(`${policy}\n---\n${backend}`);
    expect(both.objects.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      'TrafficPolicy new',
      'Service new',
    ]);
    expect(both.statuses).toEqual([]);
  });

  it('takes what a file does not name of a Service as it is', () => {
    const file = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'cart' }, spec: { ports } };
    expect(diffOf(JSON.stringify(file)).objects[0]!.state).toBe('unchanged');
    const other = { ...file, spec: { ports: [{ ...ports[0], name: 'grpc-api' }] } };
    const { objects, effects } = diffOf(JSON.stringify(other));
    expect(objects[0]!.fields).toEqual(['spec.ports[0].name: "http" → "grpc-api"']);
    expect(effects.map(({ where }) => where)).toContain('Service shop/cart, port 80 (grpc-api)');
  });

  it('takes a Deployment as rolled out: the pods that are there, as the template would make them', () => {
    const deployment = (app: string) =>
      JSON.stringify({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'cart' },
        spec: {
          selector: { matchLabels: { app } },
          template: {
            metadata: { labels: { app } },
            spec: { serviceAccountName: 'cart', containers: [{ name: 'app', image: 'cart' }] },
          },
        },
      });
    expect(diffOf(deployment('cart')).objects).toMatchObject([{ state: 'unchanged' }]);
    const { objects, effects } = diffOf(deployment('basket'));
    expect(objects[0]).toMatchObject({
      state: 'changed',
      fields: ['labels.app: "cart" → "basket"'],
    });
    expect(effects).toMatchObject([
      {
        where: 'Service shop/cart, port 80 (http)',
        gone: ['1 endpoint of Deployment shop/cart, by mutual TLS'],
        comes: ['no endpoint is ready'],
      },
      { where: 'Deployment shop/cart', others: ['protocols.8080: "http1" → nothing'] },
    ]);
  });

  it('of a namespace that is meshed tells that its pods have to be restarted', () => {
    const file = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'pay', annotations: meshed },
    };
    const bare = pod('pay/till', { ip: '10.1.0.9', meshed: false });
    const { effects } = diffOf(JSON.stringify(file), { ...shop, Pod: [...shop.Pod!, bare] });
    expect(effects).toEqual([
      {
        where: 'Namespace pay',
        pods: 0,
        gone: [],
        comes: ['new pods get a sidecar; 1 running pod as before until restarted'],
        others: [],
      },
    ]);
  });

  it('of settings that no sentence speaks of names the fields', () => {
    const spec = { mtls: { mode: 'PERMISSIVE' }, proxy: { statisticsInterval: '9s' } };
    const file = {
      apiVersion: 'tsmesh.dev/v1alpha1',
      kind: 'Mesh',
      metadata: { name: 'default' },
      spec,
    };
    const { effects } = diffOf(JSON.stringify(file));
    expect(effects.map(({ others }) => others.join())).toEqual([
      expect.stringContaining('statisticsIntervalMs: 3000 → 9000'),
      expect.stringContaining('statisticsIntervalMs: 3000 → 9000'),
    ]);
  });

  it('tells what deleting would change', () => {
    const there = { ...shop, TrafficPolicy: [trafficPolicy('shop/cart', slow as never)] };
    const { objects, effects, sidecars } = diffOf(own('TrafficPolicy', 'cart', slow), there, true);
    expect(objects).toMatchObject([{ state: 'deleted' }]);
    expect(effects).toMatchObject([{ comes: ['default: every request → to its own endpoints'] }]);
    expect(sidecars.touched).toHaveLength(1);
    expect(diffOf(own('TrafficPolicy', 'cart', slow), shop, true).objects).toMatchObject([
      { state: 'unchanged' },
    ]);
  });
});

describe('fields that differ', () => {
  it('are named by path, with what is not there', () => {
    const before = { a: [1, { b: 'x' }], 'c/d': true, same: null };
    const after = { a: [1, { b: 'y' }, 3], e: { f: 1 }, same: null };
    expect(fieldChanges(before, after).map(changeText)).toEqual([
      'a[1].b: "x" → "y"',
      'a[2]: nothing → 3',
      '["c/d"]: true → nothing',
      'e: nothing → {"f":1}',
    ]);
  });

  it('are none where all that is wanted is there, in lists as long', () => {
    expect(isWithin({ a: [{ b: 1 }] }, { a: [{ b: 1, c: 2 }], d: 3 })).toBe(true);
    expect(isWithin({ a: [{ b: 1 }] }, { a: [{ b: 1 }, { b: 2 }] })).toBe(false);
    expect(isWithin({ a: {} }, { a: null })).toBe(false);
  });
});
