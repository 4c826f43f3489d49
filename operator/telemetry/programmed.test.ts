import { describe, expect, it } from '@jest/globals';
import type { StreamState } from '../discovery/stream-state.ts';
import { Session } from '../discovery/session.ts';
import { createModel } from '../model/model.ts';
import {
  ManualClock,
  authorizationPolicy,
  fill,
  mesh,
  peerAuthentication,
  pod,
  service,
  slice,
  trafficPolicy,
} from '../model/test-objects.ts';
import { shapedBy } from '../translate/translated.ts';
import { createTranslations } from '../translate/translations.ts';
import { indexProgrammed } from './programmed.ts';

const key = 'Destination/10.96.0.7:80' as const;

/** Two clients of one Service, each with a session, and a policy for the Service. */
function setUp() {
  const model = createModel({ clock: new ManualClock() });
  const translations = createTranslations();
  model.onView((view, change) => translations.advance(view, change));
  fill(model, {
    Mesh: [mesh({})],
    Pod: [pod('shop/a', { ip: '10.0.0.1' }), pod('shop/b', { ip: '10.0.0.2' })],
    Service: [service('shop/cart', '10.96.0.7', [{ name: 'http', port: 80 }])],
    EndpointSlice: [slice('shop/cart', [{ address: '10.0.0.2' }], [{ name: 'http', port: 80 }])],
  });
  model.flush();
  const a = new Session({ key: 'shop/a', namespace: 'shop' }, {});
  const b = new Session({ key: 'shop/b', namespace: 'shop' }, {});
  const sessions = new Map([
    ['a', a],
    ['b', b],
  ]);
  for (const session of sessions.values()) session.subscriptions.add('10.96.0.7:80');
  const state = (name: string, session: Session): StreamState => ({
    pod: { namespace: 'shop', name, uid: `uid-pod-shop-${name}` },
    replica: 'operator-1',
    connectedAtMs: 0,
    proxyVersion: '1',
    draining: session.draining,
    subscriptions: [...session.subscriptions],
    resources: session.resources(),
    statistics: null,
    statisticsAtMs: 0,
  });
  let observed = new Map<string, Map<string, string>>();
  const index = () =>
    indexProgrammed({
      translations,
      streams: [...sessions].map(([name, session]) => state(name, session)),
      observed,
    });
  const policy = (generation: number, timeout = `${generation}s`, uid = 'u1', target = 'cart') =>
    trafficPolicy('shop/p', { service: { name: target }, timeout }, { generation, uid });
  return {
    model,
    sessions,
    translations,
    a,
    b,
    policy,
    index,
    observe: (map: Map<string, Map<string, string>>) => (observed = map),
    apply: (one: ReturnType<typeof policy>) => {
      model.upsert('TrafficPolicy', one);
      model.flush();
    },
    status: (one: ReturnType<typeof policy>) => index().status(shapedBy('TrafficPolicy', one)),
    /** Sends what is due and acknowledges it, until there is nothing. */
    settle: (session: Session) => {
      for (;;) {
        const push = session.nextPush(translations);
        if (push === null) return;
        session.ack(push.nonce, []);
      }
    },
  };
}

