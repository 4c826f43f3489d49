import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { BalancingMethod } from '../api/resources.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { createChooser, type Chooser, type Turns } from './choosers.ts';
import { hashText } from './hash.ts';
import { joinLoad, leaveLoad, newLoad } from './load.ts';
import { Roster } from './roster.ts';

function endpointsOf(count: number): EndpointHandle[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `pod-${i}`;
    const place = { address: name, port: 80, identity: null, podName: name, zone: '' };
    return { key: name, ...place, load: newLoad() };
  });
}

const methods: BalancingMethod[] = ['least-request', 'round-robin', 'random', 'consistent-hash'];

function chooserOf(
  method: BalancingMethod,
  endpoints: EndpointHandle[],
  turns: Turns = { last: null, ring: null },
): Chooser {
  return createChooser(new Roster(endpoints, 0), { method, loadPercent: 125 }, turns);
}

const nothing = { hash: -1, token: '' };
const asked = (key: string) => ({ hash: hashText(key), token: '' });

/** How often each was chosen; each request ends at once. */
function chosen(
  chooser: Chooser,
  endpoints: EndpointHandle[],
  count: number,
  fromMs = 0,
): number[] {
  const times = endpoints.map(() => 0);
  for (let i = 0; i < count; i += 1) {
    const one = chooser.choose(asked(`key-${i}`), [], Math.random, fromMs + i)!;
    joinLoad(one.load, fromMs + i);
    leaveLoad(one.load);
    times[endpoints.indexOf(one)]! += 1;
  }
  return times;
}

function eject({ load }: EndpointHandle, untilMs: number): void {
  load.health = {
    ...({ serverErrors: 0, gatewayErrors: 0, ejections: 1, probing: false } as object),
    outUntilMs: untilMs,
  } as NonNullable<typeof load.health>;
}

describe.each(methods)('%s', (method) => {
  it('has none to give of none, and the only one of one', () => {
    expect(chooserOf(method, []).choose(nothing, [], Math.random, 0)).toBeNull();
    const [only] = endpointsOf(1) as [EndpointHandle];
    expect(chooserOf(method, [only]).choose(nothing, [only], Math.random, 0)).toBe(only);
  });

  it('gives each about as many requests', () => {
    const endpoints = endpointsOf(5);
    const times = chosen(chooserOf(method, endpoints), endpoints, 5_000);
    for (const count of times) {
      expect(count).toBeGreaterThan(750);
      expect(count).toBeLessThan(1_250);
    }
  });

  it.each([2, 7, 100])(
    'avoids what was tried and what is out, while there are others of %s',
    (n) => {
      const endpoints = endpointsOf(n);
      const chooser = chooserOf(method, endpoints);
      eject(endpoints[0]!, 1_000_000);
      const tried: EndpointHandle[] = [];
      for (let i = 1; i < n; i += 1) {
        const one = chooser.choose(asked(String(i)), tried, Math.random, i)!;
        expect(one).not.toBe(endpoints[0]);
        expect(tried).not.toContain(one);
        tried.push(one);
      }
      // All others were tried: one that was and is well comes before one that is out.
      expect(chooser.choose(asked('x'), tried, Math.random, n)).not.toBe(endpoints[0]);
      expect(chooser.choose(asked('x'), endpoints, Math.random, n)).not.toBeNull();
    },
  );

  it('gives one that is out if all are', () => {
    const endpoints = endpointsOf(3);
    for (const one of endpoints) eject(one, 1_000_000);
    expect(endpoints).toContain(
      chooserOf(method, endpoints).choose(asked('x'), [], Math.random, 0),
    );
  });

  it('uses no endpoint that is not in the list', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.string(), (n, key) => {
        const endpoints = endpointsOf(n);
        expect(endpoints).toContain(
          chooserOf(method, endpoints).choose(asked(key), [], Math.random, 0),
        );
      }),
    );
  });
});

