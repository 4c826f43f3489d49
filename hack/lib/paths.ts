// Where the tools in hack/ find and put things. The only place in hack/ that reads these settings
// from the environment.
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The cache for what is slow to make and keyed by its content (TSMESH_CACHE, ~/.cache/tsmesh). */
export function cacheDirectory(): string {
  const path = process.env['TSMESH_CACHE'] ?? join(homedir(), '.cache', 'tsmesh');
  mkdirSync(path, { recursive: true });
  return path;
}

/** The number of the embedded cluster (TSMESH_CLUSTER, 0 to 9): each has its own addresses and state. */
export function clusterIndex(): number {
  const text = process.env['TSMESH_CLUSTER'] ?? '0';
  if (!/^[0-9]$/.test(text)) throw new Error(`TSMESH_CLUSTER is ${text}; it must be a digit`);
  return Number(text);
}
