// What finding the route of a request costs, by the table that sidecars use and by asking each route, for several shapes
// of routes; in this process.
import type { RouteMatch } from '../../proxy/api/resources.ts';
import type { RequestHead } from '../../proxy/codec/session.ts';
import { matchHolds, pathOf } from '../../proxy/policy/route-match.ts';
import { createRouteTable } from '../../proxy/policy/route-table.ts';
import { prepareRoute } from '../../proxy/state/prepare-route.ts';
import type { PreparedRoute } from '../../proxy/state/prepared.ts';
import { median, row } from './process-figures.ts';

interface Shape {
  name: string;
  match(i: number): RouteMatch;
  /** What matches route `i`; beyond the last, only the default route. */
  head(i: number): RequestHead;
}

const sizes = [2, 10, 100, 1000];
const heads = 64;
const rounds = 7;
const roundMs = 40;
/** Of the issue: one of a hundred routes. */
const boundUs = 1;

export function benchRoutes(): Promise<string[]> {
  const rows = [
    row('routes', 'shape', 'by the table, hit / none, µs', 'asking each, hit / none, µs', '≤ 1 µs'),
    row('---', '---', '--:', '--:', '---'),
  ];
  for (const size of sizes) for (const shape of shapes) rows.push(measured(size, shape));
  return Promise.resolve(rows);
}

function measured(size: number, shape: Shape): string {
  const matches = Array.from({ length: size }, (_, i) => [shape.match(i)]);
  const routes = [...matches, []].map((list, i) =>
    prepareRoute({ name: `r${i}`, matches: list, backends: [] }, ''),
  );
  const table = createRouteTable(routes);
  const hits = Array.from({ length: heads }, (_, i) => shape.head((i * 7919) % size));
  const misses = Array.from({ length: heads }, (_, i) => shape.head(size + i));
  const byTable: Find = (head) => table.find(head, null)!.route;
  const byWalk: Find = (head) => walk(routes, head);
  for (const head of [...hits, ...misses])
    if (byTable(head) !== byWalk(head)) throw new Error(`found otherwise: ${head.path}`);
  const found = [costOf(byTable, hits), costOf(byTable, misses)];
  const walked = [costOf(byWalk, hits), costOf(byWalk, misses)];
  const shown = (costs: number[]): string => costs.map((one) => one.toFixed(2)).join(' / ');
  const met = Math.max(...found) <= boundUs ? 'yes' : 'no';
  return row(size.toLocaleString('en'), shape.name, shown(found), shown(walked), met);
}

type Find = (head: RequestHead) => PreparedRoute;

/** What the table spares. */
function walk(routes: readonly PreparedRoute[], head: RequestHead): PreparedRoute {
  const path = pathOf(head.path);
  for (const route of routes) {
    if (route.matches.length === 0) return route;
    for (const match of route.matches) if (matchHolds(match, head, path, null)) return route;
  }
  throw new Error('there is no default route');
}

/** Median of the rounds, each of them the mean CPU time of one search, in microseconds. */
function costOf(find: Find, list: readonly RequestHead[]): number {
  const times = Array.from({ length: rounds + 2 }, () => {
    const { user } = process.threadCpuUsage();
    let searches = 0;
    const endMs = performance.now() + roundMs;
    while (performance.now() < endMs) {
      for (const head of list) find(head);
      searches += list.length;
    }
    return (process.threadCpuUsage().user - user) / searches;
  });
  return median(times.slice(2));
}

/** As browsers and mesh clients send them. */
const usual = [
  ['user-agent', 'Mozilla/5.0', 'accept', '*/*', 'accept-encoding', 'gzip'],
  ['x-request-id', '0123-4567', 'cookie', 'session=abc', 'content-type', 'application/grpc'],
].flat();

function request(path: string, more: string[] = []): RequestHead {
  return {
    method: 'POST',
    scheme: 'http',
    authority: 'cart.shop:8080',
    path,
    upgrade: null,
    fields: [...usual, ...more],
    contentLength: null,
  };
}

const isGrpc = { name: 'content-type', value: { prefix: 'application/grpc' } };

const shapes: readonly Shape[] = [
  {
    name: 'exact path',
    match: (i) => ({ path: { exact: `/api/v1/resource-${i}` } }),
    head: (i) => request(`/api/v1/resource-${i}?page=2`),
  },
  {
    name: 'path prefix',
    match: (i) => ({ path: { prefix: `/team-${i}` } }),
    head: (i) => request(`/team-${i}/items/42/parts`),
  },
  {
    name: 'path prefix and method',
    match: (i) => ({ path: { prefix: `/team-${i}` }, methods: ['POST'] }),
    head: (i) => request(`/team-${i}/items/42/parts`),
  },
  {
    name: 'gRPC service and method',
    match: (i) => ({ path: { exact: `/shop.v1.S${i}/Get` }, methods: ['POST'], headers: [isGrpc] }),
    head: (i) => request(`/shop.v1.S${i}/Get`),
  },
  {
    name: 'gRPC method of any service',
    match: (i) => ({ path: { regex: `/[^/]+/Get${i}` }, methods: ['POST'], headers: [isGrpc] }),
    head: (i) => request(`/shop.v1.Cart/Get${i}`),
  },
  {
    name: 'value of a header',
    match: (i) => ({ headers: [{ name: 'x-user', value: { exact: `user-${i}` } }] }),
    head: (i) => request('/items', ['x-user', `user-${i}`]),
  },
  {
    name: 'value of the host',
    match: (i) => ({ headers: [{ name: 'host', value: { exact: `shop-${i}.example` } }] }),
    head: (i) => ({ ...request('/items'), authority: `shop-${i}.example` }),
  },
  {
    name: 'query parameter, one path',
    match: (i) => ({
      path: { exact: '/items' },
      query: [{ name: 'tenant', value: { exact: `t${i}` } }],
    }),
    head: (i) => request(`/items?page=2&tenant=t${i}`),
  },
  {
    name: 'regular expression, each begins otherwise',
    match: (i) => ({ path: { regex: `/team-${i}/[0-9]+/.*` } }),
    head: (i) => request(`/team-${i}/42/parts`),
  },
  {
    name: 'regular expression, all begin alike',
    match: (i) => ({ path: { regex: `/api/v[0-9]+/resource-${i}/.*` } }),
    head: (i) => request(`/api/v1/resource-${i}/parts`),
  },
];
