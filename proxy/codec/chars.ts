// Character classes of HTTP (RFC 9110 §5.6.2, RFC 9112 §3.2) as tables and checks over latin1 strings.
// Knows characters only, not messages.

export const CR = 0x0d;
export const LF = 0x0a;
export const SP = 0x20;
export const HTAB = 0x09;

function tableOf(chars: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < chars.length; i++) table[chars.charCodeAt(i)] = 1;
  return table;
}

const DIGITS = '0123456789';
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const ALNUM = DIGITS + LOWER + LOWER.toUpperCase();

/** tchar (RFC 9110 §5.6.2). */
export const TOKEN_CHAR: Uint8Array = tableOf(`!#$%&'*+-.^_\`|~${ALNUM}`);
/** tchar without upper-case letters: what a field name in HTTP/2 may hold (RFC 9113 §8.2.1). */
export const LOWER_TOKEN_CHAR: Uint8Array = tableOf(`!#$%&'*+-.^_\`|~${DIGITS}${LOWER}`);
/** uri-host [":" port] without user information (RFC 3986 §3.2.2, RFC 9110 §4.2.4). */
const AUTHORITY_CHAR = tableOf(`-._~!$&'()*+,;=:[]%${ALNUM}`);

function allIn(table: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (table[text.charCodeAt(i)] !== 1) return false;
  return true;
}

export function isToken(text: string): boolean {
  return text.length > 0 && allIn(TOKEN_CHAR, text);
}

export function isLowerToken(text: string): boolean {
  return text.length > 0 && allIn(LOWER_TOKEN_CHAR, text);
}

const UPGRADE = /^[!#-'*+./^_`|~\w-]+( *, *[!#-'*+./^_`|~\w-]+)*$/;
const HTTP2 = /(^|[ ,])h2c?\b/i;

/**
 * A list of protocols, perhaps with versions (RFC 9110 §7.8), that may become a tunnel. HTTP/2 may not: no policy would
 * see into it ("h2c smuggling").
 */
export function isUpgrade(text: string): boolean {
  return UPGRADE.test(text) && !HTTP2.test(text);
}

/** True for an empty authority too: whether one may be empty is the caller's to say. */
export function isAuthority(text: string): boolean {
  return allIn(AUTHORITY_CHAR, text);
}

/**
 * Visible ASCII without `#`: a fragment is never part of a request target, and recipients differ on what to do with it.
 * Characters that RFC 3986 would have escaped (`|`, `"`, …) are let through, as every peer does: they split nothing.
 */
export function isTarget(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c <= SP || c >= 0x7f || c === 0x23) return false;
  }
  return text.length > 0;
}

/** field-value without surrounding white space (RFC 9110 §5.5): no controls but HTAB. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if ((c < SP && c !== HTAB) || c === 0x7f) return false;
  }
  return true;
}

/** 1*DIGIT within the safe integers, else -1 (RFC 9110 §8.6; no sign, no white space, no list). */
export function parseContentLength(text: string): number {
  if (text.length === 0 || text.length > 32) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}
