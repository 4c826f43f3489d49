// The image of the test applications, under the name by which the images command last loaded it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { repository } from '../../hack/lib/paths.ts';

const overlay = 'dist/overlays/shop/kustomization.yaml';

interface Kustomization {
  images: { name: string; newName: string; newTag: string }[];
}

/** Reference with its content tag. */
export function testImage(): string {
  const { images } = parse(readFileSync(join(repository, overlay), 'utf8')) as Kustomization;
  const image = images.find(({ name }) => name === 'tsmesh/apps');
  if (image === undefined)
    throw new Error(`${overlay} names no tsmesh/apps; the fix: npm run images`);
  return `${image.newName}:${image.newTag}`;
}
