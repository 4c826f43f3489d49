// Container images as data: layers, a configuration, and the archive that `docker load`,
// `ctr images import` and `kind load image-archive` read. Same input, same bytes.
import { createHash } from 'node:crypto';
import { tarFile, type TarEntry } from './tar.ts';

export interface Layer {
  readonly tar: Buffer;
  /** SHA-256 of the uncompressed tar, in hex. */
  readonly diffId: string;
}

export interface ImageConfig {
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Image {
  /** Full reference, such as `tsmesh.dev/proxy:0123abcd`. */
  readonly reference: string;
  readonly layers: readonly Layer[];
  readonly config: ImageConfig;
}

/** A layer from its files. */
export function layer(entries: readonly TarEntry[]): Layer {
  const tar = tarFile(entries);
  return { tar, diffId: sha256(tar) };
}

/** A short hash of everything that an image consists of: its tag. */
export function contentTag(layers: readonly Layer[], config: ImageConfig): string {
  return sha256(Buffer.from(JSON.stringify([layers.map((each) => each.diffId), config]))).slice(
    0,
    16,
  );
}

/** The image's configuration file, as the OCI image specification has it. */
export function configFile(image: Image): Buffer {
  const { user, entrypoint, env } = image.config;
  return Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      created: '1970-01-01T00:00:00Z',
      config: {
        User: user,
        Entrypoint: entrypoint,
        WorkingDir: '/',
        Env: Object.entries({ PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env }).map(
          ([name, value]) => `${name}=${value}`,
        ),
      },
      rootfs: { type: 'layers', diff_ids: image.layers.map((each) => `sha256:${each.diffId}`) },
      history: image.layers.map(() => ({ created: '1970-01-01T00:00:00Z' })),
    }),
  );
}

/** One archive with all the images; a layer that they share is in it once. */
export function imageArchive(images: readonly Image[]): Buffer {
  const entries = new Map<string, TarEntry>();
  const add = (path: string, content: Buffer) => entries.set(path, { path, mode: 0o644, content });
  const manifest = images.map((image) => {
    const config = configFile(image);
    const configPath = `${sha256(config)}.json`;
    add(configPath, config);
    const layers = image.layers.map((each) => {
      add(`${each.diffId}/layer.tar`, each.tar);
      return `${each.diffId}/layer.tar`;
    });
    return { Config: configPath, RepoTags: [image.reference], Layers: layers };
  });
  add('manifest.json', Buffer.from(JSON.stringify(manifest)));
  return tarFile([...entries.values()]);
}

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
