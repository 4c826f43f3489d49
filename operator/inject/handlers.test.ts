// The webhooks' handlers with the API in memory: Secrets before pods, Events, warnings, refusals.

import { describe, expect, it } from '@jest/globals';
import { createRoot, loadAuthority } from '../ca/authority.ts';
import { MemoryApi, MemoryEvents, TestClock } from '../ca/test-api.ts';
import type { CertificateAuthority } from '../ca/types.ts';
import { ApiError } from '../resources/api-client.ts';
import { podEntry } from '../model/pod-entry.ts';
import type { PodEntry } from '../model/view.ts';
import type { Namespace, Pod, Secret } from '../resources/kubernetes.ts';
import type { AdmissionRequest, HandlerDeps } from './admission.ts';
import { applyPatch } from './json-patch.ts';
import { limitEvents } from './limited-events.ts';
import { createNamespaceHandler } from './namespace-handler.ts';
import { createPodHandler } from './pod-handler.ts';
import { namespaceOf, podOf } from './test-pods.ts';

const now = Date.UTC(2026, 10, 22, 12);

function authority(): CertificateAuthority {
  const loaded = loadAuthority(createRoot('cluster.local', 9_999_999_999, now), now);
  if (!loaded.ok) throw new Error(loaded.problem.message);
  return loaded.authority;
}

function world() {
  const api = new MemoryApi();
  for (const name of ['cart', 'other']) {
    api.put('ServiceAccount', { metadata: { namespace: 'shop', name } });
  }
  const events = new MemoryEvents();
  const state = {
    ca: authority() as CertificateAuthority | null,
    cached: namespaceOf() as Namespace | null,
    prepared: [] as string[],
    pods: [] as PodEntry[],
  };
  const deps: HandlerDeps = {
    api,
    events,
    ca: {
      current: () => state.ca,
      condition: () => ({ status: 'False', reason: 'CAExpired', message: 'it ended' }),
    },
    getMesh: () => null,
    getNamespace: () => state.cached,
    settings: {
      images: { proxy: 'tsmesh/proxy:v1', init: 'tsmesh/init:v1' },
      operatorAddresses: () => ['10.96.0.20:15012'],
      version: 'v0.1.0',
    },
    clock: new TestClock(now),
    podsOf: () => state.pods,
    prepareNamespace: async (namespace) => void state.prepared.push(namespace),
  };
  return { api, events, state, handle: createPodHandler(deps) };
}

function requestOf(object: Pod | Namespace, parts: Partial<AdmissionRequest> = {}) {
  return {
    uid: 'r1',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    namespace: 'shop',
    operation: 'CREATE',
    object,
    oldObject: null,
    ...parts,
  } as AdmissionRequest;
}

