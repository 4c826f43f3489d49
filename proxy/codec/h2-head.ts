// Puts the fields of a decoded header block together to a message head or trailers and judges them (RFC 9113 §8):
// pseudo-header fields, names, values, connection-specific fields. Knows nothing of streams.
import { isAuthority, isFieldValue, isLowerToken, isTarget, isToken, isUpgrade } from './chars.ts';
import { parseContentLength } from './chars.ts';
import { SENSITIVE } from './hpack-encoder.ts';
import type { FieldSink } from './hpack-decoder.ts';
import { ENTRY_OVERHEAD } from './hpack-table.ts';
import type { Fields, RequestHead, ResponseHead } from './session.ts';

/**
 * The method of an HTTP/1.1 Upgrade that was not GET (docker and kubectl use POST): extended CONNECT has no place for
 * it. Harmless where it is not known.
 */
export const UPGRADE_METHOD = 'x-tsmesh-upgrade-method';

/** What `classify` says of a field; remembered with table entries, so each is judged once. */
const ORDINARY = 0;
const INVALID = 1;
const METHOD = 2;
const SCHEME = 3;
const AUTHORITY = 4;
const PATH = 5;
const PROTOCOL = 6;
const STATUS = 7;
const HOST = 8;
const CONTENT_LENGTH = 9;
const COOKIE = 10;
const UPGRADE_METHOD_KIND = 11;

const PSEUDO: Readonly<Record<string, readonly [number, (value: string) => boolean]>> = {
  ':method': [METHOD, isToken],
  ':scheme': [SCHEME, (value) => /^[A-Za-z][A-Za-z0-9+.-]*$/.test(value)],
  ':authority': [AUTHORITY, isAuthority],
  ':path': [PATH, isTarget],
  ':protocol': [PROTOCOL, isUpgrade],
  ':status': [STATUS, (value) => /^[1-9][0-9][0-9]$/.test(value)],
};

const SPECIAL: ReadonlyMap<string, number> = new Map([
  ['host', HOST],
  ['content-length', CONTENT_LENGTH],
  ['cookie', COOKIE],
  [UPGRADE_METHOD, UPGRADE_METHOD_KIND],
  // RFC 9113 §8.2.2.
  ['connection', INVALID],
  ['keep-alive', INVALID],
  ['proxy-connection', INVALID],
  ['transfer-encoding', INVALID],
  ['upgrade', INVALID],
]);

/** One per connection, reused for each block. */
export class H2HeadBuilder implements FieldSink {
  readonly #maxListBytes: number;
  #listBytes = 0;
  #fields: Fields = [];
  #malformed = false;
  #pseudo: (string | null)[] = [null, null, null, null, null, null, null, null];
  #pseudoSeen = false;
  #host: string | null = null;
  #upgradeMethod: string | null = null;
  #contentLength = -1;
  #cookieAt = -1;
  #never: string[] | null = null;

  constructor(maxListBytes: number) {
    this.#maxListBytes = maxListBytes;
  }

  /** Octets of the list so far, as RFC 9113 §6.5.2 counts. */
  get listBytes(): number {
    return this.#listBytes;
  }

  /** The block holds more than was offered; the fields are void. */
  get tooLarge(): boolean {
    return this.#listBytes > this.#maxListBytes;
  }

  /** Names that came as never-indexed, beside those that always are; null: none. */
  get neverIndexed(): readonly string[] | null {
    return this.#never;
  }

