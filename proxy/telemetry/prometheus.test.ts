import { describe, expect, it } from '@jest/globals';
import { createCounters, noGrpcStatus } from './counters.ts';
import { prometheusText, type SidecarState } from './prometheus.ts';

const state: SidecarState = {
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
  startedAtMs: 1000,
  memory: { rss: 10, heapUsed: 5 },
  cpuSeconds: 0.5,
};

function textWith(names: readonly string[]): string {
  const counters = createCounters();
  for (const [index, name] of names.entries()) {
    const sample = { status: 200, grpcStatus: noGrpcStatus, latencyMs: index * 100, mtls: true };
    counters.series('outbound', name).request(sample);
  }
  return prometheusText(counters, state);
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

  it('escapes what would break a label', () => {
    expect(textWith(['a"b\\c\nd'])).toContain(
      'tsmesh_requests_total{direction="outbound",destination="a\\"b\\\\c\\nd",class="2xx"} 1',
    );
  });

  it('counts by destination how often a zone was left', () => {
    const counters = createCounters();
    counters.series('outbound', 'cart').spillover();
    expect(prometheusText(counters, state)).toContain(
      'tsmesh_zone_spillovers_total{direction="outbound",destination="cart"} 1',
    );
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
      `tsmesh_policy_remarks_total{${where},policy="AuthorizationPolicy shop/trial",rule="",kind="would-deny"} 1`,
    );
  });

  it('accumulates the buckets of the histogram up to the count', () => {
    const text = textWith(['a', 'b', 'c']);
    const name = 'tsmesh_request_duration_seconds';
    expect(text).toContain(`${name}_bucket{direction="outbound",le="0.0005"} 1`);
    expect(text).toContain(`${name}_bucket{direction="outbound",le="0.1"} 2`);
    expect(text).toContain(`${name}_bucket{direction="outbound",le="0.2"} 3`);
    expect(text).toContain(`${name}_bucket{direction="outbound",le="+Inf"} 3`);
    expect(text).toContain(`${name}_sum{direction="outbound"} 0.3`);
    expect(text).toContain(`${name}_count{direction="outbound"} 3`);
  });

  it('says when the certificate and the first root end, and nothing of them before there is one', () => {
    expect(textWith([])).toContain('tsmesh_certificate_expiry_seconds 2000\n');
    expect(textWith([])).toContain('tsmesh_root_expiry_seconds 4000\n');
    const without = prometheusText(createCounters(), { ...state, certificate: null });
    expect(without).not.toContain('expiry');
  });
});
