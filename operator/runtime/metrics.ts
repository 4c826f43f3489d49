// Counters and gauges as Prometheus reads them (text format 0.0.4). Holds numbers only; what is counted
// is decided by the parts that count.

type Labels = Record<string, string>;

interface Metric {
  type: 'counter' | 'gauge';
  help: string;
  series: Map<string, number>;
}

export class Metrics {
  readonly #metrics = new Map<string, Metric>();

  /** Adds to a counter. */
  count(name: string, help: string, labels: Labels = {}, by = 1): void {
    const metric = this.#metric(name, 'counter', help);
    const key = labelText(labels);
    metric.series.set(key, (metric.series.get(key) ?? 0) + by);
  }

  /** Sets a gauge. */
  set(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#metric(name, 'gauge', help).series.set(labelText(labels), value);
  }

  text(): string {
    const lines: string[] = [];
    for (const [name, metric] of this.#metrics) {
      lines.push(`# HELP ${name} ${metric.help}`, `# TYPE ${name} ${metric.type}`);
      for (const [labels, value] of metric.series) lines.push(`${name}${labels} ${value}`);
    }
    return lines.map((line) => `${line}\n`).join('');
  }

  #metric(name: string, type: Metric['type'], help: string): Metric {
    let metric = this.#metrics.get(name);
    if (metric === undefined) {
      metric = { type, help, series: new Map() };
      this.#metrics.set(name, metric);
    }
    return metric;
  }
}

function labelText(labels: Labels): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return '';
  const parts = entries.map(([name, value]) => `${name}="${escape(value)}"`);
  return `{${parts.join(',')}}`;
}

function escape(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
