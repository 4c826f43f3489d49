import { describe, expect, it } from '@jest/globals';
import type { Condition, KubeObject, Namespace, Secret } from '../resources/kubernetes.ts';
import type { AuthorizationPolicy, Mesh, TrafficPolicy } from '../resources/tsmesh.ts';
import type { WebhookConfiguration } from './context.ts';
import { Controllers } from './controllers.ts';
import { TestCluster } from './test-cluster.ts';
import { namespaceOf, podOf, serviceOf, trafficPolicyOf } from './test-world.ts';

const meshed = { 'tsmesh.dev/injected': 'true' };
const inject = 'tsmesh.dev/inject';
const secretName = 'tsmesh-identity-app';

/** Its certificates live 15 minutes and are renewed after 8.5 to 10. */
const shortLived: Mesh = {
  metadata: { name: 'default' },
  spec: { certificates: { workloadLifetime: '15m' } },
};

async function running(prepare: (cluster: TestCluster) => void = () => undefined) {
  const cluster = new TestCluster();
  prepare(cluster);
  cluster.model.flush();
  const watched: string[][] = [];
  const reconciled: Record<string, number> = {};
  const controllers = new Controllers(cluster.context(), {
    random: () => 0,
    rootsPem: () => 'roots',
    watchSecrets: (namespaces) => Promise.resolve(void watched.push([...namespaces])),
    onResult: (queue) => void (reconciled[queue] = (reconciled[queue] ?? 0) + 1),
  });
  cluster.onChange = (kind, object) => controllers.onObject(kind, object);
  cluster.model.onView((_view, change) => controllers.onView(change));
  controllers.start();
  await cluster.clock.advance(1_000);
  return { cluster, controllers, watched, reconciled };
}

function conditions(
  cluster: TestCluster,
  name: string,
  kind: 'TrafficPolicy' | 'AuthorizationPolicy' = 'TrafficPolicy',
): Record<string, string> {
  const policy = cluster.find<TrafficPolicy | AuthorizationPolicy>(kind, 'shop', name);
  const list: Condition[] = policy?.status?.conditions ?? [];
  return Object.fromEntries(list.map((one) => [one.type, one.status]));
}

