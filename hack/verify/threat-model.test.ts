// The threat model names tests; this one looks whether they exist under these names.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { repository } from '../lib/paths.ts';

const page = readFileSync(join(repository, 'docs/threat-model.md'), 'utf8');

interface Named {
  file: string;
  test: string;
}

/** `` `path` “name”, “name” ``: each name belongs to the path before it. */
function namedTests(text: string): Named[] {
  const found: Named[] = [];
  let file = '';
  for (const [, path, test] of text.matchAll(/`([\w./-]+\.test\.ts)`|“([^”]+)”/g)) {
    if (path !== undefined) file = path;
    else if (file !== '') found.push({ file, test: test! });
  }
  return found;
}

/** Items of the lists under Defences. */
function defences(): string[] {
  const section = page.slice(page.indexOf('\n## Defences'), page.indexOf('\n## Not defended'));
  return section.split('\n').filter((line) => line.startsWith('- '));
}

/** As the source writes it: names of tables of tests with `%s` in them, quotes escaped or not. */
function declares(file: string, test: string): boolean {
  const source = readFileSync(join(repository, file), 'utf8').replaceAll("\\'", "'");
  return [`'${test}'`, `"${test}"`, `\`${test}\``].some((literal) => source.includes(literal));
}

describe('the threat model', () => {
  it('names a test for each defence', () => {
    expect(defences().length).toBeGreaterThan(25);
    expect(defences().filter((defence) => namedTests(defence).length === 0)).toEqual([]);
  });

  it('names tests that exist, under their names', () => {
    const missing = defences()
      .flatMap(namedTests)
      .filter(({ file, test }) => {
        return !existsSync(join(repository, file)) || !declares(file, test);
      });
    expect(missing).toEqual([]);
  });
});