describe('a pod', () => {
  it('is admitted with its identity Secret already there', async () => {
    const w = world();
    const decision = await w.handle(requestOf(podOf()));
    expect(decision).toMatchObject({ allowed: true, warnings: [] });
    const secret = await w.api.get<Secret>('Secret', 'shop', 'tsmesh-identity-cart');
    expect(secret!.type).toBe('tsmesh.dev/identity');
  });

  it('gets a token for its drain hooks that no other pod has, and keeps it', async () => {
    const w = world();
    const tokens: string[] = [];
    for (const pod of [podOf(), podOf()]) {
      const decision = await w.handle(requestOf(pod));
      const admitted = applyPatch(pod, decision.allowed ? decision.patch : []);
      const env = admitted.spec.initContainers![1]!.env!;
      tokens.push((JSON.parse(env[0]!.value!) as { hookToken: string }).hookToken);
      expect(await w.handle(requestOf(admitted))).toMatchObject({ allowed: true, patch: [] });
    }
    for (const token of tokens) expect(token).toMatch(/^[0-9a-f]{32}$/);
    expect(tokens[0]).not.toBe(tokens[1]);
  });

  it('on a dry run leaves neither Secret nor Event', async () => {
    const w = world();
    const good = await w.handle(requestOf(podOf(), { dryRun: true }));
    expect(good.allowed && good.patch.length > 0).toBe(true);
    await w.handle(requestOf(podOf({ hostNetwork: true }), { dryRun: true }));
    expect(w.api.writes).toBe(0);
    expect(w.events.seen).toEqual([]);
  });

  it('that is skipped is admitted as it is, with an Event on its controller', async () => {
    const w = world();
    const decision = await w.handle(requestOf(podOf({ hostNetwork: true })));
    expect(decision).toEqual({ allowed: true, patch: [], warnings: [] });
    expect(w.events.seen).toMatchObject([
      {
        target: { kind: 'ReplicaSet', name: 'cart-5d4f', namespace: 'shop' },
        reason: 'InjectionSkipped',
        message: expect.stringContaining('HostNetwork'),
      },
    ]);
    expect(w.api.writes).toBe(0);
  });

  it('that is refused has the reason in the answer and in an Event', async () => {
    const w = world();
    const pod = podOf({ securityContext: { runAsUser: 15086 } });
    const decision = await w.handle(requestOf(pod));
    expect(decision).toMatchObject({ allowed: false, message: expect.stringContaining('15086') });
    expect(w.events.seen).toMatchObject([{ type: 'Warning', reason: 'InjectionRefused' }]);
  });

  it('without controller has its Event on itself, without a name on its namespace', async () => {
    const w = world();
    const named = podOf({ hostNetwork: true });
    named.metadata = { name: 'alone' };
    const nameless = podOf({ hostNetwork: true });
    nameless.metadata = { generateName: 'x-' } as unknown as Pod['metadata'];
    for (const pod of [named, nameless]) await w.handle(requestOf(pod));
    expect(w.events.seen.map(({ target }) => target)).toMatchObject([
      { kind: 'Pod', name: 'alone', namespace: 'shop' },
      { kind: 'Namespace', name: 'shop', namespace: '' },
    ]);
  });

  it('is refused while nothing can be issued, but not where the Secret is good already', async () => {
    const w = world();
    await w.handle(requestOf(podOf()));
    w.state.ca = null;
    expect(await w.handle(requestOf(podOf()))).toMatchObject({ allowed: true });
    const other = podOf({ serviceAccountName: 'other' });
    expect(await w.handle(requestOf(other))).toMatchObject({
      allowed: false,
      message: expect.stringContaining('CAExpired: it ended'),
    });
    expect(w.events.reasons()).toEqual(['InjectionRefused']);
  });

  it('waits for the rights in a namespace that was meshed a moment ago', async () => {
    const w = world();
    let refusals = 3;
    w.api.beforeWrite = () => {
      if (refusals-- > 0) throw new ApiError('Forbidden', 403, 'not yet');
    };
    expect(await w.handle(requestOf(podOf()))).toMatchObject({ allowed: true });
    expect(w.state.prepared).toEqual(['shop']);
  });

  it('is refused in words where the rights never come', async () => {
    const w = world();
    w.api.beforeWrite = () => {
      throw new ApiError('Forbidden', 403, 'secrets is forbidden');
    };
    expect(await w.handle(requestOf(podOf()))).toMatchObject({
      allowed: false,
      message: expect.stringContaining('shop/cart could not be written: secrets is forbidden'),
    });
  });

  it('is injected though the cache has not seen the annotation yet', async () => {
    const w = world();
    w.state.cached = namespaceOf('shop', {}, {});
    w.api.put('Namespace', namespaceOf());
    const decision = await w.handle(requestOf(podOf()));
    expect(decision.allowed && decision.patch.length > 0).toBe(true);
  });

  it('of a namespace that does not exist is refused', async () => {
    const w = world();
    w.state.cached = null;
    expect(await w.handle(requestOf(podOf()))).toMatchObject({ allowed: false });
  });

  it("gets no ephemeral container with the sidecar's user", async () => {
    const w = world();
    const debug = (runAsUser: number) =>
      requestOf(
        podOf({ ephemeralContainers: [{ name: 'debug', securityContext: { runAsUser } }] }),
        {
          subResource: 'ephemeralcontainers',
          operation: 'UPDATE',
        },
      );
    expect(await w.handle(debug(1000))).toEqual({ allowed: true, patch: [], warnings: [] });
    expect(await w.handle(debug(15086))).toMatchObject({
      allowed: false,
      message: expect.stringContaining('ephemeral container debug'),
    });
  });
});

describe('a review that nobody but an attacker wrote', () => {
  const foreign = namespaceOf('bank', {}, {});
  const asking = () => podOf({}, { 'tsmesh.dev/inject': 'enabled' });

  it('makes nothing in a namespace that is not meshed', async () => {
    const w = world();
    w.state.cached = foreign;
    w.api.put('Namespace', foreign);
    const decision = await w.handle(requestOf(asking(), { namespace: 'bank' }));
    expect(decision.allowed).toBe(true);
    expect(w.api.writes).toBe(0);
    expect(w.state.prepared).toEqual([]);
  });

  it('makes a Secret where the first meshed pod already is, as for any further pod', async () => {
    const w = world();
    w.state.cached = namespaceOf('shop', {}, {});
    w.api.put('Namespace', w.state.cached);
    const first = asking();
    first.metadata = { ...first.metadata, name: 'first', namespace: 'shop' };
    first.metadata.labels = { 'tsmesh.dev/injected': 'true' };
    w.state.pods.push(podEntry(first));
    await w.handle(requestOf(asking()));
    expect(await w.api.get('Secret', 'shop', 'tsmesh-identity-cart')).not.toBeNull();
  });

  it('makes no identity of a service account that does not exist', async () => {
    const w = world();
    for (let i = 0; i < 20; i += 1) {
      const decision = await w.handle(requestOf(podOf({ serviceAccountName: `invented-${i}` })));
      expect(decision).toMatchObject({
        allowed: false,
        message: expect.stringContaining(`shop/invented-${i} does not exist`),
      });
    }
    expect(w.api.writes).toBe(0);
  });

  it('makes no identity of the operator, and none in kube-system', async () => {
    for (const name of ['tsmesh-system', 'kube-system']) {
      const w = world();
      w.state.cached = namespaceOf(name);
      const pod = podOf({ serviceAccountName: 'tsmesh-operator' });
      const decision = await w.handle(requestOf(pod, { namespace: name }));
      expect(decision).toMatchObject({ allowed: false });
      expect(w.api.writes).toBe(0);
    }
  });

  it('does not fill the cluster with Events', () => {
    const events = new MemoryEvents();
    const time = { nowMs: 0 };
    const said: string[] = [];
    const log = { warn: (message: string) => void said.push(message) };
    const limited = limitEvents(events, { clock: { nowMs: () => time.nowMs }, log });
    const target = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'x' };
    const flood = () => {
      for (let i = 0; i < 500; i += 1) limited.event(target, 'Warning', 'R', String(i));
    };
    flood();
    expect(events.seen).toHaveLength(100);
    expect(said).toHaveLength(1);
    time.nowMs = 10_000;
    flood();
    expect(events.seen.length).toBeGreaterThan(130);
    expect(events.seen.length).toBeLessThan(160);
  });
});

