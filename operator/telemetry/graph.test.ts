import { describe, expect, it } from '@jest/globals';
import {
  latencyBoundsMs,
  noTraffic,
  packTraffic,
  type Statistics,
  type TrafficCounters,
} from '../../proxy/api/statistics.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import { pod, service, slice, viewOf } from '../model/test-objects.ts';
import { graphAnswer, workloadAnswer } from './graph-answers.ts';
import { maxFleetEdges } from './edge-table.ts';
import { GraphObserver, graphEdge } from './graph.ts';
import type { SidecarRow } from './sidecars.ts';

const startMs = 1_800_000_000_000;
const cartId = 'spiffe://cluster.local/ns/shop/sa/default';

/** `requests` that took 20 ms each, over mTLS. */
function counted(requests: number, more: Partial<TrafficCounters> = {}): TrafficCounters {
  const counters = { ...noTraffic(), requests, mtlsRequests: requests };
  counters.latency[latencyBoundsMs.indexOf(20)] = requests;
  return { ...counters, ...more };
}

type Edges = Pick<Statistics, 'callers' | 'destinations'>;

function to(name: string, counters: TrafficCounters): Edges {
  return { destinations: [{ name, ...packTraffic(counters) }] };
}

function from(identity: string, address: string, counters: TrafficCounters): Edges {
  return { callers: [{ identity, address, ...packTraffic(counters) }] };
}

function stream(name: string, atMs: number, edges: Edges): StreamState {
  const totals = { inbound: counted(0), outbound: counted(0), certificate: null };
  return {
    pod: { namespace: 'shop', name, uid: `uid-pod-shop-${name}` },
    replica: 'operator-1',
    connectedAtMs: 0,
    proxyVersion: '1',
    draining: false,
    subscriptions: [],
    resources: [],
    statistics: { startedAtMs: startMs, ...totals, ...edges },
    statisticsAtMs: atMs,
  };
}

const ports = [{ name: 'http', port: 80 }];
const view = viewOf({
  Pod: [
    pod('shop/cart', { ip: '10.0.0.8' }),
    pod('shop/bank', { ip: '10.0.0.9' }),
    pod('shop/old', { ip: '10.0.0.10' }),
    pod('shop/new', { ip: '10.0.0.11' }),
    pod('shop/bare', { ip: '10.0.0.12', meshed: false }),
  ],
  Service: [service('shop/bank', '10.1.0.1', ports), service('shop/canary', '10.1.0.2', ports)],
  EndpointSlice: [
    slice('shop/bank', [{ address: '10.0.0.9' }], ports),
    slice('shop/canary', [{ address: '10.0.0.10' }, { address: '10.0.0.11' }], ports),
  ],
});

const ref = (name: string) => ({ namespace: 'shop', kind: 'Pod', name });

/** What is seen after two minutes in which counters grow by so much each second. */
function after(seconds: number, reports: (second: number) => Record<string, Edges>): GraphObserver {
  const graph = new GraphObserver(startMs);
  for (let second = 0; second <= seconds; second += 5) {
    const nowMs = startMs + second * 1000;
    const streams = Object.entries(reports(second)).map(([name, edges]) =>
      stream(name, nowMs, edges),
    );
    graph.observe(view, streams, nowMs);
  }
  return graph;
}

const edgesOf = (graph: GraphObserver) => graph.edges().map((one) => graphEdge(one, graph.window));

