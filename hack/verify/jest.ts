// Runs one Jest project and counts its tests from Jest's own JSON. A test that was skipped counts as
// failed: it says nothing. A file that could not run counts as one failed test.
import { readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from '../lib/command.ts';
import { repository } from '../lib/paths.ts';
import { say, step } from '../lib/steps.ts';
import type { Counts, Tally } from './tally.ts';

export interface VerifyOptions {
  /** Clusters that were made for the tests stay. */
  readonly keep: boolean;
  /** A pattern of file paths. */
  readonly only: string | undefined;
  /** Tests may read TSMESH_FULL to run whole suites instead of samples. */
  readonly full: boolean;
}

export interface JestOptions extends VerifyOptions {
  /** These files only, which are none that `only` leaves out. */
  readonly files?: readonly string[];
  /** The files do not share what they change. */
  readonly sideBySide?: boolean;
  /** The number of the cluster that they run on. */
  readonly cluster?: number;
}

interface JestResult {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

/** Runs a project; true if something ran and nothing failed. */
export async function runJest(
  project: string,
  tally: Tally,
  options: JestOptions,
): Promise<boolean> {
  const name = `${nameOf(project, options)} tests`;
  const counts = await step(name, () => execute(project, options));
  say(`  ${name}: ${counts.passed} passed, ${counts.failed} failed`);
  tally.add(name, counts);
  return counts.failed === 0;
}

function nameOf(project: string, { files, sideBySide }: JestOptions): string {
  if (files === undefined) return project;
  return sideBySide === true ? `${project} (side by side)` : files.map(baseName).join(', ');
}

function baseName(path: string): string {
  return basename(path, '.test.ts');
}

async function execute(project: string, options: JestOptions): Promise<Counts> {
  const output = join(repository, `dist/logs/jest-${logName(project, options)}.json`);
  rmSync(output, { force: true });
  const args = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
  args.push('--selectProjects', project, '--json', '--outputFile', output);
  // A busy machine is no reason to fail; a test that hangs still does.
  args.push('--testTimeout', '60000');
  // Jest alone would leave one core idle.
  const parallel = project === 'unit' || options.sideBySide === true;
  args.push(...(parallel ? ['--maxWorkers', '100%'] : ['--runInBand']));
  if (options.files !== undefined) args.push('--runTestsByPath', ...options.files);
  else if (options.only !== undefined) args.push('--testPathPatterns', options.only);
  const result = await run('node', args, {
    cwd: repository,
    env: {
      ...(options.full ? { TSMESH_FULL: '1' } : {}),
      ...(options.cluster === undefined ? {} : { TSMESH_CLUSTER: String(options.cluster) }),
    },
    onErrorLine: (line) => {
      // Unit tests are many files and seconds; the others are few and minutes.
      const told = project === 'unit' ? /^FAIL / : /^(PASS|FAIL) /;
      if (told.test(line)) say(`  ${line}`);
    },
  });
  const counts = read(output);
  if (result.code === 0 && counts.failed === 0 && counts.passed > 0) return counts;
  process.stderr.write(`${result.stderr}\n`);
  // Jest's failure without a failed test: no test found, or Jest itself did not run.
  return counts.failed > 0 ? counts : { passed: counts.passed, failed: 1 };
}

/** Files that run alone have a log each. */
function logName(project: string, { files, sideBySide }: JestOptions): string {
  const alone = files !== undefined && sideBySide !== true;
  return alone ? `${project}-${files.map(baseName).join('-')}` : project;
}

function read(path: string): Counts {
  let result: JestResult;
  try {
    result = JSON.parse(readFileSync(path, 'utf8')) as JestResult;
  } catch {
    return { passed: 0, failed: 1 };
  }
  const skipped = result.numPendingTests + result.numTodoTests;
  if (skipped > 0) say(`  ${skipped} tests were skipped, which counts as failed`);
  return {
    passed: result.numPassedTests,
    failed: result.numFailedTests + result.numRuntimeErrorTestSuites + skipped,
  };
}