describe('a namespace', () => {
  const key = 'tsmesh.dev/inject';

  async function write(
    after: Namespace,
    before: Namespace | null = null,
    pods: readonly PodEntry[] = [],
  ) {
    const handle = createNamespaceHandler({ podsOf: () => pods });
    const decision = await handle(requestOf(after, { oldObject: before }));
    const metadata = decision.allowed ? applyPatch(after, decision.patch).metadata : null;
    return {
      decision,
      warnings: decision.warnings,
      said: [metadata?.annotations?.[key], metadata?.labels?.[key]],
    };
  }

  const plain = namespaceOf('shop', {}, {});
  const both = namespaceOf('shop', { [key]: 'enabled' });

  it('mirrors the annotation to the label in the same write', async () => {
    expect((await write(namespaceOf(), plain)).said).toEqual(['enabled', 'enabled']);
    const off = namespaceOf('shop', { [key]: 'enabled' }, { [key]: 'disabled' });
    expect((await write(off, both)).said).toEqual(['disabled', 'disabled']);
  });

  it('takes the label away with the annotation', async () => {
    const removed = namespaceOf('shop', { [key]: 'enabled' }, {});
    expect((await write(removed, both)).said).toEqual([undefined, undefined]);
  });

  it('that is labelled only gets the annotation', async () => {
    const labelled = namespaceOf('shop', { [key]: 'enabled' }, {});
    expect((await write(labelled, plain)).said).toEqual(['enabled', 'enabled']);
    expect((await write(labelled)).said).toEqual(['enabled', 'enabled']);
  });

  it('keeps the label that somebody changed away from the annotation', async () => {
    const tampered = namespaceOf('shop', { [key]: 'disabled' });
    expect((await write(tampered, both)).said).toEqual(['enabled', 'enabled']);
  });

  it('is refused with what is valid when the value is not', async () => {
    const wrong = namespaceOf('shop', {}, { [key]: 'true' });
    expect((await write(wrong, plain)).decision).toMatchObject({
      allowed: false,
      message: expect.stringMatching(/shop: .*"true".*enabled or disabled/),
    });
  });

  it.each(['kube-system', 'tsmesh-system'])('%s is refused', async (name) => {
    expect((await write(namespaceOf(name), null)).decision).toMatchObject({
      allowed: false,
      message: expect.stringContaining(`${name} cannot be meshed`),
    });
  });

  it('says how many running pods need a restart, and the command', async () => {
    const pods: PodEntry[] = [];
    const add = (name: string, kind: string, parts: Partial<Pod> = {}, owner = 'o-5f7') => {
      const pod = podOf();
      pod.metadata = {
        ...pod.metadata,
        name,
        namespace: 'shop',
        labels: { 'pod-template-hash': '5f7' },
        ownerReferences: [{ apiVersion: 'v1', kind, name: owner, uid: 'u', controller: true }],
      };
      pods.push(podEntry({ ...pod, ...parts }));
    };
    add('a', 'ReplicaSet');
    add('b', 'StatefulSet');
    add('c', 'ReplicaSet');
    add('d', 'Job');
    add('of a ReplicaSet alone', 'ReplicaSet', {}, 'o');
    add('done', 'Job', { status: { phase: 'Succeeded' } });
    const { warnings } = await write(namespaceOf(), plain, pods);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('5 running pods of shop have no sidecar');
    expect(warnings[0]).toContain('kubectl -n shop rollout restart deployment,statefulset');
    expect(warnings[0]).toContain('2 of them');
    expect((await write(both, both, pods)).warnings).toEqual([]);
  });

  it('that enforces Pod Security is warned of', async () => {
    const strict = namespaceOf('shop', { 'pod-security.kubernetes.io/enforce': 'restricted' });
    expect((await write(strict, plain)).warnings).toEqual([
      expect.stringContaining('Pod Security "restricted"'),
    ]);
  });
});
