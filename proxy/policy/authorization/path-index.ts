// Which rules a path may match, by one pass over its characters: hashes of what stands before each slash are looked
// up, and of what stands at the end. Two texts with one hash only make rules be asked that do not hold. Pure.

import type { AuthorizationPath } from '../../api/authorization.ts';
import { trimSlash } from '../string-match.ts';
import { addTo, setBit, type Bits } from './bits.ts';
import { templateSegments } from './path-match.ts';
import { normalPath } from './path-readings.ts';

/** How a pattern is found: by the whole path, by its first segments, or by its end; null: always asked. */
type Handle = { readonly kind: 'exact' | 'prefix' | 'suffix'; readonly text: string } | null;

/** FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), over character codes. */
const seed = 0x811c9dc5 | 0;
const prime = 0x01000193;
const slash = 0x2f;

export interface PathIndex {
  /** Writes the rules that may hold for this reading. */
  candidates(path: string, into: Bits): void;
}

/** `pathsOf`: the paths one of which a rule asks for; null where it holds for paths that are not named. */
export function createPathIndex<T>(
  rules: readonly (T | null)[],
  words: number,
  pathsOf: (rule: T) => readonly AuthorizationPath[] | null,
): PathIndex | null {
  const base = new Uint32Array(words);
  const handles: { at: number; choices: Handle[] }[] = [];
  for (const [at, rule] of rules.entries()) {
    if (rule === null) continue;
    const paths = pathsOf(rule);
    if (paths === null) setBit(base, at);
    else for (const path of paths) handles.push({ at, choices: handlesOf(path) });
  }
  if (handles.length === 0) return null;
  const tables = new Tables(base);
  for (const { at, handle } of chosen(handles)) tables.add(handle, at);
  return { candidates: (path, into) => tables.candidates(path, into) };
}

/** Of the handles of a template the one that fewer patterns share. */
function chosen(
  all: readonly { at: number; choices: Handle[] }[],
): { at: number; handle: Handle }[] {
  const uses = new Map<string, number>();
  const nameOf = (handle: Handle): string => (handle === null ? '' : handle.kind + handle.text);
  for (const { choices } of all)
    for (const one of choices) uses.set(nameOf(one), (uses.get(nameOf(one)) ?? 0) + 1);
  return all.map(({ at, choices }) => {
    const usesOf = (handle: Handle): number => uses.get(nameOf(handle))!;
    return { at, handle: choices.toSorted((a, b) => usesOf(a) - usesOf(b))[0]! };
  });
}

function handlesOf(path: AuthorizationPath): Handle[] {
  if ('exact' in path) return [handleOf('exact', normalPath(path.exact))];
  if ('suffix' in path) return [handleOf('suffix', normalPath(path.suffix))];
  if ('prefix' in path) return [handleOf('prefix', trimSlash(normalPath(path.prefix)))];
  const segments = templateSegments(path.template);
  const first = segments.findIndex((segment) => typeof segment !== 'string');
  if (first < 0) return [handleOf('exact', `/${segments.join('/')}`)];
  const last = segments.findLastIndex((segment) => typeof segment !== 'string');
  const before = segments.slice(0, first).map((segment) => `/${segment}`);
  const after = segments.slice(last + 1).map((segment) => `/${segment}`);
  const choices = [handleOf('prefix', before.join(''))];
  choices.push(handleOf('suffix', after.join('')));
  const useful = choices.filter((one) => one !== null);
  return useful.length > 0 ? useful : [null];
}

/** Every path begins and ends with nothing. */
function handleOf(kind: NonNullable<Handle>['kind'], text: string): Handle {
  return text === '' ? null : { kind, text };
}

class Tables {
  readonly #base: Bits;
  readonly #exact = new Map<number, number[]>();
  readonly #prefix = new Map<number, number[]>();
  readonly #suffix = new Map<number, number[]>();
  /** Of the longest text that is looked up from the front, and lengths of those from the end, ascending. */
  #longest = 0;
  #suffixLengths: number[] = [];

  constructor(base: Bits) {
    this.#base = base;
  }

  add(handle: Handle, at: number): void {
    if (handle === null) setBit(this.#base, at);
    else if (handle.kind === 'suffix') {
      addTo(this.#suffix, backwardHash(handle.text), at);
      if (!this.#suffixLengths.includes(handle.text.length))
        this.#suffixLengths = [...this.#suffixLengths, handle.text.length].toSorted(
          (a, b) => a - b,
        );
    } else {
      addTo(handle.kind === 'exact' ? this.#exact : this.#prefix, forwardHash(handle.text), at);
      this.#longest = Math.max(this.#longest, handle.text.length);
    }
  }

  candidates(path: string, into: Bits): void {
    const base = this.#base;
    for (let i = 0; i < base.length; i++) into[i] = base[i]!;
    if (this.#longest > 0) this.#fromFront(path, into);
    if (this.#suffixLengths.length > 0) this.#fromEnd(path, into);
  }

  #fromFront(path: string, into: Bits): void {
    const end = Math.min(path.length, this.#longest + 1);
    let hash = seed;
    for (let i = 0; i < end; i++) {
      const c = path.charCodeAt(i);
      if (c === slash && i > 0) addAll(into, this.#prefix.get(hash));
      hash = Math.imul(hash ^ c, prime);
    }
    if (end < path.length) return;
    addAll(into, this.#prefix.get(hash));
    addAll(into, this.#exact.get(hash));
  }

  #fromEnd(path: string, into: Bits): void {
    const lengths = this.#suffixLengths;
    let hash = seed;
    let next = 0;
    for (let length = 1; length <= path.length; length++) {
      hash = Math.imul(hash ^ path.charCodeAt(path.length - length), prime);
      if (lengths[next] !== length) continue;
      addAll(into, this.#suffix.get(hash));
      next++;
      if (next === lengths.length) return;
    }
  }
}

function addAll(into: Bits, list: readonly number[] | undefined): void {
  if (list === undefined) return;
  for (let i = 0; i < list.length; i++) setBit(into, list[i]!);
}

function forwardHash(text: string): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), prime);
  return hash;
}

function backwardHash(text: string): number {
  let hash = seed;
  for (let i = text.length - 1; i >= 0; i--) hash = Math.imul(hash ^ text.charCodeAt(i), prime);
  return hash;
}
