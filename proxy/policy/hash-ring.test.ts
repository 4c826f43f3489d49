import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { EndpointHandle } from '../state/prepared.ts';
import { hashText } from './hash.ts';
import { buildRing, pointOf, ringName, type HashRing } from './hash-ring.ts';
import { newLoad } from './load.ts';

function endpoint(podName: string, address = podName): EndpointHandle {
  return { key: podName, address, port: 80, identity: null, podName, zone: '', load: newLoad() };
}

function endpointsOf(count: number): EndpointHandle[] {
  return Array.from({ length: count }, (_, i) => endpoint(`cart-5d9c7b-${i}`));
}

function ownerOf(ring: HashRing, key: string): EndpointHandle {
  return ring.endpoints[ring.owners[pointOf(ring, hashText(key))]!]!;
}

const keys = Array.from({ length: 20_000 }, (_, i) => `user-${i}`);

describe('the ring', () => {
  it('gives the next point from any hash on, as a plain search would', () => {
    const ring = buildRing(endpointsOf(7));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (hash) => {
        const found = ring.points.findIndex((point) => point >= hash);
        expect(pointOf(ring, hash)).toBe(found < 0 ? 0 : found);
      }),
    );
  });

  it('is the same for any order of the endpoints, and in every sidecar', () => {
    const endpoints = endpointsOf(12);
    const ring = buildRing(endpoints);
    fc.assert(
      fc.property(fc.shuffledSubarray(endpoints, { minLength: 12 }), fc.string(), (other, key) => {
        expect(ownerOf(buildRing(other), key)).toBe(ownerOf(ring, key));
      }),
      { numRuns: 20 },
    );
  });

  it.each([2, 3, 10, 50])('moves only the keys of the one of %s that leaves', (count) => {
    const endpoints = endpointsOf(count);
    const ring = buildRing(endpoints);
    let moved = 0;
    let others = 0;
    const leaving = endpoints.slice(0, 10);
    for (const gone of leaving) {
      const rest = buildRing(endpoints.filter((one) => one !== gone));
      for (const key of keys) {
        const before = ownerOf(ring, key);
        if (before === gone) moved += 1;
        else if (ownerOf(rest, key) !== before) others += 1;
      }
    }
    expect(others).toBe(0);
    // The mean over all that might leave is 1 / n by itself; over ten of fifty it is near it.
    const share = moved / keys.length / leaving.length;
    if (count <= 10) expect(share).toBeCloseTo(1 / count, 10);
    else expect(share).toBeLessThan(1.1 / count);
  });

  it('gives each about as many keys', () => {
    const ring = buildRing(endpointsOf(10));
    const counts = new Map<EndpointHandle, number>();
    for (const key of keys) {
      const owner = ownerOf(ring, key);
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    expect(counts.size).toBe(10);
    for (const count of counts.values()) {
      expect(count).toBeGreaterThan(1_500);
      expect(count).toBeLessThan(2_500);
    }
  });

  it('keeps the keys of a pod that comes back by its name with another address', () => {
    const before = buildRing([endpoint('db-0', '10.0.0.1'), endpoint('db-1', '10.0.0.2')]);
    const after = buildRing([endpoint('db-0', '10.0.0.9'), endpoint('db-1', '10.0.0.2')]);
    for (const key of keys.slice(0, 200))
      expect(ownerOf(after, key).podName).toBe(ownerOf(before, key).podName);
    expect(ringName(endpoint('', '10.0.0.1'))).toBe('10.0.0.1:80');
  });

  it('can be empty, and be of one', () => {
    expect(buildRing([]).points).toHaveLength(0);
    expect(ownerOf(buildRing(endpointsOf(1)), 'any').podName).toBe('cart-5d9c7b-0');
  });

  it('made from the one before is the one made from nothing', () => {
    const some = fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 20 });
    fc.assert(
      fc.property(some, some, (before, after) => {
        const of = (list: number[]) => list.map((i) => endpoint(`pod-${i}`, `10.0.0.${i}`));
        const next = of(after);
        expect(buildRing(next, buildRing(of(before)))).toEqual(buildRing(next));
      }),
      { numRuns: 50 },
    );
  });

  it('keeps its points as they are where only addresses change', () => {
    const before = buildRing([endpoint('cart-0', '10.0.0.1'), endpoint('cart-1', '10.0.0.2')]);
    const moved = [endpoint('cart-0', '10.0.0.9'), endpoint('cart-1', '10.0.0.2')];
    const after = buildRing(moved, before);
    expect(after.points).toBe(before.points);
    expect(after.endpoints).toEqual(moved);
  });
});
