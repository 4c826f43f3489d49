// Whatever the routes and the request: the table finds what asking each route in turn finds.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compilePattern } from '../api/pattern.ts';
import type { HttpRoute, RouteMatch, StringMatch } from '../api/resources.ts';
import type { RequestHead } from '../codec/session.ts';
import { prepareRoute } from '../state/prepare-route.ts';
import type { Caller } from './route-match.ts';
import { createRouteTable } from './route-table.ts';

// The oracle: read off the contract, without anything that the table is made of.

function textHolds(match: StringMatch, value: string | undefined): boolean {
  if ('present' in match) return match.present === (value !== undefined);
  if (value === undefined) return false;
  if ('exact' in match) return value === match.exact;
  if ('prefix' in match) return value.startsWith(match.prefix);
  return compilePattern(match.regex)(value);
}

function pathHolds(match: RouteMatch['path'], path: string): boolean {
  if (match === undefined) return true;
  if ('exact' in match) return path === match.exact;
  if ('regex' in match) return compilePattern(match.regex)(path);
  const base = match.prefix.replace(/\/$/, '');
  return base === '' || path === base || path.startsWith(`${base}/`);
}

function holds(match: RouteMatch, head: RequestHead, caller: Caller | null): boolean {
  const url = head.path.split('?');
  const query = new URLSearchParams(head.path.slice(url[0]!.length));
  const pairs = head.fields.flatMap((name, i) =>
    i % 2 === 0 ? [[name, head.fields[i + 1]!]] : [],
  );
  const header = (name: string) => {
    if (name === 'host') return head.authority;
    const values = pairs.filter(([one]) => one === name).map(([, value]) => value!);
    return values.length === 0 ? undefined : values.join(', ');
  };
  const { labels = {}, namespaces = [] } = match.source ?? {};
  const asksCaller = Object.keys(labels).length + namespaces.length > 0;
  return (
    pathHolds(match.path, url[0]!) &&
    ((match.methods ?? []).length === 0 || match.methods!.includes(head.method)) &&
    (match.headers ?? []).every(({ name, value }) => textHolds(value, header(name))) &&
    (match.query ?? []).every(({ name, value }) =>
      textHolds(value, query.get(name) ?? undefined),
    ) &&
    (!asksCaller ||
      (caller !== null &&
        (namespaces.length === 0 || namespaces.includes(caller.namespace)) &&
        Object.entries(labels).every(([name, value]) => caller.labels.get(name) === value)))
  );
}

interface Answer {
  name: string;
  prefix: string | null;
}

function expected(
  routes: readonly Pick<HttpRoute, 'name' | 'matches'>[],
  head: RequestHead,
  caller: Caller | null,
): Answer | null {
  for (const { name, matches } of routes) {
    if (matches.length === 0) return { name, prefix: null };
    const match = matches.find((one) => holds(one, head, caller));
    if (match === undefined) continue;
    const prefix = match.path !== undefined && 'prefix' in match.path ? match.path.prefix : null;
    return { name, prefix };
  }
  return null;
}

const paths = ['/', '/a', '/a/', '/a/b', '/ab', '/a//b', '//', '/a/b/c', '/b', '*', ''];
const path = fc.constantFrom(...paths);
const rooted = fc.constantFrom(...paths.filter((one) => one.startsWith('/')), '/a//', '///');
const patterns = [
  ['/a.*', '/[ab]', '.*', '/[^/]+/b', '/[^/]+/c', '/ab*', '/ab?', '/ab+', '/ab{0,1}', '/a/b{2}'],
  ['/a|/b', '/a(/b)?', '(?i)/A', '/a/[b]/c', '/a/b/c', '^/a$', '/a\\/b'],
].flat();
const value = fc.constantFrom('1', '2', '12', '');
const text: fc.Arbitrary<StringMatch> = fc.oneof(
  { weight: 4, arbitrary: value.map((exact) => ({ exact })) },
  value.map((prefix) => ({ prefix })),
  fc.constantFrom('1.*', '2?', '[12]+').map((regex) => ({ regex })),
  fc.boolean().map((present) => ({ present })),
);
const named = (names: string[]) =>
  fc.array(fc.record({ name: fc.constantFrom(...names), value: text }), { maxLength: 2 });
