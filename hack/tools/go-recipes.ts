// Programs built from Go modules into the cache, keyed by version and recipe. A second call finds them
// there. Which programs: hack/cluster/binaries.ts and peers.ts beside this file.
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

export interface Recipe {
  readonly name: string;
  readonly version: string;
  /** A folder of hack/cluster/go with go.mod and go.sum, or undefined for `go install`. */
  readonly module?: string;
  /** The file made, and the package it is made from. */
  readonly binaries: Readonly<Record<string, string>>;
  readonly ldflags: string;
}

/** Changes with anything that the result depends on. */
export function recipeKey(recipe: Recipe): string {
  const hash = createHash('sha256').update(JSON.stringify(recipe)).update(process.arch);
  if (recipe.module !== undefined) {
    const folder = moduleFolder(recipe.module);
    for (const file of readdirSync(folder).sort()) hash.update(readFileSync(join(folder, file)));
  }
  return `${recipe.name}-${recipe.version}-${hash.digest('hex').slice(0, 12)}`;
}

/** Builds what the cache does not hold; answers with the folder of its binaries. */
export async function ensureBuilt(recipe: Recipe): Promise<string> {
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
    'Go is needed to build Kubernetes and test peers; the fix, as root: apt-get install golang-go, or https://go.dev/dl',
  );
}
