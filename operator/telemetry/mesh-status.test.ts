import { describe, expect, it } from '@jest/globals';
import { latencyBoundsMs, packTraffic } from '../../proxy/api/statistics.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import { namespace, pod, service, slice, viewOf } from '../model/test-objects.ts';
import type { PolicyProblem } from '../resources/tsmesh.ts';
import { GraphObserver } from './graph.ts';
import { meshStatusTable } from './mesh-status.ts';
import { counters, startMs, stream } from './test-streams.ts';
import { TrafficObserver } from './traffic.ts';

const ports = [{ name: 'http', port: 80 }];
const view = viewOf({
  Namespace: [
    namespace('shop'),
    namespace('empty', { 'tsmesh.dev/inject': 'enabled' }),
    namespace('other'),
  ],
  Pod: [
    pod('shop/a', { ip: '10.0.0.1' }),
    pod('shop/b', { ip: '10.0.0.2', ready: false }),
    pod('shop/done', { phase: 'Succeeded' }),
    pod('shop/going', { deleted: true }),
    pod('shop/bare', { meshed: false }),
  ],
  Service: [service('shop/b', '10.1.0.1', ports)],
  EndpointSlice: [slice('shop/b', [{ address: '10.0.0.2' }], ports)],
});

interface World {
  streams: StreamState[];
  inSync: string[];
  problems: PolicyProblem[];
}

/** `reports`: what is reported at the beginning, and ten seconds later. */
function rowsOf({ streams = [], inSync = [], problems = [] }: Partial<World>) {
  const traffic = new TrafficObserver(startMs);
  const graph = new GraphObserver(startMs);
  const nowMs = startMs + 10_000;
  traffic.observe(view, streams, nowMs);
  graph.observe(view, streams, nowMs);
  const table = meshStatusTable({
    view,
    streams,
    inSync: new Set(inSync),
    traffic,
    graph,
    nowMs,
    inboundOf: () => ({ ports: {}, other: { mtls: 'STRICT', decidedBy: 'Mesh default' } }) as never,
  });
  return new Map(table.names.map((name) => [name, table.row(name, problems)]));
}

const nowMs = startMs + 10_000;
const ends = (notAfterMs: number) => ({ certificate: { serial: 'AB', notAfterMs } });

