// Puts what the balancing benches measured into docs/load-balancing.md, each between its marks, and into docs/figures/.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../lib/paths.ts';
import { balancingChart, figure, type Bar, type Group } from './balancing-chart.ts';

/** p99 in milliseconds of each run (a failed answer is slower than any other), and what failed, by balancer. */
export interface Measured {
  readonly title: string;
  readonly runs: Readonly<Record<string, readonly { p99Ms: number; failedPercent: number }[]>>;
}

export const ownName = 'tsmesh';

export function groupOf({ title, runs }: Measured): Group {
  const bars = Object.entries(runs).map(([name, list]): Bar => {
    const values = list.map(({ p99Ms }) => p99Ms).toSorted((a, b) => a - b);
    const median = values[Math.trunc(values.length / 2)]!;
    return { name, own: name === ownName, median, min: values[0]!, max: values.at(-1)! };
  });
  return { title, bars };
}

/** A table of medians, what failed in brackets. */
export function table(measured: readonly Measured[]): string[] {
  const names = Object.keys(measured[0]!.runs);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rows = measured.map((one) => {
    const { bars } = groupOf(one);
    const cells = bars.map(({ name, median }) => {
      const failed = mean(one.runs[name]!.map(({ failedPercent }) => failedPercent));
      return failed === 0 ? figure(median) : `${figure(median)} (${failed.toFixed(2)} % failed)`;
    });
    return line([one.title, ...cells]);
  });
  return [line(['p99 in ms', ...names]), line(['---', ...names.map(() => '---')]), ...rows];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Writes both; answers with the lines of the section. */
export function writeSection(
  mark: string,
  words: string,
  heading: string,
  measured: readonly Measured[],
): string[] {
  const file = `balancing-${mark}.svg`;
  mkdirSync(join(repository, 'docs/figures'), { recursive: true });
  const svg = balancingChart(heading, measured.map(groupOf));
  writeFileSync(join(repository, 'docs/figures', file), svg);
  const lines = [words, '', ...table(measured), '', `![${heading}](figures/${file})`];
  const path = join(repository, 'docs/load-balancing.md');
  const page = readFileSync(path, 'utf8');
  const [begin, end] = [`<!-- ${mark}: begin, written by the bench -->`, `<!-- ${mark}: end -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/load-balancing.md has no place for ${mark}`);
  writeFileSync(
    path,
    `${page.slice(0, from + begin.length)}\n\n${lines.join('\n')}\n\n${page.slice(to)}`,
  );
  return lines;
}
