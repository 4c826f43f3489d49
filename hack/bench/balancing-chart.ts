// The slowest of a hundred answers by balancer, as SVG in text: a group per scenario, a bar per balancer, a line for the
// spread of the runs, on one logarithmic scale. Readable on light and dark ground. Pure.

export interface Bar {
  readonly name: string;
  readonly own: boolean;
  /** Milliseconds; Infinity: more than one in a hundred failed. */
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Group {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const width = 820;
const labelWidth = 190;
const valueWidth = 150;
const full = width - labelWidth - valueWidth;
const barHeight = 13;
const rowHeight = 18;

const style = `text{font:12px system-ui,sans-serif;fill:#1f2328}
.title{font-weight:600}.dim{fill:#59636e}
.bar{fill:#8c959f}.own{fill:#0969da}.spread{stroke:#1f2328;stroke-width:1.5}
@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.dim{fill:#9198a1}
.bar{fill:#656c76}.own{fill:#4493f8}.spread{stroke:#f0f6fc}}`;

export function balancingChart(heading: string, groups: readonly Group[]): string {
  const finite = groups
    .flatMap(({ bars }) => bars.flatMap(({ min, max }) => [min, max]))
    .filter((value) => Number.isFinite(value) && value > 0);
  const [low, high] = [Math.log(Math.min(...finite) / 1.5), Math.log(Math.max(...finite) * 1.1)];
  const at = (ms: number): number =>
    Number.isFinite(ms) ? ((Math.log(ms) - low) / (high - low)) * full : full;
  let y = 34;
  const parts: string[] = [];
  for (const { title, bars } of groups) {
    parts.push(`<text class="dim" x="8" y="${y + 12}">${escape(title)}</text>`);
    for (const [index, bar] of bars.entries()) parts.push(row(bar, y + 20 + index * rowHeight, at));
    y += bars.length * rowHeight + 40;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" role="img">`,
    `<title>${escape(heading)}</title>`,
    `<style>${style}</style>`,
    `<text class="title" x="8" y="18">${escape(heading)}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function row({ name, own, median, min, max }: Bar, y: number, at: (ms: number) => number): string {
  const middle = y + barHeight / 2;
  const text = Number.isFinite(median) ? `${figure(median)} ms` : 'failed';
  return [
    `<text x="8" y="${y + 11}">${escape(name)}</text>`,
    `<rect class="${own ? 'bar own' : 'bar'}" x="${labelWidth}" y="${y}" width="${at(median).toFixed(1)}" height="${barHeight}"/>`,
    `<line class="spread" x1="${(labelWidth + at(min)).toFixed(1)}" x2="${(labelWidth + at(max)).toFixed(1)}" y1="${middle}" y2="${middle}"/>`,
    `<text x="${labelWidth + full + 8}" y="${y + 11}">${text}</text>`,
  ].join('\n');
}

/** Three digits. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return 'failed';
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
