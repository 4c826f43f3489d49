import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { latencyBoundsMs, packTraffic, unpackTraffic } from './statistics.ts';

describe('the bounds of times', () => {
  it('rise, each by so little that a time said to lie in the middle of two is off by 5 % at most', () => {
    latencyBoundsMs.slice(1).forEach((bound, index) => {
      const ratio = bound / latencyBoundsMs[index]!;
      expect(ratio).toBeGreaterThan(1);
      // The harmonic mean of two bounds differs from either by (ratio - 1) / (ratio + 1) of it.
      expect((ratio - 1) / (ratio + 1)).toBeLessThanOrEqual(0.05);
    });
  });
});

describe('packed counters', () => {
  const count = fc.nat({ max: 1e9 });
  const latency = fc.array(fc.oneof(fc.constant(0), count), {
    minLength: latencyBoundsMs.length + 1,
    maxLength: latencyBoundsMs.length + 1,
  });
  const counters = fc.record({
    requests: count,
    grpcRequests: count,
    failures: count,
    mtlsRequests: count,
    connections: count,
    mtlsConnections: count,
    denied: count,
    latency,
  });

  it('are the same again', () => {
    fc.assert(
      fc.property(counters, (all) => {
        expect(unpackTraffic(packTraffic(all))).toEqual(all);
      }),
    );
  });

  it.each([[[]], [[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5, 6, 7]], [[1, 2, 3, 4, 5, 6, 1e6, 1]]])(
    'are none: %j',
    (list) => {
      expect(unpackTraffic({ counters: list })).toBeNull();
    },
  );
});