const match: fc.Arbitrary<RouteMatch> = fc.record(
  {
    path: fc.oneof(
      path.map((exact) => ({ exact })),
      rooted.map((prefix) => ({ prefix })),
      fc.constantFrom(...patterns).map((regex) => ({ regex })),
    ),
    methods: fc.subarray(['GET', 'POST'], { minLength: 1 }),
    headers: named(['x', 'y', 'host']),
    query: named(['q', 'r']),
    source: fc.record(
      {
        labels: fc.dictionary(fc.constantFrom('app', 'track'), value, { maxKeys: 2 }),
        namespaces: fc.subarray(['web', 'shop']),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);
const routeList = fc
  .array(fc.array(match, { minLength: 1, maxLength: 3 }), { maxLength: 40 })
  .chain((lists) =>
    fc.option(fc.nat(lists.length), { nil: -1 }).map((all) => {
      // One that asks nothing, somewhere.
      const withAll = all < 0 ? lists : [...lists.slice(0, all), [], ...lists.slice(all)];
      return withAll.map((matches, i) => ({ name: `r${i}`, matches }));
    }),
  );
const request: fc.Arbitrary<RequestHead> = fc
  .record({
    path,
    query: fc.constantFrom('', '?', '?q=1', '?q=2&q=1', '?r=12&q=', '?%71=1'),
    method: fc.constantFrom('GET', 'POST', 'PUT'),
    authority: value,
    fields: fc.array(fc.tuple(fc.constantFrom('x', 'y'), value), { maxLength: 3 }),
  })
  .map(({ path: bare, query, fields, ...rest }) => ({
    ...rest,
    path: `${bare}${query}`,
    fields: fields.flat(),
    scheme: 'http',
    upgrade: null,
    contentLength: null,
  }));
const caller: fc.Arbitrary<Caller | null> = fc.option(
  fc.record({
    namespace: fc.constantFrom('web', 'shop'),
    labels: fc
      .dictionary(fc.constantFrom('app', 'track'), value)
      .map((labels) => new Map(Object.entries(labels))),
  }),
);

function get(path: string, fields: string[] = []): RequestHead {
  const rest = { method: 'GET', scheme: 'http', authority: '', upgrade: null, contentLength: null };
  return { ...rest, path, fields };
}

describe('a table of routes', () => {
  it('finds what asking each in turn finds', () => {
    let found = 0;
    fc.assert(
      fc.property(routeList, fc.array(request, { minLength: 8, maxLength: 8 }), caller, check),
      { numRuns: 400 },
    );
    // It was not about nothing.
    expect(found).toBeGreaterThan(500);

    function check(
      routes: Pick<HttpRoute, 'name' | 'matches'>[],
      heads: RequestHead[],
      who: Caller | null,
    ): void {
      const table = createRouteTable(
        routes.map((one) => prepareRoute({ ...one, backends: [] }, '')),
      );
      for (const head of heads) {
        const answer = table.find(head, who);
        const want = expected(routes, head, who);
        const got = answer && { name: answer.route.name, prefix: answer.prefix };
        expect(got).toEqual(want);
        if (want !== null) found += 1;
      }
    }
  });

  // So many that it is an index.
  const fillers = Array.from({ length: 12 }, (_, i) => [{ path: { exact: `/filler/${i}` } }]);
  const tableOf = (lists: RouteMatch[][]) =>
    createRouteTable(
      lists.map((matches, i) => prepareRoute({ name: `r${i}`, matches, backends: [] }, '')),
    );

  it('finds the first of many regular expressions that begin alike, as asking each does', () => {
    const matches: RouteMatch[][] = Array.from({ length: 40 }, (_, i) => [
      { path: { regex: `/api/v[0-9]+/r${i % 30}(/.*)?` }, methods: i < 10 ? ['PUT'] : [] },
    ]);
    matches.splice(20, 0, [{ path: { regex: '/api/v7/.*' } }], [{ path: { regex: '.*/r2|/x' } }]);
    const table = tableOf(matches);
    for (let i = 0; i < 32; i += 1)
      for (const version of ['1', '7', 'x'])
        for (const rest of ['', '/a', '/r3/r4', 'y']) {
          const path = `/api/v${version}/r${i}${rest}`;
          const expected = matches.findIndex(
            ([match]) => match!.methods?.length !== 1 && pathHolds(match!.path, path),
          );
          const found = table.find(get(path), null);
          expect([path, found?.route.name]).toEqual([
            path,
            expected < 0 ? undefined : `r${expected}`,
          ]);
        }
  });

  it('takes each regular expression for what it is', () => {
    for (const regex of patterns)
      for (const target of [...paths, '/abb', '/a/bb', '/A', '/a/c', '/a/b/c/c']) {
        const table = tableOf([...fillers, [{ path: { regex } }]]);
        const found = table.find(get(target), null) !== null;
        expect([regex, target, found]).toEqual([regex, target, compilePattern(regex)(target)]);
      }
  });

  it('takes no header for a query parameter of its name, nor the other way round', () => {
    const value = (i: number) => ({ name: 'x', value: { exact: String(i) } });
    const all = Array.from({ length: 12 }, (_, i) => i);
    const table = tableOf([
      ...all.map((i) => [{ query: [value(i)] }]),
      ...all.map((i) => [{ headers: [value(i)] }]),
    ]);
    expect(table.find(get('/?x=7'), null)?.route.name).toBe('r7');
    expect(table.find(get('/', ['x', '7']), null)?.route.name).toBe('r19');
    expect(table.find(get('/?x=9', ['x', '7']), null)?.route.name).toBe('r9');
    expect(table.find(get('/?x=99', ['x', '99']), null)).toBeNull();
  });

  it('finds one of a hundred by path, by header, and the last that takes all', () => {
    const lists: RouteMatch[][] = Array.from({ length: 100 }, (_, i) => {
      if (i % 3 === 0) return [{ path: { exact: `/exact/${i}` } }];
      if (i % 3 === 1) return [{ path: { prefix: `/team/${i}` } }];
      return [{ headers: [{ name: 'x-user', value: { exact: `u${i}` } }] }];
    });
    const table = createRouteTable(
      [...lists, []].map((matches, i) =>
        prepareRoute({ name: `r${i}`, matches, backends: [] }, ''),
      ),
    );
    const nameFor = (path: string, fields: string[] = []) =>
      table.find(
        {
          method: 'GET',
          scheme: 'http',
          authority: '',
          path,
          upgrade: null,
          fields,
          contentLength: null,
        },
        null,
      )?.route.name;
    expect(nameFor('/exact/99?x')).toBe('r99');
    expect(nameFor('/team/97/members')).toBe('r97');
    expect(nameFor('/elsewhere', ['x-user', 'u98'])).toBe('r98');
    // The earlier of two that hold.
    expect(nameFor('/exact/99', ['x-user', 'u2'])).toBe('r2');
    expect(nameFor('/team/97', ['x-user', 'u98'])).toBe('r97');
    expect(nameFor('/elsewhere')).toBe('r100');
  });
});
