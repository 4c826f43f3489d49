// The CA Secret over its life: made, shared, lost, spoilt, replaced.

import { describe, expect, it } from '@jest/globals';
import type { Secret } from '../resources/kubernetes.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import { createRoot, type CaPem } from './authority.ts';
import { contentOf, withContent } from './ca-content.ts';
import { createCaKeeper, type CaKeeperDeps } from './ca-secret.ts';
import { beginRotation } from './rotation.ts';
import { encode, MemoryApi, MemoryEvents } from './test-api.ts';
import { newRootAnnotation } from './types.ts';

const hour = 3_600_000;
const now = Date.UTC(2026, 10, 22, 12);

function world(options: { knownRoots?: string | null; mesh?: Mesh } = {}) {
  const api = new MemoryApi();
  const events = new MemoryEvents();
  const state = { knownRoots: options.knownRoots ?? null, mesh: options.mesh ?? null };
  const deps: CaKeeperDeps = {
    api,
    events,
    getMesh: () => state.mesh,
    knownRoots: async () => state.knownRoots,
  };
  return { api, events, state, deps, keeper: createCaKeeper(deps) };
}

async function secretOf(api: MemoryApi): Promise<Secret> {
  return (await api.get<Secret>('Secret', 'tsmesh-system', 'tsmesh-ca'))!;
}

function putCa(api: MemoryApi, pem: CaPem, data: Record<string, string> = {}): void {
  api.put('Secret', {
    metadata: { namespace: 'tsmesh-system', name: 'tsmesh-ca' },
    type: 'tsmesh.dev/ca',
    data: {
      'tls.crt': encode(pem.chainPem),
      'tls.key': encode(pem.keyPem),
      'ca.crt': encode(pem.rootsPem),
      ...data,
    },
  } as Secret);
}

function meshWith(annotations: Record<string, string>): Mesh {
  return { metadata: { name: 'default', annotations }, spec: {} };
}

