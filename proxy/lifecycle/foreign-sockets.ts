// Finds sockets of the sidecar's user id that are not the sidecar's: an app whose image runs as 15086
// bypasses the mesh without a word, and admission cannot see it. It reports; it changes nothing.

import { readdir, readFile, readlink } from 'node:fs/promises';
import type { Clock, Timer } from '../net/clock.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface ForeignSockets {
  /** How many were there at the last look. */
  count(): number;
  /** Looks now. */
  look(): Promise<void>;
  stop(): void;
}

export interface ForeignSocketsDeps {
  userId: number;
  /** `/proc`, or what a test holds in its place. */
  procDirectory: string;
  clock: Clock;
  logger: Logger;
}

const intervalMs = 60_000;
/** Of one report: enough to recognise the app. */
const maxShown = 5;
/** Columns of /proc/net/tcp (Documentation/networking/proc_net_tcp.rst). */
const columns = { local: 1, remote: 2, userId: 7, inode: 9 } as const;

/** Inode → `local remote` as the kernel writes them. A closed socket has inode 0. */
export function socketsOfUser(table: string, userId: number): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of table.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const inode = fields[columns.inode];
    if (inode === undefined || inode === '0' || Number(fields[columns.userId]) !== userId) continue;
    found.set(inode, `${fields[columns.local]} ${fields[columns.remote]}`);
  }
  return found;
}

export function watchForeignSockets(deps: ForeignSocketsDeps): ForeignSockets {
  let timer: Timer | null = null;
  let stopped = false;
  /** Seen once: it may have been opened while own descriptors were listed. */
  let suspected = new Set<string>();
  let confirmed = new Set<string>();

  async function look(): Promise<void> {
    const sockets = await userSockets(deps);
    const own = await ownInodes(deps.procDirectory);
    const foreign = new Set([...sockets.keys()].filter((inode) => !own.has(inode)));
    const fresh = [...foreign].filter((inode) => suspected.has(inode) && !confirmed.has(inode));
    confirmed = new Set([...foreign].filter((inode) => suspected.has(inode)));
    suspected = foreign;
    if (fresh.length === 0) return;
    deps.logger.error('an app runs with the user id of the sidecar and bypasses the mesh', {
      userId: deps.userId,
      sockets: fresh.slice(0, maxShown).map((inode) => sockets.get(inode)!),
      hint: 'set another runAsUser for the container, or another USER in its image',
    });
  }

  function arm(): void {
    if (stopped) return;
    timer = deps.clock.after(intervalMs, () => {
      void look()
        .catch((error: Error) => {
          deps.logger.debug('sockets of the pod cannot be listed', { reason: error.message });
        })
        .finally(arm);
    });
  }

  arm();
  return {
    count: () => confirmed.size,
    look,
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}

async function userSockets({ procDirectory, userId }: ForeignSocketsDeps) {
  const all = new Map<string, string>();
  for (const file of ['tcp', 'tcp6']) {
    // A kernel without IPv6 has no tcp6.
    const table = await readFile(`${procDirectory}/self/net/${file}`, 'utf8').catch(() => '');
    for (const [inode, text] of socketsOfUser(table, userId)) all.set(inode, text);
  }
  return all;
}

async function ownInodes(procDirectory: string): Promise<Set<string>> {
  const directory = `${procDirectory}/self/fd`;
  const inodes = new Set<string>();
  for (const descriptor of await readdir(directory)) {
    // A descriptor may close in between.
    const target = await readlink(`${directory}/${descriptor}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  return inodes;
}