describe.each(['least-request', 'round-robin', 'random'] as const)('%s, slow start', (method) => {
  it('gives a new endpoint a part of its share', () => {
    const endpoints = endpointsOf(4);
    const [young] = endpoints as [EndpointHandle];
    young.load.warmFromMs = 0;
    young.load.warmUntilMs = 100_000;
    const roster = new Roster(endpoints, 100_000);
    const chooser = createChooser(roster, { method, loadPercent: 125 }, { last: null, ring: null });
    const early = chosen(chooser, endpoints, 4_000);
    expect(early[0]! / early[1]!).toBeGreaterThan(0.05);
    expect(early[0]! / early[1]!).toBeLessThan(0.2);
    const middle = chosen(chooser, endpoints, 4_000, 48_000);
    expect(middle[0]! / middle[1]!).toBeGreaterThan(0.42);
    expect(middle[0]! / middle[1]!).toBeLessThan(0.7);
    const late = chosen(chooser, endpoints, 4_000, 100_000);
    expect(late[0]! / late[1]!).toBeGreaterThan(0.88);
  });

  it('gives all as much where all are new', () => {
    const endpoints = endpointsOf(4);
    const roster = new Roster(endpoints, 100_000);
    roster.welcome(0);
    const chooser = createChooser(roster, { method, loadPercent: 125 }, { last: null, ring: null });
    for (const count of chosen(chooser, endpoints, 2_000)) {
      expect(count).toBeGreaterThan(400);
      expect(count).toBeLessThan(600);
    }
  });
});

describe('round robin', () => {
  it('goes round in the order of the list, from any place', () => {
    const endpoints = endpointsOf(4);
    const chooser = chooserOf('round-robin', endpoints);
    const first = endpoints.indexOf(chooser.choose(nothing, [], () => 0.5, 0)!);
    for (let i = 1; i < 9; i += 1)
      expect(chooser.choose(nothing, [], () => 0.5, 0)).toBe(endpoints[(first + i) % 4]);
  });

  it('goes on behind who was last when the list changes', () => {
    const endpoints = endpointsOf(4);
    const turns = { last: null, ring: null };
    chooserOf('round-robin', endpoints, turns).choose(nothing, [], () => 0, 0);
    expect(turns.last).toBe(endpoints[1]);
    const changed = [...endpoints.slice(0, 3), ...endpointsOf(9).slice(7)];
    expect(chooserOf('round-robin', changed, turns).choose(nothing, [], () => 0, 0)).toBe(
      endpoints[2],
    );
  });
});

describe('consistent hash', () => {
  it('gives a key the same endpoint each time, and one without a key the least loaded', () => {
    const endpoints = endpointsOf(5);
    const chooser = chooserOf('consistent-hash', endpoints);
    const first = chooser.choose(asked('user-7'), [], Math.random, 0);
    for (let i = 0; i < 50; i += 1)
      expect(chooser.choose(asked('user-7'), [], Math.random, i)).toBe(first);
    joinLoad(endpoints[0]!.load, 0);
    for (let i = 0; i < 50; i += 1)
      expect(chooser.choose(nothing, [], Math.random, i)).not.toBe(endpoints[0]);
  });

  it.each([5, 30])('leaves none of %s with more than a quarter above the mean in flight', (n) => {
    const endpoints = endpointsOf(n);
    const chooser = chooserOf('consistent-hash', endpoints);
    for (let i = 0; i < 40 * n; i += 1) {
      // Half of all requests have one key.
      const key = i % 2 === 0 ? 'hot' : `user-${i}`;
      joinLoad(chooser.choose(asked(key), [], Math.random, i)!.load, i);
      const most = Math.max(...endpoints.map(({ load }) => load.inFlight));
      expect(most).toBeLessThanOrEqual(Math.ceil((1.25 * (i + 1)) / n));
    }
  });

  it('brings a key back once there is room', () => {
    const endpoints = endpointsOf(5);
    const chooser = chooserOf('consistent-hash', endpoints);
    const own = chooser.choose(asked('user-7'), [], Math.random, 0)!;
    joinLoad(own.load, 0);
    const other = chooser.choose(asked('user-7'), [], Math.random, 0)!;
    expect(other).not.toBe(own);
    expect(chooser.choose(asked('user-7'), [], Math.random, 0)).toBe(other);
    leaveLoad(own.load);
    expect(chooser.choose(asked('user-7'), [], Math.random, 0)).toBe(own);
  });
});
