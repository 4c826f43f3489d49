#!/usr/bin/env node
// `npx tsmesh` in a clone: runs the command line from its sources, on the Node that the project brings.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(root, 'node_modules/.bin/node');
if (!existsSync(node)) {
  console.error('error: the npm packages are not installed; the fix: npm ci');
  process.exit(70);
}
const args = [join(root, 'operator/cli/main.ts'), ...process.argv.slice(2)];
const { status, error } = spawnSync(node, args, { stdio: 'inherit' });
if (error !== undefined) console.error(`error: ${error.message}`);
process.exit(status ?? 70);