describe('the rows', () => {
  it('are one for the mesh and one per meshed namespace', () => {
    const rows = rowsOf({});
    expect([...rows.keys()]).toEqual(['mesh.default', 'namespace.empty', 'namespace.shop']);
    expect(rows.get('namespace.empty')!.status).toMatchObject({
      proxies: '0/0',
      readyProxies: 0,
      wantedProxies: 0,
      inSync: 0,
      mtlsPercent: '',
      requestRate: '0',
      successRate: '-',
      p50: '-',
      p99: '-',
      requests: 0,
      failures: 0,
      connections: 0,
      denied: 0,
      workloads: [],
      edges: [],
    });
  });

  it('say what sidecars reported', () => {
    const latency = counters().latency;
    latency[latencyBoundsMs.indexOf(10)] = 1000;
    const report = {
      requests: 1000,
      failures: 1,
      mtlsRequests: 500,
      connections: 24,
      mtlsConnections: 12,
      denied: 2,
      latency,
    };
    const streams = [
      stream('shop/a', nowMs, report, ends(startMs + 7_200_400)),
      stream('shop/b', nowMs, {}, ends(startMs + 3_600_400)),
      stream('shop/gone', nowMs, {}, ends(startMs)),
    ];
    const rows = rowsOf({ streams, inSync: ['shop/a'] });
    const expected = {
      window: { end: '2027-01-15T08:00:10Z', seconds: 10 },
      proxies: '1/2',
      readyProxies: 1,
      wantedProxies: 2,
      inSync: 1,
      mtlsPercent: '50',
      nearestExpiry: '2027-01-15T09:00:00Z',
      requestRate: '100',
      successRate: '99.9',
      p50: '9.52ms',
      p99: '9.52ms',
      connectionRate: '2.4',
      deniedRate: '0.2',
      requests: 1000,
      failures: 1,
      connections: 24,
      denied: 2,
    };
    const whole = rows.get('mesh.default')!.status;
    expect(whole).toMatchObject(expected);
    expect(whole.columns).toMatchObject({
      synced: '1/2',
      mtls: '50',
      certificates: '59m',
      requestRate: '100',
      success: '99.9',
      p99: '9.5ms',
    });
    expect(whole.workloads).toBeUndefined();
    expect(whole.edges).toBeUndefined();
    const { status } = rows.get('namespace.shop')!;
    expect(status).toMatchObject(expected);
    expect(status.workloads).toMatchObject([
      { workload: 'Pod/a', pods: 1, ready: 1, traffic: { requestRate: '100', p99: '9.52ms' } },
      { workload: 'Pod/b', pods: 1, ready: 0, traffic: { requestRate: '0', p99: '-' } },
    ]);
  });

  it('tell who calls whom, in the rows of both ends', () => {
    const called = counters({ requests: 50, mtlsRequests: 50, failures: 5 });
    const destinations = [
      { name: 'b.shop:80', ...packTraffic(called) },
      { name: 'api.example.com:443', ...packTraffic(counters({ connections: 5 })) },
    ];
    const rows = rowsOf({ streams: [stream('shop/a', nowMs, {}, { destinations })] });
    expect(rows.get('namespace.shop')!.status.edges).toEqual([
      {
        from: 'shop/Pod/a',
        to: 'shop/Pod/b',
        identity: 'spiffe://cluster.local/ns/shop/sa/default',
        service: 'shop/b',
        protocol: 'http',
        requestRate: '5',
        successRate: '90',
        p50: '-',
        p99: '-',
        mtlsPercent: '100',
      },
      expect.objectContaining({
        to: 'Outside/api.example.com:443',
        protocol: 'tcp',
        connectionRate: '0.5',
        mtlsPercent: '0',
      }),
    ]);
    expect(rows.get('namespace.empty')!.status.edges).toEqual([]);
  });

  it('name sidecars that are not as they should be, with the reason', () => {
    const rejected = { version: '2', path: '/routes/0', message: 'is no route' };
    const resource = { key: 'Destination 10.1.0.1:80', acked: '1', sent: null, rejected };
    const refusing = { ...stream('shop/a', nowMs, {}), resources: [resource as never] };
    const rows = rowsOf({ streams: [refusing] });
    expect(rows.get('namespace.shop')!.status.staleSidecars).toEqual([
      {
        pod: 'shop/a',
        workload: 'Pod/a',
        reason: 'refuses Destination 10.1.0.1:80 at /routes/0: is no route',
      },
      { pod: 'shop/b', workload: 'Pod/b', reason: 'is not ready yet' },
    ]);
    expect(rows.get('namespace.empty')!.status.staleSidecars).toBeUndefined();
    const waiting = { ...resource, rejected: null, sent: '2' };
    const behind = { ...stream('shop/a', nowMs, {}), resources: [waiting as never] };
    const ending = stream('shop/b', nowMs, {}, ends(nowMs + 60_000));
    const next = rowsOf({ streams: [behind, ending], inSync: ['shop/b'] });
    expect(next.get('mesh.default')!.status.staleSidecars?.map(({ reason }) => reason)).toEqual([
      'has yet to acknowledge Destination 10.1.0.1:80',
      'its certificate is not renewed, and ends at 2027-01-15T08:01:10Z',
    ]);
  });

  it('name policies with problems, of their own namespace or of all', () => {
    const problem = (policy: string) => ({
      kind: 'TrafficPolicy',
      policy,
      reason: 'Conflicted',
      message: 'm',
    });
    const problems = [problem('pay/x'), problem('shop/y')];
    const rows = rowsOf({ problems });
    const of = (name: string) => rows.get(name)!.status;
    expect(of('mesh.default').policyProblems).toEqual(problems);
    expect(of('namespace.shop').policyProblems).toEqual([problem('shop/y')]);
    expect(of('namespace.empty').policyProblems).toBeUndefined();
    expect([of('mesh.default').columns.problems, of('namespace.empty').columns.problems]).toEqual([
      2, 0,
    ]);
  });

  it('never round a failure away, and write long times in seconds', () => {
    const latency = counters().latency;
    latency[latencyBoundsMs.length] = 1;
    const report = { requests: 1_000_000, failures: 1, latency };
    const row = rowsOf({ streams: [stream('shop/a', nowMs, report)] }).get('mesh.default');
    expect(row!.status).toMatchObject({ successRate: '99.99', p99: '100s', mtlsPercent: '0' });
  });
});
