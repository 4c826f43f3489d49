// Whether one reading of a path is one of those that a rule names. Both are in normal form (see path-readings.ts),
// where an escape is one character. Pure.

import type { AuthorizationPath } from '../../api/authorization.ts';
import { compilePathPrefix } from '../string-match.ts';
import { normalPath } from './path-readings.ts';

export type PathMatch = (reading: string) => boolean;

/**
 * A target without a path (`*`, or empty for CONNECT) has no segments: only prefix `/` and template `/{**}` match it.
 * A slash at the end counts, but for prefixes: exact `/a` is not `/a/`, prefix `/a` and `/a/` are both and `/a/b`.
 */
export function compilePath(path: AuthorizationPath): PathMatch {
  if ('exact' in path) {
    const exact = normalPath(path.exact);
    return (reading) => reading === exact;
  }
  if ('prefix' in path) return compilePathPrefix(normalPath(path.prefix));
  if ('suffix' in path) return compileSuffix(normalPath(path.suffix));
  const segments = templateSegments(path.template);
  return (reading) => matchesTemplate(segments, reading.startsWith('/') ? reading : '');
}

/** An escape is one character: no suffix begins within. */
function compileSuffix(suffix: string): PathMatch {
  return (reading) => {
    if (!reading.endsWith(suffix)) return false;
    const at = reading.length - suffix.length;
    return reading.charCodeAt(at - 1) !== 0x25 && reading.charCodeAt(at - 2) !== 0x25;
  };
}

const ONE = 1;
const ANY = 2;
/** A literal, or one of the two wildcards. */
export type TemplateSegment = string | typeof ONE | typeof ANY;

export function templateSegments(template: string): TemplateSegment[] {
  const parts = template.split('/').slice(1);
  return parts.map((part) => (part === '{*}' ? ONE : part === '{**}' ? ANY : normalPath(part)));
}

/** `{*}` takes one segment that is not empty, `{**}` any number of any. Time: segments of both multiplied at most. */
function matchesTemplate(segments: readonly TemplateSegment[], text: string): boolean {
  let next = 0;
  let at = 0;
  // The last `{**}` met, and where what it takes ends: it takes one more segment where the rest does not fit.
  let anyAt = -1;
  let anyEnd = 0;
  for (;;) {
    if (segments[next] === ANY) {
      anyAt = next++;
      anyEnd = at;
    } else if (at === text.length) {
      return next === segments.length;
    } else {
      const end = segmentEnd(text, at + 1);
      if (next < segments.length && fits(segments[next]!, text, at + 1, end)) {
        next++;
        at = end;
      } else {
        if (anyAt < 0) return false;
        anyEnd = segmentEnd(text, anyEnd + 1);
        at = anyEnd;
        next = anyAt + 1;
      }
    }
  }
}

function segmentEnd(text: string, from: number): number {
  const slash = text.indexOf('/', from);
  return slash < 0 ? text.length : slash;
}

function fits(segment: TemplateSegment, text: string, from: number, end: number): boolean {
  if (typeof segment !== 'string') return end > from;
  return segment.length === end - from && text.startsWith(segment, from);
}
