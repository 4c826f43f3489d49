// Every reading that an app might take of a request target. The reading of the text as sent comes first. Pure,
// bounded in number and work.
//
// Readings are written in one normal form, so that they differ only where it matters: escapes of characters that
// mean nothing to the structure of a path are undone (`%41` is `A`, `%40` is `@`: RFC 3986 §6.2.2.2, and all
// apps that decode), whatever cannot stand in a path is escaped (a space is `%20`, `Ü` is `%C3%9C`, `\` is `%5C`, a
// `%` that begins no escape is `%25`), and hexadecimal digits are capitals. Patterns take the same form.
// What is left to differ on: encoded separators, parameters, double encoding, empty and dot segments.

export interface PathReadings {
  /** At least one, the target as sent first. Empty where there would be too many, or too long ones. */
  readonly texts: readonly string[];
  /** Apps may differ on what this path is. */
  readonly ambiguous: boolean;
}

/** Far above what a path met in practice has (three or four): beyond, somebody is trying. */
const maxReadings = 64;
/** Characters of all readings together: bounds the work of the worst target that was found to about a millisecond. */
const maxChars = 4096;
/** What longer targets cannot have without having more readings than that. */
const manyReadings = /%2F|%5C|%25|%3B|;|%3F|%23|%00|%C[01]|%E0%8[01]|%F0%80|\/\/|\/\.{1,2}(?:\/|$)/;
/** Of targets that are not plain; those that are may be as long as the sidecar takes them. */
const maxTargetChars = 16_384;

const PLAIN = 1;
const SLASH = 2;
const DOT = 3;
const QUERY = 4;

const classes = classTable();

function classTable(): Uint8Array {
  const table = new Uint8Array(128);
  const plain = "-_~!$&'()*+,=:@";
  for (let c = 0; c < 128; c++)
    if (/[0-9A-Za-z]/.test(String.fromCharCode(c)) || plain.includes(String.fromCharCode(c)))
      table[c] = PLAIN;
  table[0x2f] = SLASH;
  table[0x2e] = DOT;
  table[0x3f] = QUERY;
  return table;
}

/**
 * Where the path ends (at the query, or with the target) if there is only one way to read it and it is in normal form;
 * else -1. No dot segment, empty segment, escape, parameter or character that needs one.
 */
export function plainPathEnd(target: string): number {
  if (target.charCodeAt(0) !== 0x2f) return -1;
  // Characters of the segment that are not dots, and dots: `.` and `..` are dot segments, `...` is a name.
  let segmentAt = 1;
  let dots = 0;
  let at = 1;
  for (; at < target.length; at++) {
    const c = target.charCodeAt(at);
    const kind = c < 128 ? classes[c]! : 0;
    if (kind === PLAIN) continue;
    if (kind === DOT) {
      dots++;
      continue;
    }
    if (kind === QUERY) break;
    if (kind !== SLASH) return -1;
    const length = at - segmentAt;
    if (length === 0 || (length === dots && length <= 2)) return -1;
    segmentAt = at + 1;
    dots = 0;
  }
  const length = at - segmentAt;
  return length > 0 && length === dots && length <= 2 ? -1 : at;
}

/** The query and a fragment are cut off; `*` and an empty target (CONNECT) are themselves. */
export function pathReadings(target: string): PathReadings {
  const end = plainPathEnd(target);
  if (end >= 0) return { texts: [target.slice(0, end)], ambiguous: false };
  if (target === '' || target === '*') return { texts: [target], ambiguous: false };
  if (target.length > maxTargetChars) return { texts: [], ambiguous: true };
  const raw = rawPath(target);
  const malformed = /%(?![0-9a-fA-F]{2})/.test(raw);
  const texts = closure(normalPath(raw));
  return { texts, ambiguous: malformed || texts.length !== 1 };
}

/** Origin-form out of whatever form (RFC 9112 §3.2): scheme and authority, query and fragment go. */
function rawPath(target: string): string {
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
  return path.startsWith('/') ? path : `/${path}`;
}

/** All that the changes make of it, in any order and number; empty where that is too much. */
function closure(first: string): string[] {
  if (first.length > maxChars) return manyReadings.test(first) ? [] : [first];
  const texts = [first];
  let chars = first.length;
  for (let i = 0; i < texts.length; i++) {
    for (const change of changes) {
      const text = change(texts[i]!);
      if (texts.includes(text)) continue;
      texts.push(text);
      chars += text.length;
      if (texts.length > maxReadings || chars > maxChars) return [];
    }
  }
  return texts;
}

