import { describe, expect, it } from '@jest/globals';
import type { GraphEdge, TrafficFigures } from '../console/api.ts';
import type { WorkloadStatus } from '../resources/tsmesh.ts';
import { sidecarRow } from './test-sidecar-rows.ts';
import { bytesOf, edgeList, problemList, staleList, workloadList } from './status-lists.ts';

const limit = 256 << 10;
const longest = 'n'.repeat(253);

function figures(requestsPerSecond: number): TrafficFigures {
  const none = { connectionsPerSecond: 0, deniedPerSecond: 0 };
  return { requestsPerSecond, success: 0.9999, p50Ms: 12.34, p99Ms: 1234, mtls: 1, ...none };
}

function edge(index: number, requestsPerSecond: number): GraphEdge {
  const namespace = 'n'.repeat(63);
  return {
    from: { namespace, kind: 'Deployment', name: `${index}-${longest}` },
    to: { namespace, kind: 'Deployment', name: longest },
    identity: `spiffe://cluster.local/ns/${namespace}/sa/${longest}`,
    service: `${namespace}/<service>`,
    protocol: 'http',
    figures: figures(requestsPerSecond),
  };
}

describe('a row', () => {
  it('of thousands of edges with long names stays below 256 KiB: those with most traffic', () => {
    const all = Array.from({ length: 5000 }, (_, index) => edge(index, 1 + ((index * 7) % 5000)));
    const found = edgeList({ own: all, others: [], beyond: 3 }, {});
    const shown = found.edges!;
    expect(bytesOf(found)).toBeLessThan(limit);
    expect(bytesOf(found)).toBeGreaterThan(240 << 10);
    expect(shown.length + found.edgesOmitted!).toBe(5003);
    const rates = shown.map(({ requestRate }) => Number(requestRate));
    expect(rates).toEqual(rates.toSorted((a, b) => b - a));
    expect(rates.at(-1)).toBe(5001 - shown.length);
    expect(edgeList({ own: all.toReversed(), others: [], beyond: 3 }, {})).toEqual(found);
  });

  it('leaves to edges what other lists leave of it, be it nothing', () => {
    const all = Array.from({ length: 500 }, (_, index) => edge(index, 1));
    const rest = { words: 'w'.repeat(200 << 10) };
    expect(
      bytesOf({ ...rest, ...edgeList({ own: all, others: [], beyond: 0 }, rest) }),
    ).toBeLessThan(limit);
    const full = { words: 'w'.repeat(260 << 10) };
    expect(edgeList({ own: all, others: [], beyond: 0 }, full)).toEqual({
      edges: [],
      edgesOmitted: 500,
    });
  });

  it('keeps what the sidecars of the namespace tell of, however much others tell, in the order of traffic', () => {
    const own = [edge(1, 5), edge(2, 20_000)];
    const others = Array.from({ length: 5000 }, (_, index) => edge(index + 3, index + 10));
    const { edges, edgesOmitted } = edgeList({ own, others, beyond: 0 }, {});
    expect(edges!.length + edgesOmitted!).toBe(5002);
    expect(edges!.at(0)!.requestRate).toBe('20000');
    expect(edges!.at(-1)!.requestRate).toBe('5');
  });

  it('lists the workloads with most traffic where not all fit, by name', () => {
    const ports = [{ port: 'other', mode: 'STRICT', decidedBy: 'Mesh default' } as const];
    const entries = Array.from({ length: 3000 }, (_, index): WorkloadStatus => {
      const name = `Deployment/${String(index).padStart(4, '0')}-${longest}`;
      return { workload: name, pods: 1, ready: 1, ports };
    });
    const { workloads = [], workloadsOmitted } = workloadList(entries, (workload) =>
      figures(Number(workload.slice('Deployment/'.length).slice(0, 4))),
    );
    expect(workloads.length + workloadsOmitted!).toBe(3000);
    expect(bytesOf(workloads)).toBeLessThan(97 << 10);
    expect(bytesOf(workloads)).toBeGreaterThan(90 << 10);
    expect(workloads.map(({ workload }) => workload)).toEqual(
      entries.slice(-workloads.length).map(({ workload }) => workload),
    );
  });

  it('gives the traffic of a workload once, where its pods differ in modes', () => {
    const entry = { workload: 'Deployment/a', pods: 1, ready: 1, ports: [] };
    const { workloads } = workloadList([entry, { ...entry, pods: 2 }], () => figures(3));
    expect(workloads!.map(({ traffic }) => traffic?.requestRate)).toEqual(['3', undefined]);
  });

  it('has no edge without traffic', () => {
    expect(edgeList({ own: [edge(1, 0)], others: [], beyond: 0 }, {})).toEqual({ edges: [] });
  });

  it('names fifty sidecars and fifty policies with problems, in words of bounded length', () => {
    const many = Array.from({ length: 60 }, (_, index) =>
      sidecarRow({ pod: `p${index}`, state: 'rejected', rejections: ['x'.repeat(5000)] }),
    );
    const stale = staleList(many, new Map(), 0);
    expect([stale.staleSidecars!.length, stale.staleSidecarsOmitted]).toEqual([50, 10]);
    const one = {
      kind: 'TrafficPolicy',
      policy: 'shop/p',
      reason: 'Invalid',
      message: 'x'.repeat(5000),
    };
    const problems = problemList(Array.from({ length: 60 }, () => one));
    expect([problems.policyProblems!.length, problems.policyProblemsOmitted]).toEqual([50, 10]);
    expect(bytesOf({ ...stale, ...problems })).toBeLessThan(60 << 10);
  });
});
