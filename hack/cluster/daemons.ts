// Starts and stops the programs of the node, which live in its namespaces as orphans of its first
// process: they outlive the command that started them, and end with the namespaces.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessName } from '../lib/processes.ts';
import { waitFor } from '../lib/wait.ts';
import type { Daemon } from './configuration.ts';
import { runInside } from './sandbox.ts';
import type { ClusterSettings } from './settings.ts';

const GRACE_MS = 5_000;

/** Starts one; its output goes to a log file below the state folder. */
export async function startDaemon(
  settings: ClusterSettings,
  holder: ProcessName,
  daemon: Daemon,
): Promise<void> {
  const log = join(settings.state, 'log', `${daemon.name}.log`);
  const script = 'log=$1 file=$2; shift 2; setsid "$@" >>"$log" 2>&1 </dev/null & echo $! >"$file"';
  const args = ['bash', '-c', script, 'start', log, pidFile(settings, daemon.name)];
  const result = await runInside(holder, [...args, ...daemon.command]);
  if (result.code !== 0) throw new Error(`${daemon.name} could not be started: ${result.stderr}`);
}

/** Ends one: SIGTERM, and SIGKILL where that takes too long. */
export async function stopDaemon(
  settings: ClusterSettings,
  holder: ProcessName,
  name: string,
): Promise<void> {
  const gone = async () => !(await daemonIsRunning(settings, holder, name));
  if (await gone()) return;
  const pid = readPid(settings, name);
  await runInside(holder, ['kill', '-TERM', pid]);
  try {
    await waitFor(`end of ${name}`, GRACE_MS, gone);
  } catch {
    await runInside(holder, ['kill', '-KILL', pid]);
    await waitFor(`end of ${name}`, GRACE_MS, gone);
  }
  rmSync(pidFile(settings, name), { force: true });
}

/** Whether it runs; the process id is the one inside, and its program must be the right one. */
export async function daemonIsRunning(
  settings: ClusterSettings,
  holder: ProcessName,
  name: string,
): Promise<boolean> {
  const pid = readPid(settings, name);
  if (pid === '') return false;
  const result = await runInside(holder, ['cat', `/proc/${pid}/cmdline`]);
  return result.stdout.split('\0')[0]?.endsWith(name) === true;
}

function pidFile(settings: ClusterSettings, name: string): string {
  return join(settings.state, `${name}.pid`);
}

function readPid(settings: ClusterSettings, name: string): string {
  try {
    return readFileSync(pidFile(settings, name), 'utf8').trim();
  } catch {
    return '';
  }
}
