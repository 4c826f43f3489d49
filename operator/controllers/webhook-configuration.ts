// Puts the mesh's roots into its webhook configurations, so that the API server trusts the operator. The
// manifests leave caBundle out; this writes it, and writes it again when somebody clears it.

import type { ControllerContext, WebhookConfiguration } from './context.ts';

export const webhookConfigurationName = 'tsmesh';

export const webhookKinds = [
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
] as const;
export type WebhookKind = (typeof webhookKinds)[number];

export async function reconcileWebhookConfiguration(
  context: Pick<ControllerContext, 'api' | 'stores' | 'logger'>,
  kind: WebhookKind,
  rootsPem: string | null,
): Promise<void> {
  const { mutatingWebhooks, validatingWebhooks } = context.stores;
  const store = kind === 'MutatingWebhookConfiguration' ? mutatingWebhooks : validatingWebhooks;
  const existing = store.get('', webhookConfigurationName);
  if (existing === undefined || rootsPem === null) return;
  const webhooks = withCaBundle(existing, rootsPem);
  if (webhooks === null) return;
  // A merge patch replaces lists as a whole: the version makes sure that it is the list that was read.
  await context.api.patch(
    { kind, namespace: '', name: webhookConfigurationName },
    { metadata: { resourceVersion: existing.metadata.resourceVersion }, webhooks },
  );
  context.logger.info('wrote the roots of the mesh into a webhook configuration', { kind });
}

/** Pure: the webhooks to write, or null where all of them have these roots. */
export function withCaBundle(
  existing: WebhookConfiguration,
  rootsPem: string,
): WebhookConfiguration['webhooks'] | null {
  const caBundle = Buffer.from(rootsPem).toString('base64');
  const webhooks = existing.webhooks ?? [];
  if (webhooks.every((webhook) => webhook.clientConfig.caBundle === caBundle)) return null;
  return webhooks.map((webhook) => ({
    ...webhook,
    clientConfig: { ...webhook.clientConfig, caBundle },
  }));
}

/** The roots (PEM) that the cluster trusts already; null where there are none. */
export function rootsInWebhooks(configurations: WebhookConfiguration[]): string | null {
  const bundles = configurations.flatMap((configuration) =>
    (configuration.webhooks ?? []).map((webhook) => webhook.clientConfig.caBundle ?? ''),
  );
  const first = bundles.find((bundle) => bundle !== '');
  return first === undefined ? null : Buffer.from(first, 'base64').toString('utf8');
}
