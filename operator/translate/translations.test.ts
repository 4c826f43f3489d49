import { describe, expect, it } from '@jest/globals';
import { createModel } from '../model/model.ts';
import {
  ManualClock,
  fill,
  mesh,
  peerAuthentication,
  pod,
  service,
  slice,
  trafficPolicy,
} from '../model/test-objects.ts';
import type { DestinationResource } from '../../proxy/api/resources.ts';
import { createTranslations, type Versioned } from './translations.ts';

function setUp(maxKept?: number) {
  const model = createModel({ clock: new ManualClock() });
  const translations = createTranslations(maxKept);
  const touched: string[][] = [];
  model.onView((view, change) => {
    touched.push([...translations.advance(view, change)].toSorted());
  });
  fill(model, {
    Mesh: [mesh({})],
    Pod: [pod('shop/cart-1', { ip: '10.244.0.1', labels: { app: 'cart' } }), pod('bank/b')],
    Service: [
      service('shop/cart', '10.96.0.7', [{ name: 'http', port: 80 }]),
      service('shop/spare', '10.96.0.8', [{ name: 'http', port: 80 }]),
    ],
    EndpointSlice: [slice('shop/cart', [{ address: '10.244.0.1' }], [{ name: 'http', port: 80 }])],
  });
  model.flush();
  translations.workload('shop/cart-1');
  translations.workload('bank/b');
  translations.destination('shop', '10.96.0.7:80');
  translations.destination('shop', '10.96.0.8:80');
  translations.destination('shop', '192.0.2.1:80');
  translations.endpoints('shop/cart:80');
  const touchedBy = (change: () => void) => {
    change();
    model.flush();
    return touched.at(-1)!;
  };
  return { model, translations, touchedBy };
}

describe('translations', () => {
  it('are made once until something they read changes', () => {
    const { model, translations, touchedBy } = setUp();
    const before = translations.destination('shop', '10.96.0.7:80');
    const other = translations.destination('shop', '10.96.0.8:80');
    expect(translations.destination('shop', '10.96.0.7:80')).toBe(before);
    const policy = trafficPolicy('shop/p', { service: { name: 'cart' }, timeout: '1s' });
    expect(touchedBy(() => model.upsert('TrafficPolicy', policy))).toEqual([
      'Destination|shop|10.96.0.7:80',
      'Workload|shop/cart-1',
    ]);
    expect(translations.destination('shop', '10.96.0.7:80')!.version).not.toBe(before!.version);
    expect(translations.destination('shop', '10.96.0.8:80')).toBe(other);
  });

  it.each([
    [
      'a pod behind a Service',
      'Pod',
      pod('shop/cart-1', { ip: '10.244.0.1', labels: { app: 'cart', v: '2' } }),
      ['Endpoints|shop/cart:80', 'Workload|shop/cart-1'],
    ],
    [
      'a PeerAuthentication',
      'PeerAuthentication',
      peerAuthentication('shop/p', {}),
      ['Endpoints|shop/cart:80', 'Workload|shop/cart-1'],
    ],
    [
      'a new Service at an address that was external',
      'Service',
      service('new/s', '192.0.2.1', [{ port: 80 }]),
      ['Destination|shop|192.0.2.1:80'],
    ],
    [
      'a Service of the namespace',
      'Service',
      service('shop/more', '10.96.0.9', [{ port: 80 }]),
      ['Workload|shop/cart-1'],
    ],
  ] as const)('change with %s', (_what, kind, object, expected) => {
    const { model, touchedBy } = setUp();
    expect(touchedBy(() => model.upsert(kind, object))).toEqual(expected);
  });

  it('all change with the Mesh, but for what is outside of it', () => {
    const { model, touchedBy } = setUp();
    expect(touchedBy(() => model.upsert('Mesh', mesh({ mtls: { mode: 'STRICT' } }, 2)))).toEqual([
      'Destination|shop|10.96.0.7:80',
      'Destination|shop|10.96.0.8:80',
      'Endpoints|shop/cart:80',
      'Workload|bank/b',
      'Workload|shop/cart-1',
    ]);
  });

  it('change with a backend that comes into being', () => {
    const { model, translations, touchedBy } = setUp();
    const spec = { service: { name: 'cart' }, routes: [{ backends: [{ service: 'late' }] }] };
    touchedBy(() => model.upsert('TrafficPolicy', trafficPolicy('shop/p', spec)));
    const before = translations.destination('shop', '10.96.0.7:80')!;
    const missingOf = (made: Versioned | null) =>
      (made!.resource as DestinationResource).routes.map(({ backends }) => backends[0]!.missing);
    expect(missingOf(before)).toEqual(['Service shop/late']);
    const late = service('shop/late', '10.96.0.10', [{ port: 80 }]);
    expect(touchedBy(() => model.upsert('Service', late))).toContain(
      'Destination|shop|10.96.0.7:80',
    );
    const after = translations.destination('shop', '10.96.0.7:80');
    expect(missingOf(after)).toEqual([undefined]);
    expect(after!.endpoints).toEqual(['shop/late:80']);
  });

  it('have the same version wherever the content is the same', () => {
    const one = setUp().translations.endpoints('shop/cart:80');
    const two = setUp().translations.endpoints('shop/cart:80');
    expect(two.version).toBe(one.version);
    expect(JSON.parse(one.text)).toEqual(one.resource);
    expect(one.version).toMatch(/^[\w-]{16}$/);
  });

  it('are none of an unknown pod and of a name that is none', () => {
    const { translations } = setUp();
    expect(translations.workload('shop/nobody')).toBeNull();
    expect(translations.destination('shop', 'cart')).toBeNull();
  });

  it('are forgotten from the oldest on when there are too many, and made again', () => {
    const { translations } = setUp(100);
    const first = translations.endpoints('shop/cart:80');
    for (let i = 0; i < 100; i += 1) translations.endpoints(`none/none:${i}`);
    const again = translations.endpoints('shop/cart:80');
    expect(again).not.toBe(first);
    expect(again.version).toBe(first.version);
  });

  it('say once that some were forgotten, of which no change will tell', () => {
    const { translations } = setUp(100);
    expect(translations.takeForgotten()).toBe(false);
    for (let i = 0; i < 100; i += 1) translations.endpoints(`none/none:${i}`);
    expect(translations.takeForgotten()).toBe(true);
    expect(translations.takeForgotten()).toBe(false);
  });

  it('are forgotten by their size too, not by their number alone', () => {
    const { translations } = setUp();
    const first = translations.endpoints('shop/cart:80');
    const long = 'x'.repeat(250_000);
    for (let i = 0; i < 150; i += 1) translations.endpoints(`none/${long}:${i + 1}`);
    expect(translations.endpoints('shop/cart:80')).not.toBe(first);
  });

  it('do not move for a view that they have already', () => {
    const { translations } = setUp();
    const keys = new Set(['mesh']);
    expect(translations.advance(translations.view, { keys }).size).toBe(0);
  });
});
