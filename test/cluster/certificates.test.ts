// Workload certificates: renewed under load, mended when somebody breaks them.
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo, runLoad } from '../support/calls.ts';
import { getJson, kubectl } from '../support/kubectl.ts';
import { metric, metricsOf } from '../support/metrics.ts';
import { operatorReplicas } from '../support/operator.ts';
import { sizeOf } from '../support/samples.ts';
import {
  createNamespace,
  deleteNamespace,
  deployEcho,
  eventMessage,
} from '../support/namespaces.ts';

const namespace = 't-certificates';
const client = { namespace, app: 'client' };
const server = { namespace, app: 'server' };
const secretName = 'tsmesh-identity-server';
/** The kubelet brings a changed Secret within its sync period and cache delay: about 90 s. */
const kubeletDelayMs = 100_000;

interface SecretView {
  data: Record<string, string>;
}

async function certificate(): Promise<X509Certificate> {
  const secret = await getJson<SecretView>('secret', secretName, '-n', namespace);
  return new X509Certificate(Buffer.from(secret.data['tls.crt'] ?? '', 'base64'));
}

async function renewed(): Promise<X509Certificate> {
  const before = await certificate();
  await kubectl('annotate', 'secret', secretName, '-n', namespace, 'tsmesh.dev/renew=now');
  return await waitFor('a new certificate in the Secret', 20_000, async () => {
    const now = await certificate();
    return now.serialNumber !== before.serialNumber && now;
  });
}

/** Until the sidecar of the server says that it uses a certificate that ends when this one does. */
async function inUse(wanted: X509Certificate): Promise<void> {
  await waitFor(`certificate ${wanted.serialNumber} in use`, kubeletDelayMs, async () => {
    const text = await metricsOf(client, server);
    const seconds = metric(text, 'tsmesh_certificate_expiry_seconds');
    return Math.floor(seconds) === Math.floor(Date.parse(wanted.validTo) / 1000);
  });
}

async function patchSecret(data: Record<string, string>): Promise<void> {
  const patch = JSON.stringify({ data });
  await kubectl('patch', 'secret', secretName, '-n', namespace, '--type=merge', '-p', patch);
}

describe('workload certificates', () => {
  beforeAll(async () => {
    await createNamespace(namespace, true);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server' }),
    ]);
  }, 240_000);
  afterAll(() => deleteNamespace(namespace), 240_000);

  it('are renewed again and again under load without a failed request', async () => {
    let going = true;
    const errors: string[] = [];
    let requests = 0;
    const loop = async (): Promise<void> => {
      while (going) {
        const options = ['--seconds', '6', '--rate', '80', '--concurrency', '4'];
        const load = await runLoad(client, 'http://server/healthz', ...options);
        errors.push(...load.errors);
        requests += load.requests;
      }
    };
    const loops = Promise.all([loop(), loop()]);
    const rounds = sizeOf('certificateRenewals');
    const serials = new Set<string>();
    try {
      for (let round = 0; round < rounds; round++) {
        const next = await renewed();
        serials.add(next.serialNumber);
        await inUse(next);
        expect((await echo(client, 'http://server/')).service).toBe('server');
      }
    } finally {
      going = false;
      await loops;
    }
    expect(serials.size).toBe(rounds);
    expect(errors).toEqual([]);
    expect(requests).toBeGreaterThan(500);
  }, 1_500_000);

  it('are restored when somebody overwrites the Secret, with an Event', async () => {
    const garbage = Buffer.from('not a certificate').toString('base64');
    await patchSecret({ 'tls.crt': garbage });
    const restored = await waitFor('a certificate in the Secret again', 20_000, () =>
      certificate().catch(() => undefined),
    );
    expect(restored.subjectAltName).toContain(`/ns/${namespace}/sa/server`);
    const message = await eventMessage(namespace, 'IdentityRestored');
    expect(message).toMatch(/^Restored/);
    expect((await echo(client, 'http://server/')).service).toBe('server');
  }, 60_000);

  it('stay in use when the Secret is corrupt and no operator is there to mend it', async () => {
    await operatorReplicas(0);
    try {
      await patchSecret({ 'tls.crt': Buffer.from('not a certificate').toString('base64') });
      await waitFor('the sidecar to report the problem', kubeletDelayMs, async () => {
        const text = await metricsOf(client, server);
        return metric(text, 'tsmesh_identity_problem') === 1;
      });
      expect((await echo(client, 'http://server/')).service).toBe('server');
      const log = await kubectl('logs', '-n', namespace, 'deploy/server', '-c', 'tsmesh-proxy');
      expect(log).toMatch(/tls\.crt/);
    } finally {
      await operatorReplicas(1);
    }
    await waitFor('the problem to be over', kubeletDelayMs + 30_000, async () => {
      const text = await metricsOf(client, server);
      return metric(text, 'tsmesh_identity_problem') === 0;
    });
    expect((await echo(client, 'http://server/')).service).toBe('server');
  }, 400_000);
});
