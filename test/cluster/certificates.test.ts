// Workload certificates: mended when somebody breaks them.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo } from '../support/calls.ts';
import { kubectl } from '../support/kubectl.ts';
import { metric, metricsOf } from '../support/metrics.ts';
import { operatorReplicas } from '../support/operator.ts';
import {
  createNamespace,
  deleteNamespace,
  deployEcho,
  eventMessage,
} from '../support/namespaces.ts';
import { certificateOf, kubeletDelayMs } from '../support/workload-certificate.ts';

const namespace = 't-certificates';
const client = { namespace, app: 'client' };
const server = { namespace, app: 'server' };
const secretName = 'tsmesh-identity-server';
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

  it('are restored when somebody overwrites the Secret, with an Event', async () => {
    const garbage = Buffer.from('not a certificate').toString('base64');
    await patchSecret({ 'tls.crt': garbage });
    const restored = await waitFor('a certificate in the Secret again', 20_000, () =>
      certificateOf(server).catch(() => undefined),
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
