// Runs connectconformance with sidecars between its reference client and its reference server, and reads
// its report. Which results are right is the tests' business.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../hack/lib/command.ts';
import { ensureGoProgram } from '../../hack/tools/peers.ts';
import type { Carried, WayToApp } from '../support/paths-to-app.ts';

/**
 * Which end the suite checks more closely, and sends odd things from: `server` is the suite's client against
 * a server behind sidecars, `client` the suite's server that a client reaches through them.
 */
export const suiteModes = ['server', 'client'] as const;
export type SuiteMode = (typeof suiteModes)[number];

export interface SuiteRun {
  mode: SuiteMode;
  /** `none`: the suite alone, for comparison. */
  way: WayToApp | 'none';
  /** A file in connect-conformance/. */
  config: string;
  /** Patterns of case names; empty: all. */
  only: readonly string[];
}

export interface SuiteResult {
  total: number;
  passed: number;
  /** Names of cases with what the suite says of them. */
  failed: string[];
  carried: Carried;
}

const peer = join(import.meta.dirname, '../support/connect-peer.ts');
/** The whole takes about a minute and a half on two busy cores. */
const runMs = 600_000;

/** What the suite says where the machine was too busy for it: to start a program in 10 s, to answer in 200 ms. */
const tooBusy =
  /timed out waiting for result from|code:CODE_DEADLINE_EXCEEDED message:"context deadline exceeded"/;

/**
 * Rejects where the suite did not come to its end. Cases that fail for want of time are run once more by
 * themselves, and count as they then end.
 */
export async function runSuite(suite: SuiteRun): Promise<SuiteResult> {
  const first = await runOnce(suite);
  const late = first.failed.filter((text) => tooBusy.test(text));
  if (late.length === 0) return first;
  const names = late.map((text) => text.split(':\n')[0]!);
  // A server that did not start in time fails all of its cases.
  if (names.length > mostAgain) return runOnce(suite);
  const again = await runOnce({ ...suite, only: names });
  return {
    ...first,
    passed: first.passed + again.passed,
    failed: [...first.failed.filter((text) => !late.includes(text)), ...again.failed],
  };
}

/** More names than this do not fit on a command line. */
const mostAgain = 300;

async function runOnce({ mode, way, config, only }: SuiteRun): Promise<SuiteResult> {
  const suite = await ensureGoProgram('connectconformance');
  const reference = await ensureGoProgram(
    mode === 'server' ? 'connectReferenceServer' : 'connectReferenceClient',
  );
  const folder = mkdtempSync(join(tmpdir(), 'tsmesh-connect-'));
  const conf = join(import.meta.dirname, 'connect-conformance', config);
  const command =
    way === 'none'
      ? [reference]
      : [process.execPath, '--no-warnings', peer, mode, way, reference, folder];
  const patterns = only.flatMap((pattern) => ['--run', pattern]);
  // Two at a time start sooner than four on a busy machine: the suite waits 10 s for each.
  const args = [
    '--conf',
    conf,
    '--mode',
    mode,
    '--max-servers',
    '2',
    ...patterns,
    '--',
    ...command,
  ];
  try {
    const { stdout, stderr } = await run(suite, args, { timeoutMs: runMs });
    return { ...readReport(stdout + stderr), carried: sumUp(folder) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readReport(text: string): Pick<SuiteResult, 'total' | 'passed' | 'failed'> {
  const total = /^Total cases: (\d+)$/m.exec(text)?.[1];
  const passed = /^(\d+) passed, \d+ failed$/m.exec(text)?.[1];
  if (total === undefined || passed === undefined) {
    throw new Error(`connectconformance did not end in order:\n${text.slice(-4000)}`);
  }
  // A name, and indented lines of what was wrong.
  const failed = [...text.matchAll(/^FAILED: (.*(?:\n[ \t].*)*)/gm)].map((match) => match[1]!);
  return { total: Number(total), passed: Number(passed), failed };
}

function sumUp(folder: string): Carried {
  const sum: Carried = { requests: 0, mtlsRequests: 0, connections: 0, mtlsConnections: 0 };
  for (const name of readdirSync(folder)) {
    for (const one of JSON.parse(readFileSync(join(folder, name), 'utf8')) as Carried[]) {
      sum.requests += one.requests;
      sum.mtlsRequests += one.mtlsRequests;
      sum.connections += one.connections;
      sum.mtlsConnections += one.mtlsConnections;
    }
  }
  return sum;
}
