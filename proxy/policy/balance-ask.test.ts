import { describe, expect, it } from '@jest/globals';
import type { HashSource } from '../api/resources.ts';
import type { RequestHead } from '../codec/session.ts';
import type { EndpointHandle, EndpointSet } from '../state/prepared.ts';
import { askOf, askOfConnection, cookieValue, keptBackend, withCookies } from './balance-ask.ts';
import { Balancers, tokenOf, type PreparedBalancing } from './balancer.ts';
import { hashText } from './hash.ts';
import { newLoad } from './load.ts';

function head(over: Partial<RequestHead> = {}): RequestHead {
  const base = { method: 'GET', scheme: 'http', authority: 'cart.shop', path: '/a?user=7&x=1' };
  return { ...base, upgrade: null, fields: [], contentLength: null, ...over };
}

function balancers(by: HashSource[], affinity: PreparedBalancing['affinity'] = null): Balancers {
  const method = by.length > 0 ? 'consistent-hash' : 'least-request';
  return new Balancers({ method, by, loadPercent: 125, slowStartMs: 0, affinity, zones: false });
}

const facts = { sourceAddress: '10.0.0.3', sources: { random: () => 0.5 } };

describe('what a request is hashed by', () => {
  it.each<[HashSource, Partial<RequestHead>, string]>([
    [{ header: 'x-user' }, { fields: ['x-user', 'ann'] }, 'ann'],
    [{ header: 'x-user' }, { fields: ['x-user', 'ann', 'x-user', 'bob'] }, 'ann, bob'],
    [{ header: 'host' }, {}, 'cart.shop'],
    [{ query: 'user' }, {}, '7'],
    [{ sourceAddress: true }, {}, '10.0.0.3'],
    [{ cookie: 'sid', path: '/', ttlMs: null }, { fields: ['cookie', 'a=1; sid=77; b=2'] }, '77'],
  ])('is %j', (source, over, value) => {
    expect(askOf(balancers([source]), head(over), facts).hash).toBe(hashText(value));
  });

  it.each<HashSource>([
    { header: 'x-user' },
    { query: 'other' },
    { cookie: 'sid', path: '/', ttlMs: null },
  ])('is nothing where the request has no %j', (source) => {
    const ask = askOf(balancers([source]), head({ path: '/a' }), facts);
    expect(ask).toMatchObject({ hash: -1, setCookie: null });
  });

  it('is the first that it has', () => {
    const by: HashSource[] = [{ header: 'x-user' }, { query: 'user' }, { sourceAddress: true }];
    expect(askOf(balancers(by), head(), facts).hash).toBe(hashText('7'));
  });

  it('is a cookie that the caller is given, where it has none', () => {
    const by: HashSource[] = [{ cookie: 'sid', path: '/shop', ttlMs: 90_500 }];
    const ask = askOf(balancers(by), head(), facts);
    const said = 'sid=8000000080000000; Path=/shop; Max-Age=91; HttpOnly; SameSite=Lax';
    expect(ask.setCookie).toBe(said);
    expect(ask.hash).toBe(hashText('8000000080000000'));
    const back = askOf(balancers(by), head({ fields: ['cookie', 'sid=8000000080000000'] }), facts);
    expect(back).toMatchObject({ hash: ask.hash, setCookie: null });
  });

  it('costs nothing where the policy names nothing', () => {
    const plain = balancers([]);
    expect(askOf(plain, head(), facts)).toBe(plain.plain);
  });

  it('is the address of a connection that is not HTTP, if anything', () => {
    const by: HashSource[] = [{ header: 'x-user' }, { sourceAddress: true }];
    expect(askOfConnection(balancers(by), '10.0.0.3').hash).toBe(hashText('10.0.0.3'));
    expect(askOfConnection(balancers([{ header: 'x-user' }]), '10.0.0.3').hash).toBe(-1);
  });
});

