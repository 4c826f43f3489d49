import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { latencyBoundsMs } from '../api/statistics.ts';
import {
  createCounters,
  maxSeries,
  noGrpcStatus,
  otherSeries,
  maxDecisions,
  otherPolicy,
  readDecisionKey,
} from './counters.ts';

function sample(
  over: Partial<{ status: number; grpcStatus: number; latencyMs: number; mtls: boolean }>,
) {
  return { status: 200, grpcStatus: noGrpcStatus, latencyMs: 1, mtls: false, ...over };
}

describe('the counters', () => {
  it('put a request into the first bucket whose bound it does not pass', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 100_000, noNaN: true }), (latencyMs) => {
        const counters = createCounters();
        counters.series('inbound', '80').request(sample({ latencyMs }));
        const index = counters.totals('inbound').latency.indexOf(1);
        const found = latencyBoundsMs.findIndex((bound) => latencyMs <= bound);
        expect(index).toBe(found === -1 ? latencyBoundsMs.length : found);
      }),
    );
  });

  it.each([
    ['a 200', sample({}), 0],
    ['a 404', sample({ status: 404 }), 0],
    ['a 500', sample({ status: 500 }), 1],
    ['an answer that broke off', sample({ status: 0 }), 1],
    ['gRPC OK', sample({ grpcStatus: 0 }), 0],
    ['gRPC NOT_FOUND, which is the caller’s fault', sample({ grpcStatus: 5 }), 0],
    ['gRPC UNAVAILABLE', sample({ grpcStatus: 14 }), 1],
    ['gRPC INTERNAL', sample({ grpcStatus: 13 }), 1],
  ])('say of %s whether it failed', (_what, one, failures) => {
    const counters = createCounters();
    counters.series('outbound', 'cart').request(one);
    expect(counters.totals('outbound')).toMatchObject({ requests: 1, failures });
  });

  it('add the series of a direction up and keep the directions apart', () => {
    const counters = createCounters();
    counters.series('outbound', 'cart').request(sample({ mtls: true }));
    counters.series('outbound', 'pay').request(sample({}));
    counters.series('outbound', 'pay').connection(true);
    counters.series('inbound', '80').error('mtls-required');
    expect(counters.totals('outbound')).toMatchObject({
      requests: 2,
      mtlsRequests: 1,
      connections: 1,
      mtlsConnections: 1,
      denied: 0,
    });
    expect(counters.totals('inbound')).toMatchObject({ requests: 0, denied: 1 });
  });

  it('count as denied what a policy refused, and nothing else', () => {
    const counters = createCounters();
    const series = counters.series('inbound', '80');
    series.error('policy-denied');
    series.error('registry-only');
    series.error('no-endpoints');
    expect(counters.totals('inbound').denied).toBe(2);
    expect(counters.snapshot('inbound')[0]!.errors).toEqual(
      new Map([
        ['PD', 1],
        ['RO', 1],
        ['NE', 1],
      ]),
    );
  });

  it('tell what policies did by policy, rule and reason, and bound how many they tell apart', () => {
    const counters = createCounters();
    const series = counters.series('inbound', '80');
    series.decision('denied', 'AuthorizationPolicy a/b', 'rule 0', 'deny-rule');
    series.decision('denied', 'AuthorizationPolicy a/b', 'rule 0', 'deny-rule');
    for (let i = 0; i < 2 * maxDecisions; i += 1) {
      const other = counters.series(i % 2 === 0 ? 'inbound' : 'outbound', `${i % 7}`);
      other.decision('audit', `AuthorizationPolicy a/${i}`, '', '');
    }
    const all = [...counters.snapshot('inbound'), ...counters.snapshot('outbound')];
    const told = all.flatMap(({ decisions }) =>
      [...decisions].map(([key, count]) => ({ ...readDecisionKey(key), count })),
    );
    expect(told[0]).toEqual({
      kind: 'denied',
      policy: 'AuthorizationPolicy a/b',
      rule: 'rule 0',
      reason: 'deny-rule',
      count: 2,
    });
    expect(told.filter(({ policy }) => policy !== otherPolicy)).toHaveLength(maxDecisions);
    expect(told.reduce((sum, { count }) => sum + count, 0)).toBe(2 * maxDecisions + 2);
  });

  it('bound the number of series and lose no count beyond it', () => {
    const counters = createCounters();
    const count = maxSeries * 3;
    for (let i = 0; i < count; i += 1) counters.series('outbound', `s${i}`).request(sample({}));
    const series = counters.snapshot('outbound');
    expect(series).toHaveLength(maxSeries + 1);
    expect(series.at(-1)!.name).toBe(otherSeries);
    expect(counters.totals('outbound').requests).toBe(count);
  });
});
