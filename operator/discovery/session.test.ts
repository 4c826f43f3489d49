import { describe, expect, it } from '@jest/globals';
import type { DownMessage, Push } from '../../proxy/api/discovery.ts';
import type { ResourceKey } from '../../proxy/api/resources.ts';
import { createModel } from '../model/model.ts';
import {
  ManualClock,
  fill,
  mesh,
  pod,
  service,
  slice,
  trafficPolicy,
} from '../model/test-objects.ts';
import { createTranslations } from '../translate/translations.ts';
import { Session } from './session.ts';

const name = '10.96.0.7:80';
const key: ResourceKey = `Destination/${name}`;

function setUp(held: Record<ResourceKey, string> = {}) {
  const model = createModel({ clock: new ManualClock() });
  const translations = createTranslations();
  model.onView((view, change) => translations.advance(view, change));
  fill(model, {
    Mesh: [mesh({})],
    Pod: [pod('shop/web', { ip: '10.0.0.1' })],
    Service: [
      service('shop/cart', '10.96.0.7', [{ name: 'http', port: 80 }]),
      service('shop/spare', '10.96.0.8', [{ name: 'http', port: 80 }]),
    ],
    EndpointSlice: [slice('shop/cart', [{ address: '10.0.0.7' }], [{ name: 'http', port: 80 }])],
  });
  model.flush();
  const session = new Session({ key: 'shop/web', namespace: 'shop' }, held);
  const push = (): Push | null => {
    const planned = session.nextPush(translations);
    return planned === null ? null : (JSON.parse(planned.text) as DownMessage).push!;
  };
  const policy = (spec: object, generation = 1) => {
    const spare = { service: { name: 'cart' }, ...spec };
    model.upsert('TrafficPolicy', trafficPolicy('shop/p', spare, { generation }));
    model.flush();
  };
  return { model, translations, session, push, policy };
}

function names(push: Push | null): string[] {
  return push!.resources.map(({ resource }) => `${resource.type}/${resource.name}`);
}

const toSpare = { routes: [{ backends: [{ service: 'spare' }] }] };

