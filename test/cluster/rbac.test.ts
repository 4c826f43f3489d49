// What the operator may not do: asked of the API server itself, as the operator's service account.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { tryKubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace } from '../support/namespaces.ts';

const meshed = 't-rbac';
const other = 't-rbac-other';
const operator = ['--as', 'system:serviceaccount:tsmesh-system:tsmesh-operator'];

async function may(...what: string[]): Promise<boolean> {
  const { stdout } = await tryKubectl(['auth', 'can-i', ...what, ...operator]);
  return stdout.trim() === 'yes';
}

async function asOperator(object: object): Promise<string> {
  const args = ['create', '-f', '-', ...operator];
  const { code, stderr } = await tryKubectl(args, JSON.stringify(object));
  return code === 0 ? '' : stderr;
}

function secret(namespace: string, name: string, type: string): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, type };
}

function binding(role: string, namespace = other, subject = 'tsmesh-operator'): object {
  const apiGroup = 'rbac.authorization.k8s.io';
  return {
    apiVersion: `${apiGroup}/v1`,
    kind: 'RoleBinding',
    metadata: { namespace, name: 'tsmesh-identity' },
    roleRef: { apiGroup, kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', name: subject, namespace: 'tsmesh-system' }],
  };
}

describe("the operator's rights", () => {
  beforeAll(async () => {
    await createNamespace(meshed, true);
    await createNamespace(other, false);
    await waitFor('rights in the meshed namespace', 30_000, () =>
      may('create', 'secrets', '-n', meshed),
    );
  }, 120_000);
  afterAll(async () => {
    await deleteNamespace(meshed);
    await deleteNamespace(other);
  }, 120_000);

  it.each([
    ['read Secrets of a namespace that is not meshed', ['list', 'secrets', '-n', other]],
    ['read Secrets of kube-system', ['get', 'secrets', '-n', 'kube-system']],
    ['list the Secrets of its own namespace', ['list', 'secrets', '-n', 'tsmesh-system']],
    ['delete the CA', ['delete', 'secrets/tsmesh-ca', '-n', 'tsmesh-system']],
    ['read what it only lists: a pod', ['get', 'pods', '-n', meshed]],
    ['read what it only lists: a policy', ['get', 'trafficpolicies.tsmesh.dev', '-n', meshed]],
    ['read ConfigMaps of others', ['get', 'configmaps', '-n', 'kube-system']],
    ['change pods', ['update', 'pods', '-n', meshed]],
    ['make pods', ['create', 'pods', '-n', meshed]],
    ['run commands in pods', ['create', 'pods/exec', '-n', meshed]],
    ['change policies of users', ['update', 'trafficpolicies.tsmesh.dev', '-n', meshed]],
    ['change webhooks of others', ['update', 'mutatingwebhookconfigurations/other']],
    ['change roles', ['update', 'clusterroles/tsmesh-identity']],
    ['speak for others', ['impersonate', 'users']],
  ])('do not let it %s', async (_, what) => {
    expect(await may(...what)).toBe(false);
  });

  it('are confined to the type of the mesh where it may write Secrets', async () => {
    const opaque = await asOperator(secret(meshed, 'loot', 'Opaque'));
    expect(opaque).toContain('only Secrets of type tsmesh.dev/identity');
    expect(await asOperator(secret(meshed, 'fine', 'tsmesh.dev/identity'))).toBe('');
    const own = await asOperator(secret('tsmesh-system', 'any', 'tsmesh.dev/identity'));
    expect(own).toContain('tsmesh-system/tsmesh-ca');
  });

  it('let it bind no role but the one for identities', async () => {
    expect(await asOperator(binding('cluster-admin'))).toContain('forbidden');
    expect(await asOperator(binding('edit'))).toContain('forbidden');
    expect(await asOperator(binding('tsmesh-identity', other, 'default'))).toContain('to itself');
    const system = await asOperator(binding('tsmesh-identity', 'kube-system'));
    expect(system).toContain('cannot be meshed');
    expect(await asOperator(binding('tsmesh-identity'))).toBe('');
  });
});
