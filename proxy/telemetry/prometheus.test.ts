import { describe, expect, it } from '@jest/globals';
import { createCounters, maxCellsTogether, maxSeries, type RequestSample } from './counters.ts';
import { endMark, wantedFormat } from '../api/exposition.ts';
import { prometheusText, type SidecarState } from './prometheus.ts';
import { requestSample } from './test-sample.ts';

const state: SidecarState = {
  own: { namespace: 'shop', workload: 'web', identity: 'spiffe://cluster.local/ns/shop/sa/web' },
  version: '1',
  config: { resources: { Destination: 4 }, appliedAtMs: 5000, changes: 6, rejected: 1 },
  handshakes: { inbound: { ok: 5, failed: 1 }, outbound: { ok: 4, failed: 0 } },
  outside: [],
  eventLoop: { counts: [3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], sumMs: 8 },
  ready: true,
  draining: false,
  discoveryConnected: true,
  certificate: { notAfterMs: 2_000_000, rootsNotAfterMs: 4_000_000 },
  identityProblem: false,
  foreignSockets: 0,
  inboundInFlight: 1,
  outboundInFlight: 2,
  spans: { exported: 7, dropped: 2 },
  accessLogDropped: 3,
  logDropped: 4,
  startedAtMs: 1000,
  memory: { rss: 10, heapUsed: 5 },
  cpuSeconds: 0.5,
};

function textWith(names: readonly string[]): string {
  const counters = createCounters();
  for (const [index, name] of names.entries()) {
    counters.series('outbound', name).request(requestSample({ latencyMs: index * 100 }));
  }
  return prometheusText(counters, state);
}

function ofAll(i: number): Partial<RequestSample> {
  return { status: i % 600, grpcStatus: i % 99, peer: `p${i}`, workload: `w${i}`, flag: `F${i}` };
}

