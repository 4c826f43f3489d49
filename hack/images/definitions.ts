// What is in each image, and nothing else: Node with its libraries (shared by all), one bundle, and
// the few native files that it loads.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../lib/paths.ts';
import { contentTag, layer, type Image, type ImageConfig, type Layer } from './archive.ts';
import { bundle } from './bundle.ts';
import { hostFile, hostLink, requireFiles, sharedLibraries } from './host-files.ts';
import { environments, nodeFlags } from './runtime.ts';
import type { TarEntry } from './tar.ts';

export const imageNames = ['operator', 'proxy', 'init', 'apps'] as const;
export type ImageName = (typeof imageNames)[number];

const users = { operator: '65532:65532', proxy: '15086:15086', init: '0:0', apps: '1000:1000' };

const entries: Readonly<Record<ImageName, string>> = {
  operator: 'operator/main.ts',
  proxy: 'proxy/main.ts',
  init: 'proxy/init/main.ts',
  apps: 'test/apps/main.ts',
};

/** Builds the named images; they share the layer with Node. */
export async function buildImages(names: readonly ImageName[]): Promise<Image[]> {
  const base = await nodeLayer();
  const images: Image[] = [];
  for (const name of names) {
    const program = await bundle(entries[name], name);
    const own = [{ path: 'app/main.mjs', mode: 0o644, content: program }];
    const native = await nativeLayer(name);
    images.push(image(name, [base, ...native, layer(own)]));
  }
  return images;
}

function image(name: ImageName, layers: readonly Layer[]): Image {
  const config: ImageConfig = {
    user: users[name],
    entrypoint: ['/usr/bin/node', ...(nodeFlags[name] ?? []), '/app/main.mjs'],
    env: environments[name] ?? {},
  };
  return { reference: `tsmesh/${name}:${contentTag(layers, config)}`, layers, config };
}

/** Node, the libraries it loads, and the files by which glibc names users and finds hosts. */
async function nodeLayer(): Promise<Layer> {
  const node = join(repository, 'node_modules', `node-linux-${process.arch}`, 'bin/node');
  const text = (path: string, content: string): TarEntry => {
    return { path, mode: 0o644, content: Buffer.from(content) };
  };
  return layer([
    { path: 'usr/bin/node', mode: 0o755, content: readFileSync(node) },
    ...(await sharedLibraries(node)),
    text(
      'etc/passwd',
      'root:x:0:0::/:\napp:x:1000:1000::/:\ntsmesh-proxy:x:15086:15086::/:\nnonroot:x:65532:65532::/:\n',
    ),
    text('etc/group', 'root:x:0:\napp:x:1000:\ntsmesh-proxy:x:15086:\nnonroot:x:65532:\n'),
    text('etc/nsswitch.conf', 'hosts: files dns\n'),
  ]);
}

async function nativeLayer(name: ImageName): Promise<Layer[]> {
  if (name === 'proxy') return [koffiLayer()];
  if (name === 'init') return [await iptablesLayer()];
  return [];
}

/** koffi's JavaScript is in the bundle; it loads its native part as a package beside it. */
function koffiLayer(): Layer {
  const name = `@koromix/koffi-linux-${process.arch}`;
  const native = `linux_${process.arch}/koffi.node`;
  const files = ['package.json', 'index.js', native];
  return layer(
    files.map((file) => ({
      path: `app/node_modules/${name}/${file}`,
      mode: 0o644,
      content: readFileSync(join(repository, 'node_modules', name, file)),
    })),
  );
}

/** The two iptables programs, their names, and the match and target modules of the capture rules. */
async function iptablesLayer(): Promise<Layer> {
  const programs = ['/usr/sbin/xtables-nft-multi', '/usr/sbin/xtables-legacy-multi'];
  requireFiles(programs, 'iptables');
  const libraries = await Promise.all(programs.map(sharedLibraries));
  const names = ['nft', 'legacy'].flatMap((variant) =>
    ['iptables', 'ip6tables'].flatMap((family) =>
      ['', '-restore', '-save'].map((action) => [variant, `${family}-${variant}${action}`]),
    ),
  );
  const links = names.map(([variant, name]) => ({
    path: `usr/sbin/${name}`,
    mode: 0o777,
    content: { link: `xtables-${variant}-multi` },
  }));
  const multiarch = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const modules = ['standard', 'tcp', 'owner', 'conntrack', 'REDIRECT']
    .map((module) => `/usr/lib/${multiarch}/xtables/libxt_${module}.so`)
    .flatMap(hostLink);
  return layer([
    ...programs.map((path) => hostFile(path)),
    ...libraries.flat(),
    ...links,
    ...modules,
  ]);
}
