// For which values alone a rule may hold: what the index looks rules up by. Null where a rule asks in another way
// (not at all, by a pattern, by a negation); too few keys would lose rules, too many only cost time. Pure.

import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPath,
  AuthorizationSource,
} from '../../api/authorization.ts';
import { hostPattern } from './host.ts';
import { headerOf, type Leaf } from './leaf.ts';
import type { CompiledRule } from './rule.ts';
import { textPattern } from './text-pattern.ts';

/** Identities as `spiffe://…`, namespaces, accounts as `namespace/name`: none is written like another. */
export function callerKeys({ rule: { source } }: Entry): string[] | null {
  return ofAll(source.from, sourceKeys);
}

function sourceKeys({
  identities,
  namespaces,
  serviceAccounts,
}: AuthorizationSource): string[] | null {
  const exact = (values: readonly string[] | undefined, key: (value: string) => string) =>
    allExact(values) ? values.map(key) : null;
  return (
    exact(identities, (identity) => `spiffe://${identity}`) ??
    exact(serviceAccounts, (account) => account) ??
    exact(namespaces, (namespace) => namespace)
  );
}

/** One way for a rule to hold: with one of its operations. */
export interface Entry {
  readonly rule: CompiledRule;
  /** Position of the rule in its set. */
  readonly position: number;
  /** Null: the rule has none, and asks nothing of what is called. */
  readonly operation: AuthorizationOperation | null;
  readonly leaves: readonly Leaf[];
}

export function entriesOf(rules: readonly CompiledRule[]): Entry[] {
  return rules.flatMap((rule, position): Entry[] => {
    const { to } = rule.source;
    if (to.length === 0) return [{ rule, position, operation: null, leaves: [] }];
    return to.map((operation, i) => ({ rule, position, operation, leaves: rule.to[i]! }));
  });
}

export function portKeys({ operation }: Entry): readonly number[] | null {
  return filled(operation?.ports);
}

export function methodKeys({ operation }: Entry): readonly string[] | null {
  return filled(operation?.methods);
}

export function pathKeys({ operation }: Entry): readonly AuthorizationPath[] | null {
  return filled(operation?.paths);
}

/** Names of hosts without ports. */
export function hostKeys({ operation }: Entry): string[] | null {
  const patterns = filled(operation?.hosts)?.map((host) => hostPattern(host).name);
  return patterns?.every(({ kind }) => kind === 'exact') ? patterns.map(({ text }) => text) : null;
}

/** Values that a header must have one of. */
export function headerKeys(header: string): (entry: Entry) => readonly string[] | null {
  return ({ rule: { source } }) => {
    const found = source.when.find((one) => headerOf(one.key) === header && asksForOne(one));
    return found?.values ?? null;
  };
}

/** Headers that rules ask to have one of some values, most asked first. */
export function askedHeaders(entries: readonly (Entry | null)[]): string[] {
  const asked = new Map<string, number>();
  for (const entry of entries) {
    for (const condition of entry?.rule.source.when ?? []) {
      const name = headerOf(condition.key);
      if (name !== null && name !== 'host' && asksForOne(condition))
        asked.set(name, (asked.get(name) ?? 0) + 1);
    }
  }
  return [...asked].toSorted((a, b) => b[1] - a[1]).map(([name]) => name);
}

/** An empty `notValues` reads safely whatever the header is. */
function asksForOne({ values, notValues }: AuthorizationCondition): boolean {
  return allExact(values) && notValues?.length !== 0;
}

function ofAll<T, K>(entries: readonly T[], keysOf: (entry: T) => readonly K[] | null): K[] | null {
  if (entries.length === 0) return null;
  const all: K[] = [];
  for (const entry of entries) {
    const keys = keysOf(entry);
    if (keys === null) return null;
    all.push(...keys);
  }
  return all;
}

/** An empty list may hold: it counts as not asked. */
function filled<T>(values: readonly T[] | undefined): readonly T[] | null {
  return values === undefined || values.length === 0 ? null : values;
}

function allExact(values: readonly string[] | undefined): values is readonly string[] {
  if (values === undefined || values.length === 0) return false;
  return values.every((value) => textPattern(value).kind === 'exact');
}