describe('a generation is programmed', () => {
  it('once every sidecar that holds what it changes has acknowledged that', () => {
    const { a, b, apply, policy, settle, status } = setUp();
    settle(a);
    settle(b);
    apply(policy(1));
    expect(status(policy(1))).toMatchObject({ status: 'Unknown', reason: 'Pending' });
    settle(a);
    expect(status(policy(1)).message).toBe('1 of 2 sidecars have not acknowledged it yet: shop/b.');
    settle(b);
    expect(status(policy(1))).toEqual({
      status: 'True',
      reason: 'Programmed',
      message: '2 sidecars have it in force.',
    });
  });

  it('not before the view has it, nor when the view has a newer one', () => {
    const { a, b, apply, policy, settle, status } = setUp();
    settle(a);
    settle(b);
    expect(status(policy(1)).reason).toBe('Pending');
    apply(policy(2));
    settle(a);
    settle(b);
    expect(status(policy(1)).reason).toBe('Pending');
    expect(status(policy(2)).status).toBe('True');
  });

  it('not while a push is only on its way', () => {
    const { a, b, apply, policy, settle, status, translations } = setUp();
    settle(a);
    settle(b);
    apply(policy(1));
    settle(a);
    b.nextPush(translations);
    expect(status(policy(1)).reason).toBe('Pending');
  });

  it('for a policy that moved away, once the sidecars that obeyed it no longer do', () => {
    const { a, b, apply, policy, settle, status } = setUp();
    apply(policy(1));
    settle(a);
    settle(b);
    const moved = policy(2, '1s', 'u1', 'elsewhere');
    apply(moved);
    expect(status(moved).reason).toBe('Pending');
    settle(a);
    settle(b);
    expect(status(moved)).toMatchObject({
      status: 'True',
      message: 'No running sidecar uses what it shapes; those that come to will get it.',
    });
  });

  it('not for an older version of it that is still on its way', () => {
    const { a, b, apply, policy, settle, status, translations } = setUp();
    settle(a);
    settle(b);
    apply(policy(1));
    const push = b.nextPush(translations)!;
    settle(a);
    const moved = policy(2, '1s', 'u1', 'elsewhere');
    apply(moved);
    settle(a);
    expect(status(moved).reason).toBe('Pending');
    b.ack(push.nonce, []);
    expect(status(moved).reason).toBe('Pending');
    settle(b);
    expect(status(moved).status).toBe('True');
  });

  it('not by what a deleted policy of the same name did', () => {
    const { a, b, apply, policy, settle, status } = setUp();
    apply(policy(1, '5s', 'old'));
    settle(a);
    settle(b);
    const again = policy(1, '9s', 'new');
    apply(again);
    expect(status(again).reason).toBe('Pending');
    settle(a);
    settle(b);
    expect(status(again).status).toBe('True');
  });

  it('still, when a resource changes for another reason', () => {
    const { a, b, apply, model, policy, settle, status } = setUp();
    apply(policy(1));
    settle(a);
    settle(b);
    model.upsert('Mesh', mesh({}, 2));
    model.flush();
    expect(status(policy(1)).status).toBe('True');
  });

  it('not while a version of unknown content is in force anywhere', () => {
    const { a, b, apply, policy, sessions, settle, status } = setUp();
    apply(policy(1));
    settle(a);
    settle(b);
    const restarted = new Session({ key: 'shop/b', namespace: 'shop' }, { [key]: 'unknown' });
    restarted.subscriptions.add('10.96.0.7:80');
    sessions.set('b', restarted);
    expect(status(policy(1)).reason).toBe('Pending');
    settle(restarted);
    expect(status(policy(1)).status).toBe('True');
  });

  it('at clients too, where a PeerAuthentication turns mTLS of their servers off', () => {
    const { a, b, model, settle, index } = setUp();
    const given = (mode: 'DISABLE' | 'STRICT', generation: number) =>
      peerAuthentication('shop/q', { mtls: { mode } }, { generation });
    const statusOf = (one: ReturnType<typeof given>) =>
      index().status(shapedBy('PeerAuthentication', one)).reason;
    model.upsert('PeerAuthentication', given('DISABLE', 1));
    model.flush();
    settle(b);
    expect(statusOf(given('DISABLE', 1))).toBe('Pending');
    settle(a);
    expect(statusOf(given('DISABLE', 1))).toBe('Programmed');
    model.upsert('PeerAuthentication', given('STRICT', 2));
    model.flush();
    settle(b);
    expect(statusOf(given('STRICT', 2))).toBe('Pending');
    settle(a);
    expect(statusOf(given('STRICT', 2))).toBe('Programmed');
  });
});

