// Is a MeshStatus row worth writing? What people see at once is; figures are when they have moved by more than they may be
// off; the rest waits. Pure.

import { canonicalJson } from '../model/order.ts';
import type { MeshFigures, MeshStatusStatus } from '../resources/tsmesh.ts';
import { readMs } from './figures.ts';
import { edgeKey } from './status-lists.ts';

/** `shown`: columns, states, reasons, lists. `figures`: exact figures. `trifle`: less than they may be off. */
export type RowDifference = 'none' | 'trifle' | 'figures' | 'shown';

/** Fields agree with what is to 1 %, times to 5 %: what moves by less is still true. */
const share = 0.01;
const timeShare = 0.05;
const percentPoints = 1;

type Measure = (a: string | number, b: string | number) => boolean;

/** Whether two values of a field mean the same. */
const measures: Readonly<Record<string, Measure>> = {
  requestRate: near,
  connectionRate: near,
  deniedRate: near,
  successRate: nearPercent,
  mtlsPercent: nearPercent,
  p50: nearTime,
  p99: nearTime,
  requests: near,
  failures: near,
  connections: near,
  denied: near,
};

export function differenceOf(before: MeshStatusStatus, after: MeshStatusStatus): RowDifference {
  if (shownOf(before) !== shownOf(after)) return 'shown';
  const [old, now] = [figuresIn(before), figuresIn(after)];
  if (old.size !== now.size) return 'figures';
  let trifle = false;
  for (const [name, value] of now) {
    const was = old.get(name);
    if (was === value) continue;
    trifle = true;
    const measure = measures[name.slice(name.lastIndexOf('.') + 1)];
    if (was === undefined || measure === undefined || !measure(was, value)) return 'figures';
  }
  return trifle ? 'trifle' : 'none';
}

/** All but figures, the time they are of, and edges, which come and go with the traffic. */
function shownOf(status: MeshStatusStatus): string {
  const { window: _window, edges: _edges, edgesOmitted: _omitted, workloads, ...rest } = status;
  const bare = workloads?.map(({ traffic: _traffic, ...one }) => one);
  const entries = Object.entries(rest).filter(([name]) => measures[name] === undefined);
  return canonicalJson({ ...Object.fromEntries(entries), workloads: bare ?? null });
}

function figuresIn(status: MeshStatusStatus): Map<string, string | number> {
  const found = new Map<string, string | number>();
  const add = (prefix: string, figures: Partial<MeshFigures>) => {
    for (const [name, value] of Object.entries(figures)) {
      if (measures[name] !== undefined) found.set(`${prefix}.${name}`, value as string | number);
    }
  };
  add('', status);
  for (const { workload, traffic } of status.workloads ?? []) {
    if (traffic !== undefined) add(workload, traffic);
  }
  for (const edge of status.edges ?? []) {
    found.set(`${edgeKey(edge)}.protocol`, edge.protocol);
    add(edgeKey(edge), edge);
  }
  if (status.edgesOmitted !== undefined) found.set('.edgesOmitted', status.edgesOmitted);
  return found;
}

function near(a: string | number, b: string | number): boolean {
  return within(Number(a), Number(b), share);
}

function nearTime(a: string | number, b: string | number): boolean {
  return within(readMs(String(a)), readMs(String(b)), timeShare);
}

/** `-` and nothing are numbers to nobody: they equal only themselves. */
function nearPercent(a: string | number, b: string | number): boolean {
  return Math.abs(Number.parseFloat(String(a)) - Number.parseFloat(String(b))) <= percentPoints;
}

function within(a: number, b: number, part: number): boolean {
  return Math.abs(a - b) <= part * Math.max(Math.abs(a), Math.abs(b));
}
