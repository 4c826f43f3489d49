// Finds the rules that hold without asking all of them: look-ups by caller, port, method, path, host and headers say
// which rules, with which operation, may hold; only those in all of them are asked, in their order. The look-ups never lose a rule that
// holds; whether one holds is only ever said by the rule. Pure.

import type { Fields } from '../../codec/session.ts';
import { addTo, lookupOf, setBit, type Bits, type Lookup } from './bits.ts';
import { CallerFacts, Facts } from './facts.ts';
import { isAlike } from './field-match.ts';
import { ruleSetNames, type Finder, type RuleSetName } from './finder.ts';
import { isInCapitals } from './leaf.ts';
import { createPathIndex, type PathIndex } from './path-index.ts';
import {
  askedHeaders,
  callerKeys,
  entriesOf,
  headerKeys,
  hostKeys,
  methodKeys,
  pathKeys,
  portKeys,
  type Entry,
} from './rule-keys.ts';
import type { RuleSets } from './rule-sets.ts';
import { ruleHoldsWith, sourceHolds } from './rule.ts';
import type { Caller, Target } from './types.ts';

/** Headers that are looked up; rules that ask for others are asked. */
const maxHeaders = 4;

export function createIndex(sets: RuleSets): Finder {
  return new Index(sets);
}

/** What is known of a caller, and the rules whose source it is. */
class IndexedCaller extends CallerFacts {
  readonly bits: Bits;

  constructor(caller: Caller, bits: Bits) {
    super(caller);
    this.bits = bits;
  }
}

interface HeaderLookup extends Lookup<string> {
  readonly name: string;
}

/** Each set begins with a word. */
interface Place {
  readonly fromWord: number;
  readonly endWord: number;
}

class Index implements Finder {
  /** Null: padding between sets. */
  readonly #entries: (Entry | null)[] = [];
  readonly #places: Record<RuleSetName, Place>;
  readonly #anyCaller: Bits;
  readonly #callers = new Map<string, number[]>();
  readonly #known = new WeakMap<Caller, IndexedCaller>();
  readonly #ports: Lookup<number> | null;
  readonly #methods: Lookup<string> | null;
  readonly #hosts: Lookup<string> | null;
  readonly #headers: readonly HeaderLookup[];
  readonly #paths: PathIndex | null;
  /** All rules that may hold for what was looked at last, and what is written on the way. */
  readonly #candidates: Bits;
  readonly #byPath: Bits;