describe('the leader', () => {
  it('makes the default Mesh where there is none, and again when it is deleted', async () => {
    const { cluster } = await running();
    expect(cluster.find('Mesh', '', 'default')).toBeDefined();
    cluster.remove('Mesh', '', 'default');
    await cluster.clock.advance(1_000);
    const mesh = cluster.find<Mesh>('Mesh', '', 'default');
    expect(mesh?.status?.conditions?.map((one) => one.type)).toEqual([
      'Accepted',
      'CAReady',
      'Programmed',
    ]);
  });

  it('says in Mesh status whose certificate is about to end, as long as one is', async () => {
    const { cluster } = await running();
    const said = () =>
      cluster
        .find<Mesh>('Mesh', '', 'default')
        ?.status?.conditions?.find(({ type }) => type === 'CertificatesExpiring');
    expect(said()).toBeUndefined();
    cluster.expiring = [{ pod: 'shop/cart-1', notAfterMs: Date.UTC(2026, 5, 2) }];
    await cluster.clock.advance(61_000);
    expect(said()).toMatchObject({ status: 'True', reason: 'NotRenewed' });
    expect(said()?.message).toMatch(/1 sidecars.*2026-06-02T00:00:00Z: shop\/cart-1$/);
    cluster.expiring = [];
    await cluster.clock.advance(61_000);
    expect(said()).toBeUndefined();
  });

  it('writes what it makes of a policy, and then nothing as long as nothing changes', async () => {
    const { cluster } = await running((it) => {
      it.put(...serviceOf('cart', [80]));
      it.put('TrafficPolicy', trafficPolicyOf('p', 1, { service: { name: 'cart' } }));
    });
    expect(conditions(cluster, 'p')).toEqual({
      Accepted: 'True',
      ResolvedRefs: 'True',
      Programmed: 'True',
    });
    const writes = cluster.writes.length;
    await cluster.clock.advance(600_000);
    expect(cluster.writes.slice(writes)).toEqual([]);
  });

  it('says whether an AuthorizationPolicy is a dry run, and follows the annotation', async () => {
    const { cluster } = await running((it) => it.put(...podOf('cart-1', { app: 'cart' })));
    const put = (annotations: Record<string, string>) => {
      const metadata = { name: 'p', namespace: 'shop', uid: 'p', generation: 1, annotations };
      cluster.put('AuthorizationPolicy', { metadata, spec: {} } as KubeObject);
      return cluster.clock.advance(1_000);
    };
    await put({});
    const enforced = {
      Accepted: 'True',
      ResolvedRefs: 'True',
      DryRun: 'False',
      Programmed: 'True',
    };
    const said = () => conditions(cluster, 'p', 'AuthorizationPolicy');
    expect(said()).toEqual(enforced);
    await put({ 'tsmesh.dev/dry-run': 'true' });
    expect(said()).toEqual({ ...enforced, DryRun: 'True' });
    await put({ 'tsmesh.dev/dry-run': 'maybe' });
    expect(said()).toEqual({ ...enforced, Accepted: 'False', Programmed: 'False' });
  });

  it('says so soon when what a policy names goes, although the policy itself did not change', async () => {
    const { cluster } = await running((it) => {
      it.put(...serviceOf('cart', [80]));
      it.put('TrafficPolicy', trafficPolicyOf('p', 1, { service: { name: 'cart' } }));
    });
    cluster.remove('Service', 'shop', 'cart');
    await cluster.clock.advance(1_000);
    expect(conditions(cluster, 'p')).toMatchObject({ ResolvedRefs: 'False' });
  });

  it('judges a policy only by a view that has it, so that a conflict is never accepted first', async () => {
    const { cluster } = await running((it) => {
      it.put(...serviceOf('cart', [80]));
      it.put('TrafficPolicy', trafficPolicyOf('a', 9, { service: { name: 'cart' } }));
    });
    const seen: (string | undefined)[] = [];
    const { onChange } = cluster;
    cluster.onChange = (kind, object) => {
      if (object.metadata.name === 'b') seen.push(conditions(cluster, 'b').Accepted);
      onChange(kind, object);
    };
    cluster.put('TrafficPolicy', trafficPolicyOf('b', 1, { service: { name: 'cart' } }));
    await cluster.clock.advance(1_000);
    expect(seen).toEqual([undefined, 'False']);
  });

  it('reports a policy as programmed at once when the last sidecar has acknowledged it', async () => {
    const { cluster, controllers } = await running((it) => {
      it.programmed = { status: 'Unknown', reason: 'Pending', message: 'one is missing' };
      it.put(...serviceOf('cart', [80]));
      it.put('TrafficPolicy', trafficPolicyOf('p', 1, { service: { name: 'cart' } }));
    });
    expect(conditions(cluster, 'p')).toMatchObject({ Programmed: 'Unknown' });
    cluster.programmed = { status: 'True', reason: 'Programmed', message: 'in force' };
    controllers.onStreamsChanged();
    await cluster.clock.advance(0);
    expect(conditions(cluster, 'p')).toMatchObject({ Programmed: 'True' });
  });

  it('does not look at refused policies with each acknowledgement, and takes the next when the winner goes', async () => {
    const many = 200;
    const { cluster, controllers, reconciled } = await running((it) => {
      it.put(...serviceOf('cart', [80]));
      for (let age = 1; age <= many; age += 1)
        it.put('TrafficPolicy', trafficPolicyOf(`p${age}`, age, { service: { name: 'cart' } }));
    });
    const accepted = () =>
      Array.from({ length: many }, (_, i) => `p${i + 1}`).filter(
        (name) => conditions(cluster, name).Accepted === 'True',
      );
    const [winner] = accepted();
    expect(accepted()).toHaveLength(1);
    const before = reconciled['policies']!;
    for (let acknowledged = 0; acknowledged < 5; acknowledged += 1) {
      controllers.onStreamsChanged();
      await cluster.clock.advance(0);
    }
    expect(reconciled['policies']! - before).toBeLessThan(10);
    cluster.remove('TrafficPolicy', 'shop', winner!);
    await cluster.clock.advance(1_000);
    expect(accepted()).toHaveLength(1);
    expect(accepted()).not.toContain(winner);
  });

  it('repairs the mirror of a namespace and takes its rights there, and gives them up again', async () => {
    const { cluster } = await running((it) =>
      it.put('Namespace', namespaceOf('shop', { annotations: { [inject]: 'enabled' } })),
    );
    const labels = () => cluster.find<Namespace>('Namespace', '', 'shop')?.metadata.labels;
    expect(labels()).toEqual({ [inject]: 'enabled' });
    expect(cluster.find('RoleBinding', 'shop', 'tsmesh-identity')).toMatchObject({
      roleRef: { kind: 'ClusterRole', name: 'tsmesh-identity' },
      subjects: [{ name: 'tsmesh-operator', namespace: 'tsmesh-system' }],
    });
    cluster.put('Namespace', namespaceOf('shop', { annotations: { [inject]: 'disabled' } }));
    await cluster.clock.advance(1_000);
    expect(labels()).toEqual({ [inject]: 'disabled' });
    expect(cluster.find('RoleBinding', 'shop', 'tsmesh-identity')).toBeUndefined();
  });

  it('makes its RoleBinding again when somebody deletes it', async () => {
    const { cluster } = await running((it) =>
      it.put('Namespace', namespaceOf('shop', { labels: { [inject]: 'enabled' } })),
    );
    cluster.remove('RoleBinding', 'shop', 'tsmesh-identity');
    await cluster.clock.advance(1_000);
    expect(cluster.find('RoleBinding', 'shop', 'tsmesh-identity')).toBeDefined();
  });

  it('keeps the identity of a service account: made, made again when deleted, renewed when due', async () => {
    const { cluster, watched } = await running((it) => {
      it.put('Mesh', shortLived);
      it.put('Namespace', namespaceOf('shop'));
      it.put(...podOf('a', meshed));
    });
    const secret = () => cluster.find<Secret>('Secret', 'shop', secretName)?.data?.['tls.crt'];
    const first = secret();
    expect(first).toBeDefined();
    expect(watched.at(-1)).toEqual(['shop']);
    cluster.remove('Secret', 'shop', secretName);
    await cluster.clock.advance(1_000);
    const second = secret();
    expect(second).toBeDefined();
    expect(second).not.toBe(first);
    await cluster.clock.advance(8 * 60_000);
    expect(secret()).toBe(second);
    await cluster.clock.advance(3 * 60_000);
    expect(secret()).not.toBe(second);
  });

  it('renews every certificate when the Mesh is annotated to ask for it', async () => {
    const { cluster } = await running((it) => {
      it.put('Mesh', shortLived);
      it.put('Namespace', namespaceOf('shop'));
      it.put(...podOf('a', meshed));
    });
    const secret = () => cluster.find<Secret>('Secret', 'shop', secretName)?.data?.['tls.crt'];
    const first = secret();
    await cluster.clock.advance(60_000);
    const annotations = { 'tsmesh.dev/renew': new Date(cluster.clock.wallTimeMs()).toISOString() };
    cluster.put('Mesh', { ...shortLived, metadata: { name: 'default', annotations } });
    await cluster.clock.advance(1_000);
    expect(first).toBeDefined();
    expect(secret()).not.toBe(first);
  });

  it('writes its roots into the webhooks, and again when somebody clears them', async () => {
    const cleared = { metadata: { name: 'tsmesh' }, webhooks: [{ name: 'w', clientConfig: {} }] };
    const { cluster } = await running((it) => it.put('MutatingWebhookConfiguration', cleared));
    const bundle = () =>
      cluster.find<WebhookConfiguration>('MutatingWebhookConfiguration', '', 'tsmesh')
        ?.webhooks?.[0]?.clientConfig.caBundle;
    expect(bundle()).toBe(Buffer.from('roots').toString('base64'));
    cluster.put('MutatingWebhookConfiguration', cleared);
    await cluster.clock.advance(1_000);
    expect(cluster.writes.filter((write) => write.includes('WebhookConf'))).toHaveLength(2);
    expect(bundle()).toBe(Buffer.from('roots').toString('base64'));
  });

  it('deletes the row of a namespace that is gone', async () => {
    const { cluster } = await running((it) =>
      it.put('MeshStatus', { metadata: { name: 'namespace.gone' } }),
    );
    expect(cluster.find('MeshStatus', '', 'namespace.gone')).toBeUndefined();
  });

  it('writes nothing more once it has lost the lease', async () => {
    const { cluster, controllers } = await running();
    await controllers.stop();
    const writes = cluster.writes.length;
    cluster.remove('Mesh', '', 'default');
    cluster.put(...podOf('a', meshed));
    cluster.put('Namespace', namespaceOf('shop', { annotations: { [inject]: 'enabled' } }));
    await cluster.clock.advance(600_000);
    expect(cluster.writes.slice(writes)).toEqual([]);
  });
});
