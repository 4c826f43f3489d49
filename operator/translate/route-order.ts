// Which routes of a policy nobody ever takes, because one before them takes all that they match. It finds the
// usual mistakes; a route that is not found may still be out of reach. Pure.

import type { RouteMatch } from '../../proxy/api/resources.ts';
import type { RouteMatchSpec, RouteSpec } from '../resources/tsmesh.ts';
import { routeMatch } from './matches.ts';

/** In words, for the author. */
export function routesOutOfReach(routes: readonly RouteSpec[]): string[] {
  return routes.flatMap((route, i) => {
    const before = routes.slice(0, i).findIndex((earlier) => takes(earlier, route));
    if (before === -1) return [];
    const all = matchesOf(routes[before]!).length === 0;
    const what = all ? 'every request' : 'all that it matches';
    return [`spec.routes[${i}] is never used: spec.routes[${before}] takes ${what} before`];
  });
}

function matchesOf(route: RouteSpec): RouteMatchSpec[] {
  return route.matches ?? [];
}

function takes(earlier: RouteSpec, later: RouteSpec): boolean {
  const first = matchesOf(earlier);
  if (first.length === 0) return true;
  const rest = matchesOf(later);
  return rest.length > 0 && rest.every((match) => first.some((one) => covers(one, match)));
}

/** Whatever matches `narrow` matches `wide`. */
function covers(wide: RouteMatchSpec, narrow: RouteMatchSpec): boolean {
  const [a, b] = [routeMatch(wide), routeMatch(narrow)];
  return (
    pathCovers(a.path, b.path) &&
    isWithin(b.methods, a.methods) &&
    holdsAll(b.headers, a.headers) &&
    holdsAll(b.query, a.query) &&
    isWithin(narrow.source?.namespaces, wide.source?.namespaces) &&
    holdsAll(labelsOf(b), labelsOf(a))
  );
}

function labelsOf({ source }: RouteMatch): unknown[] {
  return Object.entries(source?.labels ?? {});
}

function pathCovers(wide: RouteMatch['path'], narrow: RouteMatch['path']): boolean {
  if (wide === undefined) return true;
  if (narrow === undefined) return 'prefix' in wide && wide.prefix === '/';
  if (!('prefix' in wide)) return JSON.stringify(wide) === JSON.stringify(narrow);
  const base = segments(wide.prefix);
  if ('regex' in narrow) return base === '/';
  return segments('exact' in narrow ? narrow.exact : narrow.prefix).startsWith(base);
}

/** Whole segments: `/a` is no begin of `/ab`. */
function segments(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}

/** One of few is one of more; absent is any. */
function isWithin(
  few: readonly string[] | undefined,
  more: readonly string[] | undefined,
): boolean {
  if (more === undefined) return true;
  return few !== undefined && few.every((one) => more.includes(one));
}

function holdsAll(list: readonly unknown[] = [], wanted: readonly unknown[] = []): boolean {
  const texts = list.map((one) => JSON.stringify(one));
  return wanted.every((one) => texts.includes(JSON.stringify(one)));
}
