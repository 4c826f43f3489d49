import { describe, expect, it } from '@jest/globals';
import { service } from '../model/test-objects.ts';
import { balancing, destinationLimits } from './balancing.ts';

const plain = service('shop/cart', '10.96.0.7', [{ port: 80 }]);

describe('load balancing', () => {
  it('is left to the sidecar where nobody says anything', () => {
    expect(balancing(undefined, plain)).toBeUndefined();
    expect(balancing(undefined, undefined)).toBeUndefined();
  });

  it('is translated, with what the CRD promises filled in', () => {
    expect(balancing({}, plain)).toEqual({ method: 'least-request' });
    expect(balancing({ method: 'RoundRobin', slowStart: '30s' }, plain)).toEqual({
      method: 'round-robin',
      slowStartMs: 30_000,
    });
    expect(balancing({ method: 'Random', slowStart: '0s' }, plain)).toEqual({ method: 'random' });
    const affinity = (cookie: object) => ({ affinity: { cookie: { name: 'id', ...cookie } } });
    expect(balancing(affinity({}), plain)!.affinity).toEqual({ cookie: 'id', path: '/', ttlMs: 0 });
    expect(balancing(affinity({ path: '/a', ttl: '1h' }), plain)!.affinity).toEqual({
      cookie: 'id',
      path: '/a',
      ttlMs: 3_600_000,
    });
  });

  it('by hash looks at each value in its order', () => {
    const by = [
      { header: 'X-User' },
      { cookie: { name: 'id' } },
      { cookie: { name: 'given', ttl: '0s', path: '/a' } },
      { queryParam: 'user' },
      { sourceAddress: true },
    ];
    const made = balancing({ method: 'ConsistentHash', consistentHash: { by } }, plain);
    expect(made).toEqual({
      method: 'consistent-hash',
      hash: {
        by: [
          { header: 'x-user' },
          { cookie: 'id', path: '/', ttlMs: null },
          { cookie: 'given', path: '/a', ttlMs: 0 },
          { query: 'user' },
          { sourceAddress: true },
        ],
        loadPercent: 125,
      },
    });
    const consistentHash = { by: [{ header: 'a' }], maxLoadPercent: 200 };
    expect(balancing({ method: 'ConsistentHash', consistentHash }, plain)!.hash!.loadPercent).toBe(
      200,
    );
  });

  it.each([
    ['PreferClose', undefined],
    ['PreferSameZone', undefined],
    [undefined, 'Auto'],
    [undefined, 'auto'],
  ])('follows zones where the Service asks for them (%s, %s)', (trafficDistribution, mode) => {
    const asking = service('shop/cart', '10.96.0.7', [{ port: 80 }], { trafficDistribution });
    if (mode !== undefined) {
      asking.metadata.annotations = { 'service.kubernetes.io/topology-mode': mode };
    }
    expect(balancing(undefined, asking)).toEqual({
      method: 'least-request',
      zones: 'prefer-same-zone',
    });
    expect(balancing({ zones: 'Ignore' }, asking)).toEqual({ method: 'least-request' });
  });

  it('follows zones where the policy does', () => {
    expect(balancing({ zones: 'PreferSameZone' }, plain)!.zones).toBe('prefer-same-zone');
  });
});

describe('limits', () => {
  it('that are not given are none', () => {
    expect(destinationLimits({ maxConnections: 5 })).toEqual({
      maxConnections: 5,
      maxPendingRequests: null,
      maxActiveRequests: null,
    });
    expect(destinationLimits({ maxPendingRequests: 2, maxActiveRequests: 3 })).toEqual({
      maxConnections: null,
      maxPendingRequests: 2,
      maxActiveRequests: 3,
    });
  });
});
