// Root rotation with everything that takes part, in memory: the API server's rules, replicas that lead by
// turns, die and come back, webhooks, identity Secrets, and sidecars that see a Secret when it pleases the
// kubelet. Whatever the order: nobody ever meets a certificate that it does not trust.

import { describe, expect, it } from '@jest/globals';
import { checkIdentity } from '../../proxy/identity/certificate.ts';
import { createCaKeeper, type CaKeeper } from '../ca/ca-secret.ts';
import { ensureIdentitySecret, maintainIdentitySecret } from '../ca/identity-secrets.ts';
import { createOperatorIdentity, type OperatorIdentity } from '../ca/operator-identity.ts';
import { decode } from '../ca/pem.ts';
import type { Follower } from '../ca/rotation.ts';
import { MemoryApi, MemoryEvents, TestClock } from '../ca/test-api.ts';
import { trustOf } from '../ca/trust.ts';
import { rotateRootAnnotation } from '../ca/types.ts';
import type { Secret } from '../resources/kubernetes.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import type { ControllerContext, Store, WebhookConfiguration } from './context.ts';
import { reconcileRootRotation } from './root-rotation.ts';
import { TestCluster } from './test-cluster.ts';

const start = Date.UTC(2026, 10, 22, 12);
const accounts = ['a', 'b', 'c'];

interface Material {
  chainPem: string;
  keyPem: string;
  rootsPem: string;
}

interface Replica {
  keeper: CaKeeper;
  identity: OperatorIdentity;
}

/** Repeatable: the same numbers for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class World {
  readonly api = new MemoryApi();
  readonly events = new MemoryEvents();
  readonly clock = new TestClock(start);
  readonly random: () => number;
  readonly sidecars = new Map<string, Material>();
  readonly replicas: Replica[] = [];
  readonly steps = new Set<string>();
  bundle = '';
  mesh: Mesh = { metadata: { name: 'default' }, spec: {} };

  constructor(seed: number) {
    this.random = randomOf(seed);
  }

  async begin(): Promise<void> {
    for (let index = 0; index < 2; index += 1) await this.startReplica(index);
    for (const account of accounts) {
      await ensureIdentitySecret(this.identityDeps(0), this.ref(account), this.clock.nowMs());
      await this.kubelet(account);
    }
    this.bundle = this.replicas[0]!.identity.current()!.rootsPem;
  }

  ref(serviceAccount: string) {
    return { namespace: 'shop', serviceAccount };
  }

  identityDeps(index: number) {
    const { api, events } = this;
    return { api, events, ca: this.replicas[index]!.keeper, getMesh: () => this.mesh };
  }

  /** New, or after a crash: it holds nothing in memory. */
  async startReplica(index: number): Promise<void> {
    const getMesh = () => this.mesh;
    const { api, events } = this;
    const knownRoots = async () => (this.bundle === '' ? null : this.bundle);
    const keeper = createCaKeeper({ api, events, getMesh, knownRoots });
    const identity = createOperatorIdentity({ ca: keeper, getMesh });
    this.replicas[index] = { keeper, identity };
    await this.watch(index);
  }

  async watch(index: number): Promise<void> {
    const { keeper, identity } = this.replicas[index]!;
    await keeper.sync(this.clock.nowMs());
    identity.renewIfDue(this.clock.nowMs());
  }

  /** Brings the Secret as it is now; a sidecar takes only what it can use. */
  async kubelet(account: string): Promise<void> {
    const name = `tsmesh-identity-${account}`;
    const { data } = (await this.api.get<Secret>('Secret', 'shop', name))!;
    const [chainPem, keyPem, rootsPem] = ['tls.crt', 'tls.key', 'ca.crt'].map((key) =>
      decode(data![key]),
    );
    const material = { chainPem: chainPem!, keyPem: keyPem!, rootsPem: rootsPem! };
    expect(checkIdentity(material, null, this.clock.nowMs() + 1000)).toMatchObject({ ok: true });
    this.sidecars.set(account, material);
  }

  async lead(index: number): Promise<void> {
    const { keeper } = this.replicas[index]!;
    const outcome = await reconcileRootRotation(this.context(index)).catch((error: Error) => {
      // Another leader was first.
      expect(error.message).toContain('has been modified');
      return null;
    });
    if (outcome?.verdict != null) this.steps.add(outcome.verdict.reason);
    if (keeper.current(this.clock.nowMs()) === null) return;
    const account = accounts[Math.floor(this.random() * accounts.length)]!;
    await maintainIdentitySecret(this.identityDeps(index), this.ref(account), this.clock.nowMs());
  }

  context(index: number): ControllerContext {
    const { api, events, clock, mesh } = this;
    const base = new TestCluster().context();
    const webhooks: Store<WebhookConfiguration> = {
      get: () => this.configuration(),
      list: () => [this.configuration()],
    };
    const meshes: Store<Mesh> = { get: () => mesh, list: () => [mesh] };
    return {
      ...base,
      api,
      events,
      clock,
      ca: this.replicas[index]!.keeper,
      stores: { ...base.stores, meshes, mutatingWebhooks: webhooks, validatingWebhooks: webhooks },
      insight: { ...base.insight, followers: () => this.followers() },
    };
  }

  configuration(): WebhookConfiguration {
    const caBundle = Buffer.from(this.bundle).toString('base64');
    return {
      metadata: { name: 'tsmesh' },
      webhooks: [{ name: 'pods', clientConfig: { caBundle } }],
    };
  }

  followers(): Follower[] {
    const replicas = this.replicas.map(({ identity }, index): Follower => {
      const material = identity.current();
      const trust = material === null ? null : trustOf(material);
      return { name: `operator ${index}`, state: 'connected', trust };
    });
    const sidecars = [...this.sidecars].map(([account, material]): Follower => {
      return { name: `pod shop/${account}`, state: 'connected', trust: trustOf(material) };
    });
    return [...replicas, ...sidecars];
  }

  /** One thing happens. */
  async tick(): Promise<void> {
    this.clock.timeMs += 3000;
    const index = Math.floor(this.random() * this.replicas.length);
    const what = this.random();
    if (what < 0.3) await this.lead(index);
    else if (what < 0.5) await this.watch(index);
    else if (what < 0.55) await this.startReplica(index);
    else if (what < 0.7) this.bundle = this.replicas[index]!.identity.current()!.rootsPem;
    else await this.kubelet(accounts[Math.floor(this.random() * accounts.length)]!);
  }

  /** Everybody against everybody, as callers and as called. */
  strangers(): string[] {
    const parties = new Map<string, Material>(
      [...this.sidecars].map(([account, material]) => [`sidecar ${account}`, material]),
    );
    for (const [index, { identity }] of this.replicas.entries()) {
      parties.set(`operator ${index}`, identity.current()!);
    }
    const found: string[] = [];
    for (const [one, { chainPem }] of parties) {
      for (const [other, { rootsPem }] of parties) {
        if (trustOf({ chainPem, rootsPem }).underRoot === null)
          found.push(`${other} refuses ${one}`);
      }
      const bundled = trustOf({ chainPem, rootsPem: this.bundle }).underRoot !== null;
      if (one.startsWith('operator') && !bundled) found.push(`the API server refuses ${one}`);
    }
    return found;
  }
}

