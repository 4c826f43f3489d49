// The certificate of a service account on the cluster: read from its Secret, renewed on demand, seen in use.
import { X509Certificate } from 'node:crypto';
import { waitFor } from '../../hack/lib/wait.ts';
import type { Caller } from './calls.ts';
import { getJson, kubectl } from './kubectl.ts';
import { metric, metricsOf } from './metrics.ts';

/** The kubelet brings a changed Secret within its sync period and cache delay: about 90 s. */
export const kubeletDelayMs = 100_000;

interface SecretView {
  data: Record<string, string>;
}

const secretOf = (app: Caller): string => `tsmesh-identity-${app.app}`;

/** In the Secret; the app's service account is called like its label. */
export async function certificateOf(app: Caller): Promise<X509Certificate> {
  const secret = await getJson<SecretView>('secret', secretOf(app), '-n', app.namespace);
  return new X509Certificate(Buffer.from(secret.data['tls.crt'] ?? '', 'base64'));
}

/** Asks for a new one and waits until it is in the Secret. */
export async function renew(app: Caller): Promise<X509Certificate> {
  const before = await certificateOf(app);
  await kubectl('annotate', 'secret', secretOf(app), '-n', app.namespace, 'tsmesh.dev/renew=now');
  return await waitFor('a new certificate in the Secret', 20_000, async () => {
    const now = await certificateOf(app);
    return now.serialNumber !== before.serialNumber && now;
  });
}

/** Until the sidecar of the app says that it uses a certificate that ends when this one does. */
export async function inUse(from: Caller, app: Caller, wanted: X509Certificate): Promise<void> {
  await waitFor(`certificate ${wanted.serialNumber} in use`, kubeletDelayMs, async () => {
    const text = await metricsOf(from, app);
    const seconds = metric(text, 'tsmesh_certificate_expiry_seconds');
    return Math.floor(seconds) === Math.floor(Date.parse(wanted.validTo) / 1000);
  });
}
