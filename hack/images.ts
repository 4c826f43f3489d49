// npm run images: bundles, images, and the kustomize overlay that uses them.
import { parseArgs } from 'node:util';
import { ensureCluster } from './cluster/cluster.ts';
import {
  build,
  unpack,
  loadIntoCluster,
  loadIntoKind,
  localReferences,
  push,
  writeArchive,
} from './images/build.ts';
import { imageNames, type ImageName } from './images/definitions.ts';
import { writeOverlays } from './images/overlays.ts';

const usage = `npm run images -- [options]
  (none)                  builds the images into dist/images.tar, for docker load
  --push REGISTRY         pushes them to HOST[:PORT][/PREFIX]; log in with docker login before
  --load [--name KIND]    loads them into a kind cluster
  --embedded              loads them into the embedded cluster, which is started if need be
  --rootfs FOLDER         writes the files of one image there instead (with --only; for Dockerfiles)
  --only NAME             only this image (several times: several); one of ${imageNames.join(', ')}
Each writes config/overlays/local-images, for kubectl apply -k config/overlays/local-images.`;

const optionTypes = {
  push: { type: 'string' },
  load: { type: 'boolean' },
  embedded: { type: 'boolean' },
  name: { type: 'string', default: 'kind' },
  only: { type: 'string', multiple: true },
  rootfs: { type: 'string' },
  help: { type: 'boolean' },
} as const;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: optionTypes });
  if (values.help === true) return console.log(usage);
  const images = await build(selected(values.only));
  if (values.rootfs !== undefined) return await unpack(images, values.rootfs);
  let references = localReferences(images);
  if (values.push !== undefined) references = await push(images, values.push);
  else if (values.load === true) await loadIntoKind(images, values.name);
  else if (values.embedded === true) await loadIntoCluster(await ensureCluster(), images);
  else console.log(`archive: ${writeArchive(images)}`);
  for (const reference of references.values()) console.log(reference);
  if (values.only !== undefined) return;
  const { mesh } = writeOverlays(references);
  console.log(`next: kubectl apply -k ${mesh}`);
}

function selected(only: readonly string[] | undefined): readonly ImageName[] {
  const unknown = only?.filter((name) => !imageNames.some((known) => known === name)) ?? [];
  if (unknown.length > 0) throw new Error(`no such image: ${unknown.join(', ')}\n${usage}`);
  return imageNames.filter((name) => only === undefined || only.includes(name));
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
