// Figures of traffic as people read them: two significant digits. Pure.

import type { GraphEdge, GraphNode, TrafficFigures, WorkloadRef } from '../../console/api.ts';
import { durationText, printable } from '../tap/lines.ts';
import type { Paint, Style } from '../style.ts';

/** `0.25`, `2.5`, `25`, `250`, `2500`. */
export function rateText(perSecond: number): string {
  if (perSecond === 0) return '0';
  if (perSecond >= 10) return String(Math.round(perSecond));
  return String(Number(perSecond.toPrecision(2)));
}

/** `100 %`, `99.9 %`: what failed is never rounded away. */
export function shareText(share: number | null): string {
  if (share === null) return '-';
  const percent = share * 100;
  if (percent === 100 || percent === 0) return `${percent}%`;
  return `${percent > 99 ? Math.floor(percent * 100) / 100 : Number(percent.toPrecision(2))}%`;
}

export function timeText(ms: number | null): string {
  return ms === null ? '-' : durationText(ms);
}

/** `shop/cart`; names from outside may hold anything. */
export function workloadText({ namespace, name }: WorkloadRef): string {
  return printable(namespace === '' ? name : `${namespace}/${name}`);
}

export function isSame(a: WorkloadRef, b: WorkloadRef): boolean {
  return a.namespace === b.namespace && a.kind === b.kind && a.name === b.name;
}

/** Red where one in a hundred fails, yellow where something was refused or some of it is not in mutual TLS. */
export function paintOf({ success, deniedPerSecond, mtls }: TrafficFigures, style: Style): Paint {
  if (success !== null && success < 0.99) return style.red;
  if (deniedPerSecond > 0 || (mtls !== null && mtls < 1)) return style.yellow;
  return (text) => text;
}

/** `shop`, `cart`, `shop/cart`, `deployment/cart`; null: everything. */
export function isNamed(what: string | null, { namespace, kind, name }: WorkloadRef): boolean {
  if (what === null) return true;
  const [first = '', second] = what.replace(/^(ns|namespace)\//, '').split('/');
  if (second === undefined) return namespace === first || name === first;
  const short = first.toLowerCase();
  const ofKind = kind.toLowerCase() === short || shortKinds[short] === kind;
  return name === second && (namespace === first || ofKind);
}

const shortKinds: Readonly<Record<string, string>> = {
  deploy: 'Deployment',
  sts: 'StatefulSet',
  ds: 'DaemonSet',
  po: 'Pod',
};

export interface Traffic {
  nodes: readonly GraphNode[];
  edges: readonly GraphEdge[];
}

/** Nodes that are meant, and edges that begin or end at one. */
export function only(what: string | null, { nodes, edges }: Traffic): Traffic {
  return {
    nodes: nodes.filter(({ workload }) => isNamed(what, workload)),
    edges: edges.filter(({ from, to }) => isNamed(what, from) || isNamed(what, to)),
  };
}