  reset(): void {
    this.#listBytes = 0;
    this.#fields = [];
    this.#malformed = false;
    this.#host = null;
    this.#upgradeMethod = null;
    this.#contentLength = -1;
    this.#cookieAt = -1;
    this.#never = null;
    if (this.#pseudoSeen) this.#pseudo.fill(null);
    this.#pseudoSeen = false;
  }

  classify(name: string, value: string): number {
    if (name.charCodeAt(0) === 0x3a) {
      const known = PSEUDO[name];
      return known !== undefined && known[1](value) ? known[0] : INVALID;
    }
    if (!isLowerToken(name) || !isTrimmedValue(value)) return INVALID;
    if (name === 'te') return value.toLowerCase() === 'trailers' ? ORDINARY : INVALID;
    if (name === 'content-length' && parseContentLength(value) < 0) return INVALID;
    if (name === 'host' && !isAuthority(value)) return INVALID;
    // An upgrade has a path, of which an HTTP/1.1 app to which it went on as CONNECT would see nothing.
    if (name === UPGRADE_METHOD && (!isToken(value) || value === 'CONNECT')) return INVALID;
    return SPECIAL.get(name) ?? ORDINARY;
  }

  onField(name: string, value: string, note: number, never: boolean): void {
    this.#listBytes += name.length + value.length + ENTRY_OVERHEAD;
    if (this.#listBytes > this.#maxListBytes) return;
    if (never && note === ORDINARY && !SENSITIVE.has(name)) (this.#never ??= []).push(name);
    if (note === ORDINARY) this.#fields.push(name, value);
    else if (note >= METHOD && note <= STATUS) this.#takePseudo(note, value);
    else this.#takeSpecial(note, name, value);
  }

  /** Null: malformed (RFC 9113 §8.1.1). `isHead`-like questions are the caller's. */
  request(extendedConnect: boolean): RequestHead | null {
    const pseudo = this.#pseudo;
    const method = pseudo[METHOD];
    if (this.#malformed || method === null || pseudo[STATUS] !== null) return null;
    const protocol = pseudo[PROTOCOL]!;
    if (protocol !== null && (method !== 'CONNECT' || !extendedConnect)) return null;
    const plainConnect = method === 'CONNECT' && protocol === null;
    const authority = this.#authority();
    if (authority === null) return null;
    const { scheme, path } = this.#target(plainConnect, authority, method!);
    if (scheme === null || path === null) return null;
    return this.#marked({
      method: protocol === null ? method! : (this.#upgradeMethod ?? 'GET'),
      scheme,
      authority,
      path,
      upgrade: protocol,
      fields: this.#fields,
      contentLength: this.#contentLength < 0 ? null : this.#contentLength,
    });
  }

  response(): ResponseHead | null {
    const status = this.#pseudo[STATUS]!;
    if (this.#malformed || status === null || this.#hasRequestPseudo()) return null;
    // 101 has no place in HTTP/2 (RFC 9113 §8.6).
    if (status === '101') return null;
    return this.#marked({
      status: Number(status),
      fields: this.#fields,
      contentLength: this.#contentLength < 0 ? null : this.#contentLength,
    });
  }

  #marked<H extends RequestHead | ResponseHead>(head: H): H {
    if (this.#never !== null) head.neverIndexed = this.#never;
    return head;
  }

  trailers(): Fields | null {
    if (this.#malformed || this.#pseudoSeen) return null;
    return this.#host === null && this.#contentLength < 0 ? this.#fields : null;
  }

  #takePseudo(kind: number, value: string): void {
    this.#pseudoSeen = true;
    const late = this.#fields.length > 0 || this.#host !== null || this.#contentLength >= 0;
    if (late || this.#pseudo[kind] !== null) this.#malformed = true;
    else this.#pseudo[kind] = value;
  }

  #takeSpecial(kind: number, name: string, value: string): void {
    switch (kind) {
      case HOST:
        if (this.#host !== null) this.#malformed = true;
        this.#host = value;
        break;
      case CONTENT_LENGTH: {
        const length = parseContentLength(value);
        if (this.#contentLength >= 0 && this.#contentLength !== length) this.#malformed = true;
        this.#contentLength = length;
        break;
      }
      case COOKIE:
        this.#takeCookie(name, value);
        break;
      case UPGRADE_METHOD_KIND:
        this.#upgradeMethod = value;
        break;
      default:
        this.#malformed = true;
    }
  }

  /** HTTP/2 may cut Cookie in crumbs; elsewhere it is one line (RFC 9113 §8.2.3). */
  #takeCookie(name: string, value: string): void {
    if (this.#cookieAt >= 0) this.#fields[this.#cookieAt] += `; ${value}`;
    else {
      this.#fields.push(name, value);
      this.#cookieAt = this.#fields.length - 1;
    }
  }

  /** `:authority`, or else Host; null where they contradict (RFC 9113 §8.3.1). */
  #authority(): string | null {
    const authority = this.#pseudo[AUTHORITY]!;
    if (authority === null) return this.#host ?? '';
    return this.#host !== null && this.#host !== authority ? null : authority;
  }

  #target(
    plainConnect: boolean,
    authority: string,
    method: string,
  ): { scheme: string | null; path: string | null } {
    const scheme = this.#pseudo[SCHEME]!;
    const path = this.#pseudo[PATH]!;
    if (plainConnect) {
      const bad = scheme !== null || path !== null || !/:[0-9]{1,5}$/.test(authority);
      return bad ? { scheme: null, path: null } : { scheme: 'http', path: '' };
    }
    if (scheme === null || path === null) return { scheme: null, path: null };
    const good = path.charCodeAt(0) === 0x2f || (path === '*' && method === 'OPTIONS');
    return good ? { scheme, path } : { scheme: null, path: null };
  }

  #hasRequestPseudo(): boolean {
    for (let kind = METHOD; kind <= PROTOCOL; kind++) if (this.#pseudo[kind] !== null) return true;
    return false;
  }
}

/** RFC 9113 §8.2.1: no surrounding white space, no controls. */
function isTrimmedValue(value: string): boolean {
  if (!isFieldValue(value)) return false;
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  return first !== 0x20 && first !== 0x09 && last !== 0x20 && last !== 0x09;
}
