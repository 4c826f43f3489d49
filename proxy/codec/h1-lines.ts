// Finds where the lines between the bodies of HTTP/1.1 end: a bare LF in a head, the extensions of a chunk
// (RFC 9112 §7.1.1). Pure; says where and no more, faults are h1-reader.ts.
import { CR, HTAB, LF, SP, TOKEN_CHAR } from './chars.ts';

export const SEMICOLON = 0x3b;

/** The first LF in [from, to) that no CR precedes, else -1; `start` is where the section begins. */
export function bareLineFeed(input: Buffer, start: number, from: number, to: number): number {
  for (let i = input.indexOf(LF, from); i >= 0 && i < to; i = input.indexOf(LF, i + 1)) {
    if (i === start || input[i - 1] !== CR) return i;
  }
  return -1;
}

export function hexDigit(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

export const BAD_EXTENSION = -2;

/**
 * From the end of the size at `at` to the CR that ends the line; -1 where the line is not complete. White space around
 * `;` and `=` is bad, but recipients must parse it (BWS, RFC 9110 §5.6.3); without a `;` it has no place.
 */
export function skipExtension(input: Buffer, at: number): number {
  let i = skipBlank(input, at);
  if (i < input.length && input[i] !== SEMICOLON) return BAD_EXTENSION;
  while (i < input.length && input[i] === SEMICOLON) {
    i = skipToken(input, skipBlank(input, i + 1));
    if (i === BAD_EXTENSION) return i;
    i = skipBlank(input, i);
    if (i < input.length && input[i] === 0x3d) {
      i = skipBlank(input, i + 1);
      i = input[i] === 0x22 ? skipQuoted(input, i + 1) : skipToken(input, i);
      if (i < 0) return i;
      i = skipBlank(input, i);
    }
  }
  if (i >= input.length) return -1;
  return input[i] === CR && !isBlank(input[i - 1]!) ? i : BAD_EXTENSION;
}

export function isBlank(c: number): boolean {
  return c === SP || c === HTAB;
}

function skipBlank(input: Buffer, from: number): number {
  let i = from;
  while (i < input.length && isBlank(input[i]!)) i++;
  return i;
}

/** Past 1*tchar. A token that the input cuts off is fine so far. */
function skipToken(input: Buffer, from: number): number {
  let i = from;
  while (i < input.length && TOKEN_CHAR[input[i]!] === 1) i++;
  return i === from && i < input.length ? BAD_EXTENSION : i;
}

/** Past a quoted-string whose opening quote is before `from`. */
function skipQuoted(input: Buffer, from: number): number {
  let i = from;
  for (; i < input.length; i++) {
    const c = input[i]!;
    if (c === 0x22) return i + 1;
    if ((c < 0x20 && c !== 0x09) || c === 0x7f) return BAD_EXTENSION;
    if (c === 0x5c) {
      i++;
      const quoted = input[i];
      if (quoted !== undefined && ((quoted < 0x20 && quoted !== 0x09) || quoted === 0x7f)) {
        return BAD_EXTENSION;
      }
    }
  }
  return -1;
}
