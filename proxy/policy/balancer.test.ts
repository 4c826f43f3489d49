import { describe, expect, it } from '@jest/globals';
import type { EndpointHandle, EndpointSet } from '../state/prepared.ts';
import { Balancers, inZone, tokenOf, type PreparedBalancing } from './balancer.ts';
import { joinLoad, newLoad, observe } from './load.ts';

function endpoint(name: string, address = name): EndpointHandle {
  return { key: name, address, port: 80, identity: null, podName: name, zone: '', load: newLoad() };
}

function setOf(count: number, hints: string[][] | null = null): EndpointSet {
  const endpoints = Array.from({ length: count }, (_, i) => endpoint(`pod-${i}`));
  return { name: 'shop/cart:80', endpoints, hints };
}

const policy: PreparedBalancing = {
  method: 'least-request',
  by: [],
  loadPercent: 125,
  slowStartMs: 0,
  affinity: null,
  zones: false,
};
const cookie = { cookie: 'at', path: '/', ttlMs: 0 };
const plain = { hash: -1, token: '' };

/** Which of the set were chosen in so many requests, each of which ends at once. */
function used(balancers: Balancers, set: EndpointSet, zone: string, fromMs = 0): Set<number> {
  const found = new Set<number>();
  for (let i = fromMs; i < fromMs + 200; i += 1) {
    const one = balancers.of(set, zone).choose(plain, [], Math.random, i)!;
    one.load.chosenAtMs = i;
    found.add(set.endpoints.indexOf(one));
  }
  return found;
}

describe('zones', () => {
  const hints = [['a'], ['a'], ['b'], ['a', 'b'], ['c']];

  it.each([
    ['a', [0, 1, 3]],
    ['b', [2, 3]],
    ['c', [4]],
    ['no endpoint is for it', [0, 1, 2, 3, 4]],
    ['', [0, 1, 2, 3, 4]],
  ])('hints decide for zone %p', (zone, expected) => {
    const balancers = new Balancers({ ...policy, zones: true });
    expect(used(balancers, setOf(5, hints), zone)).toEqual(new Set(expected));
  });

  it('are not followed where an endpoint has none, or no policy asks', () => {
    expect(inZone(setOf(3), 'a')).toBeNull();
    expect(inZone(setOf(2, [['a'], ['a']]), 'a')).toBeNull();
    expect(used(new Balancers(policy), setOf(5, hints), 'a').size).toBe(5);
  });

  it('are left where more than half of their endpoints are out, and come back', () => {
    const set = setOf(5, hints);
    const balancers = new Balancers({ ...policy, zones: true });
    for (const one of set.endpoints.slice(0, 2))
      one.load.health = { outUntilMs: 1_000_000 } as never;
    expect(used(balancers, set, 'a')).toEqual(new Set([2, 3, 4]));
    for (const one of set.endpoints) one.load.health = null;
    expect(used(balancers, set, 'a', 200)).toEqual(new Set([0, 1, 3]));
  });

  it('are left for an attempt when all of their endpoints were tried', () => {
    const set = setOf(5, hints);
    const balancer = new Balancers({ ...policy, zones: true }).of(set, 'c');
    const one = balancer.choose(plain, [set.endpoints[4]!], Math.random, 0)!;
    expect(one).not.toBe(set.endpoints[4]);
    expect(balancer.isSpilled(one)).toBe(true);
    expect(balancer.isSpilled(set.endpoints[4]!)).toBe(false);
  });

  it('are left where they are overloaded, and not for a few requests', () => {
    const set = setOf(5, hints);
    const balancer = new Balancers({ ...policy, zones: true }).of(set, 'c');
    for (const { load } of set.endpoints) observe(load, 10, 0);
    for (let i = 0; i < 7; i += 1) joinLoad(set.endpoints[4]!.load, 0);
    expect(balancer.choose(plain, [], Math.random, 1)).toBe(set.endpoints[4]);
    joinLoad(set.endpoints[4]!.load, 0);
    expect(balancer.choose(plain, [], Math.random, 1)).not.toBe(set.endpoints[4]);
    for (const { load } of set.endpoints.slice(0, 4))
      for (let i = 0; i < 8; i += 1) joinLoad(load, 0);
    expect(balancer.choose(plain, [], Math.random, 1)).toBe(set.endpoints[4]);
  });
});

describe('affinity', () => {
  const balancers = new Balancers({ ...policy, affinity: cookie });

  it('gives the endpoint that the cookie names, and any other where it names none', () => {
    const set = setOf(5);
    for (const one of set.endpoints)
      expect(
        balancers.of(set, '').choose({ hash: -1, token: tokenOf(one) }, [], Math.random, 0),
      ).toBe(one);
    expect(
      balancers.of(set, '').choose({ hash: -1, token: 'x' }, [], Math.random, 0),
    ).not.toBeNull();
  });

  it('gives another while that one is out or was tried, and it again when it is back', () => {
    const set = setOf(3);
    const [own] = set.endpoints as [EndpointHandle];
    const ask = { hash: -1, token: tokenOf(own) };
    own.load.health = { outUntilMs: 1_000 } as never;
    expect(balancers.of(set, '').choose(ask, [], Math.random, 0)).not.toBe(own);
    expect(balancers.of(set, '').named(ask.token)).toBe(own);
    own.load.health = null;
    expect(balancers.of(set, '').choose(ask, [own], Math.random, 0)).not.toBe(own);
    expect(balancers.of(set, '').choose(ask, [], Math.random, 0)).toBe(own);
  });

  it('names endpoints without their address, and pods by their name', () => {
    const [one, moved] = [endpoint('db-0', '10.0.0.1'), endpoint('db-0', '10.0.0.2')];
    expect(tokenOf(one)).toMatch(/^[\w-]{16}$/);
    expect(tokenOf(one)).toBe(tokenOf(moved));
    expect(tokenOf(endpoint('', '10.0.0.1'))).not.toBe(tokenOf(endpoint('', '10.0.0.2')));
  });
});

describe('a change of the list', () => {
  it('keeps whose turn it is, and makes a balancer only where something changed', () => {
    const balancers = new Balancers({ ...policy, method: 'round-robin' });
    const set = setOf(4);
    const first = balancers.of(set, '');
    expect(first.choose(plain, [], () => 0, 0)).toBe(set.endpoints[1]);
    expect(balancers.of(set, '')).toBe(first);
    const smaller = { ...set, endpoints: set.endpoints.slice(0, 3) };
    const second = balancers.of(smaller, '');
    expect(second).not.toBe(first);
    expect(second.choose(plain, [], () => 0, 0)).toBe(set.endpoints[2]);
    expect(balancers.of(smaller, 'a')).not.toBe(second);
  });

  it('makes only the endpoint new that was not there', () => {
    const balancers = new Balancers({ ...policy, slowStartMs: 10_000 });
    const set = setOf(2);
    balancers.of(set, '').choose(plain, [], Math.random, 0);
    const more = { ...set, endpoints: [...set.endpoints, endpoint('late')] };
    balancers.of(more, '').choose(plain, [], Math.random, 20_000);
    expect(more.endpoints.map(({ load }) => load.warmUntilMs)).toEqual([10_000, 10_000, 30_000]);
  });

  it('forgets sets that nobody refers to any more', () => {
    const balancers = new Balancers({ ...policy, method: 'round-robin' });
    const [a, b] = [setOf(2), { ...setOf(2), name: 'shop/other:80' }];
    balancers.prepare([a, b], '');
    const before = balancers.of(a, '');
    balancers.prepare([b], '');
    expect(balancers.of(a, '')).not.toBe(before);
  });
});
