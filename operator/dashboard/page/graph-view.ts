// The page of the whole mesh: who calls whom as a picture, and the same as a table.

import type { GraphAnswer, GraphEdge, GraphNode } from '../../console/api.ts';
import { layoutOf, type Layout, type Place } from '../layout.ts';
import {
  idOf,
  msText,
  mtlsText,
  pathOf,
  rateText,
  successText,
  summaryOf,
  toneOf,
} from '../words.ts';
import { html, svg, table, type Column } from './dom.ts';

const box = { width: 190, height: 58 };
const gap = { x: 190, y: 26 };
const margin = 24;
/** More boxes are no picture any more: the table has them all. */
const maxBoxes = 150;

export function graphView(answer: GraphAnswer): Node[] {
  if (answer.nodes.length === 0) {
    const words =
      'No workloads of the mesh here. Annotate a namespace with tsmesh.dev/inject=enabled, and restart its pods.';
    return [html('p', { class: 'empty quiet' }, [words])];
  }
  const busy = answer.nodes.toSorted(
    (a, b) =>
      b.served.requestsPerSecond - a.served.requestsPerSecond ||
      (idOf(a.workload) < idOf(b.workload) ? -1 : 1),
  );
  const shown = busy.slice(0, maxBoxes);
  const left = omissions(answer, busy.length - shown.length);
  const views: Node[] = [picture(shown, answer.edges)];
  if (left !== '') views.push(html('p', { class: 'warn' }, [left]));
  views.push(html('h3', {}, ['Who calls whom']), edgeTable(answer.edges));
  return views;
}

function omissions({ omittedEdges }: GraphAnswer, boxes: number): string {
  const parts: string[] = [];
  if (boxes > 0)
    parts.push(`${boxes} workloads with little traffic are not drawn: choose a namespace.`);
  if (omittedEdges > 0)
    parts.push(`${omittedEdges} edges are more than the operator keeps, and are missing.`);
  return parts.join(' ');
}

export function edgeTable(edges: readonly GraphEdge[]): HTMLElement {
  const sorted = edges.toSorted(
    (a, b) => b.figures.requestsPerSecond - a.figures.requestsPerSecond,
  );
  return table(edgeColumns, sorted);
}

const edgeColumns: readonly Column<GraphEdge>[] = [
  { title: 'From', cell: ({ from }) => nameLink(from) },
  { title: 'To', cell: ({ to }) => nameLink(to) },
  { title: 'Service', cell: ({ service }) => service ?? '-' },
  { title: 'Protocol', cell: ({ protocol }) => protocol },
  { title: 'Rate', isNumber: true, cell: ({ figures }) => rateText(figures.requestsPerSecond) },
  {
    title: 'Success',
    isNumber: true,
    cell: ({ figures }) => successText(figures.success),
    tone: ({ figures }) => toneOf(figures),
  },
  { title: 'p50', isNumber: true, cell: ({ figures }) => msText(figures.p50Ms) },
  { title: 'p99', isNumber: true, cell: ({ figures }) => msText(figures.p99Ms) },
  { title: 'TCP', isNumber: true, cell: ({ figures }) => rateText(figures.connectionsPerSecond) },
  {
    title: 'Denied',
    isNumber: true,
    cell: ({ figures }) => rateText(figures.deniedPerSecond),
    tone: ({ figures }) => (figures.deniedPerSecond > 0 ? 'warn' : ''),
  },
  {
    title: 'mTLS',
    cell: ({ figures }) => mtlsText(figures),
    tone: ({ figures: { mtls } }) => (mtls === null ? 'quiet' : mtls === 1 ? 'good' : 'warn'),
  },
  { title: 'Identity', cell: ({ identity }) => identity ?? '-' },
];

function nameLink(workload: GraphNode['workload']): Node | string {
  const name = workload.namespace === '' ? workload.name : `${workload.namespace}/${workload.name}`;
  if (workload.kind === 'Outside') return name;
  return html('a', { href: `#/workloads/${pathOf(workload)}` }, [name]);
}

