import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { latencyBoundsMs } from '../../proxy/api/statistics.ts';
import { pod, viewOf } from '../model/test-objects.ts';
import { quantileMs } from './recent.ts';
import { startMs, stream } from './test-streams.ts';
import { TrafficObserver } from './traffic.ts';

const owner = { kind: 'StatefulSet', name: 'cart' };
const view = viewOf({
  Pod: [pod('shop/a', { owner }), pod('shop/b', { owner }), pod('shop/c')],
});

function rateOf({ recent, window }: ReturnType<TrafficObserver['of']>): number {
  return (recent.requests * 1000) / (window.endMs - window.startMs);
}

describe('observed traffic', () => {
  it('is the difference of cumulative counters, over the last minute', () => {
    const traffic = new TrafficObserver(startMs);
    for (let second = 5; second <= 180; second += 5) {
      const nowMs = startMs + second * 1000;
      traffic.observe(view, [stream('shop/a', nowMs, { requests: second * 10 })], nowMs);
    }
    const { recent, window, total } = traffic.of('shop');
    expect(total.requests).toBe(1800);
    expect(window).toEqual({ startMs: startMs + 120_000, endMs: startMs + 180_000 });
    expect(recent.requests).toBeCloseTo(600, 9);
  });

  it('has a rate that is right to 1 %, whenever sidecars report and whenever it is looked at', () => {
    const jitter = fc.integer({ min: 3800, max: 4200 });
    const sidecar = fc.record({ offset: fc.nat({ max: 4000 }), every: jitter });
    const scenario = fc.record({
      sidecars: fc.array(sidecar, { minLength: 1, maxLength: 5 }),
      tickMs: fc.integer({ min: 300, max: 3000 }),
      lookMs: fc.integer({ min: 70_000, max: 150_000 }),
    });
    fc.assert(
      fc.property(scenario, ({ sidecars, tickMs, lookMs }) => {
        const traffic = new TrafficObserver(startMs);
        const perSecond = 20;
        const reportOf = ({ offset, every }: (typeof sidecars)[number], nowMs: number) => {
          const passed = nowMs - startMs - offset;
          return passed < 0 ? null : startMs + offset + Math.floor(passed / every) * every;
        };
        for (let nowMs = startMs; nowMs <= startMs + lookMs; nowMs += tickMs) {
          const streams = sidecars.flatMap((one, index) => {
            const atMs = reportOf(one, nowMs);
            if (atMs === null) return [];
            const requests = Math.floor(((atMs - startMs) / 1000) * perSecond);
            return [stream(`shop/${index}`, atMs, { requests })];
          });
          traffic.observe(view, streams, nowMs);
        }
        const shown = rateOf(traffic.of('shop'));
        const expected = perSecond * sidecars.length;
        expect(Math.abs(shown - expected) / expected).toBeLessThan(0.01);
        const { window } = traffic.of('shop');
        expect(startMs + lookMs - window.endMs).toBeLessThan(4200 + tickMs + 1000);
      }),
    );
  });

  it('stands by workload, and adds up to that of the namespace', () => {
    const traffic = new TrafficObserver(startMs);
    for (const second of [10, 20]) {
      const nowMs = startMs + second * 1000;
      const streams = [
        stream('shop/a', nowMs, { requests: second }),
        stream('shop/b', nowMs, { requests: second * 2, failures: second }),
        stream('shop/c', nowMs, { requests: second * 4 }),
      ];
      traffic.observe(view, streams, nowMs);
    }
    expect(traffic.ofWorkload('shop', 'StatefulSet/cart')).toMatchObject({
      requests: expect.closeTo(60),
      failures: expect.closeTo(20),
    });
    expect(traffic.ofWorkload('shop', 'Pod/c').requests).toBeCloseTo(80);
    expect(traffic.of('shop').recent.requests).toBeCloseTo(140);
    expect(traffic.ofWorkload('shop', 'Pod/none').requests).toBe(0);
  });

  it('counts a report once, however often it is seen', () => {
    const traffic = new TrafficObserver(startMs);
    const report = stream('shop/a', startMs + 1, { requests: 7 });
    traffic.observe(view, [report], startMs + 1);
    traffic.observe(view, [report], startMs + 2000);
    expect(traffic.all().total.requests).toBe(7);
  });

  it('begins anew with the sidecar, and never runs backwards', () => {
    const traffic = new TrafficObserver(startMs);
    const at = (ms: number, requests: number, startedAtMs: number) =>
      traffic.observe(
        view,
        [stream('shop/a', startMs + ms, { requests }, { startedAtMs })],
        startMs + ms,
      );
    at(1000, 100, startMs);
    at(2000, 5, startMs + 1500);
    at(3000, 4, startMs + 1500);
    expect(traffic.of('shop').total.requests).toBe(105);
  });

  it('of pods that are gone stays in the totals', () => {
    const traffic = new TrafficObserver(startMs);
    traffic.observe(view, [stream('shop/a', startMs + 1, { requests: 7 })], startMs + 1);
    const laterMs = startMs + 4_000_000;
    traffic.observe(view, [stream('shop/b', laterMs, { requests: 3 })], laterMs);
    expect(traffic.of('shop').total.requests).toBe(10);
  });

  it('from before the observer counts in the totals, not in the rate', () => {
    const traffic = new TrafficObserver(startMs);
    const old = { startedAtMs: startMs - 3_600_000 };
    const look = (ms: number, requests: number) => {
      const report = stream('shop/a', startMs + ms, { requests }, old);
      traffic.observe(view, [report], startMs + ms);
    };
    look(3000, 1000);
    look(13_000, 1010);
    const { recent, total, window } = traffic.of('shop');
    expect([total.requests, Math.round(recent.requests)]).toEqual([1010, 10]);
    expect(window).toEqual({ startMs: startMs + 3000, endMs: startMs + 13_000 });
  });

  it('after a gap is spread over the gap, so that no rate jumps', () => {
    const traffic = new TrafficObserver(startMs);
    const look = (ms: number, requests: number) =>
      traffic.observe(view, [stream('shop/a', startMs + ms, { requests })], startMs + ms);
    look(4000, 40);
    look(604_000, 6040);
    expect(rateOf(traffic.of('shop'))).toBeCloseTo(10);
  });

  it('goes on where a sidecar hangs', () => {
    const traffic = new TrafficObserver(startMs);
    const hangs = stream('shop/b', startMs + 4000, { requests: 4 });
    for (let second = 4; second <= 120; second += 4) {
      const nowMs = startMs + second * 1000;
      traffic.observe(view, [hangs, stream('shop/a', nowMs, { requests: second * 10 })], nowMs);
    }
    expect(traffic.of('shop').window.endMs).toBe(startMs + 120_000);
    expect(rateOf(traffic.of('shop'))).toBeCloseTo(10);
  });

  it('is none of a sidecar without a report, and of an unknown namespace', () => {
    const traffic = new TrafficObserver(startMs);
    traffic.observe(view, [{ ...stream('shop/a', 0, {}), statistics: null }], startMs);
    expect(traffic.of('shop').total.requests).toBe(0);
  });
});

