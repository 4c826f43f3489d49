// Builds images into an archive and brings them to where a cluster takes them from: the embedded
// cluster, kind, or a registry.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import { mustRun } from '../lib/command.ts';
import { repository } from '../lib/paths.ts';
import { step } from '../lib/steps.ts';
import { imageArchive, type Image } from './archive.ts';
import { buildImages, type ImageName } from './definitions.ts';
import { pushImage } from './registry.ts';

/** Builds the named images. */
export function build(names: readonly ImageName[]): Promise<readonly Image[]> {
  return step(`images: building ${names.join(', ')}`, () => buildImages(names));
}

/** Writes `dist/images.tar`, which holds them all. */
export function writeArchive(images: readonly Image[]): string {
  const path = join(repository, 'dist/images.tar');
  mkdirSync(join(repository, 'dist'), { recursive: true });
  if (existsSync(path)) rmSync(path);
  writeFileSync(path, imageArchive(images));
  return path;
}

/** Writes the files of one image into a folder, owned by root as in the image. */
export async function unpack(images: readonly Image[], folder: string): Promise<void> {
  const [image] = images;
  if (image === undefined || images.length > 1) throw new Error('--rootfs needs one --only NAME');
  mkdirSync(folder, { recursive: true });
  for (const [index, { tar }] of image.layers.entries()) {
    const path = join(folder, `.layer-${index}.tar`);
    writeFileSync(path, tar);
    await mustRun('tar', ['-xpf', path, '-C', folder]);
    rmSync(path);
  }
}

/** References by image name, as the embedded cluster and kind know them. */
export function localReferences(images: readonly Image[]): Map<string, string> {
  return new Map(images.map(({ reference }) => [imageName(reference), reference]));
}

/** Imports what the embedded cluster does not have yet. */
export async function loadIntoCluster(cluster: Cluster, images: readonly Image[]): Promise<void> {
  const ctr = ['ctr', '-a', '/run/containerd/containerd.sock', '-n', 'k8s.io'];
  const { stdout } = await cluster.nodeExec([...ctr, 'images', 'list', '-q']);
  const known = new Set(stdout.split('\n').map((line) => line.replace(/^docker\.io\//, '')));
  if (images.every(({ reference }) => known.has(reference))) return;
  await step('images: importing into the embedded cluster', () =>
    cluster.loadImage(writeArchive(images)),
  );
}

/** Loads them into a kind cluster, through Docker's own tools. */
export async function loadIntoKind(images: readonly Image[], name: string): Promise<void> {
  const archive = writeArchive(images);
  await step(`images: loading into kind (${name})`, () =>
    mustRun('kind', ['load', 'image-archive', archive, '--name', name]),
  );
}

/** Pushes them to `REGISTRY[/PREFIX]`; answers with the references there. */
export async function push(
  images: readonly Image[],
  registry: string,
): Promise<Map<string, string>> {
  const references = new Map<string, string>();
  for (const image of images) {
    const name = imageName(image.reference);
    references.set(
      name,
      await step(`images: pushing ${name} to ${registry}`, () => pushImage(image, registry)),
    );
  }
  return references;
}

function imageName(reference: string): string {
  return reference.replace(/^.*\//, '').replace(/:.*$/, '');
}
