// npm run demo: from nothing to a shop whose services talk through the mesh, with proof. It stays up;
// npm run demo -- --down removes it.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { removeOwnClusters, chooseTarget, type Target } from './demo/target.ts';
import {
  proveEncryption,
  requestsReported,
  showRequests,
  SPLIT_REQUESTS,
  showSplit,
  showStatus,
  showStrict,
} from './demo/proof.ts';
import { installOutside, installShop, OUTSIDE, SHOP } from './demo/shop.ts';
import { build } from './images/build.ts';
import { imageNames } from './images/definitions.ts';
import { repository } from './lib/paths.ts';
import { say } from './lib/steps.ts';
import { installMesh } from './mesh.ts';

const usage = `npm run demo -- [options]
  (none)             uses kind where Docker runs, otherwise builds and starts a Kubernetes of its own
  --kubeconfig FILE  uses your cluster; --registry HOST[/PREFIX] says where it can pull images from
  --down             removes what the demo made: its cluster, or from your cluster the mesh and the shop`;

const optionTypes = {
  kubeconfig: { type: 'string' },
  registry: { type: 'string' },
  down: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: optionTypes });
  if (values.help === true) return console.log(usage);
  if (values.down === true && values.kubeconfig === undefined) return await removeOwnClusters();
  const target = await chooseTarget({ kubeconfig: values.kubeconfig, registry: values.registry });
  say(`using ${target.description}`);
  if (values.down === true) return await uninstall(target);
  await install(target);
  await showRequests(target);
  await proveEncryption(target);
  await showStrict(target);
  const before = await requestsReported(target);
  await showSplit(target);
  await showStatus(target, before, SPLIT_REQUESTS);
  console.log(whatNext(target));
}

async function install(target: Target): Promise<void> {
  const references = await target.bringImages(await build(imageNames));
  const overlays = await installMesh(target.kubectl, references);
  // Policies of an earlier run would change what is shown first.
  for (const object of ['peerauthentication/strict', 'trafficpolicy/cart']) {
    await target.kubectl(['-n', SHOP, 'delete', object, '--ignore-not-found']);
  }
  await installShop(target.kubectl, overlays.shop);
  await installOutside(target.kubectl, references.get('apps') ?? '');
}

/** From a cluster that is not the demo's own. */
async function uninstall({ kubectl }: Target): Promise<void> {
  await kubectl(['delete', 'namespace', SHOP, OUTSIDE, '--ignore-not-found']);
  await kubectl(['delete', '-k', join(repository, 'config/default'), '--ignore-not-found']);
}

function whatNext({ kubectlWords, kubeconfig }: Target): string {
  return `
The mesh stays up. What to try next:
  export PATH=$PWD/node_modules/.bin:$PATH; alias k='${kubectlWords}'
  k get pods -n ${SHOP}                          every pod with its sidecar: 2/2
  k get meshstatus                           the mesh, one row per namespace
  npx tsmesh dashboard --kubeconfig ${kubeconfig}      who calls whom, live, in your browser
  k get mesh,trafficpolicy,peerauthentication -A
  k -n ${SHOP} exec deploy/web -c app -- node /app/main.mjs http http://web/
  k -n ${SHOP} edit trafficpolicy cart           change the weights, ask again
  npm run demo -- --down                     removes everything`;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
