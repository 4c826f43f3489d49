// `kubectl tsmesh explain` as its users have it: the bundled file, found by kubectl, on a real cluster with real
// rights, beside the calls that it speaks of.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CommandResult } from '../../hack/lib/command.ts';
import { http } from '../support/calls.ts';
import { buildCommandLine, kubeconfigOf, tsmesh } from '../support/command-line.ts';
import { apply, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';
import { program, resource } from '../support/policies.ts';

const namespace = 't-explain';
const outside = 't-explain-outside';
const web = { namespace, app: 'web' };
const stranger = { namespace: outside, app: 'stranger' };

let folder: string;

async function explain(args: string[], kubeconfig?: string): Promise<CommandResult> {
  return await tsmesh(['explain', ...args], kubeconfig);
}

/** Of a service account that may do what `view` lets it in the namespace. */
async function viewer(): Promise<string> {
  const file = await kubeconfigOf(namespace, 'viewer', folder);
  const subject = `--serviceaccount=${namespace}:viewer`;
  await kubectl('create', 'rolebinding', 'viewer', '-n', namespace, '--clusterrole=view', subject);
  return file;
}

describe('kubectl tsmesh explain', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tsmesh-explain-'));
    await Promise.all([
      buildCommandLine(),
      createNamespace(namespace, true),
      createNamespace(outside, false),
    ]);
    await Promise.all([
      deployEcho(namespace, { name: 'web' }),
      deployEcho(namespace, { name: 'cart' }),
      deployEcho(outside, { name: 'stranger' }),
    ]);
    await program('AuthorizationPolicy', namespace, 'cart', {
      selector: { matchLabels: { app: 'cart' } },
      rules: [
        {
          name: 'readers',
          from: [{ serviceAccounts: ['web'] }],
          to: [{ methods: ['GET'], paths: [{ prefix: '/items' }] }],
        },
      ],
    });
  }, 240_000);
  afterAll(async () => {
    await Promise.all([deleteNamespace(namespace), deleteNamespace(outside)]);
    await kubectl('delete', 'clusterrolebinding', 't-explain', '--ignore-not-found');
    rmSync(folder, { recursive: true });
  }, 240_000);

  it('says what the calls themselves get', async () => {
    const url = `http://cart.${namespace}`;
    const asked = async (from: string, path: string) => {
      const args = ['--from', from, '--to', `${namespace}/cart:80`, '--path', path];
      return await explain(args);
    };
    const allowed = await asked(`${namespace}/web`, '/items');
    expect(allowed.stderr).toBe('');
    expect(allowed.stdout).toContain(`allowed by AuthorizationPolicy ${namespace}/cart, readers`);
    expect([allowed.code, (await http(web, `${url}/items`)).status]).toEqual([0, 200]);
    const denied = await asked(`${namespace}/deployment/web`, '/other');
    expect(denied.stdout).toContain('to[0].paths: the path is /other');
    expect([denied.code, (await http(web, `${url}/other`)).status]).toEqual([3, 403]);
    const refused = await asked(`${outside}/stranger`, '/items');
    expect(refused.stdout).toContain('plaintext without an identity');
    expect([refused.code, (await http(stranger, `${url}/items`)).status]).toEqual([3, 403]);
  });

  it('says what a change would do before it is made, and is right', async () => {
    const file = join(folder, 'strict.yaml');
    const spec = { mtls: { mode: 'STRICT' } };
    writeFileSync(file, resource('PeerAuthentication', namespace, 'strict', spec));
    const pods = ['--from', `${outside}/stranger`, '--to', `${namespace}/web:80`];
    expect((await explain(pods)).code).toBe(0);
    const change = await explain([...pods, '--live', '-f', file]);
    expect(change.code).toBe(3);
    expect(change.stdout).toContain(`PeerAuthentication ${namespace}/strict (mtls-required)`);
    expect((await http(stranger, `http://web.${namespace}/`)).status).toBe(200);
    await program('PeerAuthentication', namespace, 'strict', spec);
    expect((await http(stranger, `http://web.${namespace}/`)).status).toBe(403);
    expect((await explain(pods)).code).toBe(3);
  });

  it('reads with the rights of its user, and names the one that is missing', async () => {
    const kubeconfig = await viewer();
    const args = ['--from', `${namespace}/web`, '--to', `${namespace}/cart:80`, '--path', '/items'];
    const missing = await explain(args, kubeconfig);
    expect(missing.code).toBe(4);
    expect(missing.stderr).toContain('the right is missing to get Mesh default');
    const binding = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding' };
    const subjects = [{ kind: 'ServiceAccount', name: 'viewer', namespace }];
    const roleRef = {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: 'tsmesh-view',
    };
    await apply(JSON.stringify({ ...binding, metadata: { name: 't-explain' }, subjects, roleRef }));
    const enough = await explain(args, kubeconfig);
    expect(enough.stderr).toBe('');
    expect(enough.code).toBe(0);
    const elsewhere = [...args, '--from', `${outside}/stranger`];
    const other = await explain(elsewhere, kubeconfig);
    expect(other.code).toBe(4);
    expect(other.stderr).toMatch(
      /the right is missing to (get Namespace|list \w+ in namespace) t-ex/,
    );
  });
});
