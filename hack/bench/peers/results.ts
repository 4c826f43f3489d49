// The raw results in dist/: one file per load, those of whole runs apart from those of quick ones.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../../lib/paths.ts';
import type { Load } from './load.ts';
import type { LoadResult } from './tables.ts';
import type { Rounds } from './verdicts.ts';

function folder(whole: boolean): string {
  return join(repository, 'dist/bench', whole ? 'peers' : 'peers-quick');
}

/** Forgets what whole runs measured. */
export function clearResults(): void {
  rmSync(folder(true), { recursive: true, force: true });
}

export function saveResult(name: string, rounds: Rounds, whole: boolean): void {
  mkdirSync(folder(whole), { recursive: true });
  const content = { load: name, measuredAt: new Date().toISOString(), rounds };
  writeFileSync(join(folder(whole), `${name}.json`), `${JSON.stringify(content, null, 1)}\n`);
}

export interface SavedResult extends LoadResult {
  /** As ISO 8601. */
  readonly measuredAt: string;
}

/** Those of the loads that have results, in their order. */
export function readResults(loads: readonly Load[], whole: boolean): SavedResult[] {
  return loads.flatMap((load) => {
    const file = join(folder(whole), `${load.name}.json`);
    if (!existsSync(file)) return [];
    const content = readFileSync(file, 'utf8');
    const { rounds, measuredAt } = JSON.parse(content) as { rounds: Rounds; measuredAt: string };
    return [{ load, rounds, measuredAt }];
  });
}
