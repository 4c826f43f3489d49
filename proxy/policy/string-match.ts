// How one text is compared with what a route asks for. Compiles once per configuration; pure.

import { compilePattern } from '../api/pattern.ts';
import type { StringMatch } from '../api/resources.ts';
import type { PreparedString } from '../state/prepared.ts';

export function compileString(match: StringMatch): PreparedString {
  if ('exact' in match) return (value) => value === match.exact;
  if ('prefix' in match) return (value) => value !== undefined && value.startsWith(match.prefix);
  if ('regex' in match) {
    const matches = compilePattern(match.regex);
    return (value) => value !== undefined && matches(value);
  }
  return (value) => (value !== undefined) === match.present;
}

/** Whole segments: `/a` and `/a/` match `/a` and `/a/b`, not `/ab` (Gateway API PathPrefix). */
export function compilePathPrefix(prefix: string): (path: string) => boolean {
  const base = trimSlash(prefix);
  if (base === '') return () => true;
  return (path) =>
    path.startsWith(base) && (path.length === base.length || path.charCodeAt(base.length) === 0x2f);
}

export function trimSlash(prefix: string): string {
  return prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
}

/** `b` of `/a/b`: what stands behind the first segment; null where there is no such thing. */
export function lastOfTwo(path: string): string | null {
  const slash = path.indexOf('/', 1);
  if (slash <= 1 || path.charCodeAt(0) !== 0x2f) return null;
  return path.slice(slash + 1);
}

/** What every text begins with that a regular expression matches in full; may be shorter than it could be. */
export function literalStart(regex: string): string {
  if (regex.includes('|')) return '';
  const { start = '', next = '' } = /^(?<start>[\w/-]*)(?<next>.?)/s.exec(regex)?.groups ?? {};
  // What may stand there never is not what it begins with.
  return '*?{'.includes(next) && next !== '' ? start.slice(0, -1) : start;
}
