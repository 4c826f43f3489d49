// Sets of rules as bits: 32 rules a word. Pure.

export type Bits = Uint32Array;

export function setBit(bits: Bits, at: number): void {
  bits[at >>> 5]! |= 1 << (at & 31);
}

/** A copy with more bits. */
function withBits(bits: Bits, more: readonly number[]): Bits {
  const copy = bits.slice();
  for (const at of more) setBit(copy, at);
  return copy;
}

/** Values of one attribute (a port, a method) and the rules that may hold for each. */
export interface Lookup<K> {
  readonly of: ReadonlyMap<K, Bits>;
  /** For values that no rule names: rules that do not ask, or not in a way that a look-up can answer. */
  readonly other: Bits;
}

/**
 * `keysOf` says for which values alone a rule may hold, null for any. Null where no rule can be told apart.
 */
export function lookupOf<T, K>(
  rules: readonly (T | null)[],
  words: number,
  keysOf: (rule: T) => readonly K[] | null,
): Lookup<K> | null {
  const other = new Uint32Array(words);
  const named = new Map<K, number[]>();
  for (const [at, rule] of rules.entries()) {
    if (rule === null) continue;
    const keys = keysOf(rule);
    if (keys === null) setBit(other, at);
    else for (const key of keys) addTo(named, key, at);
  }
  if (named.size === 0) return null;
  const of = new Map([...named].map(([key, list]) => [key, withBits(other, list)]));
  return { of, other };
}

export function addTo<K>(map: Map<K, number[]>, key: K, at: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [at]);
  else list.push(at);
}
