// What a process used, from /proc: CPU time of all its threads in nanoseconds, and its connections.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Seconds of CPU time, user and system, of all threads that live; exact, where ticks are of 10 ms. */
export function cpuSeconds(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += threadNanoseconds(`/proc/${pid}/task/${thread}/schedstat`);
  }
  return nanoseconds / 1e9;
}

function threadNanoseconds(path: string): number {
  try {
    return Number(readFileSync(path, 'latin1').split(' ', 1)[0]);
  } catch {
    // It ended meanwhile; what it used before is lost, which none of the proxies here does under load.
    return 0;
  }
}

/** The inodes of established connections in a text of /proc/net/tcp, to or from this port. */
export function establishedInodes(text: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes: string[] = [];
  for (const line of text.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [, local = '', remote = '', state] = fields;
    if (state !== '01') continue;
    if (local.endsWith(`:${hex}`) || remote.endsWith(`:${hex}`)) inodes.push(fields[9] ?? '');
  }
  return inodes;
}

/** How many established connections to or from this port the process holds. */
export function connectionsOf(pid: number, port: number): number {
  const own = new Set(socketInodes(pid));
  const text = readFileSync('/proc/net/tcp', 'latin1');
  return establishedInodes(text, port).filter((inode) => own.has(inode)).length;
}

function socketInodes(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`))?.[1] ?? [];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}
