// npm run cli: the command line as one file, dist/cli/tsmesh.mjs, and under the name by which kubectl finds
// it as a plugin.
import { chmodSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './images/bundle.ts';
import { repository } from './lib/paths.ts';

const folder = join(repository, 'dist/cli');
const program = join(folder, 'tsmesh.mjs');
const plugin = join(folder, 'kubectl-tsmesh');

/** What the Kubernetes client asks for; an older Node would fail with a stack trace. */
const head = [
  '#!/usr/bin/env node',
  "if (Number(process.versions.node.split('.')[0]) < 22) {",
  '  console.error(`error: tsmesh needs Node 22.19 or newer; this is ${process.versions.node}`);',
  '  process.exit(70);',
  '}',
].join('\n');

await bundle('operator/cli/main.ts', 'cli', { file: 'tsmesh.mjs', head });
chmodSync(program, 0o755);
rmSync(plugin, { force: true });
symlinkSync('tsmesh.mjs', plugin);
console.log(`written: ${program}`);
console.log(`as a plugin of kubectl: ln -s ${program} /usr/local/bin/kubectl-tsmesh`);
