// The operator as a program that people run: apiserver restarts, kills, a second apply, removal.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo, http, startLoad } from '../support/calls.ts';
import { cluster, getJson, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';
import {
  killOperator,
  operatorIsReady,
  operatorPods,
  type OperatorPod,
} from '../support/operator.ts';
import { program } from '../support/policies.ts';

const namespace = 't-operator';
const client = { namespace, app: 'client' };

function identities(pods: OperatorPod[]): string[] {
  return pods.flatMap((pod) => pod.status.containerStatuses.map((one) => one.containerID)).sort();
}

describe('the operator', () => {
  beforeAll(async () => {
    await createNamespace(namespace, true);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server' }),
    ]);
  }, 240_000);
  afterAll(() => deleteNamespace(namespace), 240_000);

  it('outlives two restarts of the apiserver and misses nothing', async () => {
    const before = identities(await operatorPods());
    const running = await cluster();
    for (const timeout of ['250ms', '350ms']) {
      await running.restartApiserver();
      const spec = { service: { name: 'server' }, timeout };
      await program('TrafficPolicy', namespace, 'server', spec);
      expect((await http(client, 'http://server/delay?ms=2000')).status).toBe(504);
    }
    expect(identities(await operatorPods())).toEqual(before);
    await kubectl('delete', 'trafficpolicy', 'server', '-n', namespace);
  });

  it('is killed under load without a failed request, and starts new pods when it is back', async () => {
    const args = ['--seconds', '20', '--rate', '100', '--concurrency', '4'];
    // By its address: the cluster's DNS may still look for the API server, which was restarted before.
    const { spec } = await getJson<{ spec: { clusterIP: string } }>(
      'service',
      'server',
      '-n',
      namespace,
    );
    const load = await startLoad(client, `http://${spec.clusterIP}/healthz`, ...args);
    const old = (await operatorPods()).map((pod) => pod.metadata.name);
    await killOperator(...old);
    await operatorIsReady();
    await deployEcho(namespace, { name: 'late' });
    expect((await echo(client, 'http://late/')).service).toBe('late');
    const result = await load.result;
    expect(result.errors).toEqual([]);
  });

  it('keeps the certificate of its webhooks over a second apply', async () => {
    const bundle = async (): Promise<string> =>
      await kubectl(
        'get',
        'mutatingwebhookconfiguration',
        'tsmesh',
        '-o',
        'jsonpath={.webhooks[*].clientConfig.caBundle}',
      );
    const before = await bundle();
    expect(before.length).toBeGreaterThan(100);
    await kubectl('apply', '-k', 'config/overlays/local-images');
    expect(await bundle()).toBe(before);
  });

  it('makes the default Mesh again when somebody deletes it', async () => {
    await kubectl('delete', 'mesh', 'default');
    await waitFor('the default Mesh', 30_000, async () => {
      const names = await kubectl('get', 'mesh', '-o', 'name');
      return names.includes('mesh.tsmesh.dev/default');
    });
    expect((await echo(client, 'http://server/')).service).toBe('server');
  });
});
