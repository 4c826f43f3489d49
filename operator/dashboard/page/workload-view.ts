// The page of one workload: its last hour, who calls it and whom it calls, its pods, and what applies to it.

import type { GraphEdge, SeriesPoint, WorkloadAnswer } from '../../console/api.ts';
import { twoDigits } from '../../telemetry/columns.ts';
import { linePath, ticksUpTo } from '../scale.ts';
import { msText, rateText, successText } from '../words.ts';
import { html, svg, table } from './dom.ts';
import { edgeTable } from './graph-view.ts';

const size = { width: 420, height: 130, left: 46, bottom: 20, top: 8 };

interface Chart {
  readonly title: string;
  readonly lines: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
  readonly text: (value: number) => string;
}

export function workloadView(answer: WorkloadAnswer): Node[] {
  const { workload, series, stepMs } = answer;
  const values = (of: (point: SeriesPoint) => number | null) => series.map(of);
  const failed = values(({ success }) => (success === null ? null : 1 - success));
  const last = series.at(-1);
  const charts: [Chart, string][] = [
    [
      {
        title: 'Requests',
        lines: [{ name: 'rate', values: values((one) => one.requestsPerSecond) }],
        text: rateText,
      },
      last === undefined ? '-' : rateText(last.requestsPerSecond),
    ],
    [
      {
        title: 'Failures',
        lines: [{ name: 'failed', values: failed }],
        text: (share) => `${twoDigits(share * 100)} %`,
      },
      `success ${successText(last?.success ?? null)}`,
    ],
    [
      {
        title: 'Time: p50, p99 (dashed)',
        lines: [
          { name: 'p50', values: values((one) => one.p50Ms) },
          { name: 'p99', values: values((one) => one.p99Ms) },
        ],
        text: msText,
      },
      `${msText(last?.p50Ms ?? null)}, ${msText(last?.p99Ms ?? null)}`,
    ],
  ];
  return [
    html('p', {}, [html('a', { href: '#/' }, ['← the whole mesh'])]),
    html('h2', {}, [workload.name]),
    html('p', { class: 'quiet' }, [`${workload.kind} in ${workload.namespace}`]),
    html(
      'div',
      { class: 'charts' },
      charts.map(([chart, now]) => figure(chart, now, series.length * stepMs)),
    ),
    ...section('Called by', answer.callers, edges),
    ...section('Calls', answer.called, edges),
    ...section('Pods', answer.pods, (pods) => podTable(pods, answer.atMs)),
    ...section('What applies to it', answer.policies, policyTable),
  ];
}

function section<T>(
  title: string,
  rows: readonly T[],
  shown: (rows: readonly T[]) => Node,
): Node[] {
  const content = rows.length === 0 ? html('p', { class: 'quiet' }, ['none']) : shown(rows);
  return [html('h3', {}, [title]), content];
}

function edges(rows: readonly GraphEdge[]): Node {
  return edgeTable(rows);
}

function podTable(pods: Readonly<WorkloadAnswer['pods']>, nowMs: number): Node {
  return table(
    [
      { title: 'Pod', cell: ({ name }) => name },
      {
        title: 'Sidecar',
        cell: ({ state }) => state,
        tone: ({ state }) => (state === 'synced' ? 'good' : 'warn'),
      },
      { title: 'Version', cell: ({ version }) => version ?? '-' },
      {
        title: 'Certificate ends in',
        isNumber: true,
        cell: ({ certificateNotAfterMs: end }) =>
          end === null ? '-' : `${twoDigits((end - nowMs) / 3_600_000)} h`,
      },
    ],
    pods,
  );
}

function policyTable(policies: Readonly<WorkloadAnswer['policies']>): Node {
  return table(
    [
      { title: 'Kind', cell: ({ kind }) => kind },
      {
        title: 'Name',
        cell: ({ namespace, name }) => (namespace === '' ? name : `${namespace}/${name}`),
      },
    ],
    policies,
  );
}

function figure(chart: Chart, now: string, spanMs: number): HTMLElement {
  const caption = html('figcaption', {}, [
    html('strong', {}, [chart.title]),
    html('span', { class: 'number' }, [now]),
  ]);
  return html('figure', {}, [caption, drawing(chart, spanMs)]);
}

function drawing({ title, lines, text }: Chart, spanMs: number): SVGElement {
  const inner = { width: size.width - size.left - 8, height: size.height - size.top - size.bottom };
  const measured = lines.flatMap(({ values }) => values.filter((value) => value !== null));
  const ticks = ticksUpTo(Math.max(0, ...measured));
  const top = ticks.at(-1)!;
  const drawn = svg('svg', {
    viewBox: `0 0 ${size.width} ${size.height}`,
    role: 'img',
    'aria-label': title,
  });
  const area = svg('g', { transform: `translate(${size.left} ${size.top})` });
  for (const tick of ticks) {
    const y = inner.height - (tick / top) * inner.height;
    area.append(
      svg('line', { class: 'axis', x1: 0, x2: inner.width, y1: y, y2: y }),
      svg('text', { class: 'small', x: -6, y: y + 4, 'text-anchor': 'end' }, [text(tick)]),
    );
  }
  const below = { class: 'small', y: inner.height + 15 };
  area.append(
    svg('text', { ...below, x: 0 }, [`${Math.round(spanMs / 60_000)} min ago`]),
    svg('text', { ...below, x: inner.width, 'text-anchor': 'end' }, ['now']),
  );
  lines.forEach(({ name, values }, at) => {
    const path = svg('path', {
      class: at === 0 ? 'series' : 'series second',
      d: linePath(values, { ...inner, top }),
    });
    path.append(svg('title', {}, [name]));
    area.append(path);
  });
  drawn.append(area);
  return drawn;
}
