// Bundles a TypeScript program with esbuild into one file: it starts in half the time and holds a
// third less memory than the same program in many files.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { repository } from '../lib/paths.ts';

/** Packages from CommonJS call require, which an ES module does not have by itself. */
const banner = [
  "import { createRequire as bundleCreateRequire } from 'node:module';",
  'const require = bundleCreateRequire(import.meta.url);',
].join('\n');

/** Writes the bundle of `entry` to `dist/NAME/main.mjs`; answers with its content. */
export async function bundle(entry: string, name: string): Promise<Buffer> {
  if (!existsSync(join(repository, entry))) throw new Error(`${entry} does not exist`);
  const outfile = join(repository, 'dist', name, 'main.mjs');
  await build({
    absWorkingDir: repository,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'esm',
    mainFields: ['module', 'main'],
    minifySyntax: true,
    minifyWhitespace: true,
    keepNames: true,
    legalComments: 'none',
    logLevel: 'error',
    banner: { js: banner },
  });
  return readFileSync(outfile);
}