describe('the graph', () => {
  it('tells who calls whom from what the caller counted, over the last minute', () => {
    const graph = after(120, (second) => ({
      cart: to('bank.shop:80', counted(second * 50, { failures: second })),
      bank: from(cartId, '10.0.0.8', counted(second * 49)),
    }));
    const edges = edgesOf(graph);
    expect(edges).toMatchObject([
      {
        from: ref('cart'),
        to: ref('bank'),
        identity: cartId,
        service: 'shop/bank',
        protocol: 'http',
        figures: { requestsPerSecond: 50, success: 0.98, mtls: 1 },
      },
    ]);
    const { p99Ms } = edges[0]!.figures;
    expect(Math.abs(p99Ms! - 20) / 20).toBeLessThan(0.05);
  });

  it.each([
    ['grpc', { grpc: 1, connections: 0 }],
    ['http, grpc', { grpc: 0.5, connections: 0 }],
    ['http, tcp', { grpc: 0, connections: 1 }],
    ['grpc, tcp', { grpc: 1, connections: 1 }],
  ])('tells the protocols that were seen: %s', (protocol, { grpc, connections }) => {
    const graph = after(60, (second) => {
      const more = {
        grpcRequests: second * 10 * grpc,
        connections: second * connections,
      };
      return { cart: to('bank.shop:80', counted(second * 10, more)), bank: {} };
    });
    expect(edgesOf(graph)).toMatchObject([{ protocol }]);
  });

  it('shows calls once, also where the called told of them before their caller did', () => {
    const graph = after(60, (second) => ({
      cart: second < 10 ? {} : to('bank.shop:80', counted(second * 50)),
      bank: from(cartId, '10.0.0.8', counted(second * 50)),
    }));
    expect(edgesOf(graph)).toMatchObject([
      { from: ref('cart'), to: ref('bank'), service: 'shop/bank' },
    ]);
  });

  it('asks the called sidecars where several workloads stand behind a Service', () => {
    const graph = after(120, (second) => ({
      cart: to('canary.shop:80', counted(second * 10)),
      old: from(cartId, '10.0.0.8', counted(second * 9)),
      new: from(cartId, '10.0.0.8', counted(second)),
    }));
    expect(edgesOf(graph)).toMatchObject([
      { from: ref('cart'), to: ref('old'), figures: { requestsPerSecond: 9 } },
      { from: ref('cart'), to: ref('new'), figures: { requestsPerSecond: 1 } },
    ]);
  });

  it('knows callers without a sidecar by their address, and believes an identity before it', () => {
    const other = 'spiffe://cluster.local/ns/pay/sa/till';
    const plain = counted(5, { mtlsRequests: 0 });
    const callers = [
      ...from('', '10.0.0.12', plain).callers!,
      ...from('', '192.0.2.7', plain).callers!,
      ...from(other, '10.0.0.8', counted(5, { denied: 2 })).callers!,
    ];
    const graph = after(20, (second) => ({ bank: second === 0 ? {} : { callers } }));
    const edges = edgesOf(graph);
    expect(
      edges.map(({ from: caller, identity, figures }) => [caller, identity, figures.mtls]),
    ).toEqual([
      [ref('bare'), null, 0],
      [{ namespace: '', kind: 'Outside', name: '(not in the cluster)' }, null, 0],
      [{ namespace: 'pay', kind: 'ServiceAccount', name: 'till' }, other, 1],
    ]);
    expect(edges[2]!.figures.deniedPerSecond).toBeGreaterThan(0);
  });

  it('counts a new process from nothing, and nothing from before it looked', () => {
    const graph = new GraphObserver(startMs + 1000);
    graph.observe(
      view,
      [stream('cart', startMs + 1000, to('bank.shop:80', counted(1_000_000)))],
      startMs + 1000,
    );
    expect(graph.edges()).toEqual([]);
    const nowMs = startMs + 6000;
    graph.observe(view, [stream('cart', nowMs, to('bank.shop:80', counted(1_000_010)))], nowMs);
    expect(edgesOf(graph)).toMatchObject([{ figures: { requestsPerSecond: 2 } }]);
  });

  it('keeps a bounded number of edges, counts the rest, and forgets them after an hour', () => {
    const graph = new GraphObserver(startMs);
    const many = Array.from({ length: maxFleetEdges + 3 }, (_, index) => ({
      name: `host-${index}.example:80`,
      ...packTraffic(counted(1)),
    }));
    graph.observe(view, [stream('cart', startMs, { destinations: many })], startMs);
    expect([graph.edges().length, graph.omitted]).toEqual([maxFleetEdges, 3]);
    graph.observe(view, [], startMs + 3_600_001);
    expect([graph.edges().length, graph.omitted]).toEqual([0, 0]);
  });
});

describe('what the console answers of it', () => {
  const row = (pod: string): SidecarRow => ({
    namespace: 'shop',
    pod,
    workload: `Pod/${pod}`,
    state: 'synced',
    version: '1',
    replica: 'operator-1',
    connectedAtMs: 0,
    certificateEndMs: 5,
    destinations: 1,
    rejections: [],
  });
  const graph = after(120, (second) => ({ cart: to('bank.shop:80', counted(second * 50)) }));
  const rows = [row('cart'), row('bank'), row('old')];

  it('is the picture of a namespace, with workloads that nobody calls', () => {
    const { nodes, edges, omittedEdges } = graphAnswer(graph, rows, 'shop');
    expect(nodes.map(({ workload: { name }, ready, wanted }) => [name, ready, wanted])).toEqual([
      ['cart', 1, 1],
      ['bank', 1, 1],
      ['old', 1, 1],
    ]);
    expect(nodes[1]!.served.requestsPerSecond).toBe(50);
    expect([edges.length, omittedEdges]).toEqual([1, 0]);
    expect(graphAnswer(graph, rows, 'pay')).toMatchObject({ nodes: [], edges: [] });
  });

  it('is the last hour of a workload, oldest first', () => {
    const answer = workloadAnswer(graph, rows, 'shop/Pod/bank')!;
    expect(answer.series.at(-1)).toMatchObject({ requestsPerSecond: 50, success: 1 });
    expect(answer.series[0]).toEqual({
      requestsPerSecond: 0,
      success: null,
      p50Ms: null,
      p99Ms: null,
    });
    expect(answer.callers.map(({ from: { name } }) => name)).toEqual(['cart']);
    expect(answer.pods).toEqual([
      { name: 'bank', state: 'synced', version: '1', certificateNotAfterMs: 5 },
    ]);
    expect(workloadAnswer(graph, rows, 'shop/Pod/nobody')).toBeNull();
  });
});
