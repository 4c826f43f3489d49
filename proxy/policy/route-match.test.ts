import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RouteMatch } from '../api/resources.ts';
import type { RequestHead } from '../codec/session.ts';
import { prepareRoute } from '../state/prepare-route.ts';
import { fieldLine, queryValue } from './route-match.ts';
import { createRouteTable } from './route-table.ts';

function head(path: string, over: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'cart.shop',
    path,
    upgrade: null,
    fields: [],
    contentLength: null,
    ...over,
  };
}

function routes(...matches: RouteMatch[][]) {
  return createRouteTable(
    matches.map((list, index) =>
      prepareRoute({ name: `r${index}`, matches: list, backends: [] }, ''),
    ),
  );
}

const nameFor = (match: RouteMatch, request: RequestHead) =>
  routes([match], []).find(request, null)?.route.name;

describe('route matching', () => {
  it('takes the first route that matches, and none where none does', () => {
    const list = routes([{ path: { exact: '/a' } }], [{ path: { prefix: '/' } }]);
    expect(list.find(head('/a'), null)?.route.name).toBe('r0');
    expect(list.find(head('/b'), null)?.route.name).toBe('r1');
    expect(routes([{ path: { exact: '/a' } }]).find(head('/b'), null)).toBeNull();
  });

  it('takes a route when any one of its matches holds', () => {
    const list = routes([{ path: { exact: '/a' } }, { path: { exact: '/b' } }]);
    expect(list.find(head('/b'), null)?.route.name).toBe('r0');
  });

  it.each([
    ['/a', '/a', true],
    ['/a', '/a/b', true],
    ['/a', '/ab', false],
    ['/a/', '/a', true],
    ['/a/', '/a/b?x=/c', true],
    ['/', '/anything', true],
  ])('prefix %s against %s', (prefix, path, expected) => {
    expect(nameFor({ path: { prefix } }, head(path)) === 'r0').toBe(expected);
  });

  it('compares the path without its query', () => {
    expect(nameFor({ path: { exact: '/a' } }, head('/a?b=c'))).toBe('r0');
    expect(nameFor({ path: { regex: '/[a-z]+' } }, head('/abc?1'))).toBe('r0');
    expect(nameFor({ path: { regex: '/[a-z]+' } }, head('/abc1'))).toBe('r1');
  });

  it('asks for methods', () => {
    expect(nameFor({ methods: ['GET', 'HEAD'] }, head('/'))).toBe('r0');
    expect(nameFor({ methods: ['POST'] }, head('/'))).toBe('r1');
  });

  it('asks for headers, repeated ones as one line, and for the host', () => {
    const request = head('/', { fields: ['x-a', '1', 'b', '2', 'x-a', '3'] });
    const header = (name: string, value: object) =>
      nameFor({ headers: [{ name, value: value as never }] }, request);
    expect(header('x-a', { exact: '1, 3' })).toBe('r0');
    expect(header('x-a', { prefix: '1' })).toBe('r0');
    expect(header('x-b', { prefix: '1' })).toBe('r1');
    expect(header('x-a', { regex: '[0-9, ]+' })).toBe('r0');
    expect(header('x-b', { regex: '.*' })).toBe('r1');
    expect(header('x-a', { present: true })).toBe('r0');
    expect(header('x-b', { present: false })).toBe('r0');
    expect(header('host', { exact: 'cart.shop' })).toBe('r0');
    expect(header(':authority', { exact: 'cart.shop' })).toBe('r0');
  });

  it('asks for query parameters, decoded', () => {
    const match = (value: object): RouteMatch => ({
      query: [{ name: 'q', value: value as never }],
    });
    expect(nameFor(match({ exact: 'a b' }), head('/s?p=1&q=a%20b'))).toBe('r0');
    expect(nameFor(match({ exact: 'a b' }), head('/s'))).toBe('r1');
    expect(nameFor(match({ present: false }), head('/s'))).toBe('r0');
  });

  it('asks for labels and the namespace of the caller, and takes nobody for anybody', () => {
    const table = (source: RouteMatch['source']) => routes([{ source }], []);
    const caller = { namespace: 'web', labels: new Map([['app', 'front']]) };
    const found = (source: RouteMatch['source'], who: typeof caller | null = caller) =>
      table(source).find(head('/'), who)?.route.name;
    expect(found({ labels: { app: 'front' } })).toBe('r0');
    expect(found({ labels: { app: 'front', track: 'beta' } })).toBe('r1');
    expect(found({ labels: { app: 'back' } })).toBe('r1');
    expect(found({ namespaces: ['shop', 'web'] })).toBe('r0');
    expect(found({ namespaces: ['shop'], labels: { app: 'front' } })).toBe('r1');
    expect(found({ namespaces: ['web'] }, null)).toBe('r1');
    expect(found({}, null)).toBe('r0');
  });

  it('tells the prefix that matched, for rewrites', () => {
    const found = routes([{ path: { prefix: '/a' } }]).find(head('/a/b'), null);
    expect(found?.prefix).toBe('/a');
    expect(routes([]).find(head('/'), null)?.prefix).toBeNull();
  });
});

describe('a field line', () => {
  it('is undefined where the field is missing', () => {
    expect(fieldLine(['a', '1'], 'b')).toBeUndefined();
  });
});

describe('a query parameter', () => {
  const pieces = ['a', 'b', '=', '&', '%', '+', '?', '%61', '%zz', '%C3%A9', 'é', '#', 'ab', ''];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((all) => all.join(''));

  it('is what URLSearchParams says, whatever the query and the name', () => {
    fc.assert(
      fc.property(text, fc.constantFrom('a', 'b', 'ab', '', '?a', 'é'), (query, name) => {
        const expected = new URLSearchParams(`?${query}`).get(name) ?? undefined;
        expect(queryValue(`/p?${query}`, 2, name)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('is not there without a query', () => {
    expect(queryValue('/a=b', 4, 'a')).toBeUndefined();
  });
});
