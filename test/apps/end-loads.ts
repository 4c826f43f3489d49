// Tells the load generators of this container to end and to say what they counted.
import { readdirSync, readFileSync } from 'node:fs';

/** How many there were. */
export function endLoads(self: number): number {
  const loads = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid !== self && isLoad(pid));
  for (const pid of loads) process.kill(pid, 'SIGTERM');
  return loads.length;
}

function isLoad(pid: number): boolean {
  if (!Number.isInteger(pid)) return false;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('load');
  } catch {
    // Ended meanwhile.
    return false;
  }
}