  constructor(sets: RuleSets) {
    this.#places = this.#lay(sets);
    const entries = this.#entries;
    const words = entries.length >>> 5;
    this.#anyCaller = new Uint32Array(words);
    for (const [at, entry] of entries.entries()) if (entry !== null) this.#addCallers(entry, at);
    this.#ports = lookupOf(entries, words, portKeys);
    this.#methods = lookupOf(entries, words, methodKeys);
    this.#hosts = lookupOf(entries, words, hostKeys);
    this.#paths = createPathIndex(entries, words, pathKeys);
    const headers = askedHeaders(entries).slice(0, maxHeaders);
    this.#headers = headers.map((name) => ({
      name,
      ...lookupOf(entries, words, headerKeys(name))!,
    }));
    this.#candidates = new Uint32Array(words);
    this.#byPath = new Uint32Array(words);
  }

  #lay(sets: RuleSets): Record<RuleSetName, Place> {
    const places: Partial<Record<RuleSetName, Place>> = {};
    for (const set of ruleSetNames) {
      const fromWord = this.#entries.length >>> 5;
      this.#entries.push(...entriesOf(sets[set]));
      while (this.#entries.length % 32 !== 0) this.#entries.push(null);
      places[set] = { fromWord, endWord: this.#entries.length >>> 5 };
    }
    return places as Record<RuleSetName, Place>;
  }

  #addCallers(entry: Entry, at: number): void {
    const keys = callerKeys(entry);
    if (keys === null) setBit(this.#anyCaller, at);
    else for (const key of keys) addTo(this.#callers, key, at);
  }

  /** Made once for each caller, which is once for each connection and push. */
  known(caller: Caller): IndexedCaller {
    const found = this.#known.get(caller);
    if (found !== undefined) return found;
    const made = this.#knownOf(caller);
    this.#known.set(caller, made);
    return made;
  }

  #knownOf(caller: Caller): IndexedCaller {
    const bits = this.#anyCaller.slice();
    const known = new IndexedCaller(caller, bits);
    if (this.#callers.size > 0) {
      this.#addNamed(caller.identity, bits);
      this.#addNamed(caller.namespace, bits);
      this.#addNamed(known.account, bits);
    }
    const asking = new Facts(caller, known, nowhere, null);
    for (let word = 0; word < bits.length; word++) {
      for (let left = bits[word]!; left !== 0; left &= left - 1) {
        const low = left & -left;
        const at = (word << 5) + 31 - Math.clz32(low);
        if (!sourceHolds(this.#entries[at]!.rule, asking)) bits[word]! &= ~low;
      }
    }
    return known;
  }

  #addNamed(key: string, bits: Bits): void {
    const named = this.#callers.get(key);
    if (named !== undefined) for (let i = 0; i < named.length; i++) setBit(bits, named[i]!);
  }

  look(facts: Facts): void {
    const candidates = this.#candidates;
    const caller = (facts.known as IndexedCaller).bits;
    const ports = this.#ports === null ? caller : valueOf(this.#ports, facts.target.port);
    for (let i = 0; i < candidates.length; i++) candidates[i] = caller[i]! & ports[i]!;
    if (facts.request !== null) this.#lookAtRequest(facts);
  }

  #lookAtRequest(facts: Facts): void {
    const { method, fields } = facts.request!;
    // Rules that name its capitals have to be asked.
    if (this.#methods !== null && isInCapitals(method))
      this.#narrow(valueOf(this.#methods, method));
    if (this.#paths !== null && facts.path !== null) {
      this.#paths.candidates(facts.path, this.#byPath);
      this.#narrow(this.#byPath);
    }
    // Rules read a host that nobody can tell in the safe way: they have to be asked.
    if (this.#hosts !== null && facts.host !== null)
      this.#narrow(valueOf(this.#hosts, facts.host.name));
    for (const header of this.#headers) {
      const bits = headerBits(header, fields);
      if (bits !== null) this.#narrow(bits);
    }
  }

  #narrow(bits: Bits): void {
    const candidates = this.#candidates;
    for (let i = 0; i < candidates.length; i++) candidates[i]! &= bits[i]!;
  }

  first(set: RuleSetName, facts: Facts): number {
    const { fromWord, endWord } = this.#places[set];
    for (let word = fromWord; word < endWord; word++) {
      let bits = this.#candidates[word]!;
      while (bits !== 0) {
        const low = bits & -bits;
        const entry = this.#entries[(word << 5) + 31 - Math.clz32(low)]!;
        if (ruleHoldsWith(entry.rule, entry.leaves, facts)) return entry.position;
        bits ^= low;
      }
    }
    return -1;
  }

  collect(set: RuleSetName, facts: Facts, into: Set<number>): void {
    const { fromWord, endWord } = this.#places[set];
    for (const at of onesOf(this.#candidates.subarray(fromWord, endWord))) {
      const { rule, leaves, position } = this.#entries[(fromWord << 5) + at]!;
      if (ruleHoldsWith(rule, leaves, facts)) into.add(position);
    }
  }
}

/** Sources do not look at where a call arrives. */
const nowhere: Target = { address: '', port: 0 };

function valueOf<K>(lookup: Lookup<K>, key: K): Bits {
  return lookup.of.get(key) ?? lookup.other;
}

/** Null: sent twice, under two names or as a list, of which rules look at more than one reading: they have to be asked. */
function headerBits({ name, of, other }: HeaderLookup, fields: Fields): Bits | null {
  let value: string | null = null;
  for (let i = 0; i < fields.length; i += 2) {
    if (isAlike(fields[i]!, name)) return null;
    if (fields[i] !== name) continue;
    if (value !== null) return null;
    value = fields[i + 1]!;
  }
  if (value === null) return other;
  return value.includes(',') ? null : (of.get(value) ?? other);
}

function onesOf(words: Bits): number[] {
  const ones: number[] = [];
  for (const [word, value] of words.entries()) {
    for (let bits = value; bits !== 0; bits &= bits - 1)
      ones.push((word << 5) + 31 - Math.clz32(bits & -bits));
  }
  return ones;
}
