import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { proxyErrors, type ErrorSpec } from '../errors.ts';
import { jsonLine } from './access-line.ts';
import { entryWith } from './test-entry.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/access-logs.md'), 'utf8');
const cells = page
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) =>
    line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim()),
  );

describe('the page of access logs', () => {
  it('has a row for each code, with its flag, statuses and words, and none for others', () => {
    const codes = Object.entries(proxyErrors).map(([code, spec]: [string, ErrorSpec]) =>
      [spec.flag, code, `${spec.httpStatus}`, `${spec.grpcStatus}`, spec.message, spec.hint].join(),
    );
    const said = cells.filter(({ length }) => length === 6).slice(2);
    expect(said.map((row) => row.join()).toSorted()).toEqual(codes.toSorted());
  });

  it('names every field of a line', () => {
    const entry = entryWith({
      claimedHost: 'a',
      claimedBy: 'sni',
      policy: 'p',
      rule: 'r',
      reason: 'x',
    });
    const fields = Object.keys(JSON.parse(jsonLine(entry, 'T', '')) as object);
    const named = cells.flatMap(([first = '']) => [...first.matchAll(/`(\w+)`/g)]).map((m) => m[1]);
    expect(fields.filter((name) => !named.includes(name))).toEqual([]);
  });
});
