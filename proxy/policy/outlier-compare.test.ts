import { describe, expect, it } from '@jest/globals';
import type { EndpointHandle, PreparedOutlier } from '../state/prepared.ts';
import { newLoad } from './load.ts';
import { beginProbe, isDue, isOut, recordResult, updatePanic } from './outlier.ts';
import { compare, newFigures, recordAnswer, recordLatency, type Seen } from './outlier-compare.ts';

const volume = { minimumEndpoints: 3, requestVolume: 10 };
const policy: PreparedOutlier = {
  consecutive5xx: 0,
  consecutiveGatewayErrors: 0,
  baseEjectionMs: 1_000,
  maxEjectionMs: 8_000,
  maxEjectionPercent: 50,
  intervalMs: 100,
  successRate: { stdevFactorPermille: 1_000, ...volume },
  latency: { factorPercent: 300, minimumMs: 20, ...volume },
  panicThresholdPercent: 0,
};

/** Of one endpoint, between two looks. */
interface Answers {
  good: number;
  bad?: number;
  latencyMs?: number;
}

function setOf(count: number, over: Partial<PreparedOutlier> = {}) {
  const endpoints = Array.from({ length: count }, (_, i): EndpointHandle => {
    const name = `pod-${i}`;
    const place = { address: name, port: 80, identity: null, podName: name, zone: '' };
    return { key: name, ...place, load: newLoad() };
  });
  const among = { policy: { ...policy, ...over }, endpoints };
  const seen = new Map<EndpointHandle, Seen>();
  compare(among, seen, 0);
  return { endpoints, among, seen, look };

  /** What was found after these answers, as `pod-0 latency`. */
  function look(answers: Answers[], nowMs = 100): string[] {
    for (const [i, one] of answers.entries()) answer(endpoints[i]!, one);
    return compare(among, seen, nowMs).map(({ endpoint, reason }) => `${endpoint.key} ${reason}`);
  }
}

function answer({ load }: EndpointHandle, { good, bad = 0, latencyMs = 5 }: Answers): void {
  const figures = (load.figures ??= newFigures());
  for (let i = 0; i < good; i += 1) {
    recordAnswer(figures, true);
    recordLatency(figures, latencyMs);
  }
  for (let i = 0; i < bad; i += 1) recordAnswer(figures, false);
}

const well: Answers = { good: 20 };
const half: Answers = { good: 10, bad: 10 };

describe('by its share of good answers an endpoint', () => {
  it('is left out when it is below the mean by more than the factor of a standard deviation', () => {
    // Rates 1, 1, 1, 0.5: mean 0.875, deviation 0.2165, so 0.5 is 1.73 deviations below.
    const loose = { successRate: { ...policy.successRate!, stdevFactorPermille: 1_800 } };
    const tight = { successRate: { ...policy.successRate!, stdevFactorPermille: 1_700 } };
    expect(setOf(4, loose).look([well, well, well, half])).toEqual([]);
    expect(setOf(4, tight).look([well, well, well, half])).toEqual(['pod-3 success-rate']);
  });

  it('stays where all are alike, well or not', () => {
    expect(setOf(4).look([well, well, well, well])).toEqual([]);
    const third = { good: 7, bad: 14 };
    expect(setOf(4).look([third, third, third, third])).toEqual([]);
  });

  it('is not compared before it gave enough answers', () => {
    const few = { good: 0, bad: 9 };
    const enough = { good: 0, bad: 10 };
    expect(setOf(4).look([well, well, well, few])).toEqual([]);
    expect(setOf(4).look([well, well, well, enough])).toEqual(['pod-3 success-rate']);
  });

  it('is not compared with too few others', () => {
    expect(setOf(3).look([well, well, { good: 1 }])).toEqual([]);
    expect(setOf(2).look([well, half])).toEqual([]);
    expect(setOf(3).look([well, well, half])).toEqual(['pod-2 success-rate']);
  });

  it('is judged by what came since the last look only', () => {
    const { look } = setOf(4, { successRate: { ...policy.successRate!, minimumEndpoints: 5 } });
    expect(look([well, well, well, half])).toEqual([]);
    const anew = setOf(4);
    answer(anew.endpoints[3]!, { good: 0, bad: 50 });
    expect(compare(anew.among, new Map(), 50)).toEqual([]);
    expect(look([well, well, well, well], 200)).toEqual([]);
  });
});

