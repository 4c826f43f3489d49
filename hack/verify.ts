// npm test and its parts: formatting, lint, types, dead code, generated files, unit tests, tests in
// network namespaces, tests on a real Kubernetes. The last line says how many passed and failed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensurePackages, requireRoot } from './cluster/packages.ts';
import { repository } from './lib/paths.ts';
import { say } from './lib/steps.ts';
import { samples } from '../test/support/samples.ts';
import { checks } from './verify/checks.ts';
import { runClusterTests } from './verify/cluster-tests.ts';
import { runJest, type VerifyOptions } from './verify/jest.ts';
import { Tally } from './verify/tally.ts';

const usage = `npm test [-- --keep] [-- --only PATTERN]
  --keep           leaves the embedded clusters running at the end
  --only PATTERN   only test files whose path matches`;

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
  if (selected.includes('cluster')) await runClusterTests(tally, options, whenInterrupted);
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
async function runNetworkTests(tally: Tally, options: VerifyOptions): Promise<void> {
  const ready = await tally.action('root and Debian packages', async () => {
    requireRoot();
    await ensurePackages();
  });
  if (ready) await runJest('netns', tally, options);
}

/** Ctrl-C must not leave clusters behind that this command made. */
function whenInterrupted(clean: () => Promise<unknown>): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      say(signal);
      void clean().finally(() => process.exit(1));
    });
  }
}

try {
  if (!(await main(process.env['TSMESH_COMMAND'] ?? 'test'))) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