describe('the CA Secret', () => {
  it('is made at the first start, and issues', async () => {
    const { api, keeper, events } = world();
    expect(keeper.condition(now)).toMatchObject({ status: 'False', reason: 'CANotLoaded' });
    await keeper.sync(now);
    expect(await secretOf(api)).toMatchObject({ type: 'tsmesh.dev/ca' });
    expect(keeper.current(now)).not.toBeNull();
    expect(keeper.condition(now)).toMatchObject({ status: 'True', reason: 'CAReady' });
    expect(events.reasons()).toEqual(['CACreated']);
  });

  it('lives as long as Mesh default says', async () => {
    const mesh = { metadata: { name: 'default' }, spec: { certificates: { rootLifetime: '48h' } } };
    const { keeper } = world({ mesh });
    await keeper.sync(now);
    expect(keeper.current(now)!.notAfterMs).toBe(now + 48 * hour);
  });

  it('of the replica that was first is the one of all', async () => {
    const { api, deps } = world();
    const [a, b] = [createCaKeeper(deps), createCaKeeper(deps)];
    await Promise.all([a.sync(now), b.sync(now)]);
    expect(a.current(now)!.fingerprint).toBe(b.current(now)!.fingerprint);
    expect(api.writes).toBe(1);
  });

  it('is restored from memory when it vanishes', async () => {
    const { api, keeper, events } = world();
    await keeper.sync(now);
    const before = await secretOf(api);
    await api.delete('Secret', 'tsmesh-system', 'tsmesh-ca');
    await keeper.sync(now);
    expect((await secretOf(api)).data).toEqual(before.data);
    expect(events.reasons()).toEqual(['CACreated', 'CARestored']);
  });

  it('is not made anew where the cluster trusts a root already', async () => {
    const { api, keeper, events } = world({ knownRoots: createRoot('a', hour, now).rootsPem });
    await keeper.sync(now);
    expect(await secretOf(api)).toBeNull();
    expect(keeper.current(now)).toBeNull();
    expect(keeper.condition(now)).toMatchObject({ status: 'False', reason: 'CAKeyLost' });
    expect(keeper.condition(now).message).toContain('kubectl annotate mesh default');
    await keeper.sync(now);
    expect(events.reasons()).toEqual(['CAKeyLost']);
  });

  it('is made anew where the user says so, once', async () => {
    const { api, keeper, state } = world({ knownRoots: createRoot('a', hour, now).rootsPem });
    await keeper.sync(now);
    state.mesh = meshWith({ [newRootAnnotation]: new Date(now + 1000).toISOString() });
    await keeper.sync(now + 2000);
    const made = keeper.current(now + 2000)!;
    expect(made).not.toBeNull();
    await api.delete('Secret', 'tsmesh-system', 'tsmesh-ca');
    await keeper.sync(now + 3000);
    expect(keeper.current(now + 3000)!.fingerprint).toBe(made.fingerprint);
  });

  it('is not made anew for what the user said long ago, or for no time at all', async () => {
    for (const word of [new Date(now - 2 * hour).toISOString(), 'yes']) {
      const { keeper } = world({
        knownRoots: createRoot('a', hour, now).rootsPem,
        mesh: meshWith({ [newRootAnnotation]: word }),
      });
      await keeper.sync(now);
      expect(keeper.condition(now).reason).toBe('CAKeyLost');
    }
  });

  it('that expires stops issuing, and says so', async () => {
    const { api, keeper } = world();
    putCa(api, createRoot('a', hour, now));
    await keeper.sync(now);
    expect(keeper.condition(now + 0.95 * hour)).toMatchObject({
      status: 'True',
      reason: 'CAExpiresSoon',
    });
    expect(keeper.current(now + hour)).toBeNull();
    expect(keeper.condition(now + hour)).toMatchObject({ status: 'False', reason: 'CAExpired' });
  });

  it('that is spoilt is refused with the reason, and the last good one goes on until it is put right', async () => {
    const { api, keeper, events } = world();
    await keeper.sync(now);
    const good = await secretOf(api);
    api.put('Secret', { ...good, data: { ...good.data, 'tls.key': encode('x') } } as Secret);
    const before = keeper.current(now);
    await keeper.sync(now);
    expect(keeper.current(now)).toBe(before);
    expect(keeper.condition(now)).toMatchObject({ status: 'False', reason: 'CASecretUnreadable' });
    expect(keeper.condition(now).message).toContain('tsmesh-system/tsmesh-ca');
    expect(keeper.condition(now).message).toContain('the last good CA goes on');
    api.put('Secret', good);
    await keeper.sync(now);
    expect(keeper.condition(now).status).toBe('True');
    expect(events.reasons()).toEqual(['CACreated', 'CASecretUnreadable', 'CAReady']);
  });

  it('without a key says which one is missing', async () => {
    const { api, keeper } = world();
    putCa(api, createRoot('a', hour, now), { 'tls.key': '' });
    await keeper.sync(now);
    expect(keeper.condition(now)).toMatchObject({
      reason: 'CASecretIncomplete',
      message: expect.stringContaining('has no tls.key'),
    });
  });

  it('under a root that nobody trusts yet is not used', async () => {
    const { api, keeper } = world();
    await keeper.sync(now);
    const before = keeper.current(now);
    putCa(api, createRoot('a', hour, now));
    await keeper.sync(now);
    expect(keeper.current(now)).toBe(before);
    expect(keeper.condition(now).reason).toBe('CARootChanged');
  });

  it('under another root is not used after a restart either, as the webhooks trust the former', async () => {
    const { api, keeper } = world({ knownRoots: createRoot('a', hour, now).rootsPem });
    putCa(api, createRoot('a', hour, now));
    await keeper.sync(now);
    expect(keeper.condition(now).reason).toBe('CARootChanged');
  });

  it('under a root that the webhooks trust meanwhile is used by a replica that missed a step', async () => {
    const { api, keeper, state } = world();
    await keeper.sync(now);
    const next = createRoot('a', hour, now);
    putCa(api, next);
    state.knownRoots = next.rootsPem;
    await keeper.sync(now);
    expect(keeper.current(now)!.certificatePem).toBe(next.chainPem);
  });

  it('is restored as it was in the middle of a rotation', async () => {
    const { api, keeper } = world();
    await keeper.sync(now);
    const pem = createRoot('cluster.local', hour, now);
    const secret = await secretOf(api);
    const content = beginRotation(contentOf(secret), { pem, issuedBy: null }, 'a test', now);
    api.put('Secret', withContent(secret, content));
    await keeper.sync(now);
    await api.delete('Secret', 'tsmesh-system', 'tsmesh-ca');
    await keeper.sync(now);
    expect(contentOf(await secretOf(api))).toEqual(content);
  });

  it('moves to a new root in steps: trusted first, then used', async () => {
    const { api, keeper } = world();
    const [old, next] = [createRoot('a', hour, now), createRoot('a', hour, now)];
    putCa(api, old);
    await keeper.sync(now);
    const both = old.rootsPem + next.rootsPem;
    putCa(api, { ...old, rootsPem: both });
    await keeper.sync(now);
    expect(keeper.current(now)!.rootsPem).toBe(both);
    putCa(api, { ...next, rootsPem: both });
    await keeper.sync(now);
    expect(keeper.current(now)!.certificatePem).toBe(next.chainPem);
    putCa(api, next);
    await keeper.sync(now);
    expect(keeper.condition(now).status).toBe('True');
  });
});