/** What an app, a framework or a proxy before it may do to a path; each takes and gives the normal form. */
const changes: readonly ((path: string) => string)[] = [
  // An encoded slash separates segments after decoding.
  (path) => (path.includes('%2F') ? path.replaceAll('%2F', '/') : path),
  // A backslash separates segments (browsers' URL parser, Windows).
  (path) => (path.includes('%5C') ? path.replaceAll('%5C', '/') : path),
  // Decoded once more: `%252F` was `%2F`.
  (path) => (path.includes('%25') ? normalPath(path.replaceAll('%25', '%')) : path),
  (path) => (path.includes('%3B') ? path.replaceAll('%3B', ';') : path),
  // Path parameters are not part of the segment (servlet containers: `/a;jsessionid=1/b`, `/..;/`).
  (path) => (path.includes(';') ? path.replace(/;[^/]*/g, '') : path),
  // Decoded before it was cut at the query or fragment.
  (path) => (/%3F|%23/.test(path) ? path.replace(/(?:%3F|%23).*$/, '') : path),
  // A C string ends here.
  (path) => (path.includes('%00') ? path.replace(/%00.*$/, '') : path),
  overlongDecoded,
  (path) => (path.includes('//') ? path.replace(/\/{2,}/g, '/') : path),
  withoutDotSegments,
  // `//name/path` is a network-path reference to parsers of URL references (RFC 3986 §4.2).
  (path) => (path.startsWith('//') ? path.replace(/^\/\/[^/]*/, '') || '/' : path),
];

/** Lax decoders take long forms of ASCII (RFC 3629 §10: invalid), and `%u002F`, for the character. */
const overlong = /%C[01]%([89AB][0-9A-F])|%E0%8[01]%([89AB][0-9A-F])|%F0%80%8[01]%([89AB][0-9A-F])/;
const legacy = /%25[uU]00([0-7][0-9A-Fa-f])/g;

function overlongDecoded(path: string): string {
  if (!overlong.test(path) && path.search(legacy) < 0) return path;
  const decoded = path
    .replace(/%C([01])%([89AB][0-9A-F])/g, (_, high: string, low: string) => ascii(high, low))
    .replace(/%E0%8([01])%([89AB][0-9A-F])/g, (_, high: string, low: string) => ascii(high, low))
    .replace(/%F0%80%8([01])%([89AB][0-9A-F])/g, (_, high: string, low: string) => ascii(high, low))
    .replace(legacy, (_, hex: string) => `%${hex}`);
  return normalPath(decoded);
}

/** Six bits of the last octet under one of the octet before, as an escape. */
function ascii(high: string, low: string): string {
  return escapeOf((Number(high) << 6) | (parseInt(low, 16) & 0x3f));
}

/** RFC 3986 §5.2.4. */
function withoutDotSegments(path: string): string {
  if (!/\/\.{1,2}(?:\/|$)/.test(path)) return path;
  const kept: string[] = [];
  const segments = path.split('/');
  for (const [i, segment] of segments.entries()) {
    if (segment === '..') {
      // The first is what stands before the leading slash.
      if (kept.length > 1) kept.pop();
    } else if (segment !== '.') kept.push(segment);
    if (i === segments.length - 1 && (segment === '.' || segment === '..')) kept.push('');
  }
  return kept.join('/');
}

/** The normal form of a path as text, of a request or of a pattern. */
export function normalPath(path: string): string {
  // Only what is not plain: an escape, a `%` alone, or a character.
  return path.replace(/%[0-9a-fA-F]{2}|[^0-9A-Za-z\-._~!$&'()*+,=:@/;]/gu, (part) => {
    if (part.length === 3 && part.startsWith('%')) return normalEscape(part);
    return part.charCodeAt(0) < 128 ? escapeOf(part.charCodeAt(0)) : encoded(part);
  });
}

function normalEscape(escape: string): string {
  const octet = parseInt(escape.slice(1), 16);
  const kind = octet < 128 ? classes[octet]! : 0;
  return kind === PLAIN || kind === DOT ? String.fromCharCode(octet) : escape.toUpperCase();
}

function escapeOf(octet: number): string {
  return `%${octet.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** UTF-8; half of a surrogate pair is U+FFFD. */
function encoded(character: string): string {
  return encodeURIComponent(character.toWellFormed());
}
