// Finds the processes of a pod on this machine, which sees all processes of the embedded cluster.
import { readdirSync, readFileSync } from 'node:fs';

/** The processes of a pod that run as this user, without that of its sandbox. */
export function podProcesses(podUid: string, userId: number): number[] {
  const wanted = [podUid, podUid.replaceAll('-', '_')];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
        if (!wanted.some((uid) => cgroup.includes(uid))) return false;
        if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('/pause')) return false;
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        return new RegExp(`^Uid:\\s+${userId}\\s`, 'm').test(status);
      } catch {
        // Ended meanwhile.
        return false;
      }
    });
}
