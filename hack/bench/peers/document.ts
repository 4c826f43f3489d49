// Puts the results into docs/performance.md, between two marks, and into docs/figures/.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../../lib/paths.ts';
import { chart } from './chart.ts';
import type { SavedResult } from './results.ts';
import { figuresTable, goalsTable, type Titles } from './tables.ts';

const marks = ['<!-- peers: begin, written by the bench -->', '<!-- peers: end -->'] as const;

const charts = [
  { file: 'peers-requests.svg', heading: 'CPU time of a proxy per request', unit: 'µs' },
  { file: 'peers-bulk.svg', heading: 'CPU time of a proxy per GiB', unit: 's per GiB' },
  {
    file: 'peers-rest.svg',
    heading: 'Memory of a proxy, CPU time of a handshake at the server side',
    unit: null,
  },
] as const;

/** Stands above figures that are not of a whole run. */
const quickWords =
  '**Of quick runs, with shorter or fewer rounds or with other work on the machine: they show where to look, not more.**';

/** The chart for this unit: one for all the rest. */
function chartOf(unit: string | undefined): string | null {
  return charts.find((one) => one.unit === unit)?.unit ?? null;
}

/** Writes both; answers with the paths. */
export function writeDocument(
  results: readonly SavedResult[],
  source: 'whole' | 'quick',
  titles: Titles,
): string[] {
  const folder = join(repository, 'docs/figures');
  mkdirSync(folder, { recursive: true });
  const images = charts.map(({ file, heading, unit }) => {
    const own = results.filter(({ load }) => chartOf(load.chart?.unit) === unit);
    const path = join(folder, file);
    writeFileSync(path, chart(heading, own, titles));
    return { path, link: `![${heading}](figures/${file})` };
  });
  const page = join(repository, 'docs/performance.md');
  const body = section(
    results,
    images.map(({ link }) => link),
    titles,
  );
  const said = source === 'quick' ? `\n${quickWords}\n${body}` : body;
  writeFileSync(page, between(readFileSync(page, 'utf8'), said));
  return [page, ...images.map(({ path }) => path)];
}

/** The text between the marks. Pure. */
export function section(
  results: readonly SavedResult[],
  images: readonly string[],
  titles: Titles,
): string {
  const days = results.map(({ measuredAt }) => measuredAt.slice(0, 10)).sort();
  const [first = '', last = ''] = [days[0], days.at(-1)];
  const counts = results.flatMap(({ rounds }) => Object.values(rounds).map(({ length }) => length));
  const [few, many] = [Math.min(...counts), Math.max(...counts)];
  const when = first === last ? first : `${first} to ${last}`;
  const rounds = few === many ? `${few}` : `${few} to ${many}`;
  const said = `Measured ${when}, ${rounds} rounds each: the median, and in brackets the lowest and the highest round.`;
  const tables = results.map((result) => figuresTable(result, titles));
  return [
    '',
    said,
    '',
    goalsTable(results),
    '',
    images.join('\n\n'),
    '',
    tables.join('\n\n'),
    '',
  ].join('\n');
}

/** Replaces what is between the marks. Throws where a page has none. Pure. */
export function between(page: string, body: string): string {
  const [begin, end] = marks.map((mark) => page.indexOf(mark)) as [number, number];
  if (begin < 0 || end < begin) throw new Error(`the page has no place for it: ${marks.join(' ')}`);
  return `${page.slice(0, begin + marks[0].length)}\n${body}\n${page.slice(end)}`;
}
