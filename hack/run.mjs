// Entry of every npm script. Runs on the machine's own Node (20 or newer), brings what the project
// needs (npm packages, among them Node 26), then hands over to the TypeScript command.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const commands = {
  demo: 'hack/demo.ts',
  test: 'hack/verify.ts',
  'test-full': 'hack/verify.ts',
  'test-unit': 'hack/verify.ts',
  check: 'hack/verify.ts',
  images: 'hack/images.ts',
  cli: 'hack/cli.ts',
  bench: 'hack/bench.ts',
  fuzz: 'hack/fuzz.ts',
  generate: 'hack/generate.ts',
};

/** Installs the npm packages when the lock file has changed since the last installation. */
function ensurePackages() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules/.tsmesh-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  const started = Date.now();
  console.log('▸ npm packages: installing');
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (result.status !== 0) fail('npm packages could not be installed; the fix: npm ci');
  writeFileSync(stamp, lock);
  console.log(`▸ npm packages: installed (${((Date.now() - started) / 1000).toFixed(1)} s)`);
}

/** Node's own binary needs one library that a small Debian does not have. */
function ensureNodeRuns() {
  const tried = spawnSync(node, ['--version'], { encoding: 'utf8' });
  if (tried.status === 0) return;
  const fix = 'apt-get update && apt-get install -y libatomic1';
  if (!`${tried.stderr}`.includes('libatomic') || process.getuid() !== 0)
    fail(`Node 26 does not run here: ${tried.stderr ?? tried.error}\nthe fix, as root: ${fix}`);
  console.log('▸ Debian packages: installing libatomic1');
  const installed = spawnSync('sh', ['-c', fix], { stdio: ['ignore', 'ignore', 2] });
  if (installed.status !== 0) fail(`libatomic1 could not be installed; the fix, as root: ${fix}`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

const [command, ...rest] = process.argv.slice(2);
const script = commands[command];
if (script === undefined)
  fail(`unknown command ${command}; one of: ${Object.keys(commands).join(', ')}`);
ensurePackages();
const node = join(root, 'node_modules/.bin/node');
if (!existsSync(node))
  fail(
    `Node 26 is not served by npm for ${process.platform}-${process.arch}; tsmesh builds on linux x64 and arm64`,
  );
ensureNodeRuns();
const env = {
  ...process.env,
  // Tools such as ip and iptables are in folders that not every root has in its path.
  PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}:/usr/sbin:/sbin`,
  TSMESH_COMMAND: command,
};
const result = spawnSync(node, [join(root, script), ...rest], { cwd: root, stdio: 'inherit', env });
process.exit(result.status ?? 1);
