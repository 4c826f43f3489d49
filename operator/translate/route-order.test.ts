import { describe, expect, it } from '@jest/globals';
import type { RouteMatchSpec, RouteSpec } from '../resources/tsmesh.ts';
import { routesOutOfReach } from './route-order.ts';

const route = (...matches: RouteMatchSpec[]): RouteSpec => ({ matches });

describe('a route', () => {
  it.each<[string, RouteSpec, RouteSpec]>([
    ['everything', {}, route({ methods: ['GET'] })],
    ['everything, said as an empty list', { matches: [] }, {}],
    ['the same', route({ path: { regex: 'a+' } }), route({ path: { regex: 'a+' } })],
    ['a shorter prefix', route({ path: { prefix: '/a' } }), route({ path: { prefix: '/a/b' } })],
    ['a prefix of its path', route({ path: { prefix: '/a/' } }), route({ path: { exact: '/a' } })],
    ['every path', route({ path: { prefix: '/' } }), route({ path: { regex: 'a+' } })],
    [
      'every path, where it asks for none',
      route({ path: { prefix: '/' } }),
      route({ methods: ['GET'] }),
    ],
    ['more methods', route({ methods: ['GET', 'PUT'] }), route({ methods: ['PUT'] })],
    [
      'any caller',
      route({ methods: ['GET'] }),
      route({ methods: ['GET'], source: { labels: { a: 'b' } } }),
    ],
    [
      'more namespaces',
      route({ source: { namespaces: ['a', 'b'] } }),
      route({ source: { namespaces: ['b'] } }),
    ],
    [
      'fewer headers',
      route({ headers: [{ name: 'A', exact: 'x' }] }),
      route({
        headers: [
          { name: 'b', present: true },
          { name: 'a', exact: 'x' },
        ],
      }),
    ],
    [
      'a gRPC service',
      route({ grpc: { service: 'shop.Cart' } }),
      route({ grpc: { service: 'shop.Cart', method: 'Add' } }),
    ],
    [
      'each of its matches',
      route({ path: { prefix: '/a' } }, { path: { prefix: '/b' } }),
      route({ path: { exact: '/b/c' } }, { path: { exact: '/a' } }),
    ],
  ])('behind one that takes %s is never used', (_, first, second) => {
    const found = routesOutOfReach([first, second]);
    expect(found).toEqual([
      expect.stringMatching(/^spec\.routes\[1\] is never used: spec\.routes\[0\] takes /),
    ]);
  });

  it.each<[string, RouteSpec, RouteSpec]>([
    ['a narrower one', route({ path: { prefix: '/a/b' } }), route({ path: { prefix: '/a' } })],
    ['a like path', route({ path: { prefix: '/a' } }), route({ path: { prefix: '/ab' } })],
    ['one path', route({ path: { exact: '/' } }), {}],
    ['one pattern', route({ path: { regex: '.*' } }), route({ path: { exact: '/a' } })],
    ['some paths', route({ path: { prefix: '/a' } }), route({ path: { regex: '/a.*' } })],
    [
      'some paths, where it asks for none',
      route({ path: { prefix: '/a' } }),
      route({ methods: ['GET'] }),
    ],
    ['one method', route({ methods: ['GET'] }), route({ methods: ['GET', 'PUT'] })],
    [
      'one method, where it asks for none',
      route({ methods: ['GET'] }),
      route({ path: { exact: '/' } }),
    ],
    [
      'a header',
      route({ headers: [{ name: 'a', exact: 'x' }] }),
      route({ headers: [{ name: 'a', exact: 'y' }] }),
    ],
    [
      'a parameter',
      route({ queryParams: [{ name: 'a', exact: 'x' }] }),
      route({ methods: ['GET'] }),
    ],
    ['some callers', route({ source: { labels: { a: 'b' } } }), route({ methods: ['GET'] })],
    [
      'one namespace',
      route({ source: { namespaces: ['a'] } }),
      route({ source: { namespaces: ['a', 'b'] } }),
    ],
    [
      'one of its matches',
      route({ methods: ['GET'] }),
      route({ methods: ['GET'] }, { methods: ['PUT'] }),
    ],
  ])('behind one that takes %s is used', (_, first, second) => {
    expect(routesOutOfReach([first, second])).toEqual([]);
  });
});