describe('a root that rotates among replicas that come and go', () => {
  it.each([1, 2, 3, 4])(
    'leaves nobody with a certificate that another refuses (order %i)',
    async (seed) => {
      const world = new World(seed);
      await world.begin();
      const old = trustOf(world.sidecars.get('a')!).underRoot;
      world.clock.timeMs += 600_000;
      const asked = new Date(world.clock.timeMs).toISOString();
      world.mesh = {
        metadata: { name: 'default', annotations: { [rotateRootAnnotation]: asked } },
        spec: {},
      };
      for (let round = 0; round < 600 && !world.steps.has('Complete'); round += 1) {
        await world.tick();
        expect(world.strangers()).toEqual([]);
      }
      expect([...world.steps]).toEqual([
        'TrustingNewRoot',
        'IssuingUnderNewRoot',
        'DroppingOldRoot',
        'Complete',
      ]);
      for (const material of world.sidecars.values()) {
        const { underRoot, trustedRoots } = trustOf(material);
        expect(trustedRoots).toEqual([underRoot]);
        expect(underRoot).not.toBe(old);
      }
      expect(world.events.reasons().filter((reason) => reason.startsWith('CA'))).toEqual([
        'CACreated',
      ]);
    },
  );
});

describe('a rotation whose Secret somebody edits', () => {
  it('is given up with a warning, not in silence', async () => {
    const world = new World(1);
    await world.begin();
    world.clock.timeMs += 600_000;
    const asked = new Date(world.clock.timeMs).toISOString();
    world.mesh = {
      metadata: { name: 'default', annotations: { [rotateRootAnnotation]: asked } },
      spec: {},
    };
    await world.lead(0);
    const secret = (await world.api.get<Secret>('Secret', 'tsmesh-system', 'tsmesh-ca'))!;
    const { 'next.key': _, ...data } = secret.data!;
    await world.api.replace('Secret', { ...secret, data });
    await world.watch(0);
    await world.lead(0);
    const given = world.events.seen.find(({ reason }) => reason === 'RootRotationGivenUp');
    expect(given).toMatchObject({
      type: 'Warning',
      message: expect.stringContaining('given up in step Trust'),
    });
  });
});
