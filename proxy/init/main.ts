// The init container: reads its settings, installs the capture rules, exits. The only place here that
// reads the environment, runs programs and sets the exit code.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { environment } from '../api/bootstrap.ts';
import { checkCaptureSettings } from '../api/validate.ts';
import { installCapture, type CommandResult } from './runner.ts';

const programTimeoutMs = 20_000;
const terminationLog = '/dev/termination-log';

function run(program: string, args: readonly string[], input: string): CommandResult {
  const result = spawnSync(program, args, {
    input,
    encoding: 'utf8',
    timeout: programTimeoutMs,
    // The root file system is read-only, and nobody else changes the rules of this pod.
    env: { ...process.env, XTABLES_LOCKFILE: '/dev/null' },
  });
  if (result.error !== undefined) return { status: null, stdout: '', stderr: result.error.message };
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

function readIpv6Addresses(): string | null {
  try {
    return readFileSync('/proc/net/if_inet6', 'utf8');
  } catch {
    return null;
  }
}

function log(level: string, message: string): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), level, message }));
}

/** For `kubectl describe pod` and `tsmesh check`. Outside a container there is no such file, and none is made. */
function tell(lines: readonly string[]): void {
  try {
    writeFileSync(terminationLog, lines.join('; '), { flag: 'r+' });
  } catch {
    // Whoever reads it misses a line; the rules are in force.
  }
}

function parse(text: string | undefined): unknown {
  if (text === undefined) throw new Error(`environment variable ${environment.capture} is missing`);
  return JSON.parse(text);
}

try {
  const settings = checkCaptureSettings(parse(process.env[environment.capture]));
  if (!settings.ok) {
    const { path, message } = settings.fault;
    throw new Error(`${environment.capture}: ${path || '/'} ${message}`);
  }
  const deps = { run, readIpv6Addresses, log: (text: string) => log('info', text) };
  tell(installCapture(settings.value, deps));
} catch (error) {
  log('error', (error as Error).message);
  process.exitCode = 1;
}
