// The images that the embedded cluster itself needs, each one static binary, and the import of
// image archives into its container runtime.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageArchive, layer, type Image } from '../images/archive.ts';
import { cacheDirectory } from '../lib/paths.ts';
import type { ProcessName } from '../lib/processes.ts';
import type { Binaries } from './binaries.ts';
import { runInside } from './sandbox.ts';
import { COREDNS_IMAGE, PAUSE_IMAGE } from './settings.ts';

/** Writes one archive with all of them; answers with its path. */
export async function systemImages(binaries: Binaries): Promise<string> {
  const path = join(cacheDirectory(), 'system-images.tar');
  const images = [
    staticImage(PAUSE_IMAGE, join(binaries.pause, 'pause')),
    staticImage(COREDNS_IMAGE, join(binaries.coredns, 'coredns')),
  ];
  writeFileSync(path, imageArchive(images));
  return path;
}

/** Imports an archive into the namespace of containerd that Kubernetes uses. */
export async function importArchive(holder: ProcessName, tar: string): Promise<void> {
  const ctr = ['ctr', '-a', '/run/containerd/containerd.sock', '-n', 'k8s.io'];
  const result = await runInside(holder, [...ctr, 'images', 'import', '-'], {
    stdin: { file: tar },
  });
  if (result.code !== 0) throw new Error(`import of ${tar}: ${result.stdout}${result.stderr}`);
}

function staticImage(reference: string, binary: string): Image {
  const name = binary.slice(binary.lastIndexOf('/') + 1);
  const content = readFileSync(binary);
  return {
    reference,
    layers: [layer([{ path: name, mode: 0o755, content }])],
    config: { user: '0', entrypoint: [`/${name}`] },
  };
}