describe('the metrics text', () => {
  it('has for every sample a type and a help line before it', () => {
    const known = new Set<string>();
    for (const line of textWith(['cart']).trimEnd().split('\n')) {
      const meta = /^# (HELP|TYPE) (\S+)/.exec(line);
      if (meta !== null) known.add(`${meta[1]} ${meta[2]}`);
      const name = /^([a-z_]+?)(_bucket|_sum|_count)?[ {]/.exec(line)?.[1];
      if (name === undefined) continue;
      expect(known).toContain(`HELP ${name}`);
      expect(known).toContain(`TYPE ${name}`);
    }
  });

  it.each([
    ['hosts', (i: number) => ({ host: `h${i}:80`, sample: {} })],
    ['statuses', (i: number) => ({ host: 'cart', sample: { status: i } })],
    ['gRPC codes', (i: number) => ({ host: 'cart', sample: { grpcStatus: i } })],
    ['identities', (i: number) => ({ host: 'cart', sample: { peer: `spiffe://a/ns/n${i}/sa/s` } })],
    ['workloads', (i: number) => ({ host: 'cart', sample: { workload: `w${i}` } })],
    ['hosts with all of it', (i: number) => ({ host: `h${i}:80`, sample: ofAll(i) })],
  ])('is bounded whatever is made up: a million %s', (_what, made) => {
    const counters = createCounters();
    const count = 1_000_000;
    for (let i = 0; i < count; i += 1) {
      const { host, sample } = made(i);
      counters.series('inbound', host).request(requestSample(sample));
    }
    const lines = prometheusText(counters, state).split('\n');
    expect(lines.length).toBeLessThan(40_000);
    const told = lines.filter((line) => line.startsWith('tsmesh_requests_total{'));
    expect(told.length).toBeLessThanOrEqual(maxCellsTogether + maxSeries + 1);
    expect(told.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)).toBe(count);
  });

  it('escapes what would break a label', () => {
    expect(textWith(['a"b\\c\nd'])).toMatch(
      /tsmesh_requests_total\{direction="outbound",destination="a\\"b\\\\c\\nd",.*class="2xx"\} 1\n/,
    );
  });

  it('says of requests who called whom, which way and how it ended', () => {
    const counters = createCounters();
    const peer = 'spiffe://cluster.local/ns/pay/sa/till';
    counters
      .series('outbound', 'till.pay:80')
      .request(requestSample({ status: 503, peer, workload: 'till', route: 'r', flag: 'UF' }));
    counters
      .series('inbound', '8080')
      .request(requestSample({ grpcStatus: 14, peer, protocol: 'gRPC' }));
    const text = prometheusText(counters, state);
    const web = 'spiffe://cluster.local/ns/shop/sa/web';
    expect(text).toContain(
      `tsmesh_requests_total{direction="outbound",destination="till.pay:80",source_namespace="shop",source_workload="web",source_identity="${web}",destination_namespace="pay",destination_workload="till",destination_service="till",destination_identity="${peer}",route="r",protocol="HTTP/1.1",code="503",class="5xx",flag="UF"} 1\n`,
    );
    expect(text).toContain(
      `tsmesh_requests_total{direction="inbound",destination="8080",source_namespace="pay",source_identity="${peer}",destination_namespace="shop",destination_workload="web",destination_identity="${web}",protocol="gRPC",code="200",class="2xx",grpc_code="14"} 1\n`,
    );
  });

  it('is OpenMetrics for who asks for it', () => {
    const counters = createCounters();
    counters.series('outbound', 'cart.shop:80').request(requestSample({ responseBytes: 300 }));
    const text = prometheusText(counters, state, 'openmetrics');
    expect(text).toContain('# TYPE tsmesh_requests counter\ntsmesh_requests_total{');
    expect(text).toContain(
      'tsmesh_response_size_bytes_bucket{direction="outbound",destination="cart.shop:80",le="1024.0"} 1',
    );
    expect(text).not.toMatch(/# (TYPE|HELP) \S*_total/);
    expect([endMark('openmetrics'), endMark('prometheus')]).toEqual(['# EOF\n', '']);
  });

  it.each([
    ['application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1', true],
    ['text/plain;version=0.0.4', false],
    ['text/plain,application/openmetrics-text;q=0.5', false],
    ['*/*', false],
    [undefined, false],
  ])('is in the format that is wanted: %s', (accept, open) => {
    expect(wantedFormat(accept)).toBe(open ? 'openmetrics' : 'prometheus');
  });

  it('counts by destination how often a zone was left', () => {
    const counters = createCounters();
    counters.series('outbound', 'cart').spillover();
    expect(prometheusText(counters, state)).toContain(
      'tsmesh_zone_spillovers_total{direction="outbound",destination="cart"} 1',
    );
  });

  it('counts what leaves the mesh by the host that apps claim', () => {
    const outside = [
      {
        host: 'api.example.com',
        port: 443,
        by: 'sni',
        connections: 1,
        refused: 0,
        sentBytes: 5,
        receivedBytes: 0,
      },
    ] as const;
    const text = prometheusText(createCounters(), { ...state, outside });
    expect(text.split('\n').filter((line) => line.startsWith('tsmesh_outside'))).toEqual([
      'tsmesh_outside_connections_total{host="api.example.com",port="443",by="sni"} 1',
      'tsmesh_outside_sent_bytes_total{host="api.example.com",port="443",by="sni"} 5',
    ]);
  });

  it('tells refusals and remarks by policy and rule', () => {
    const counters = createCounters();
    const series = counters.series('inbound', '8080');
    series.decision('denied', 'AuthorizationPolicy shop/cart', 'no "admin"', 'deny-rule');
    series.decision('would-deny', 'AuthorizationPolicy shop/trial', '', '');
    const text = prometheusText(counters, state);
    const where = 'direction="inbound",destination="8080"';
    expect(text).toContain(
      `tsmesh_policy_denied_total{${where},policy="AuthorizationPolicy shop/cart",rule="no \\"admin\\"",reason="deny-rule"} 1`,
    );
    expect(text).toContain(
      `tsmesh_policy_remarks_total{${where},policy="AuthorizationPolicy shop/trial",kind="would-deny"} 1`,
    );
  });

  it('accumulates the buckets of the histogram up to the count', () => {
    const text = textWith(['a', 'b', 'c']);
    const name = 'tsmesh_request_duration_seconds';
    const where = (name: string) => `direction="outbound",destination="${name}"`;
    expect(text).toContain(`${name}_bucket{${where('a')},le="0.0005"} 1\n`);
    expect(text).toContain(`${name}_bucket{${where('b')},le="0.075"} 0\n`);
    expect(text).toContain(`${name}_bucket{${where('b')},le="0.1"} 1\n`);
    expect(text).toContain(`${name}_bucket{${where('b')},le="+Inf"} 1\n`);
    expect(text).toContain(`${name}_sum{${where('c')}} 0.2\n`);
    expect(text).toContain(`${name}_count{${where('c')}} 1\n`);
  });

  it('says when the certificate and the first root end, and nothing of them before there is one', () => {
    expect(textWith([])).toContain('tsmesh_certificate_expiry_seconds 2000\n');
    expect(textWith([])).toContain('tsmesh_root_expiry_seconds 4000\n');
    const without = prometheusText(createCounters(), { ...state, certificate: null });
    expect(without).not.toContain('expiry');
  });
});
