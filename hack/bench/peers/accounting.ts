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

interface Connection {
  /** As the kernel writes it: 01 is established, 06 is TIME_WAIT. */
  readonly state: string;
  readonly inode: string;
}

/** The connections in a text of /proc/net/tcp that go to or come from this port. */
export function connectionsIn(text: string, port: number): Connection[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const found: Connection[] = [];
  for (const line of text.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [, local = '', remote = '', state = ''] = fields;
    if (local.endsWith(end) || remote.endsWith(end)) found.push({ state, inode: fields[9] ?? '' });
  }
  return found;
}

/** How many connections of this port ended within the last minute: few, where they are kept. */
export function endedLately(port: number): number {
  const text = readFileSync('/proc/net/tcp', 'latin1');
  return connectionsIn(text, port).filter(({ state }) => state === '06').length;
}

/** How many established connections to or from this port the process holds. */
export function connectionsOf(pid: number, port: number): number {
  const own = new Set(socketInodes(pid));
  const text = readFileSync('/proc/net/tcp', 'latin1');
  const established = connectionsIn(text, port).filter(({ state }) => state === '01');
  return established.filter(({ inode }) => own.has(inode)).length;
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
