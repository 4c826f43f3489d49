// Kubernetes, etcd, CoreDNS and the rest, built from Go modules into the cache, keyed by version
// and recipe. A second call finds them there.
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { mustRun, run } from '../lib/command.ts';
import { cacheDirectory, repository } from '../lib/paths.ts';
import { step } from '../lib/steps.ts';
import { versions } from './settings.ts';

interface Recipe {
  readonly name: string;
  readonly version: string;
  /** A folder of hack/cluster/go with go.mod and go.sum, or undefined for `go install`. */
  readonly module?: string;
  /** The file made, and the package it is made from. */
  readonly binaries: Readonly<Record<string, string>>;
  readonly ldflags: string;
}

export interface Binaries {
  readonly kubernetes: string;
  readonly etcd: string;
  readonly coredns: string;
  readonly fortio: string;
  readonly pause: string;
  /** Changes when any of them does. */
  readonly key: string;
}

const kubernetesPackages = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
];

const recipes: Readonly<Record<keyof Omit<Binaries, 'key'>, Recipe>> = {
  kubernetes: {
    name: 'kubernetes',
    version: versions.kubernetes,
    module: 'kubernetes',
    binaries: Object.fromEntries(
      kubernetesPackages.map((name) => [name, `k8s.io/kubernetes/cmd/${name}`]),
    ),
    ldflags: `-s -w ${versionFlags(versions.kubernetes)}`,
  },
  etcd: {
    name: 'etcd',
    version: versions.etcd,
    module: 'etcd',
    binaries: { etcd: 'go.etcd.io/etcd/server/v3' },
    ldflags: '-s -w',
  },
  coredns: {
    name: 'coredns',
    version: versions.coredns,
    binaries: { coredns: 'github.com/coredns/coredns' },
    ldflags: '-s -w',
  },
  fortio: {
    name: 'fortio',
    version: versions.fortio,
    binaries: { fortio: 'fortio.org/fortio' },
    ldflags: '-s -w',
  },
  pause: {
    name: 'pause',
    version: '1',
    module: 'pause',
    binaries: { pause: 'tsmesh.dev/pause' },
    ldflags: '-s -w',
  },
};

/** Builds what the cache does not hold; answers with the folder of each component. */
export async function ensureBinaries(): Promise<Binaries> {
  return {
    kubernetes: await ensure(recipes.kubernetes),
    etcd: await ensure(recipes.etcd),
    coredns: await ensure(recipes.coredns),
    pause: await ensure(recipes.pause),
    fortio: await ensure(recipes.fortio),
    key: Object.values(recipes).map(recipeKey).join(' '),
  };
}

/** Without these, /version reports v0.0.0 and clients that parse it misbehave. */
function versionFlags(version: string): string {
  const [major, minor] = version.split('.');
  return ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']
    .flatMap((pkg) => [
      `-X ${pkg}.gitVersion=v${version}`,
      `-X ${pkg}.gitMajor=${major}`,
      `-X ${pkg}.gitMinor=${minor}`,
    ])
    .join(' ');
}

function recipeKey(recipe: Recipe): string {
  const hash = createHash('sha256').update(JSON.stringify(recipe)).update(process.arch);
  if (recipe.module !== undefined) {
    const folder = moduleFolder(recipe.module);
    for (const file of readdirSync(folder).sort()) hash.update(readFileSync(join(folder, file)));
  }
  return `${recipe.name}-${recipe.version}-${hash.digest('hex').slice(0, 12)}`;
}

async function ensure(recipe: Recipe): Promise<string> {
  const target = join(cacheDirectory(), 'bin', recipeKey(recipe));
  if (existsSync(target)) return target;
  await requireGo();
  // Built aside and renamed: what is in the cache is complete.
  const work = `${target}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, 'out'), { recursive: true });
  for (const [file, pkg] of Object.entries(recipe.binaries)) {
    await step(`${file} ${recipe.version}: building from Go modules`, () =>
      build(recipe, { file, pkg, work }),
    );
  }
  try {
    renameSync(join(work, 'out'), target);
  } catch (error) {
    // Somebody else was faster with the same content.
    if (!existsSync(target)) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return target;
}

async function build(
  recipe: Recipe,
  what: { readonly file: string; readonly pkg: string; readonly work: string },
): Promise<void> {
  const out = join(what.work, 'out');
  const env = { CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' };
  const flags = ['-trimpath', '-ldflags', recipe.ldflags];
  if (recipe.module === undefined) {
    const version = `${what.pkg}@v${recipe.version}`;
    await mustRun('go', ['install', ...flags, version], { env: { ...env, GOBIN: out } });
    return;
  }
  // The build writes nothing beside go.mod (-mod=readonly), but the repository may be read-only.
  const module = join(what.work, 'module');
  cpSync(moduleFolder(recipe.module), module, { recursive: true });
  await mustRun('go', ['build', ...flags, '-o', join(out, what.file), what.pkg], {
    cwd: module,
    env,
  });
}

function moduleFolder(module: string): string {
  return join(repository, 'hack/cluster/go', module);
}

async function requireGo(): Promise<void> {
  if ((await run('go', ['version'])).code === 0) return;
  throw new Error(
    'Go is needed to build Kubernetes; the fix, as root: apt-get install golang-go, or https://go.dev/dl',
  );
}