describe('a cookie', () => {
  it.each([
    [['cookie', 'sid=1'], '1'],
    [['cookie', ' a=2 ;sid=1 '], '1'],
    [['cookie', 'sid='], ''],
    [['cookie', 'a=2', 'x', 'y', 'cookie', 'sid=3'], '3'],
    [['cookie', 'xsid=1; sidx=2; sid'], undefined],
    [['x-cookie', 'sid=1'], undefined],
    [[], undefined],
  ])('of %j is %p', (fields, value) => {
    expect(cookieValue(fields, 'sid')).toBe(value);
  });
});

describe('of several backends', () => {
  const setOf = (name: string): EndpointSet => {
    const place = { address: name, port: 80, identity: null, podName: name, zone: '' };
    return { name, endpoints: [{ key: name, ...place, load: newLoad() }] };
  };
  const [old, canary] = [setOf('old'), setOf('canary')];
  const snapshot = {
    endpoints: new Map([old, canary].map((one) => [one.name, one])),
    workload: null,
  };
  const withWeights = (...weights: number[]) => ({
    list: [old, canary].map(({ name }, i) => ({
      endpoints: name,
      weight: weights[i]!,
      missing: null,
    })),
    totalWeight: 100,
  });
  const affinity = { cookie: 'at', path: '/', ttlMs: 0 };
  const named = head({ fields: ['cookie', `at=${tokenOf(canary.endpoints[0]!)}`] });

  it('a caller keeps the one that has its endpoint, while it gets a share', () => {
    const sticky = balancers([], affinity);
    const backends = withWeights(99, 1);
    expect(keptBackend(sticky, backends, named, snapshot)).toBe(backends.list[1]);
    expect(keptBackend(sticky, withWeights(100, 0), named, snapshot)).toBeNull();
    expect(keptBackend(sticky, backends, head(), snapshot)).toBeNull();
    expect(
      keptBackend(sticky, backends, head({ fields: ['cookie', 'at=x'] }), snapshot),
    ).toBeNull();
  });

  it('chance decides where no policy asks for affinity', () => {
    expect(keptBackend(null, withWeights(99, 1), named, snapshot)).toBeNull();
    expect(keptBackend(balancers([]), withWeights(99, 1), named, snapshot)).toBeNull();
  });
});

describe('the cookies of an answer', () => {
  const affinity = { cookie: 'at', path: '/', ttlMs: 0 };
  const endpoints = ['a', 'b'].map((name): EndpointHandle => {
    const place = { address: name, port: 80, identity: null, podName: name, zone: '' };
    return { key: name, ...place, load: newLoad() };
  });
  const [a, b] = endpoints as [EndpointHandle, EndpointHandle];
  const set: EndpointSet = { name: 'shop/cart:80', endpoints };

  it('name its endpoint to a caller that has none, or one that is not there any more', () => {
    for (const fields of [[], ['cookie', 'at=gone']]) {
      const ask = askOf(balancers([], affinity), head({ fields }), facts);
      expect(withCookies(['x', 'y'], ask, { endpoint: b, set, zone: '' })).toEqual([
        'x',
        'y',
        'set-cookie',
        `at=${tokenOf(b)}; Path=/; HttpOnly; SameSite=Lax`,
      ]);
    }
  });

  it('stay as they are while the endpoint is there, also if another answered for it', () => {
    const fields = ['cookie', `at=${tokenOf(a)}`];
    const ask = askOf(balancers([], affinity), head({ fields }), facts);
    const own = ['x', 'y'];
    expect(withCookies(own, ask, { endpoint: a, set, zone: '' })).toBe(own);
    expect(withCookies(own, ask, { endpoint: b, set, zone: '' })).toBe(own);
  });

  it('are none where the set is gone', () => {
    const ask = askOf(balancers([], affinity), head(), facts);
    expect(withCookies([], ask, { endpoint: a, set: undefined, zone: '' })).toEqual([]);
  });
});
