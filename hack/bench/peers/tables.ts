// The results as Markdown: a table of goals over all loads, and one of figures per load. Pure.
import type { Column, Load } from './load.ts';
import { figure, type Spread } from './statistics.ts';
import { spreadOfMetric, verdictsOf, type Rounds, type Verdict } from './verdicts.ts';

export interface LoadResult {
  readonly load: Pick<Load, 'name' | 'title' | 'lanes' | 'columns' | 'goals' | 'chart'>;
  readonly rounds: Rounds;
}

/** Titles of peers by name. */
export type Titles = Readonly<Record<string, string>>;

/** On the opaque path it is all one what a peer would speak between for HTTP. */
export function titleOf({ load }: LoadResult, peer: string, titles: Titles): string {
  const title = titles[peer] ?? peer;
  return load.lanes.every((lane) => lane === 'tcp') ? title.replace(/, .*/, '') : title;
}

export function goalsTable(results: readonly LoadResult[]): string {
  const head = ['load', 'figure', 'tsmesh', 'compared with', 'ratio', 'goal', 'met'];
  const body = results.flatMap(({ load, rounds }) =>
    ownPeers(rounds).flatMap((own) =>
      verdictsOf(load, rounds, own)
        .filter(({ met }) => met !== null)
        .map((verdict) => [
          own === 'tsmesh' ? load.title : `${load.title}, ${own}`,
          ...goalCells(verdict),
        ]),
    ),
  );
  return table(head, body);
}

/** tsmesh, or several bundles of it. */
function ownPeers(rounds: Rounds): string[] {
  return Object.keys(rounds).filter((name) => name.startsWith('tsmesh'));
}

function goalCells({ goal, own, other, ratio, met }: Verdict): string[] {
  const sign = goal.sense === 'at most' ? '≤' : '≥';
  const names = { envoy: "Envoy's better mode", haproxy: 'HAProxy' };
  const compared = goal.against === null ? '' : `${names[goal.against]}: ${figure(other ?? NaN)}`;
  const bound = goal.against === null ? `${sign} ${goal.bound}` : `${sign} ${goal.bound} ×`;
  const shownRatio = goal.against === null ? '' : `${figure(ratio)} ×`;
  return [goal.title, figure(own), compared, shownRatio, bound, met === true ? 'yes' : '**no**'];
}

export function figuresTable(result: LoadResult, titles: Titles): string {
  const { load, rounds } = result;
  const head = [load.title, ...load.columns.map(({ title }) => title)];
  const body = Object.keys(rounds).map((peer) => [
    titleOf(result, peer, titles),
    ...load.columns.map((column) => cell(rounds, peer, column)),
  ]);
  return table(head, body);
}

/** `12.3 (11.9–12.8)`; without the spread where the rounds agree to the shown digits. */
function cell(rounds: Rounds, peer: string, { metrics }: Column): string {
  const spreads = metrics.map((metric) => spreadOfMetric(rounds, peer, metric));
  if (spreads.every((spread) => spread === null)) return '';
  return spreads.map((spread) => (spread === null ? '–' : withRange(spread))).join(' / ');
}

function withRange({ median, min, max }: Spread): string {
  const [low, high] = [figure(min), figure(max)];
  return low === high ? figure(median) : `${figure(median)} (${low}–${high})`;
}

/** A Markdown table in the form that the formatter leaves as it is. */
export function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(3, ...[title, ...body.map((row) => row[column] ?? '')].map(({ length }) => length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(head), rule, ...body.map(line)].join('\n');
}
