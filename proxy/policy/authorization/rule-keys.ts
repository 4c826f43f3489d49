// For which values alone a rule may hold: what the index looks rules up by. Null where a rule asks in another way
// (not at all, by a pattern, by a negation); too few keys would lose rules, too many only cost time. Pure.

import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPath,
  AuthorizationSource,
} from '../../api/authorization.ts';
import { hostPattern } from './host.ts';
import { headerOf } from './leaf.ts';
import type { CompiledRule } from './rule.ts';
import { textPattern } from './text-pattern.ts';

/** Identities as `spiffe://…`, namespaces, accounts as `namespace/name`: none is written like another. */
export function callerKeys({ source }: CompiledRule): string[] | null {
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

export function portKeys({ source }: CompiledRule): number[] | null {
  return ofAll(source.to, ({ ports }: AuthorizationOperation) => filled(ports));
}

export function methodKeys({ source }: CompiledRule): string[] | null {
  return ofAll(source.to, ({ methods }: AuthorizationOperation) => filled(methods));
}

export function pathKeys({ source }: CompiledRule): AuthorizationPath[] | null {
  return ofAll(source.to, ({ paths }: AuthorizationOperation) => filled(paths));
}

/** Names of hosts without ports. */
export function hostKeys({ source }: CompiledRule): string[] | null {
  return ofAll(source.to, ({ hosts }: AuthorizationOperation) => {
    const patterns = filled(hosts)?.map((host) => hostPattern(host).name) ?? null;
    return patterns?.every(({ kind }) => kind === 'exact')
      ? patterns.map(({ text }) => text)
      : null;
  });
}

/** Values that a header must have one of. */
export function headerKeys(header: string): (rule: CompiledRule) => readonly string[] | null {
  return ({ source }) => {
    const found = source.when.find((one) => headerOf(one.key) === header && asksForOne(one));
    return found?.values ?? null;
  };
}

/** Headers that rules ask to have one of some values, most asked first. */
export function askedHeaders(rules: readonly (CompiledRule | null)[]): string[] {
  const asked = new Map<string, number>();
  for (const rule of rules) {
    for (const condition of rule?.source.when ?? []) {
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
