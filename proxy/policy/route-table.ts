// The routes of a destination in the form requests are looked up in: first match wins, found by path and by header
// values, so that its cost does not grow with the number of routes. Made when a destination is put in force; pure.

import type { RequestHead } from '../codec/session.ts';
import type { PreparedMatch, PreparedRoute } from '../state/prepared.ts';
import { headerValue, matchHolds, pathOf, queryValue, restHolds } from './route-match.ts';
import type { Caller } from './route-match.ts';
import { LiteralIndex, tellingLiterals } from './literals.ts';
import { lastOfTwo, trimSlash } from './string-match.ts';

export interface RouteFound {
  readonly route: PreparedRoute;
  /** The path prefix that matched, for prefix rewrites; null if it was not a prefix. */
  readonly prefix: string | null;
}

/** One match of one route. */
interface Entry {
  /** Lower wins. */
  readonly order: number;
  /** Null: every request. */
  readonly match: PreparedMatch | null;
  readonly found: RouteFound;
}

/** So few are looked at one after the other faster than they are found. */
const few = 8;
const none: readonly Entry[] = [];

export interface RouteTable {
  /** Some route answers preflights. */
  readonly hasCors: boolean;
  /** `caller`: whose sidecar this is; null: not known (yet). */
  find(head: RequestHead, caller: Caller | null): RouteFound | null;
}

export function createRouteTable(routes: readonly PreparedRoute[]): RouteTable {
  const entries = entriesOf(routes);
  const hasCors = routes.some(({ cors }) => cors !== null);
  return entries.length <= few ? new Listed(entries, hasCors) : new Indexed(entries, hasCors);
}

function entriesOf(routes: readonly PreparedRoute[]): Entry[] {
  const entries: Entry[] = [];
  for (const route of routes) {
    const { matches } = route;
    for (const match of matches)
      entries.push({ order: entries.length, match, found: { route, prefix: match.prefix } });
    if (matches.length > 0) continue;
    entries.push({ order: entries.length, match: null, found: { route, prefix: null } });
    // What comes behind it is never reached.
    break;
  }
  return entries;
}

class Listed implements RouteTable {
  readonly hasCors: boolean;
  private readonly entries: readonly Entry[];

  constructor(entries: readonly Entry[], hasCors: boolean) {
    this.entries = entries;
    this.hasCors = hasCors;
  }

  find(head: RequestHead, caller: Caller | null): RouteFound | null {
    const { entries } = this;
    const path = pathOf(head.path);
    for (let i = 0; i < entries.length; i += 1) {
      const { match, found } = entries[i]!;
      if (match === null || matchHolds(match, head, path, caller)) return found;
    }
    return null;
  }
}

class Indexed implements RouteTable {
  readonly hasCors: boolean;
  private readonly exact: ReadonlyMap<string, Bucket>;
  /** By the prefix without the slash at its end. */
  private readonly prefixes: ReadonlyMap<string, Bucket>;
  /** By the second of two segments. */
  private readonly methods: ReadonlyMap<string, Bucket>;
  /** Regular expressions by what paths must begin with, and how long those beginnings are. */
  private readonly starts: ReadonlyMap<string, Bucket>;
  private readonly startLengths: readonly number[];
  /** Whether there is a prefix of a length. */
  private readonly lengths: readonly boolean[];
  /** Other regular expressions, and those that ask for no path. */
  private readonly others: Bucket;

  constructor(entries: readonly Entry[], hasCors: boolean) {
    this.hasCors = hasCors;
    const exact = new Map<string, Entry[]>();
    const prefixes = new Map<string, Entry[]>();
    const methods = new Map<string, Entry[]>();
    const starts = new Map<string, Entry[]>();
    const others: Entry[] = [];
    for (const entry of entries) {
      const base = entry.match?.prefix == null ? '' : trimSlash(entry.match.prefix);
      const { exactPath = null, lastOfTwo: method = null, start = '' } = entry.match ?? {};
      if (exactPath !== null) listIn(exact, exactPath).push(entry);
      else if (base !== '') listIn(prefixes, base).push(entry);
      else if (method !== null) listIn(methods, method).push(entry);
      else if (start !== '') listIn(starts, start).push(entry);
      else others.push(entry);
    }
    this.exact = bucketsOf(exact, false);
    this.prefixes = bucketsOf(prefixes, false);
    this.methods = bucketsOf(methods, false);
    this.starts = bucketsOf(starts, true);
    this.startLengths = [...new Set([...starts.keys()].map(({ length }) => length))];
    const longest = Math.max(0, ...[...prefixes.keys()].map((one) => one.length));
    const lengths = Array.from({ length: longest + 1 }, () => false);
    for (const { length } of prefixes.keys()) lengths[length] = true;
    this.lengths = lengths;
    this.others = new Bucket(others, true);
  }

  find(head: RequestHead, caller: Caller | null): RouteFound | null {
    const path = pathOf(head.path);
    let best: Entry | null = null;
    const exact = this.exact.get(path);
    if (exact !== undefined) best = exact.first(head, path, caller, best);
    const { lengths, methods, startLengths } = this;
    const method = methods.size === 0 ? null : lastOfTwo(path);
    const named = method === null ? undefined : methods.get(method);
    if (named !== undefined) best = named.first(head, path, caller, best);
    const last = Math.min(path.length, lengths.length - 1);
    for (let at = 1; at <= last; at += 1) {
      if (!lengths[at] || !isBoundary(path, at)) continue;
      const bucket = this.prefixes.get(path.slice(0, at));
      if (bucket !== undefined) best = bucket.first(head, path, caller, best);
    }
    for (let i = 0; i < startLengths.length; i += 1) {
      const bucket = this.starts.get(path.slice(0, startLengths[i]));
      if (bucket !== undefined) best = bucket.first(head, path, caller, best);
    }
    return this.others.first(head, path, caller, best)?.found ?? null;
  }
}