describe('by the time of its answers an endpoint', () => {
  it('is left out when its median is so many times that of the others', () => {
    const slow = { ...well, latencyMs: 50 };
    const less = { ...well, latencyMs: 19 };
    expect(setOf(4).look([well, well, well, slow])).toEqual(['pod-3 latency']);
    expect(setOf(4).look([well, well, well, less])).toEqual([]);
    const medium = { ...well, latencyMs: 20 };
    expect(setOf(4).look([medium, medium, medium, slow])).toEqual([]);
  });

  it('stays below the least time, however much quicker others are', () => {
    const quick = { ...well, latencyMs: 1 };
    expect(setOf(4).look([quick, quick, quick, { ...well, latencyMs: 15 }])).toEqual([]);
  });

  it('is not judged by a few slow answers', () => {
    const { endpoints, look } = setOf(4);
    answer(endpoints[3]!, { good: 9, latencyMs: 500 });
    expect(look([well, well, well, well])).toEqual([]);
  });

  it('is well again only when a probe is quick enough', () => {
    const { endpoints, among, look } = setOf(4);
    look([well, well, well, { ...well, latencyMs: 50 }], 100);
    const slow = endpoints[3]!;
    expect(isOut(slow.load, 1_099)).toBe(true);
    expect(isDue(slow.load, 1_100)).toBe(true);
    expect(beginProbe(slow.load, 1_100)).toBe(true);
    expect(recordResult(slow, 'good', { ...among, latencyMs: 50 }, 1_150)).toBe('probe-failed');
    // Twice as long as before.
    expect(isOut(slow.load, 3_149)).toBe(true);
    expect(beginProbe(slow.load, 3_150)).toBe(true);
    expect(recordResult(slow, 'good', { ...among, latencyMs: 5 }, 3_155)).toBe('returned');
    expect(isOut(slow.load, 3_155)).toBe(false);
  });

  it.each([
    [10, 1],
    [50, 2],
  ])('is left out, the slowest first, up to %i percent of 5', (maxEjectionPercent, most) => {
    const { look } = setOf(5, { maxEjectionPercent, successRate: null });
    const found = look([
      { ...well, latencyMs: 100 },
      { ...well, latencyMs: 300 },
      { good: 200 },
      { good: 200 },
      { good: 200 },
    ]);
    expect(found).toEqual(['pod-1 latency', 'pod-0 latency'].slice(0, most));
  });
});

describe('endpoints that are compared', () => {
  it('stay out longer each time in a row, up to the most', () => {
    const { endpoints, among, look } = setOf(4, { latency: null });
    const bad = endpoints[3]!;
    let nowMs = 0;
    const times: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      nowMs += 100;
      expect(look([well, well, well, half], nowMs)).toEqual(['pod-3 success-rate']);
      const { outUntilMs } = bad.load.health!;
      times.push(outUntilMs - nowMs);
      nowMs = outUntilMs;
      beginProbe(bad.load, nowMs);
      expect(recordResult(bad, 'good', among, nowMs)).toBe('returned');
    }
    expect(times).toEqual([1_000, 2_000, 4_000, 8_000, 8_000]);
  });

  it('are forgotten when they are gone', () => {
    const { endpoints, among, seen } = setOf(3);
    compare({ ...among, endpoints: endpoints.slice(1) }, seen, 100);
    expect([...seen.keys()].map(({ key }) => key)).toEqual(['pod-1', 'pod-2']);
  });
});

describe('the panic threshold', () => {
  it('uses all again as soon as fewer than its share are in use, and no longer than that', () => {
    const over = { maxEjectionPercent: 100, panicThresholdPercent: 50, consecutive5xx: 1 };
    const { endpoints, among } = setOf(4, over);
    const outAt = (nowMs: number) => endpoints.map(({ load }) => isOut(load, nowMs));
    recordResult(endpoints[0]!, 'server-error', among, 0);
    recordResult(endpoints[1]!, 'server-error', among, 0);
    expect(outAt(1)).toEqual([true, true, false, false]);
    recordResult(endpoints[2]!, 'server-error', among, 0);
    expect(outAt(1)).toEqual([false, false, false, false]);
    expect(recordResult(endpoints[0]!, 'good', among, 1_000)).toBe('returned');
    expect(outAt(999)).toEqual([false, true, true, false]);
  });

  it('counts endpoints that came and went meanwhile', () => {
    const over = { maxEjectionPercent: 100, panicThresholdPercent: 50, consecutive5xx: 1 };
    const { endpoints, among } = setOf(4, over);
    recordResult(endpoints[0]!, 'server-error', among, 0);
    recordResult(endpoints[1]!, 'server-error', among, 0);
    const fewer = endpoints.slice(0, 3);
    updatePanic({ ...among, endpoints: fewer });
    expect(fewer.map(({ load }) => isOut(load, 1))).toEqual([false, false, false]);
  });
});