describe('a quantile', () => {
  /** By upper bound in milliseconds; `Infinity` is beyond all of them. */
  const histogram = (counts: Record<number, number>) =>
    [...latencyBoundsMs, Infinity].map((bound) => counts[bound] ?? 0);

  it.each([
    [{}, 0.99, null],
    [{ 0.1: 100 }, 0.5, 0.05],
    [{ 3: 99, 50: 1 }, 0.99, 2.88],
    [{ 3: 98, 50: 2 }, 0.99, 47.9],
    [{ Infinity: 1 }, 0.99, 100_000],
  ])('of %j at %d is %s', (counts, share, expected) => {
    const found = quantileMs(histogram(counts), share);
    if (expected === null) expect(found).toBeNull();
    else expect(found).toBeCloseTo(expected, 1);
  });

  it('is off by 5 % at most, also where all requests take the same time', () => {
    const time = fc.double({ min: 0.2, max: 99_000, noNaN: true });
    fc.assert(
      fc.property(time, (ms) => {
        const bucket = latencyBoundsMs.findIndex((bound) => ms <= bound);
        const found = quantileMs(histogram({ [latencyBoundsMs[bucket]!]: 1000 }), 0.99)!;
        expect(Math.abs(found - ms) / ms).toBeLessThanOrEqual(0.05);
      }),
    );
  });
});
