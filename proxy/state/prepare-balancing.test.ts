import { describe, expect, it } from '@jest/globals';
import { keptBalancers, prepareBalancing, prepareHints } from './prepare-balancing.ts';
import { ShapeError } from './reader.ts';

const hash = { by: [{ header: 'X-User' }], loadPercent: 125 };
const cookie = { cookie: 'sid', path: '/', ttlMs: null };

/** Where it is wrong. */
function faultOf(value: unknown): string {
  try {
    prepareBalancing(value, '/balancing');
    return 'none';
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    return `${error.path}: ${error.message}`;
  }
}

describe('balancing', () => {
  it('is nothing to prepare where it says what holds anyway', () => {
    expect(prepareBalancing(undefined, '')).toBeNull();
    expect(prepareBalancing(null, '')).toBeNull();
    expect(prepareBalancing({ method: 'least-request' }, '')).toBeNull();
  });

  it.each([
    [{ method: 'round-robin' }],
    [{ method: 'random' }],
    [{ method: 'least-request', slowStartMs: 30_000 }],
    [{ method: 'least-request', affinity: { ...cookie, ttlMs: 60_000 } }],
    [{ method: 'least-request', zones: 'prefer-same-zone' }],
    [{ method: 'consistent-hash', hash }],
  ])('is prepared from %j', (value) => {
    expect(prepareBalancing(value, '')).not.toBeNull();
  });

  it('knows header names in lower case, and times out cookies with the browser by default', () => {
    const { policy } = prepareBalancing({ method: 'consistent-hash', hash, affinity: cookie }, '')!;
    expect(policy.by).toEqual([{ header: 'x-user' }]);
    expect(policy.affinity).toEqual({ cookie: 'sid', path: '/', ttlMs: 0 });
  });

  it.each([
    [{}, '/balancing/method: must be one of'],
    [{ method: 'ring' }, '/balancing/method: must be one of'],
    [{ method: 'consistent-hash' }, '/balancing/hash: must be an object'],
    [{ method: 'consistent-hash', hash: { ...hash, by: [] } }, '/balancing/hash/by: must name'],
    [{ method: 'consistent-hash', hash: { ...hash, by: [{}] } }, '/balancing/hash/by/0: must have'],
    [
      {
        method: 'consistent-hash',
        hash: { ...hash, by: Array.from({ length: 9 }, () => ({ query: 'x' })) },
      },
      '/balancing/hash/by: more than 8',
    ],
    [
      { method: 'consistent-hash', hash: { ...hash, loadPercent: 100 } },
      '/balancing/hash/loadPercent',
    ],
    [
      { method: 'consistent-hash', hash: { ...hash, by: [{ header: 'a b' }] } },
      '/balancing/hash/by/0/header: is not a name',
    ],
    [{ method: 'random', affinity: { ...cookie, cookie: 'a;b' } }, '/balancing/affinity/cookie'],
    [{ method: 'random', affinity: { ...cookie, path: '/;x' } }, '/balancing/affinity/path'],
    [{ method: 'random', affinity: { ...cookie, path: 'x' } }, '/balancing/affinity/path'],
    [{ method: 'random', affinity: { ...cookie, ttlMs: -1 } }, '/balancing/affinity/ttlMs'],
    [{ method: 'random', slowStartMs: 0 }, '/balancing/slowStartMs'],
    [{ method: 'random', zones: 'all' }, '/balancing/zones: must be one of'],
  ])('is refused as %j, with its place', (value, place) => {
    expect(faultOf(value)).toContain(place);
  });

  it('goes on where the next form of a destination balances alike', () => {
    const make = (method: string) => prepareBalancing({ method }, '');
    const before = make('random');
    expect(keptBalancers(make('random'), before)).toBe(before);
    const other = make('round-robin');
    expect(keptBalancers(other, before)).toBe(other);
    expect(keptBalancers(other, undefined)).toBe(other);
    expect(keptBalancers(null, before)).toBeNull();
  });
});

describe('hints', () => {
  it('count only where all endpoints have one', () => {
    expect(prepareHints({ endpoints: [{ forZones: ['a'] }, { forZones: ['b', 'c'] }] })).toEqual([
      ['a'],
      ['b', 'c'],
    ]);
    expect(prepareHints({ endpoints: [{ forZones: ['a'] }, {}] })).toBeNull();
    expect(prepareHints({ endpoints: [{ forZones: [] }] })).toBeNull();
    expect(prepareHints({ endpoints: [] })).toBeNull();
  });

  it('are refused where they are no names', () => {
    expect(() => prepareHints({ endpoints: [{ forZones: [1] }] })).toThrow(ShapeError);
  });
});
