// Installs the mesh from the working tree into a cluster: images built and brought there, manifests
// applied, operator ready. The demo, the test command and `cli.ts mesh` use it.
import type { Cluster } from './cluster/cluster.ts';
import { build, loadIntoCluster, localReferences } from './images/build.ts';
import { imageNames } from './images/definitions.ts';
import { writeOverlays, type Overlays } from './images/overlays.ts';
import type { Kubectl } from './lib/kubectl.ts';
import { step } from './lib/steps.ts';
import { waitFor } from './lib/wait.ts';

/** Builds all images of the working tree and loads them into the embedded cluster. */
export async function loadMeshImages(cluster: Cluster): Promise<Map<string, string>> {
  const images = await build(imageNames);
  await loadIntoCluster(cluster, images);
  return localReferences(images);
}

/** Applies config/default with these images and waits until the operator serves. */
export async function installMesh(
  kubectl: Kubectl,
  references: ReadonlyMap<string, string>,
): Promise<Overlays> {
  const overlays = writeOverlays(references);
  await step('mesh: kubectl apply -k config/default', async () => {
    await kubectl(['apply', '-k', overlays.mesh]);
  });
  await step('mesh: waiting for the operator', async () => {
    await operatorReady(kubectl);
    await waitFor('the default Mesh', 30_000, async () => {
      return (await kubectl(['get', 'mesh', 'default', '-o', 'name'])).trim() !== '';
    });
    await waitFor('the webhooks to have a CA', 30_000, () => webhooksHaveCa(kubectl));
  });
  return overlays;
}

/** An operator that does not become ready says why in its log. */
async function operatorReady(kubectl: Kubectl): Promise<void> {
  const inSystem = (...args: string[]) => kubectl(['-n', 'tsmesh-system', ...args]);
  try {
    await inSystem('rollout', 'status', 'deployment/tsmesh-operator', '--timeout=120s');
  } catch (error) {
    const selector = 'app.kubernetes.io/name=tsmesh-operator';
    const pods = await inSystem('get', 'pods', '-o', 'wide');
    const log = await inSystem('logs', '-l', selector, '--tail=20', '--prefix');
    throw new Error(`the operator is not ready:\n${pods}\n${log}`, { cause: error });
  }
}

async function webhooksHaveCa(kubectl: Kubectl): Promise<boolean> {
  const kinds = 'mutatingwebhookconfigurations,validatingwebhookconfigurations';
  const selector = 'app.kubernetes.io/part-of=tsmesh';
  const list = JSON.parse(await kubectl(['get', kinds, '-l', selector, '-o', 'json'])) as {
    items: { webhooks?: { clientConfig: { caBundle?: string } }[] }[];
  };
  const webhooks = list.items.flatMap((item) => item.webhooks ?? []);
  return webhooks.length > 0 && webhooks.every(({ clientConfig }) => clientConfig.caBundle);
}
