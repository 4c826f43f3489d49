// The raw results in dist/: one file per load, those of whole runs apart from those of quick ones.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../../lib/paths.ts';
import type { Load } from './load.ts';
import type { LoadResult } from './tables.ts';
import type { Rounds } from './verdicts.ts';

function folder(whole: boolean): string {
  return join(repository, 'dist/bench', whole ? 'peers' : 'peers-quick');
}

export function saveResult(name: string, rounds: Rounds, whole: boolean): void {
  mkdirSync(folder(whole), { recursive: true });
  const content = { load: name, measuredAt: new Date().toISOString(), rounds };
  writeFileSync(join(folder(whole), `${name}.json`), `${JSON.stringify(content, null, 1)}\n`);
}

/** Those of the loads that have results, in their order. */
export function readResults(loads: readonly Load[], whole: boolean): LoadResult[] {
  return loads.flatMap((load) => {
    const file = join(folder(whole), `${load.name}.json`);
    if (!existsSync(file)) return [];
    const { rounds } = JSON.parse(readFileSync(file, 'utf8')) as { rounds: Rounds };
    return [{ load, rounds }];
  });
}
