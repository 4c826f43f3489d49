// Bars beside each other as SVG, in text: a group per load, a bar per peer, a line for the spread of the
// rounds. Readable on light and dark ground. Pure.
import { figure, type Spread } from './statistics.ts';
import { titleOf, type LoadResult, type Titles } from './tables.ts';
import { spreadOfMetric } from './verdicts.ts';

const width = 820;
const labelWidth = 170;
const valueWidth = 160;
const barHeight = 14;
const step = 19;
const groupGap = 42;

/** Colours with enough contrast to white and to GitHub's dark ground. */
const style = `text{font:12px system-ui,sans-serif;fill:#1f2328}
.title{font-weight:600}.dim{fill:#59636e}
.bar{fill:#8c959f}.own{fill:#0969da}.spread{stroke:#1f2328;stroke-width:1.5}
@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.dim{fill:#9198a1}
.bar{fill:#656c76}.own{fill:#4493f8}.spread{stroke:#f0f6fc}}`;

/** Loads without a figure for the chart are left out. */
export function chart(heading: string, results: readonly LoadResult[], titles: Titles): string {
  let y = 34;
  const parts: string[] = [];
  for (const result of results) {
    const bars = barsOf(result);
    if (bars.length === 0) continue;
    parts.push(group(result, bars, titles, y));
    y += bars.length * step + groupGap;
  }
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" role="img">`;
  const words = escape(heading);
  return [
    head,
    `<title>${words}</title>`,
    `<style>${style}</style>`,
    `<text class="title" x="8" y="18">${words}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

interface Bar {
  readonly peer: string;
  readonly spread: Spread;
}

function barsOf({ load, rounds }: LoadResult): Bar[] {
  const metric = load.chart?.metric;
  if (metric === undefined) return [];
  return Object.keys(rounds).flatMap((peer) => {
    const spread = spreadOfMetric(rounds, peer, metric);
    return spread === null ? [] : [{ peer, spread }];
  });
}

/** Each group has its own scale: its units and sizes are not those of the others. */
function group(result: LoadResult, bars: readonly Bar[], titles: Titles, top: number): string {
  const { load } = result;
  const full = width - labelWidth - valueWidth;
  const most = Math.max(...bars.map(({ spread }) => spread.max));
  const at = (value: number): string => (labelWidth + (value / most) * full).toFixed(1);
  const lines = bars.map(({ peer, spread }, index) => {
    const y = top + 20 + index * step;
    const middle = y + barHeight / 2;
    const text = `${figure(spread.median)} ${load.chart?.unit ?? ''}`;
    const length = ((spread.median / most) * full).toFixed(1);
    const kind = peer.startsWith('tsmesh') ? 'bar own' : 'bar';
    return [
      `<text x="8" y="${y + 11}">${escape(titleOf(result, peer, titles))}</text>`,
      `<rect class="${kind}" x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}"/>`,
      `<line class="spread" x1="${at(spread.min)}" x2="${at(spread.max)}" y1="${middle}" y2="${middle}"/>`,
      `<text x="${labelWidth + full + 8}" y="${y + 11}">${escape(text)}</text>`,
    ].join('\n');
  });
  return [`<text class="dim" x="8" y="${top + 12}">${escape(load.title)}</text>`, ...lines].join(
    '\n',
  );
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
