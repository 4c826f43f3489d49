// The cgroups of the embedded cluster: one subtree of the host's, of version 1 or 2, which is made
// before the kubelet starts and removed with the cluster.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { run } from '../lib/command.ts';

/** The folders in which cgroups are made: one per controller (version 1), or the one of version 2. */
function cgroupHierarchies(): string[] {
  const root = '/sys/fs/cgroup';
  if (existsSync(join(root, 'cgroup.controllers'))) return [root];
  return readdirSync(root)
    .map((name) => join(root, name))
    .filter((path) => existsSync(join(path, 'cgroup.procs')));
}

/** Makes the cgroup below which the kubelet keeps its own; it refuses one that is not there. */
export async function createCgroups(name: string): Promise<void> {
  for (const hierarchy of cgroupHierarchies()) {
    if (existsSync(join(hierarchy, 'cgroup.subtree_control'))) {
      const enable = 'echo "+cpu +cpuset +memory +pids" > "$0/cgroup.subtree_control"';
      await run('sh', ['-c', enable, hierarchy]);
    }
    mkdirSync(join(hierarchy, name), { recursive: true });
    copyCpuset(hierarchy, name);
    raiseShare(join(hierarchy, name));
  }
}

/**
 * All pods together would get the processor time of one process of the host: on a busy machine they
 * would starve, and every timeout of a test with them. Now it is that of sixteen.
 */
function raiseShare(path: string): void {
  for (const [file, value] of Object.entries({ 'cpu.shares': '16384', 'cpu.weight': '1600' })) {
    if (existsSync(join(path, file))) writeFileSync(join(path, file), value);
  }
}

/** A new cpuset cgroup of version 1 is empty and would accept no process. */
function copyCpuset(hierarchy: string, name: string): void {
  if (!existsSync(join(hierarchy, 'cpuset.cpus'))) return;
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const value = readFileSync(join(hierarchy, file), 'utf8');
    writeFileSync(join(hierarchy, name, file), value);
  }
}

/** Removes a cgroup with all below it; false while one still has a dying process. */
export function removeCgroups(name: string): boolean {
  return cgroupHierarchies().every((hierarchy) => removeCgroup(join(hierarchy, name)));
}

function removeCgroup(path: string): boolean {
  if (!existsSync(path)) return true;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory() && !removeCgroup(join(path, entry.name))) return false;
  }
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return false;
    throw error;
  }
}
