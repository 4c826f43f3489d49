// A new root by one command, under load, while a replica of the operator dies in the middle: every step
// is seen, no request fails, nothing restarts, and the old root is gone everywhere at the end.
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo } from '../support/calls.ts';
import { keepLoading } from '../support/keep-loading.ts';
import { getJson, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';
import {
  killOperator,
  operatorIsReady,
  operatorPods,
  operatorReplicas,
  systemNamespace,
} from '../support/operator.ts';
import { kubeletDelayMs } from '../support/workload-certificate.ts';

const namespace = 't-root-rotation';
const client = { namespace, app: 'client' };

interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

async function rotation(): Promise<Condition | undefined> {
  const mesh = await getJson<{ status: { conditions: Condition[] } }>('mesh', 'default');
  return mesh.status.conditions.find(({ type }) => type === 'RootRotation');
}

async function reached(...reasons: string[]): Promise<Condition> {
  return await waitFor(`RootRotation ${reasons.join(' or ')}`, kubeletDelayMs, async () => {
    const condition = await rotation();
    return condition !== undefined && reasons.includes(condition.reason) && condition;
  });
}

/** Fingerprints of the roots in a Secret's ca.crt. */
async function rootsIn(secret: string, where: string): Promise<string[]> {
  const { data } = await getJson<{ data: Record<string, string> }>('secret', secret, '-n', where);
  return fingerprints(data['ca.crt'] ?? '');
}

async function rootsOfWebhooks(): Promise<string[]> {
  const { webhooks } = await getJson<{ webhooks: { clientConfig: { caBundle: string } }[] }>(
    'mutatingwebhookconfiguration',
    'tsmesh',
  );
  return [...new Set(webhooks.flatMap(({ clientConfig }) => fingerprints(clientConfig.caBundle)))];
}

function fingerprints(base64: string): string[] {
  const text = Buffer.from(base64, 'base64').toString();
  const blocks = text.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block).fingerprint256);
}

interface Pods {
  items: {
    metadata: { uid: string };
    status: { initContainerStatuses: { restartCount: number }[] };
  }[];
}

/** Pods and how often their sidecars were restarted. */
async function runs(): Promise<string[]> {
  const { items } = await getJson<Pods>('pods', '-n', namespace);
  return items
    .map(({ metadata, status }) => {
      const counts = status.initContainerStatuses.map(({ restartCount }) => restartCount);
      return `${metadata.uid} ${counts.join(' ')}`;
    })
    .toSorted();
}

describe('a new root', () => {
  beforeAll(async () => {
    await operatorReplicas(2);
    await createNamespace(namespace, true);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server' }),
    ]);
  }, 240_000);
  afterAll(async () => {
    await operatorReplicas(1);
    await deleteNamespace(namespace);
  }, 240_000);

  it('takes the place of the old one under load, in steps, although an operator is killed', async () => {
    const before = await runs();
    const [old] = await rootsIn('tsmesh-ca', systemNamespace);
    const loads = [
      keepLoading(client, 'http://server/healthz', 100),
      keepLoading(client, 'tcp://server:7001', 20),
    ];
    try {
      const now = new Date().toISOString();
      await kubectl('annotate', 'mesh', 'default', '--overwrite', `tsmesh.dev/rotate-root=${now}`);
      const trusting = await reached('TrustingNewRoot');
      expect(trusting).toMatchObject({ status: 'True' });
      expect(trusting.message).toMatch(/step 1 of 3.*since \d{4}-.*asked for by/);
      const both = await rootsIn('tsmesh-ca', systemNamespace);
      expect(both).toHaveLength(2);
      await reached('IssuingUnderNewRoot');
      expect((await rootsOfWebhooks()).toSorted()).toEqual(both.toSorted());
      for (const { metadata } of await operatorPods()) await killOperator(metadata.name);
      await reached('DroppingOldRoot', 'Complete');
      await operatorIsReady();
      expect(await reached('Complete')).toMatchObject({ status: 'False' });
    } finally {
      const results = await Promise.all(loads.map((load) => load.end()));
      expect(results.map(({ errors }) => errors)).toEqual([[], []]);
      for (const { requests } of results) expect(requests).toBeGreaterThan(100);
    }
    const roots = await rootsIn('tsmesh-ca', systemNamespace);
    expect(roots).toHaveLength(1);
    expect(roots).not.toContain(old);
    for (const app of ['client', 'server']) {
      expect(await rootsIn(`tsmesh-identity-${app}`, namespace)).toEqual(roots);
    }
    await waitFor('webhooks with the new root alone', 20_000, async () => {
      const found = await rootsOfWebhooks();
      return found.length === 1 && found[0] === roots[0];
    });
    expect(await runs()).toEqual(before);
  }, 600_000);

  it('serves pods that start afterwards', async () => {
    await kubectl('rollout', 'restart', 'deployment/server', '-n', namespace);
    await kubectl('rollout', 'status', 'deployment/server', '-n', namespace, '--timeout=90s');
    expect((await echo(client, 'http://server/')).service).toBe('server');
  }, 120_000);
});
