import { describe, expect, it } from '@jest/globals';
import type { EndpointHandle } from '../state/prepared.ts';
import { chooseEndpoint, cost, newLoad, observe } from './load.ts';

function endpoint(name: string): EndpointHandle {
  return {
    key: name,
    address: name,
    port: 80,
    identity: null,
    podName: name,
    zone: '',
    load: newLoad(),
  };
}

/** Gives the numbers one after the other. */
function sequence(...numbers: number[]): () => number {
  return () => numbers.shift() ?? 0;
}

describe('peak EWMA', () => {
  it('believes a slow answer at once and a fast one slowly', () => {
    const load = newLoad();
    observe(load, 100, 1000);
    expect(load.ewmaMs).toBe(100);
    observe(load, 1, 1001);
    expect(load.ewmaMs).toBeGreaterThan(95);
    observe(load, 1, 61_001);
    expect(load.ewmaMs).toBeLessThan(2);
  });

  it('forgets what is old, so that a bad endpoint is tried again', () => {
    const load = newLoad();
    observe(load, 5000, 0);
    expect(cost(load, 0)).toBeGreaterThan(cost(load, 100_000) * 100);
  });

  it('does not go wrong when time seems to go back', () => {
    const load = { ...newLoad(), ewmaMs: 10, observedAtMs: 5000 };
    observe(load, 5, 4000);
    expect(load.ewmaMs).toBe(10);
  });

  it('counts requests in flight even between endpoints that answer in no time', () => {
    const busy = { ...newLoad(), inFlight: 5 };
    const idle = newLoad();
    expect(cost(busy, 0)).toBeGreaterThan(cost(idle, 0));
  });
});

describe('choosing an endpoint', () => {
  it('has none to give from an empty list', () => {
    expect(chooseEndpoint([], [], () => 0, 0)).toBeNull();
  });

  it('gives the only one although it is to be avoided', () => {
    const only = endpoint('a');
    expect(chooseEndpoint([only], [only], () => 0, 0)).toBe(only);
  });

  it('gives the cheaper of the two it looked at, whichever came first', () => {
    const [slow, fast] = [endpoint('slow'), endpoint('fast')];
    observe(slow.load, 50, 0);
    observe(fast.load, 5, 0);
    expect(chooseEndpoint([slow, fast], [], sequence(0, 0), 0)).toBe(fast);
    expect(chooseEndpoint([slow, fast], [], sequence(0.6, 0), 0)).toBe(fast);
  });

  it('avoids the endpoint of the attempt before', () => {
    const [a, b] = [endpoint('a'), endpoint('b')];
    observe(b.load, 50, 0);
    expect(chooseEndpoint([a, b], [a], sequence(0, 0), 0)).toBe(b);
    expect(chooseEndpoint([a, b], [a], sequence(0.6, 0), 0)).toBe(b);
  });

  it('gives each endpoint once before one twice', () => {
    const list = ['a', 'b', 'c', 'd'].map(endpoint);
    for (let round = 0; round < 200; round += 1) {
      const tried: EndpointHandle[] = [];
      for (let i = 0; i < 4; i += 1) {
        const chosen = chooseEndpoint(list, tried, Math.random, 0)!;
        expect(tried).not.toContain(chosen);
        tried.push(chosen);
      }
      expect(list).toContain(chooseEndpoint(list, tried, Math.random, 0));
    }
  });

  it('always compares two different ones', () => {
    const list = [endpoint('a'), endpoint('b'), endpoint('c')];
    observe(list[0]!.load, 1000, 0);
    for (let i = 0; i < 1000; i += 1)
      expect(chooseEndpoint(list, [], Math.random, 0)).not.toBe(list[0]);
  });
});