function picture(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): HTMLElement {
  const ids = nodes.map(({ workload }) => idOf(workload));
  const links = edges.map(({ from, to }) => ({ from: idOf(from), to: idOf(to) }));
  const layout = layoutOf(ids, links);
  const size = {
    width: 2 * margin + layout.columns * (box.width + gap.x) - gap.x,
    height: 2 * margin + layout.rows * (box.height + gap.y) - gap.y,
  };
  const drawn = svg('svg', {
    ...size,
    viewBox: `0 0 ${size.width} ${size.height}`,
    role: 'img',
    'aria-label': 'Graph of who calls whom; the table below says the same',
  });
  for (const edge of edges) drawn.append(...edgeShape(edge, layout));
  for (const node of nodes)
    drawn.append(nodeShape(node, corner(layout.places.get(idOf(node.workload))!)));
  return html('div', { class: 'graph' }, [drawn]);
}

function corner({ column, row }: Place): { x: number; y: number } {
  return { x: margin + column * (box.width + gap.x), y: margin + row * (box.height + gap.y) };
}

function nodeShape(node: GraphNode, { x, y }: { x: number; y: number }): SVGElement {
  const { workload, served, ready, wanted } = node;
  const outside = workload.kind === 'Outside';
  const inside = [
    svg('title', {}, [`${workload.kind} ${workload.namespace}/${workload.name}`]),
    svg('rect', { ...box, rx: 8 }),
    svg('text', { x: 12, y: 23 }, [shortened(workload.name, 24)]),
    svg('text', { x: 12, y: 43, class: toneOf(served) }, [summaryOf(served)]),
  ];
  if (!outside) {
    const pods = { x: box.width - 10, y: 23, 'text-anchor': 'end' };
    inside.push(
      svg('text', { ...pods, class: ready < wanted ? 'small bad' : 'small' }, [
        `${ready}/${wanted}`,
      ]),
    );
  }
  const group = { class: outside ? 'node outside' : 'node', transform: `translate(${x} ${y})` };
  if (outside) return svg('g', group, inside);
  return svg('a', { ...group, href: `#/workloads/${pathOf(workload)}` }, inside);
}

/** Nothing for an edge whose ends are not drawn. */
function edgeShape(edge: GraphEdge, { places }: Layout): SVGElement[] {
  const from = places.get(idOf(edge.from));
  const to = places.get(idOf(edge.to));
  if (from === undefined || to === undefined) return [];
  const { figures } = edge;
  const start = corner(from);
  const end = corner(to);
  const middle = { x: (start.x + box.width + end.x) / 2, y: (start.y + end.y + box.height) / 2 };
  const words = rateText(figures.requestsPerSecond || figures.connectionsPerSecond);
  const width =
    1.5 + Math.min(4, Math.log10(1 + figures.requestsPerSecond + figures.connectionsPerSecond));
  return [
    svg('g', { class: `edge ${toneOf(figures)}` }, [
      svg('title', {}, [
        `${edge.from.name} → ${edge.to.name}: ${summaryOf(figures)}, mTLS: ${mtlsText(figures)}${edge.identity === null ? '' : `, ${edge.identity}`}`,
      ]),
      svg('path', { d: curve(start, end), 'stroke-width': width }),
      svg('text', { x: middle.x, y: middle.y - 6, class: 'small', 'text-anchor': 'middle' }, [
        words,
      ]),
      ...lockShape(figures.mtls, { x: middle.x - words.length * 3 - 14, y: middle.y - 16 }),
    ]),
  ];
}

/** Closed where all is mutual TLS, open where something is not; drawn, for not every font has one. */
function lockShape(mtls: number | null, { x, y }: { x: number; y: number }): SVGElement[] {
  if (mtls === null) return [];
  const bow = mtls === 1 ? 'M2 5V3.5a2.5 2.5 0 0 1 5 0V5' : 'M2 5V3.5a2.5 2.5 0 0 1 5 0';
  const shape = svg('g', {
    class: mtls === 1 ? 'lock' : 'lock open',
    transform: `translate(${x} ${y})`,
  });
  shape.append(svg('path', { d: bow }), svg('rect', { x: 0.5, y: 5, width: 8, height: 6, rx: 1 }));
  return [shape];
}

/** From the right side of one box to the left of the other; an edge that leads back bows below the boxes. */
function curve(start: { x: number; y: number }, end: { x: number; y: number }): string {
  const from = { x: start.x + box.width, y: start.y + box.height / 2 };
  const to = { x: end.x, y: end.y + box.height / 2 };
  const back = to.x < from.x;
  const reach = back ? gap.x / 2 : (to.x - from.x) / 2;
  const down = back ? box.height : 0;
  return `M${from.x} ${from.y}C${from.x + reach} ${from.y + down} ${to.x - reach} ${to.y + down} ${to.x} ${to.y}`;
}

function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
