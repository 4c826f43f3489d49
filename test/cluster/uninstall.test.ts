// Removing the operator and installing it again: what runs goes on, policies and the CA stay.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { echo, startLoad } from '../support/calls.ts';
import { getJson, kubectl, tryKubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';
import { program, programmed } from '../support/policies.ts';

const namespace = 't-uninstall';
const client = { namespace, app: 'client' };
const system = 'tsmesh-system';

async function root(): Promise<string> {
  const secret = await getJson<{ data: Record<string, string> }>(
    'secret',
    'tsmesh-ca',
    '-n',
    system,
  );
  return secret.data['ca.crt'] ?? '';
}

async function install(): Promise<void> {
  await kubectl('apply', '-k', 'config/overlays/local-images');
  await kubectl('rollout', 'status', '-n', system, 'deployment/tsmesh-operator', '--timeout=90s');
}

describe('without the operator', () => {
  beforeAll(async () => {
    await createNamespace(namespace, true);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server' }),
    ]);
    await program('TrafficPolicy', namespace, 'server', {
      service: { name: 'server' },
      timeout: '2s',
    });
    expect((await echo(client, 'http://server/')).caller).toContain('/sa/client');
  }, 240_000);

  afterAll(async () => {
    await install();
    await deleteNamespace(namespace);
  }, 240_000);

  it('meshed pods go on, policies and the CA stay, and a new installation takes them up', async () => {
    const before = await root();
    const args = ['--seconds', '40', '--rate', '50', '--concurrency', '2'];
    const load = await startLoad(client, 'http://server/healthz', ...args);
    await kubectl('delete', '-k', 'config/operator', '--ignore-not-found', '--timeout=90s');

    const gone = await tryKubectl(['get', 'deployment', 'tsmesh-operator', '-n', system]);
    expect(gone.stderr).toContain('NotFound');
    const webhooks = await kubectl('get', 'mutatingwebhookconfigurations', '-o', 'name');
    expect(webhooks).not.toContain('/tsmesh');
    await kubectl('get', 'trafficpolicy', 'server', '-n', namespace);
    // Nothing of the mesh stands in the way of the cluster.
    await kubectl('annotate', 'namespace', namespace, 'example.com/any=thing', '--overwrite');
    await kubectl(
      'run',
      'plain',
      '-n',
      namespace,
      '--image=none',
      '--restart=Never',
      '--dry-run=server',
    );
    expect((await echo(client, 'http://server/')).caller).toContain('/sa/client');

    await install();
    expect(await root()).toBe(before);
    await programmed('TrafficPolicy', namespace, 'server');
    await deployEcho(namespace, { name: 'late' });
    expect((await echo(client, 'http://late/')).caller).toContain('/sa/client');
    const result = await load.result;
    expect(result.errors).toEqual([]);
  }, 240_000);
});
