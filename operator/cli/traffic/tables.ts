// Traffic as tables: a row for a workload as a server, or for who calls whom. Pure.

import type { GraphEdge, GraphNode, TrafficFigures } from '../../console/api.ts';
import { table, type Style } from '../style.ts';
import { paintOf, rateText, shareText, timeText, workloadText } from './figures.ts';

export const sortings = {
  rps: (figures: TrafficFigures) => -figures.requestsPerSecond - figures.connectionsPerSecond,
  success: (figures: TrafficFigures) => figures.success ?? 2,
  p99: (figures: TrafficFigures) => -(figures.p99Ms ?? -1),
} as const;

export type Sorting = keyof typeof sortings;

export function nodeLines(nodes: readonly GraphNode[], sort: Sorting, style: Style): string[] {
  const shown = nodes
    .filter(({ workload }) => workload.kind !== 'Outside')
    .toSorted((a, b) => sortings[sort](a.served) - sortings[sort](b.served));
  const head = ['WORKLOAD', 'KIND', 'SIDECARS', ...figureHead];
  const rows = shown.map(({ workload, ready, wanted, served }) => [
    workloadText(workload),
    workload.kind,
    `${ready}/${wanted}`,
    ...figureCells(served),
  ]);
  return painted(
    [head, ...rows],
    shown.map(({ served }) => served),
    style,
  );
}

export function edgeLines(edges: readonly GraphEdge[], sort: Sorting, style: Style): string[] {
  const shown = edges.toSorted((a, b) => sortings[sort](a.figures) - sortings[sort](b.figures));
  const head = ['FROM', 'TO', 'SERVICE', 'PROTOCOL', ...figureHead];
  const rows = shown.map(({ from, to, service, protocol, figures }) => [
    workloadText(from),
    workloadText(to),
    service ?? '-',
    protocol,
    ...figureCells(figures),
  ]);
  return painted(
    [head, ...rows],
    shown.map(({ figures }) => figures),
    style,
  );
}

const figureHead = ['RPS', 'SUCCESS', 'P50', 'P99', 'CONN/S', 'MTLS', 'DENIED/S'] as const;

function figureCells(figures: TrafficFigures): string[] {
  const { requestsPerSecond, success, p50Ms, p99Ms, connectionsPerSecond, mtls } = figures;
  return [
    rateText(requestsPerSecond),
    shareText(success),
    timeText(p50Ms),
    timeText(p99Ms),
    rateText(connectionsPerSecond),
    shareText(mtls),
    rateText(figures.deniedPerSecond),
  ];
}

function painted(
  rows: readonly (readonly string[])[],
  figures: readonly TrafficFigures[],
  style: Style,
): string[] {
  const [head = '', ...lines] = table(rows);
  return [style.bold(head), ...lines.map((line, i) => paintOf(figures[i]!, style)(line))];
}