describe('a generation is not programmed', () => {
  it('where a sidecar refused it, and the field is named', () => {
    const { a, b, apply, policy, settle, status, translations } = setUp();
    settle(a);
    settle(b);
    apply(policy(1));
    settle(b);
    const push = a.nextPush(translations)!;
    a.ack(push.nonce, [{ key, path: '/routes/0/timeoutMs', message: 'too long' }]);
    expect(status(policy(1))).toEqual({
      status: 'False',
      reason: 'Rejected',
      message: `The sidecar of pod shop/a refused ${key} at /routes/0/timeoutMs: too long`,
    });
    apply(policy(2));
    settle(a);
    settle(b);
    expect(status(policy(2)).status).toBe('True');
  });

  it.each([
    ['ready', { ready: true }, 'SidecarsDisconnected'],
    ['not ready', { ready: false }, 'Programmed'],
    ['going', { deleted: true }, 'Programmed'],
    ['not meshed', { meshed: false }, 'Programmed'],
    ['another one by now', { uid: 'new' }, 'SidecarsDisconnected'],
  ])('by a pod without a stream that is %s', (_what, options, reason) => {
    const { a, b, apply, model, policy, sessions, settle, status } = setUp();
    apply(policy(1));
    settle(a);
    settle(b);
    if (!('uid' in options)) sessions.delete('b');
    model.upsert('Pod', pod('shop/b', { ip: '10.0.0.2', ...options }));
    model.flush();
    settle(a);
    expect(status(policy(1)).reason).toBe(reason);
    if (reason !== 'Programmed') {
      expect(status(policy(1))).toMatchObject({
        status: 'Unknown',
        message: 'Ready pods whose sidecars are not connected: shop/b.',
      });
    }
  });

  it('by a pod that said it is going is not held up', () => {
    const { a, b, apply, policy, settle, status } = setUp();
    settle(a);
    settle(b);
    b.draining = true;
    apply(policy(1));
    settle(a);
    expect(status(policy(1)).status).toBe('True');
  });

  it('while sidecars have a dry run of the same generation, or still enforce it', () => {
    const { a, b, index, model, settle } = setUp();
    const states = ['true', 'false', 'true'].map((value) =>
      authorizationPolicy('shop/p', {}, { annotations: { 'tsmesh.dev/dry-run': value } }),
    );
    for (const state of states) {
      model.upsert('AuthorizationPolicy', state);
      const status = () => index().status(shapedBy('AuthorizationPolicy', state));
      expect(status()).toMatchObject({ status: 'Unknown', reason: 'Pending' });
      model.flush();
      settle(a);
      expect(status().message).toBe('1 of 2 sidecars have not acknowledged it yet: shop/b.');
      settle(b);
      expect(status().status).toBe('True');
    }
  });

  it('while another replica has not seen it', () => {
    const { a, b, apply, observe, policy, settle, status } = setUp();
    apply(policy(2));
    settle(a);
    settle(b);
    observe(new Map([['operator-2', new Map([['TrafficPolicy/shop/p', 'u1@1']])]]));
    expect(status(policy(2))).toMatchObject({ status: 'Unknown', reason: 'ReplicasBehind' });
    observe(new Map([['operator-2', new Map([['TrafficPolicy/shop/p', 'u1@2']])]]));
    expect(status(policy(2)).status).toBe('True');
  });
});

describe('a sidecar is in sync', () => {
  it('when it acknowledged all that it is to have', () => {
    const { a, b, index, settle } = setUp();
    settle(a);
    expect([...index().inSync]).toEqual(['shop/a']);
    settle(b);
    expect([...index().inSync]).toEqual(['shop/a', 'shop/b']);
  });

  it('and long lists of others are cut', () => {
    const { a, b, apply, model, policy, settle, status } = setUp();
    apply(policy(1));
    settle(a);
    settle(b);
    for (let i = 0; i < 12; i += 1) model.upsert('Pod', pod(`shop/x${i}`));
    model.flush();
    settle(a);
    settle(b);
    expect(status(policy(1)).message).toMatch(/shop\/x7 and 2 more\.$/);
  });
});
