// Writes the kustomizations that put freshly built images in the place of the released ones. Both
// are made, not kept: git ignores them.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../lib/paths.ts';

/** Folders for `kubectl apply -k`. */
export interface Overlays {
  readonly mesh: string;
  readonly shop: string;
}

/** `references` are full image references by image name, such as `tsmesh/proxy:0123abcd`. */
export function writeOverlays(references: ReadonlyMap<string, string>): Overlays {
  const mesh = join(repository, 'config/overlays/local-images');
  const shop = join(repository, 'dist/overlays/shop');
  writeKustomization(mesh, ['../../default'], references);
  writeKustomization(shop, ['../../../test/apps/shop'], references);
  return { mesh, shop };
}

function writeKustomization(
  folder: string,
  resources: readonly string[],
  references: ReadonlyMap<string, string>,
): void {
  mkdirSync(folder, { recursive: true });
  const fields = join(repository, 'config/operator/image-fields.yaml');
  copyFileSync(fields, join(folder, 'image-fields.yaml'));
  const images = [...references].map(([name, reference]) => {
    const colon = reference.lastIndexOf(':');
    const [newName, newTag] = [reference.slice(0, colon), reference.slice(colon + 1)];
    return { name: `tsmesh/${name}`, newName, newTag };
  });
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources,
    configurations: ['image-fields.yaml'],
    images,
  };
  const text = `# Made by npm run images.\n${JSON.stringify(kustomization, null, 2)}\n`;
  writeFileSync(join(folder, 'kustomization.yaml'), text);
}
