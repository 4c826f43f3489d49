import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { latencyBoundsMs } from '../api/statistics.ts';
import {
  createCounters,
  maxCellsTogether,
  maxSeries,
  otherSeries,
  maxDecisions,
} from './counters.ts';
import { otherPolicy, readDecisionKey } from './recorder.ts';
import { requestSample } from './test-sample.ts';

describe('the counters', () => {
  it('put a request into the first bucket whose bound it does not pass', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 100_000, noNaN: true }), (latencyMs) => {
        const counters = createCounters();
        counters.series('inbound', '80').request(requestSample({ latencyMs }));
        const index = counters.totals('inbound').latency.indexOf(1);
        const found = latencyBoundsMs.findIndex((bound) => latencyMs <= bound);
        expect(index).toBe(found === -1 ? latencyBoundsMs.length : found);
      }),
    );
  });

  it.each([
    ['a 200', requestSample({}), 0],
    ['a 404', requestSample({ status: 404 }), 0],
    ['a 500', requestSample({ status: 500 }), 1],
    ['an answer that broke off', requestSample({ status: 0 }), 1],
    ['gRPC OK', requestSample({ grpcStatus: 0 }), 0],
    ['gRPC NOT_FOUND, which is the caller’s fault', requestSample({ grpcStatus: 5 }), 0],
    ['gRPC UNAVAILABLE', requestSample({ grpcStatus: 14 }), 1],
    ['gRPC INTERNAL', requestSample({ grpcStatus: 13 }), 1],
  ])('say of %s whether it failed', (_what, one, failures) => {
    const counters = createCounters();
    counters.series('outbound', 'cart').request(one);
    expect(counters.totals('outbound')).toMatchObject({ requests: 1, failures });
  });

  it('add the series of a direction up and keep the directions apart', () => {
    const counters = createCounters();
    counters.series('outbound', 'cart').request(requestSample({ mtls: true }));
    counters.series('outbound', 'pay').request(requestSample({}));
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
    for (let i = 0; i < count; i += 1)
      counters.series('outbound', `s${i}`).request(requestSample({}));
    const series = counters.snapshot('outbound');
    expect(series).toHaveLength(maxSeries + 1);
    expect(series.at(-1)!.name).toBe(otherSeries);
    expect(counters.totals('outbound').requests).toBe(count);
  });

  it('tell requests apart by what a label says of them, and share one beyond a bound', () => {
    const counters = createCounters();
    const series = counters.series('outbound', 'cart.shop:80');
    const kinds = [{}, { status: 404 }, { route: 'r' }, { peer: 'p' }, { flag: 'NE' }, {}];
    for (const kind of kinds) series.request(requestSample(kind));
    const cells = () => counters.snapshot('outbound')[0]!.cells;
    expect(cells().map(({ requests }) => requests)).toEqual([2, 1, 1, 1, 1]);
    for (let i = 0; i < 100_000; i += 1) series.request(requestSample({ route: `r${i}` }));
    expect(cells().length).toBeLessThan(70);
    expect(cells().reduce((sum, { requests }) => sum + requests, 0)).toBe(100_006);
    for (let i = 0; i < 10_000; i += 1)
      counters.series('inbound', `${i}`).request(requestSample({ peer: `p${i}` }));
    const all = [...counters.snapshot('inbound'), ...counters.snapshot('outbound')];
    const together = all.reduce((sum, one) => sum + one.cells.length, 0);
    expect(together).toBeLessThanOrEqual(maxCellsTogether + maxSeries);
  });

  it('forget a series that nobody adds to for an hour, and lose nothing of the totals', () => {
    const counters = createCounters();
    const held = counters.series('outbound', 'cart.shop:80');
    held.request(requestSample({ responseBytes: 7 }));
    held.decision('audit', 'p', 'r', '');
    counters.series('outbound', 'pay.shop:80').request(requestSample());
    for (let minute = 0; minute < 61; minute += 1) {
      counters.series('outbound', 'pay.shop:80').request(requestSample());
      counters.age();
    }
    expect(counters.snapshot('outbound').map(({ name }) => name)).toEqual(['pay.shop:80']);
    expect(counters.totals('outbound').requests).toBe(63);
    // A connection that was silent for so long counts on, from nothing.
    held.request(requestSample());
    counters.series('outbound', 'cart.shop:80').request(requestSample());
    const [, cart] = counters.snapshot('outbound');
    expect(cart).toMatchObject({ name: 'cart.shop:80', responseBytes: 0, decisions: new Map() });
    expect(cart!.totals.requests).toBe(2);
    expect(counters.totals('outbound').requests).toBe(65);
  });

  it('give the place of a series that was forgotten to another', () => {
    const counters = createCounters();
    for (let i = 0; i < maxSeries; i += 1)
      counters.series('outbound', `s${i}`).request(requestSample());
    expect(counters.series('outbound', 'new').name).toBe(otherSeries);
    for (let minute = 0; minute < 61; minute += 1) counters.age();
    expect(counters.series('outbound', 'new').name).toBe('new');
  });
});
