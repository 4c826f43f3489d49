// The CA from cert-manager's own controllers (built from its Go modules) and its real CRDs: asked, waited
// for, put in force without an outage, and given back.
import { spawn, type ChildProcess } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { ensureCertManager, type CertManager } from '../../hack/tools/cert-manager.ts';
import { createRoot } from '../../operator/ca/authority.ts';
import { echo } from '../support/calls.ts';
import { keepLoading } from '../support/keep-loading.ts';
import { apply, cluster, getJson, kubectl, tryKubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';
import { systemNamespace } from '../support/operator.ts';
import { kubeletDelayMs } from '../support/workload-certificate.ts';

const namespace = 't-cert-manager';
const client = { namespace, app: 'client' };
const corporate = createRoot('corporate', 30 * 86_400_000, Date.now());
const corporateRoot = new X509Certificate(corporate.chainPem).fingerprint256;

interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

async function condition(type: string): Promise<Condition | undefined> {
  const mesh = await getJson<{ status: { conditions: Condition[] } }>('mesh', 'default');
  return mesh.status.conditions.find((one) => one.type === type);
}

async function reached(type: string, reason: string, words = /./): Promise<Condition> {
  return await waitFor(`${type} ${reason}`, kubeletDelayMs, async () => {
    const found = await condition(type);
    return found?.reason === reason && words.test(found.message) && found;
  });
}

async function nameIssuer(issuer: object | null): Promise<void> {
  const patch = JSON.stringify({ spec: { certificates: { issuer } } });
  await kubectl('patch', 'mesh', 'default', '--type=merge', '-p', patch);
}

async function certificatesIn(secret: string, where: string, key: string) {
  const { data } = await getJson<{ data: Record<string, string> }>('secret', secret, '-n', where);
  const text = Buffer.from(data[key] ?? '', 'base64').toString();
  const blocks = text.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

async function rootsInForce(): Promise<string[]> {
  const roots = await certificatesIn('tsmesh-ca', systemNamespace, 'ca.crt');
  return roots.map((root) => root.fingerprint256);
}

function issuerManifests(): string {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  return `
apiVersion: v1
kind: Secret
metadata: { name: corporate, namespace: cert-manager }
type: kubernetes.io/tls
data: { tls.crt: ${encode(corporate.chainPem)}, tls.key: ${encode(corporate.keyPem)} }
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: { name: corporate }
spec: { ca: { secretName: corporate } }
`;
}

describe('an issuer of cert-manager', () => {
  const running: ChildProcess[] = [];
  let certManager: CertManager;

  async function startControllers(approve: boolean): Promise<void> {
    const { kubeconfig } = await cluster();
    const flags = ['--kubeconfig', kubeconfig, `--approve=${approve}`];
    running.push(spawn(certManager.program, flags, { stdio: 'ignore' }));
  }

  beforeAll(async () => {
    certManager = await ensureCertManager();
    await createNamespace(namespace, true);
    await createNamespace('cert-manager', false);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server' }),
    ]);
  }, 900_000);
  afterAll(async () => {
    await nameIssuer(null);
    for (const one of running) one.kill('SIGKILL');
    // With everything of these kinds: the next run begins without cert-manager again.
    for (const crd of certManager.crds) {
      await tryKubectl(['delete', '--ignore-not-found', '-f', '-'], crd);
    }
    await kubectl('delete', 'namespace', 'cert-manager', '--wait=false');
    await deleteNamespace(namespace);
  }, 240_000);

  it('that cannot answer is reported, and the CA in force goes on', async () => {
    await nameIssuer({ name: 'corporate', kind: 'ClusterIssuer' });
    const missing = await reached('CAReady', 'IssuerUnavailable', /is cert-manager installed/);
    expect(missing.status).toBe('True');
    for (const crd of certManager.crds) await apply(crd);
    await kubectl('wait', 'crd/clusterissuers.cert-manager.io', '--for=condition=Established');
    await apply(issuerManifests());
    await startControllers(false);
    await reached(
      'CAReady',
      'IssuerPending',
      /CertificateRequest tsmesh-system\/\S+ waits for approval/,
    );
    expect((await echo(client, 'http://server/')).service).toBe('server');
  }, 180_000);

  it('becomes the CA under load, once its request is approved; chains are served in full', async () => {
    const load = keepLoading(client, 'http://server/healthz', 100);
    try {
      await startControllers(true);
      await reached('RootRotation', 'Complete', /issuer cert-manager.io\/ClusterIssuer\/corporate/);
    } finally {
      const { errors, requests } = await load.end();
      expect(errors).toEqual([]);
      expect(requests).toBeGreaterThan(500);
    }
    expect(await rootsInForce()).toEqual([corporateRoot]);
    const [leaf, issuing, ...more] = await certificatesIn(
      'tsmesh-identity-server',
      namespace,
      'tls.crt',
    );
    expect(more).toEqual([]);
    expect(leaf!.verify(issuing!.publicKey)).toBe(true);
    expect(issuing!.subjectAltName).toBe('URI:spiffe://cluster.local');
    expect(issuing!.verify(new X509Certificate(corporate.chainPem).publicKey)).toBe(true);
    expect(await condition('CAReady')).toMatchObject({ status: 'True', reason: 'CAReady' });
  }, 300_000);

  it('that the Mesh names no more is followed by a built-in root', async () => {
    await nameIssuer(null);
    await reached('RootRotation', 'Complete', /names no issuer any more/);
    const roots = await rootsInForce();
    expect(roots).toHaveLength(1);
    expect(roots).not.toContain(corporateRoot);
    expect((await echo(client, 'http://server/')).service).toBe('server');
  }, 240_000);
});
