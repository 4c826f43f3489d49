// A lock between processes of this machine: a file that names its holder by process id and start
// time, so that the lock of a killed process counts as free.
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isRunning, processName, type ProcessName } from './processes.ts';
import { say } from './steps.ts';
import { waitFor } from './wait.ts';

/** Runs an action while holding the lock file; waits while another living process holds it. */
export async function withLock<T>(
  path: string,
  timeoutMs: number,
  action: () => Promise<T>,
): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  let told = false;
  await waitFor(`lock ${path}`, timeoutMs, () => {
    const holder = acquire(path);
    if (holder === undefined) return true;
    if (!told) say(`  waiting for process ${holder.pid}, which holds ${path}`);
    told = true;
    return false;
  });
  try {
    return await action();
  } finally {
    rmSync(path, { force: true });
  }
}

/** Takes the lock (then the answer is undefined) or names its holder. */
function acquire(path: string): ProcessName | undefined {
  // Written aside and linked into place: the file is never seen without its content.
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, JSON.stringify(processName(process.pid)));
  try {
    linkSync(mine, path);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(mine, { force: true });
  }
  const holder = readHolder(path);
  if (holder !== undefined && isRunning(holder)) return holder;
  rmSync(path, { force: true });
  return acquire(path);
}

function readHolder(path: string): ProcessName | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessName;
  } catch {
    return undefined;
  }
}
