import { describe, expect, it } from '@jest/globals';
import { latencyBoundsMs } from '../../proxy/api/statistics.ts';
import type { Statistics, TrafficCounters } from '../../proxy/api/statistics.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import { namespace, pod, viewOf } from '../model/test-objects.ts';
import { meshStatusRows } from './mesh-status.ts';
import { TrafficObserver, quantileMs } from './traffic.ts';

const startMs = 1_800_000_000_000;

function counters(given: Partial<TrafficCounters> = {}): TrafficCounters {
  const latency = Array.from({ length: latencyBoundsMs.length + 1 }, () => 0);
  const none = { requests: 0, failures: 0, mtlsRequests: 0, connections: 0, mtlsConnections: 0 };
  return { ...none, denied: 0, latency, ...given };
}

function stream(
  name: string,
  atMs: number,
  inbound: Partial<TrafficCounters>,
  more: Partial<Statistics> = {},
): StreamState {
  const statistics: Statistics = {
    startedAtMs: startMs,
    inbound: counters(inbound),
    outbound: counters(),
    certificate: null,
    ...more,
  };
  const [space = '', podName = ''] = name.split('/');
  return {
    pod: { namespace: space, name: podName, uid: `uid-pod-${space}-${podName}` },
    replica: 'operator-1',
    connectedAtMs: 0,
    proxyVersion: '1',
    draining: false,
    subscriptions: [],
    resources: [],
    statistics,
    statisticsAtMs: atMs,
  };
}

describe('observed traffic', () => {
  it('is the difference of cumulative counters, over the last minute', () => {
    const traffic = new TrafficObserver(startMs);
    for (let second = 5; second <= 180; second += 5) {
      const nowMs = startMs + second * 1000;
      traffic.observe([stream('shop/a', nowMs, { requests: second * 10 })], nowMs);
    }
    const { recent, recentMs, total } = traffic.of('shop', startMs + 180_000);
    expect(total.requests).toBe(1800);
    expect(recentMs).toBe(60_000);
    expect(recent.requests).toBe(600);
  });

  it('counts a report once, however often it is seen', () => {
    const traffic = new TrafficObserver(startMs);
    const report = stream('shop/a', startMs + 1, { requests: 7 });
    traffic.observe([report], startMs + 1);
    traffic.observe([report], startMs + 2000);
    expect(traffic.all(startMs + 2000).total.requests).toBe(7);
  });

  it('begins anew with the sidecar, and never runs backwards', () => {
    const traffic = new TrafficObserver(startMs);
    const at = (ms: number, requests: number, startedAtMs: number) =>
      traffic.observe(
        [stream('shop/a', startMs + ms, { requests }, { startedAtMs })],
        startMs + ms,
      );
    at(1000, 100, startMs);
    at(2000, 5, startMs + 1500);
    at(3000, 4, startMs + 1500);
    expect(traffic.of('shop', startMs + 3000).total.requests).toBe(105);
  });

  it('of pods that are gone stays in the totals', () => {
    const traffic = new TrafficObserver(startMs);
    traffic.observe([stream('shop/a', startMs + 1, { requests: 7 })], startMs + 1);
    traffic.observe([stream('shop/b', startMs + 2, { requests: 3 })], startMs + 4_000_000);
    expect(traffic.of('shop', startMs + 4_000_000).total.requests).toBe(10);
  });

  it('from before the observer counts in the totals, not in the rate', () => {
    const traffic = new TrafficObserver(startMs);
    const old = { startedAtMs: startMs - 3_600_000 };
    traffic.observe([stream('shop/a', startMs, { requests: 1000 }, old)], startMs);
    traffic.observe([stream('shop/a', startMs + 5000, { requests: 1010 }, old)], startMs + 5000);
    const { recent, total, recentMs } = traffic.of('shop', startMs + 5000);
    expect([total.requests, recent.requests, recentMs]).toEqual([1010, 10, 5000]);
  });

  it('is none of a sidecar without a report, and of an unknown namespace', () => {
    const traffic = new TrafficObserver(startMs);
    traffic.observe([{ ...stream('shop/a', 0, {}), statistics: null }], startMs);
    expect(traffic.of('shop', startMs).total.requests).toBe(0);
  });
});