/** A segment ends here. */
function isBoundary(path: string, at: number): boolean {
  return at === path.length || path.charCodeAt(at) === 0x2f;
}

/** What an entry is found by where the path does not tell it from others: one value of a header or query parameter. */
interface Key {
  readonly inQuery: boolean;
  readonly name: string;
  readonly exact: string;
}

interface Group extends Pick<Key, 'inQuery' | 'name'> {
  readonly values: Map<string, Entry[]>;
}

/** Entries that a path does not tell apart: found by values where many ask for one. */
class Bucket {
  private readonly rest: readonly Entry[];
  private readonly groups: readonly Group[];
  private readonly patterns: Patterns | null;
  /** Their paths are not known to hold yet. */
  private readonly asksPath: boolean;

  constructor(entries: readonly Entry[], asksPath: boolean) {
    this.asksPath = asksPath;
    const rest: Entry[] = [];
    const groups: Group[] = [];
    for (const entry of entries) {
      const key = entries.length > few ? keyOf(entry) : undefined;
      if (key === undefined) {
        rest.push(entry);
        continue;
      }
      listIn(groupIn(groups, key).values, key.exact).push(entry);
    }
    this.patterns = asksPath && rest.length > few ? patternsOf(rest) : null;
    this.rest =
      this.patterns === null ? rest : rest.filter(({ match }) => !(match?.literals.length ?? 0));
    this.groups = groups;
  }

  /** The first that holds, or `best` where that is before it. */
  first(head: RequestHead, path: string, caller: Caller | null, best: Entry | null): Entry | null {
    let found = best;
    let before = best === null ? Infinity : best.order;
    const groups = this.groups.length;
    for (let i = 0; i <= groups; i += 1) {
      const entries = i < groups ? withValue(this.groups[i]!, head, path) : this.rest;
      for (let k = 0; k < entries.length; k += 1) {
        const entry = entries[k]!;
        if (entry.order > before) break;
        if (!this.holds(entry.match, head, path, caller)) continue;
        found = entry;
        before = entry.order;
        break;
      }
    }
    return this.patterns === null ? found : this.patterns.first(head, path, caller, found);
  }

  private holds(
    match: PreparedMatch | null,
    head: RequestHead,
    path: string,
    caller: Caller | null,
  ): boolean {
    if (match === null) return true;
    return this.asksPath
      ? matchHolds(match, head, path, caller)
      : restHolds(match, head, path, caller);
  }
}

/** Those that hold only for paths in which their text stands. */
class Patterns {
  /** In their order. */
  private readonly entries: readonly Entry[];
  private readonly index: LiteralIndex;

  constructor(entries: readonly Entry[], index: LiteralIndex) {
    this.entries = entries;
    this.index = index;
  }

  /** As `Bucket.first`. Each is asked once at most, however often its text stands in the path. */
  first(head: RequestHead, path: string, caller: Caller | null, best: Entry | null): Entry | null {
    const { entries, index } = this;
    const { found } = index;
    index.search(path);
    let first = best;
    let isOver = false;
    for (let word = 0; word < found.length; word += 1) {
      let bits = found[word]!;
      found[word] = 0;
      while (bits !== 0 && !isOver) {
        const entry = entries[word * 32 + 31 - Math.clz32(bits & -bits)]!;
        bits &= bits - 1;
        isOver = best !== null && entry.order > best.order;
        if (isOver || !matchHolds(entry.match!, head, path, caller)) continue;
        first = entry;
        isOver = true;
      }
    }
    return first;
  }
}

/** Null where there are few, or their texts are too long for a table. */
function patternsOf(rest: readonly Entry[]): Patterns | null {
  const entries = rest.filter(({ match }) => match !== null && match.literals.length > 0);
  const literals = tellingLiterals(entries.map(({ match }) => match!.literals));
  if (entries.length <= few || !LiteralIndex.canHold(literals)) return null;
  return new Patterns(entries, new LiteralIndex(literals));
}

function withValue(group: Group, head: RequestHead, path: string): readonly Entry[] {
  const { inQuery, name, values } = group;
  const value = inQuery ? queryValue(head.path, path.length, name) : headerValue(head, name);
  return (value === undefined ? undefined : values.get(value)) ?? none;
}

function keyOf({ match }: Entry): Key | undefined {
  if (match === null) return undefined;
  for (const { name, exact } of match.headers)
    if (exact !== null) return { inQuery: false, name, exact };
  for (const { name, exact } of match.query)
    if (exact !== null) return { inQuery: true, name, exact };
  return undefined;
}

function groupIn(groups: Group[], { inQuery, name }: Key): Group {
  const known = groups.find((one) => one.inQuery === inQuery && one.name === name);
  if (known !== undefined) return known;
  const made: Group = { inQuery, name, values: new Map() };
  groups.push(made);
  return made;
}

function bucketsOf(lists: ReadonlyMap<string, Entry[]>, asksPath: boolean): Map<string, Bucket> {
  return new Map([...lists].map(([key, list]) => [key, new Bucket(list, asksPath)]));
}

function listIn(lists: Map<string, Entry[]>, key: string): Entry[] {
  const known = lists.get(key);
  if (known !== undefined) return known;
  const made: Entry[] = [];
  lists.set(key, made);
  return made;
}
