// Files, folders and standard input, as named by -f, to their texts. Reads only; the texts are not looked at.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CliError } from '../errors.ts';
import type { World } from '../world.ts';

export interface TextFile {
  /** As the user would name it; `stdin` for `-`. */
  readonly name: string;
  readonly text: string;
}

const isManifest = (name: string): boolean => /\.(ya?ml|json)$/i.test(name);
/** Not manifests, although they are YAML: kubectl and kustomize have no resources in them either. */
const kustomization = /^kustomization\.ya?ml$/i;

/** Folders with all that is below them, in the order of names. Throws a CliError of code BadInput. */
export async function readFiles(paths: readonly string[], world: World): Promise<TextFile[]> {
  if (paths.filter((path) => path === '-').length > 1)
    throw new CliError('Usage', 'file: standard input can be read once only');
  const found: TextFile[] = [];
  for (const path of paths) {
    if (path === '-') found.push({ name: 'stdin', text: await world.readStdin() });
    else found.push(...manifestsAt(path));
  }
  return found;
}

export function readTextFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CliError('BadInput', `${path}: ${reasonOf(error)}`);
  }
}

function manifestsAt(path: string): TextFile[] {
  const files = filesAt(path);
  if (files.length === 0) {
    throw new CliError('BadInput', `${path}: no file in it ends in .yaml, .yml or .json`);
  }
  return files.map((name) => ({ name, text: readTextFile(name) }));
}

function filesAt(path: string): string[] {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (error) {
    throw new CliError('BadInput', `${path}: ${reasonOf(error)}`);
  }
  if (!isFolder) return [path];
  return readdirSync(path, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) return filesAt(inner);
      return isManifest(entry.name) && !kustomization.test(entry.name) ? [inner] : [];
    });
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file or folder';
  if (code === 'EACCES') return 'may not be read';
  return message;
}
