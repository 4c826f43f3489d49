import { describe, expect, it } from '@jest/globals';
import { routeMatches } from './matches.ts';

describe('matches of a route', () => {
  it('are all requests where there are none', () => {
    expect(routeMatches(undefined, 'shop')).toEqual([]);
    expect(routeMatches([], 'shop')).toEqual([]);
  });

  it('by gRPC service and method are the path, the method and the content type of a call', () => {
    const headers = [{ name: 'content-type', value: { prefix: 'application/grpc' } }];
    const call = { methods: ['POST'], headers };
    const matches = routeMatches(
      [
        { grpc: { service: 'shop.v1.Cart' } },
        { grpc: { service: 'shop.v1.Cart', method: 'Add' } },
        { grpc: { method: 'Add' }, headers: [{ name: 'X-User', exact: 'a' }] },
      ],
      'shop',
    );
    expect(matches).toEqual([
      { ...call, path: { prefix: '/shop.v1.Cart' } },
      { ...call, path: { exact: '/shop.v1.Cart/Add' } },
      {
        methods: ['POST'],
        path: { regex: '/[^/]+/Add' },
        headers: [{ name: 'x-user', value: { exact: 'a' } }, ...headers],
      },
    ]);
  });

  it('of callers of some namespaces hold there, and nowhere else', () => {
    const specs = [
      { source: { namespaces: ['web', 'app'] } },
      { source: { namespaces: ['app'], labels: { tier: 'front' } }, methods: ['GET'] },
    ];
    expect(routeMatches(specs, 'web')).toEqual([{}]);
    expect(routeMatches(specs.slice(1), 'app')).toEqual([
      { methods: ['GET'], source: { labels: { tier: 'front' } } },
    ]);
    expect(routeMatches(specs, 'shop')).toBeNull();
    // Of callers that nobody knows the namespace of.
    expect(routeMatches(specs, null)).toBeNull();
  });
});
