// Takes programs of this machine into an image: the file itself and the shared libraries that it
// loads, found with ldd, each at its own path. It installs nothing.
import { existsSync, lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { mustRun } from '../lib/command.ts';
import type { TarEntry } from './tar.ts';

/** A file of the host at the same path in the image; symbolic links on its way are followed. */
export function hostFile(path: string, mode = 0o755): TarEntry {
  return { path: path.slice(1), mode, content: readFileSync(path) };
}

/** A symbolic link of the host with its target beside it. */
export function hostLink(path: string): TarEntry[] {
  if (!lstatSync(path).isSymbolicLink()) return [hostFile(path)];
  const link = readlinkSync(path);
  const target = join(dirname(path), link);
  return [{ path: path.slice(1), mode: 0o777, content: { link } }, hostFile(target)];
}

/** The shared libraries that a program needs, the loader among them. */
export async function sharedLibraries(program: string): Promise<TarEntry[]> {
  const lines = (await mustRun('ldd', [program])).split('\n');
  const paths = lines.flatMap((line) => {
    if (line.includes('not found')) throw new Error(`${program}: ${line.trim()}`);
    const found = /(\/\S+) \(0x/.exec(line)?.[1];
    return found === undefined ? [] : [found];
  });
  return paths.map((path) => hostFile(path));
}

/** Fails with the fix where a file that an image needs is not on this machine. */
export function requireFiles(paths: readonly string[], debianPackage: string): void {
  const missing = paths.filter((path) => !existsSync(path));
  if (missing.length === 0) return;
  throw new Error(
    `not on this machine: ${missing.join(', ')}; the fix, as root: apt-get install ${debianPackage}`,
  );
}
