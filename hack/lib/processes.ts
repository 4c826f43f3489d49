// Names a process beyond doubt, by process id and start time, so that a tool ends only what it
// started itself, even when the id has been given to another process since.
import { readFileSync } from 'node:fs';

export interface ProcessName {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks after boot. */
  readonly startTime: string;
}

/** The name of a running process; undefined when there is none (a zombie counts as none). */
export function processName(pid: number): ProcessName | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const startTime = fields[19];
    if (startTime === undefined || fields[0] === 'Z') return undefined;
    return { pid, startTime };
  } catch {
    return undefined;
  }
}

/** Whether exactly this process still runs. */
export function isRunning(name: ProcessName): boolean {
  return processName(name.pid)?.startTime === name.startTime;
}

/** Ends exactly this process by SIGKILL; a process that is already gone is no error. */
export function kill(name: ProcessName): void {
  if (!isRunning(name)) return;
  try {
    process.kill(name.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
