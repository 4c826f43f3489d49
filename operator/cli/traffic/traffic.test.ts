// Traffic as the operator answers it, for people: tables, drawings, and what is left out of them.

import { describe, expect, it } from '@jest/globals';
import type { GraphEdge, GraphNode, TrafficFigures, WorkloadRef } from '../../console/api.ts';
import { styleOf } from '../style.ts';
import { isNamed, only, rateText, shareText } from './figures.ts';
import { drawings } from './graph.ts';
import { edgeLines, nodeLines } from './tables.ts';

const plain = styleOf(false);
const well: TrafficFigures = {
  requestsPerSecond: 2.46,
  success: 1,
  p50Ms: 1.2,
  p99Ms: 12.3,
  connectionsPerSecond: 0,
  mtls: 1,
  deniedPerSecond: 0,
};
const idle: TrafficFigures = {
  ...well,
  requestsPerSecond: 0,
  success: null,
  p50Ms: null,
  p99Ms: null,
  mtls: null,
};

function workload(name: string, namespace = 'shop', kind = 'Deployment'): WorkloadRef {
  return { namespace, kind, name };
}

function node(name: string, served: TrafficFigures): GraphNode {
  return { workload: workload(name), ready: 1, wanted: 2, served };
}

function edge(from: WorkloadRef, to: WorkloadRef, of: Partial<GraphEdge> = {}): GraphEdge {
  const service = to.kind === 'Outside' ? null : `${to.namespace}/${to.name}`;
  return { from, to, identity: null, service, protocol: 'http', figures: well, ...of };
}

const [web, cart, bank] = [workload('web'), workload('cart'), workload('bank"; --', '', 'Outside')];
const failing = { ...well, success: 0.95, mtls: 0, deniedPerSecond: 0.5 };
const traffic = {
  nodes: [node('web', idle), node('cart', well), node('spare', idle)],
  edges: [
    edge(web, cart),
    edge(cart, bank, { figures: failing, protocol: 'http, tcp' }),
    edge(web, workload('db'), { protocol: 'tcp', figures: { ...idle, connectionsPerSecond: 3 } }),
  ],
};

describe('figures', () => {
  it('have two digits that count, and round no failure away', () => {
    expect([0, 0.254, 2.46, 24.6, 2460].map(rateText)).toEqual(['0', '0.25', '2.5', '25', '2460']);
    expect([null, 0, 0.5, 0.999_99, 1].map(shareText)).toEqual([
      '-',
      '0%',
      '50%',
      '99.99%',
      '100%',
    ]);
  });

  it.each([
    ['shop', true],
    ['namespace/shop', true],
    ['cart', true],
    ['shop/cart', true],
    ['deploy/cart', true],
    ['statefulset/cart', false],
    ['pay/cart', false],
    ['car', false],
  ])('%s names Deployment shop/cart: %s', (what, expected) => {
    expect(isNamed(what, cart)).toBe(expected);
  });
});

describe('tables', () => {
  it('have a row for each workload, the busiest first', () => {
    expect(nodeLines(traffic.nodes, 'rps', plain)).toEqual([
      'WORKLOAD    KIND        SIDECARS  RPS  SUCCESS  P50    P99   CONN/S  MTLS  DENIED/S',
      'shop/cart   Deployment  1/2       2.5  100%     1.2ms  12ms  0       100%  0',
      'shop/web    Deployment  1/2       0    -        -      -     0       -     0',
      'shop/spare  Deployment  1/2       0    -        -      -     0       -     0',
    ]);
  });

  it('of who calls whom begin with what fails most, where that is asked', () => {
    const [, first] = edgeLines(traffic.edges, 'success', plain);
    expect(first).toMatch(/^shop\/cart +bank"; -- +- +http, tcp +2.5 +95%/);
  });

  it('show what begins or ends at what is meant', () => {
    const { nodes, edges } = only('shop/cart', traffic);
    expect(nodes.map((one) => one.workload.name)).toEqual(['cart']);
    expect(edges.map(({ from, to }) => `${from.name} ${to.name}`)).toEqual([
      'web cart',
      'cart bank"; --',
    ]);
  });

  it('are red where calls fail', () => {
    const lines = edgeLines(traffic.edges, 'success', styleOf(true));
    expect(lines.map((line) => line.startsWith('\u001b[31m'))).toEqual([false, true, false, false]);
  });
});

describe('drawings', () => {
  it('as text say who calls whom, how, and what is not in mutual TLS', () => {
    expect(drawings.text(traffic, plain)).toEqual([
      'shop/cart',
      '  → bank"; --, http, tcp: 2.5/s, 95%, p99 12ms, 0.5/s denied, plaintext',
      'shop/spare  calls nobody, and nobody calls it',
      'shop/web',
      '  → shop/cart by Service shop/cart, http: 2.5/s, 100%, p99 12ms',
      '  → shop/db by Service shop/db, tcp: 3 connections/s',
    ]);
  });

  it('for Graphviz quote what names hold', () => {
    expect(drawings.dot(traffic, plain)).toEqual([
      'digraph mesh {',
      '  rankdir=LR; node [shape=box];',
      String.raw`  n0 [label="bank\"; --", style=dashed];`,
      '  n1 [label="shop/cart"];',
      '  n2 [label="shop/db"];',
      '  n3 [label="shop/spare"];',
      '  n4 [label="shop/web"];',
      '  n4 -> n1 [label="2.5/s, 100%, p99 12ms"];',
      '  n1 -> n0 [label="2.5/s, 95%, p99 12ms, 0.5/s denied, plaintext", color=red];',
      '  n4 -> n2 [label="3 connections/s"];',
      '}',
    ]);
  });

  it('for Mermaid too', () => {
    const lines = drawings.mermaid(traffic, plain);
    expect(lines).toContain('  n0["bank#34;; --"]');
    expect(lines).toContain('  n1 -->|"2.5/s, 95%, p99 12ms, 0.5/s denied, plaintext"| n0');
    expect(lines.at(-1)).toBe('  linkStyle 1 stroke:red');
  });
});
