// The last good configuration on disk, so that a sidecar that restarts while the operator is away
// begins with what it had. Written whole, by rename; a damaged file is worth nothing, and says so.

import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VersionedResource } from '../api/discovery.ts';
import type { Clock, Timer } from '../net/clock.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface SnapshotFile {
  /** Null where there is none that can be used. */
  load(): Promise<VersionedResource[] | null>;
  /** The configuration changed: written some time later, once for many changes. */
  changed(): void;
  /** Writes what is still unwritten. */
  flush(): Promise<void>;
}

export interface SnapshotDeps {
  directory: string;
  /** SPIFFE id or the like: a snapshot of another workload is not used. */
  owner: string;
  resources(): VersionedResource[];
  clock: Clock;
  logger: Logger;
}

const format = 1;
const debounceMs = 1000;
/** Of 1,000 Services it is megabytes: while it changes all the time, writing it takes 1/200 of a core at most. */
const pausePerCost = 200;
const maxPauseMs = 60_000;
const maxBytes = 64 << 20;

interface Content {
  format: number;
  owner: string;
  resources: VersionedResource[];
}

export function createSnapshotFile(deps: SnapshotDeps): SnapshotFile {
  const path = join(deps.directory, 'snapshot.json');
  let timer: Timer | null = null;
  let writing: Promise<void> = Promise.resolve();
  let pauseMs = debounceMs;

  async function write(): Promise<void> {
    const content: Content = { format, owner: deps.owner, resources: deps.resources() };
    try {
      await mkdir(deps.directory, { recursive: true });
      await writeFile(`${path}.new`, textOf(content), { mode: 0o600 });
      await rename(`${path}.new`, path);
    } catch (error) {
      deps.logger.warn('snapshot not written', { path, reason: (error as Error).message });
    }
  }

  function textOf(content: Content): string {
    const fromMs = deps.clock.nowMs();
    const text = JSON.stringify(content);
    const costMs = deps.clock.nowMs() - fromMs;
    pauseMs = Math.min(maxPauseMs, Math.max(debounceMs, costMs * pausePerCost));
    return text;
  }

  async function flush(): Promise<void> {
    if (timer !== null) {
      timer.cancel();
      timer = null;
      writing = writing.then(write);
    }
    await writing;
  }

  return {
    changed() {
      timer ??= deps.clock.after(pauseMs, () => void flush());
    },
    flush,
    async load() {
      try {
        return await read(path, deps.owner);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
          deps.logger.warn('snapshot not used', { path, reason: (error as Error).message });
        }
        return null;
      }
    },
  };
}

async function read(path: string, owner: string): Promise<VersionedResource[]> {
  const { size } = await stat(path);
  if (size > maxBytes) throw new Error(`larger than ${maxBytes} bytes`);
  const content = JSON.parse(await readFile(path, 'utf8')) as Partial<Content> | null;
  if (content?.format !== format) throw new Error('written by another version');
  if (content.owner !== owner) throw new Error(`belongs to ${content.owner}`);
  if (!Array.isArray(content.resources)) throw new Error('holds no resources');
  return content.resources;
}