describe('a session', () => {
  it('sends nothing while a push is on its way, nor when nothing is new', () => {
    const { session, push } = setUp();
    session.subscriptions.add(name);
    expect(names(push())).toEqual(['Workload/self', 'Endpoints/shop/cart:80', key]);
    expect(push()).toBeNull();
    expect(session.ack('1', [])).toBe(true);
    expect(push()).toBeNull();
  });

  it('takes only the answer to the push on its way', () => {
    const { session, push } = setUp();
    push();
    expect(session.ack('0', [])).toBe(false);
    expect(session.ack('1', [])).toBe(true);
    expect(session.ack('1', [])).toBe(false);
  });

  it('keeps the Endpoints of a version in force while a newer one is refused', () => {
    const { session, push, policy } = setUp();
    session.subscriptions.add(name);
    push();
    session.ack('1', []);
    policy(toSpare);
    const second = push();
    expect(names(second)).toEqual(['Endpoints/shop/spare:80', key]);
    session.ack('2', [{ key, path: '/routes', message: 'no' }]);
    expect(push()).toBeNull();
    const held = session.resources().find((one) => one.key === key)!;
    expect(held.rejected?.path).toBe('/routes');
    expect(held.acked).not.toBeNull();
    expect(held.acked).not.toBe(held.rejected!.version);
  });

  it('knows a held version again, and what shaped it', () => {
    const { translations } = setUp();
    const current = translations.destination('shop', name)!;
    const { session, push } = setUp({ [key]: current.version, 'Endpoints/gone:1': 'x' });
    session.subscriptions.add(name);
    expect(session.resources()[0]).toMatchObject({ acked: current.version, ackedBy: null });
    const first = push();
    expect(names(first)).toEqual(['Workload/self', 'Endpoints/shop/cart:80']);
    expect(first!.removed).toEqual(['Endpoints/gone:1']);
    expect(session.takeLearned()).toBe(true);
    expect(session.takeLearned()).toBe(false);
    const held = session.resources().find((one) => one.key === key)!;
    expect(held.ackedBy!.map(({ kind }) => kind)).toEqual(['Mesh']);
  });

  it('removes no Endpoints that a held version of unknown content may refer to', () => {
    const { session, push } = setUp({ [key]: 'unknown', 'Endpoints/shop/spare:80': 'x' });
    session.subscriptions.add(name);
    const first = push();
    expect(first!.removed).toEqual([]);
    expect(names(first)).toContain('Endpoints/shop/spare:80');
    session.ack('1', []);
    expect(push()!.removed).toEqual(['Endpoints/shop/spare:80']);
  });

  it('cuts a large push between Destinations, and removes only with the last part', () => {
    const { model, session, push } = setUp({ 'Destination/192.0.2.1:1': 'old' });
    const path = `/${'x'.repeat(500)}`;
    const routes = Array.from({ length: 16 }, () => ({
      matches: Array.from({ length: 8 }, () => ({ path: { prefix: path } })),
    }));
    for (let i = 0; i < 40; i += 1) {
      model.upsert('Service', service(`big/s${i}`, `10.97.0.${i}`, [{ name: 'http', port: 80 }]));
      const spec = { service: { name: `s${i}` }, routes };
      model.upsert('TrafficPolicy', trafficPolicy(`big/p${i}`, spec));
      session.subscriptions.add(`10.97.0.${i}:80`);
    }
    model.flush();
    const parts: Push[] = [];
    for (let part = push(); part !== null; part = push()) {
      parts.push(part);
      session.ack(part.nonce, []);
    }
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.flatMap((part) => names(part))).toHaveLength(81);
    expect(parts.map(({ removed }) => removed.length)).toEqual([...parts.slice(1).map(() => 0), 1]);
    for (const part of parts) {
      expect(JSON.stringify(part).length).toBeLessThan((1 << 20) + 200_000);
    }
  });

  it('sends again what was dropped and is wanted again', () => {
    const { session, push } = setUp();
    session.subscriptions.add(name);
    push();
    session.ack('1', []);
    session.unsubscribe([name, '192.0.2.1:1']);
    session.subscriptions.add(name);
    expect(names(push())).toEqual([key]);
  });

  it('removes the Endpoints of a Destination that was dropped', () => {
    const { session, push } = setUp();
    session.subscriptions.add(name);
    push();
    session.ack('1', []);
    session.unsubscribe([name]);
    expect(push()).toMatchObject({ resources: [], removed: ['Endpoints/shop/cart:80'] });
  });

  it('counts what reaches the sidecar after it dropped it, and removes it then', () => {
    const { session, push } = setUp();
    session.subscriptions.add(name);
    push();
    session.unsubscribe([name]);
    session.ack('1', []);
    expect(push()!.removed.toSorted()).toEqual([key, 'Endpoints/shop/cart:80']);
  });

  it('doubts what an older stream of the pod may have replaced since', () => {
    const older = setUp();
    older.session.subscriptions.add(name);
    older.push();
    older.session.ack('1', []);
    const held = Object.fromEntries(
      older.session.resources().map((one) => [one.key, one.acked!]),
    ) as Record<ResourceKey, string>;
    older.policy({ timeout: '1s' });
    older.push();
    const newer = setUp(held);
    newer.session.subscriptions.add(name);
    newer.session.doubt(older.session);
    expect(names(newer.push())).toEqual([key]);
  });

  it('sends nothing to a pod that is going', () => {
    const { session, push } = setUp();
    session.draining = true;
    expect(push()).toBeNull();
  });

  it('leaves the Workload of a pod that the view has lost', () => {
    const { model, session, push } = setUp();
    push();
    session.ack('1', []);
    model.remove('Pod', 'shop', 'web');
    model.flush();
    expect(push()).toBeNull();
  });
});
