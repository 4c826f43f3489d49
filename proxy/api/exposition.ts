// Writes metrics as Prometheus reads them: its text format 0.0.4 or OpenMetrics 1.0.0, which differ in how counters are
// named at their head and in the end mark. It knows no metric.

export type ExpositionFormat = 'prometheus' | 'openmetrics';

export interface Metric {
  /** As it stands in a sample; counters end in `_total`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

export type Labels = Readonly<Record<string, string>>;

export const contentTypes: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** OpenMetrics where the scraper prefers it to text, as Prometheus does; a wildcard is no wish. */
export function wantedFormat(accept: string | undefined): ExpositionFormat {
  const quality = (type: string): number => {
    const range = (accept ?? '').split(',').find((one) => one.trim().startsWith(type));
    if (range === undefined) return 0;
    const q = /;\s*q=([0-9.]+)/.exec(range)?.[1];
    return q === undefined ? 1 : Number(q);
  };
  const open = quality('application/openmetrics-text');
  return open > 0 && open >= quality('text/plain') ? 'openmetrics' : 'prometheus';
}

export class Exposition {
  readonly format: ExpositionFormat;
  private readonly lines: string[] = [];

  constructor(format: ExpositionFormat) {
    this.format = format;
  }

  /** Before its samples, which follow at once. */
  head({ name, type, help }: Metric): void {
    const plain = this.format === 'openmetrics' && type === 'counter';
    const family = plain ? name.replace(/_total$/, '') : name;
    this.lines.push(`# HELP ${family} ${help}`, `# TYPE ${family} ${type}`);
  }

  /** Labels without a value are left out, which means the same. */
  sample(name: string, labels: Labels, value: number): void {
    let inner = '';
    for (const key in labels) {
      const text = labels[key]!;
      if (text !== '') inner += `${inner === '' ? '' : ','}${key}="${escape(text)}"`;
    }
    this.lines.push(inner === '' ? `${name} ${value}` : `${name}{${inner}} ${value}`);
  }

  /** A metric of one sample. */
  single(metric: Metric, value: number): void {
    this.head(metric);
    this.sample(metric.name, {}, value);
  }

  /** `counts`: one for each bound, in ascending order, and one beyond the last. */
  histogram(
    { name }: Metric,
    labels: Labels,
    { bounds, counts, sum }: { bounds: readonly number[]; counts: readonly number[]; sum: number },
  ): void {
    let below = 0;
    for (const [index, count] of counts.entries()) {
      below += count;
      const bound = bounds[index];
      this.sample(
        `${name}_bucket`,
        { ...labels, le: bound === undefined ? '+Inf' : leText(bound) },
        below,
      );
    }
    this.sample(`${name}_sum`, labels, sum);
    this.sample(`${name}_count`, labels, below);
  }

  /** Without an end mark: more may follow. */
  toString(): string {
    return this.lines.length === 0 ? '' : `${this.lines.join('\n')}\n`;
  }
}

/** OpenMetrics wants `1.0`, not `1`; Prometheus takes both for the same. */
function leText(bound: number): string {
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

/** What OpenMetrics ends with. */
export function endMark(format: ExpositionFormat): string {
  return format === 'openmetrics' ? '# EOF\n' : '';
}

const special = /[\\"\n]/;

function escape(text: string): string {
  if (!special.test(text)) return text;
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
