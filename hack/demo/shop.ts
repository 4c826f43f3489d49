// The demo's application: the shop in a namespace that is only annotated, and beside it a namespace
// without the mesh, for comparison.
import type { Kubectl } from '../lib/kubectl.ts';
import { step } from '../lib/steps.ts';

export const SHOP = 'shop';
export const OUTSIDE = 'shop-outside';

const deployments = ['web', 'cart-v1', 'cart-v2', 'quote', 'bank'];

/** Makes and meshes the namespace, applies the shop and waits until its job has completed. */
export async function installShop(kubectl: Kubectl, overlay: string): Promise<void> {
  await step(`shop: kubectl annotate namespace ${SHOP} tsmesh.dev/inject=enabled`, async () => {
    await makeNamespace(kubectl, SHOP);
    const annotation = 'tsmesh.dev/inject=enabled';
    await kubectl(['annotate', '--overwrite', 'namespace', SHOP, annotation]);
  });
  await step('shop: applying four services', () =>
    kubectl(['apply', '-k', overlay, '-l', '!last']),
  );
  await step('shop: waiting for the services', async () => {
    for (const name of deployments) {
      await kubectl(['-n', SHOP, 'rollout', 'status', `deployment/${name}`, '--timeout=180s']);
    }
  });
  await step('shop: a job calls them', async () => {
    // A job cannot be changed; the one of an earlier run makes room.
    await kubectl(['-n', SHOP, 'delete', 'job', 'checkout', '--ignore-not-found']);
    await kubectl(['apply', '-k', overlay]);
    await kubectl([
      '-n',
      SHOP,
      'wait',
      '--for=condition=complete',
      'job/checkout',
      '--timeout=120s',
    ]);
  });
}

/** A server and a caller in a namespace that the mesh does not touch. */
export async function installOutside(kubectl: Kubectl, image: string): Promise<void> {
  await step('comparison: a server and a caller outside the mesh', async () => {
    await makeNamespace(kubectl, OUTSIDE);
    const items = [deployment('cart', image), deployment('caller', image), service()];
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    await kubectl(['-n', OUTSIDE, 'apply', '-f', '-'], list);
    for (const name of ['cart', 'caller']) {
      await kubectl(['-n', OUTSIDE, 'rollout', 'status', `deployment/${name}`, '--timeout=120s']);
    }
  });
}

/** Runs the client of the test application in a pod; answers with what it printed. */
export async function call(
  kubectl: Kubectl,
  from: { readonly namespace: string; readonly deployment: string },
  args: readonly string[],
): Promise<Record<string, unknown>> {
  const { namespace, deployment: name } = from;
  const exec = ['-n', namespace, 'exec', `deployment/${name}`, '-c', 'app', '--'];
  const output = await kubectl([...exec, '/usr/bin/node', '/app/main.mjs', ...args]);
  return JSON.parse(output) as Record<string, unknown>;
}

async function makeNamespace(kubectl: Kubectl, name: string): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  await kubectl(['apply', '-f', '-'], JSON.stringify(namespace));
}

function deployment(name: string, image: string): object {
  const container = { name: 'app', image, args: ['cart'], resources: { requests: { cpu: '5m' } } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [container] } },
    },
  };
}

function service(): object {
  const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'cart' },
    spec: { selector: { app: 'cart' }, ports },
  };
}
