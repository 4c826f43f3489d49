// Two replicas: both serve sidecars, one writes; what a sidecar told the other one counts as well; and the
// end of the leader is the end of nothing.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo, startLoad } from '../support/calls.ts';
import { getJson, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';
import {
  killOperator,
  operatorPods,
  operatorReplicas,
  systemNamespace,
} from '../support/operator.ts';
import { program } from '../support/policies.ts';

const namespace = 't-ha';
const client = { namespace, app: 'client' };

interface Lease {
  spec: { holderIdentity: string };
}

async function leader(): Promise<string> {
  const { spec } = await getJson<Lease>('lease', 'tsmesh-operator', '-n', systemNamespace);
  return spec.holderIdentity;
}

/** Discovery streams that each replica holds, from its own metrics. */
async function streamsPerReplica(): Promise<number[]> {
  const counts = (await operatorPods()).map(async ({ metadata }) => {
    const path = `/api/v1/namespaces/${systemNamespace}/pods/${metadata.name}:8080/proxy/metrics`;
    const text = await kubectl('get', '--raw', path);
    return Number(/^tsmesh_discovery_streams (\d+)/m.exec(text)?.[1] ?? Number.NaN);
  });
  return await Promise.all(counts);
}

async function splitTo(version: 'v1' | 'v2'): Promise<void> {
  await program('TrafficPolicy', namespace, 'server', {
    service: { name: 'server' },
    subsets: [
      { name: 'v1', labels: { version: 'v1' } },
      { name: 'v2', labels: { version: 'v2' } },
    ],
    routes: [{ backends: [{ subset: version }] }],
  });
}

describe('two operator replicas', () => {
  beforeAll(async () => {
    await operatorReplicas(2);
    await createNamespace(namespace, true);
    await Promise.all([
      deployEcho(namespace, { name: 'client', replicas: 4 }),
      deployEcho(namespace, { name: 'server-v1', service: 'server', version: 'v1' }),
      deployEcho(namespace, { name: 'server-v2', service: 'server', version: 'v2' }),
    ]);
  }, 240_000);
  afterAll(async () => {
    await operatorReplicas(1);
    await deleteNamespace(namespace);
  }, 240_000);

  it('share the sidecars, and the status knows all of them', async () => {
    await waitFor('streams on both replicas', 60_000, async () =>
      (await streamsPerReplica()).every((count) => count > 0),
    );
    await waitFor('six sidecars in sync', 60_000, async () => {
      const row = await getJson<{ status: { inSync: number } }>(
        'meshstatus',
        `namespace.${namespace}`,
      );
      return row.status.inSync === 6;
    });
  });

  it('say Programmed only when the sidecars of both obey', async () => {
    for (const version of ['v1', 'v2', 'v1', 'v2'] as const) {
      await splitTo(version);
      expect((await echo(client, 'http://server/')).version).toBe(version);
    }
  });

  it('go on when the leader is killed: no failed request, the other one leads', async () => {
    const args = ['--seconds', '25', '--rate', '50', '--concurrency', '2'];
    const load = await startLoad(client, 'http://server/healthz', ...args);
    const old = await leader();
    const pod = (await operatorPods()).find(({ metadata }) => old.includes(metadata.name));
    await killOperator(pod?.metadata.name ?? '');
    await waitFor('another leader', 60_000, async () => (await leader()) !== old);
    await splitTo('v1');
    expect((await echo(client, 'http://server/')).version).toBe('v1');
    expect((await load.result).errors).toEqual([]);
  });
});
