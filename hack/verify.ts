// npm test and its parts: formatting, lint, types, dead code, generated files, unit tests, tests in
// network namespaces, tests on a real Kubernetes. The last line says how many passed and failed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  abandonCluster,
  ensureCluster,
  removeCluster,
  runningCluster,
  type Cluster,
} from './cluster/cluster.ts';
import { dumpCluster } from './cluster/dump.ts';
import { ensurePackages, requireRoot } from './cluster/packages.ts';
import { kubectlFor } from './lib/kubectl.ts';
import { repository } from './lib/paths.ts';
import { say } from './lib/steps.ts';
import { installMesh, loadMeshImages } from './mesh.ts';
import { samples } from '../test/support/samples.ts';
import { checks } from './verify/checks.ts';
import { clusterFiles } from './verify/cluster-files.ts';
import { runJest } from './verify/jest.ts';
import { Tally } from './verify/tally.ts';

const usage = `npm test [-- --keep] [-- --only PATTERN]
  --keep           leaves the embedded cluster running at the end
  --only PATTERN   only test files whose path matches`;

interface Options {
  readonly keep: boolean;
  readonly only: string | undefined;
  readonly full: boolean;
}

/** What each command runs, in this order. */
const parts: Readonly<Record<string, readonly string[]>> = {
  test: ['checks', 'unit', 'netns', 'cluster'],
  'test-full': ['checks', 'unit', 'netns', 'cluster'],
  'test-unit': ['unit'],
  check: ['checks'],
};

async function main(command: string): Promise<boolean> {
  const { values } = parseArgs({
    options: { keep: { type: 'boolean' }, only: { type: 'string' }, help: { type: 'boolean' } },
  });
  const selected = parts[command];
  if (values.help === true || selected === undefined) {
    console.log(usage);
    return values.help === true;
  }
  const options = { keep: values.keep === true, only: values.only, full: command === 'test-full' };
  const tally = new Tally();
  mkdirSync(join(repository, 'dist/logs'), { recursive: true });
  if (selected.includes('checks')) await runChecks(tally);
  if (selected.includes('unit')) await runJest('unit', tally, options);
  if (selected.includes('netns')) await runNetworkTests(tally, options);
  if (selected.includes('cluster')) await runClusterTests(tally, options);
  if (selected.includes('cluster') && !options.full) sayWhatWasLeftOut();
  tally.print();
  return tally.good;
}

function sayWhatWasLeftOut(): void {
  for (const { what, sample, whole } of Object.values(samples)) {
    say(`left out: ${what}: ${sample} of ${whole} (all of them: npm run test:full)`);
  }
}

async function runChecks(tally: Tally): Promise<void> {
  for (const { name, command, args } of checks) await tally.command(name, command, args);
}

/** Root and iptables are needed; without them the step fails, and says what to do. */
async function runNetworkTests(tally: Tally, options: Options): Promise<void> {
  const ready = await tally.action('root and Debian packages', async () => {
    requireRoot();
    await ensurePackages();
  });
  if (ready) await runJest('netns', tally, options);
}

/** Brings the cluster and the mesh up, runs the tests, and takes down what it brought up. */
async function runClusterTests(tally: Tally, options: Options): Promise<void> {
  let cluster: Cluster | undefined;
  const wasRunning = (await runningCluster()) !== undefined;
  if (!wasRunning && !options.keep) removeWhenInterrupted();
  try {
    const ready = await tally.action('a Kubernetes cluster with the mesh', async () => {
      cluster = await ensureCluster();
      const references = await loadMeshImages(cluster);
      await installMesh(kubectlFor(cluster.kubectl, cluster.kubeconfig), references);
    });
    const passed = ready && (await runClusterFiles(tally, options));
    if (!passed && cluster !== undefined) await dumpCluster(cluster);
  } finally {
    if (wasRunning) say('the cluster ran before and is left running');
    else if (options.keep) say('the cluster is kept; down with: node hack/cluster/cli.ts down');
    else await removeCluster();
  }
}

async function runClusterFiles(tally: Tally, options: Options): Promise<boolean> {
  const { sideBySide, oneByOne } = clusterFiles(options.only, options.full);
  let passed = true;
  for (const files of [sideBySide, oneByOne]) {
    if (files.length === 0) continue;
    const one = { ...options, files, sideBySide: files === sideBySide };
    passed = (await runJest('cluster', tally, one)) && passed;
  }
  return passed;
}

/** Ctrl-C must not leave a cluster behind that this command made. */
function removeWhenInterrupted(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      say(`${signal}: removing the cluster`);
      void abandonCluster().finally(() => process.exit(1));
    });
  }
}

try {
  if (!(await main(process.env['TSMESH_COMMAND'] ?? 'test'))) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