describe('a quantile', () => {
  /** By upper bound in milliseconds; `Infinity` is beyond all of them. */
  const histogram = (counts: Record<number, number>) =>
    [...latencyBoundsMs, Infinity].map((bound) => counts[bound] ?? 0);

  it.each([
    [{}, 0.99, null],
    [{ 0.1: 100 }, 0.5, 0.05],
    [{ 3: 100 }, 0.99, 2.997],
    [{ 3: 99, 50: 1 }, 1, 50],
    [{ Infinity: 1 }, 0.99, 100_000],
  ])('of %j at %d is %s', (counts, share, expected) => {
    const found = quantileMs(histogram(counts), share);
    if (expected === null) expect(found).toBeNull();
    else expect(found).toBeCloseTo(expected);
  });
});

describe('the rows', () => {
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
  });

  it('are one for the mesh and one per meshed namespace', () => {
    const rows = meshStatusRows({
      view,
      streams: [],
      inSync: new Set(),
      traffic: new TrafficObserver(startMs),
      nowMs: startMs,
      inboundOf: () => null,
    });
    expect(rows.map(({ name }) => name)).toEqual([
      'mesh.default',
      'namespace.empty',
      'namespace.shop',
    ]);
    expect(rows[1]!.status).toMatchObject({
      proxies: '0/0',
      readyProxies: 0,
      wantedProxies: 0,
      inSync: 0,
      mtlsPercent: '',
      requestRate: '0',
      successRate: '-',
      p99: '-',
      requests: 0,
      failures: 0,
      connections: 0,
      denied: 0,
      workloads: [],
    });
  });

  it('say what sidecars reported', () => {
    const traffic = new TrafficObserver(startMs);
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
    const ends = (notAfterMs: number) => ({ certificate: { serial: 'AB', notAfterMs } });
    const nowMs = startMs + 10_000;
    const streams = [
      stream('shop/a', nowMs, report, ends(startMs + 7_200_400)),
      stream('shop/b', nowMs, {}, ends(startMs + 3_600_400)),
      stream('shop/gone', nowMs, {}, ends(startMs)),
    ];
    traffic.observe(streams, nowMs);
    const inSync = new Set(['shop/a']);
    const rows = meshStatusRows({
      view,
      streams,
      inSync,
      traffic,
      nowMs,
      inboundOf: () => null,
    });
    const expected = {
      proxies: '1/2',
      readyProxies: 1,
      wantedProxies: 2,
      inSync: 1,
      mtlsPercent: '50',
      nearestExpiry: '2027-01-15T09:00:00Z',
      requestRate: '100',
      successRate: '99.9',
      p99: '10.0ms',
      requests: 1000,
      failures: 1,
      connections: 24,
      denied: 2,
    };
    expect(rows[0]!.status).toMatchObject(expected);
    expect(rows[0]!.status.columns).toMatchObject({
      synced: '1/2',
      mtls: '50',
      certificates: '59m',
      requestRate: '100',
      success: '99.9',
      p99: '10ms',
    });
    expect(rows.find(({ name }) => name === 'namespace.shop')!.status).toMatchObject({
      ...expected,
      workloads: [],
    });
  });

  it('never round a failure away, and write long times in seconds', () => {
    const traffic = new TrafficObserver(startMs);
    const latency = counters().latency;
    latency[latencyBoundsMs.length] = 1;
    const report = { requests: 1_000_000, failures: 1, latency };
    traffic.observe([stream('shop/a', startMs, report)], startMs);
    const inputs = { view, streams: [], inSync: new Set<string>(), traffic, nowMs: startMs };
    const [row] = meshStatusRows({ ...inputs, inboundOf: () => null });
    expect(row!.status).toMatchObject({ successRate: '99.99', p99: '100.00s', mtlsPercent: '0' });
  });
});
