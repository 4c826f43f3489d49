// Who calls whom as a drawing: the languages of Graphviz and Mermaid, or indented text. Pure.

import type { GraphEdge, WorkloadRef } from '../../console/api.ts';
import type { Style } from '../style.ts';
import {
  isSame,
  paintOf,
  rateText,
  shareText,
  timeText,
  workloadText,
  type Traffic,
} from './figures.ts';

export type Drawing = (traffic: Traffic, style: Style) => string[];

export const drawings: Readonly<Record<'text' | 'dot' | 'mermaid', Drawing>> = {
  text,
  dot,
  mermaid,
};

/** All that are drawn, those without traffic too. */
function workloadsOf({ nodes, edges }: Traffic): WorkloadRef[] {
  const all = [
    ...nodes.map(({ workload }) => workload),
    ...edges.flatMap(({ from, to }) => [from, to]),
  ];
  const byName = new Map(all.map((one) => [`${one.namespace}/${one.kind}/${one.name}`, one]));
  return [...byName].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

/** `2.5/s, 99.9%, p99 12ms`; of connections how many. */
function edgeWords({ protocol, figures }: GraphEdge): string {
  const { requestsPerSecond, success, p99Ms, connectionsPerSecond, mtls, deniedPerSecond } =
    figures;
  const parts =
    protocol === 'tcp'
      ? [`${rateText(connectionsPerSecond)} connections/s`]
      : [`${rateText(requestsPerSecond)}/s`, shareText(success), `p99 ${timeText(p99Ms)}`];
  if (deniedPerSecond > 0) parts.push(`${rateText(deniedPerSecond)}/s denied`);
  if (mtls !== null && mtls < 1) parts.push(mtls === 0 ? 'plaintext' : `${shareText(mtls)} mTLS`);
  return parts.join(', ');
}

function text(traffic: Traffic, style: Style): string[] {
  return workloadsOf(traffic).flatMap((workload) => {
    const calls = traffic.edges.filter(({ from }) => isSame(from, workload));
    const called = traffic.edges.some(({ to }) => isSame(to, workload));
    if (calls.length === 0 && called) return [];
    const head = style.bold(workloadText(workload));
    if (calls.length === 0) return [`${head}  ${style.dim('calls nobody, and nobody calls it')}`];
    return [
      head,
      ...calls.map((edge) => {
        const by = edge.service === null ? '' : ` by Service ${edge.service}`;
        const line = `  → ${workloadText(edge.to)}${by}, ${edge.protocol}: ${edgeWords(edge)}`;
        return paintOf(edge.figures, style)(line);
      }),
    ];
  });
}

function dot(traffic: Traffic): string[] {
  const workloads = workloadsOf(traffic);
  const id = (wanted: WorkloadRef): string =>
    `n${workloads.findIndex((one) => isSame(one, wanted))}`;
  const quoted = (value: string): string => `"${value.replaceAll(/[\\"]/g, String.raw`\$&`)}"`;
  return [
    'digraph mesh {',
    '  rankdir=LR; node [shape=box];',
    ...workloads.map((one) => {
      const outside = one.kind === 'Outside' ? ', style=dashed' : '';
      return `  ${id(one)} [label=${quoted(workloadText(one))}${outside}];`;
    }),
    ...traffic.edges.map((edge) => {
      const colour = isBad(edge) ? ', color=red' : '';
      return `  ${id(edge.from)} -> ${id(edge.to)} [label=${quoted(edgeWords(edge))}${colour}];`;
    }),
    '}',
  ];
}

function mermaid(traffic: Traffic): string[] {
  const workloads = workloadsOf(traffic);
  const id = (wanted: WorkloadRef): string =>
    `n${workloads.findIndex((one) => isSame(one, wanted))}`;
  // Entity codes stand for what its own syntax means something by.
  const quoted = (value: string): string =>
    `"${value.replaceAll(/[#"<>&]/g, (sign) => `#${sign.codePointAt(0)!};`)}"`;
  const bad = traffic.edges.flatMap((edge, i) => (isBad(edge) ? [i] : []));
  return [
    'graph LR',
    ...workloads.map((one) => `  ${id(one)}[${quoted(workloadText(one))}]`),
    ...traffic.edges.map(
      (edge) => `  ${id(edge.from)} -->|${quoted(edgeWords(edge))}| ${id(edge.to)}`,
    ),
    ...(bad.length === 0 ? [] : [`  linkStyle ${bad.join(',')} stroke:red`]),
  ];
}

function isBad({ figures: { success } }: GraphEdge): boolean {
  return success !== null && success < 0.99;
}
