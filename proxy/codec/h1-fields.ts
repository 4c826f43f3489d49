// Parses the field lines of a header or trailer section (RFC 9112 §5) from one latin1 string, strips hop-by-hop
// fields (RFC 9110 §7.6.1) and notes what framing needs. Does not judge framing: see h1-head.ts.
import { CR, HTAB, LF, SP, TOKEN_CHAR, parseContentLength } from './chars.ts';
import { H1_FAULTS } from './h1-faults.ts';
import type { H1Fault } from './h1-faults.ts';
import { KNOWN_FIELDS } from './h1-known-fields.ts';
import type { FieldKind } from './h1-known-fields.ts';
import type { Fields } from './session.ts';

/** What the Transfer-Encoding lines say so far; `coded`: codings that are not spoken here, without chunked behind. */
export type TransferCoding = 'none' | 'chunked' | 'coded' | 'coded-chunked' | 'invalid';

/** One per connection, reused for each section: everything here is overwritten by `parse`. */
export class H1FieldSection {
  fields: Fields = [];
  host: string | null = null;
  /** -1: none. */
  contentLength = -1;
  transferCoding: TransferCoding = 'none';
  close = false;
  keepAlive = false;
  connectionUpgrade = false;
  upgrade: string | null = null;
  expectContinue = false;
  /** What `Keep-Alive` says, which ends here; null: nothing. */
  keepAliveText: string | null = null;
  #named: string[] | null = null;
  #fault: H1Fault | null = null;
  readonly #maxFields: number;

  constructor(maxFields: number) {
    this.#maxFields = maxFields;
  }

  /**
   * `text` from `pos` on must be field lines, an empty line and nothing more. On a fault what was parsed is void.
   */
  parse(text: string, pos: number): H1Fault | null {
    this.#reset();
    let at = pos;
    let count = 0;
    while (text.charCodeAt(at) !== CR) {
      const colon = text.indexOf(':', at);
      if (colon <= at) return nameFault(text, at);
      const rawName = text.slice(at, colon);
      at = this.#line(text, rawName, colon + 1);
      if (at < 0) return this.#fault;
      if (++count > this.#maxFields) return H1_FAULTS.tooManyFields;
    }
    if (text.charCodeAt(at + 1) !== LF || at + 2 !== text.length) return H1_FAULTS.lineEnd;
    if (this.#named !== null) this.#stripNamed(this.#named);
    return null;
  }

  #reset(): void {
    this.fields = [];
    this.host = null;
    this.contentLength = -1;
    this.transferCoding = 'none';
    this.close = false;
    this.keepAlive = false;
    this.connectionUpgrade = false;
    this.upgrade = null;
    this.expectContinue = false;
    this.keepAliveText = null;
    this.#named = null;
    this.#fault = null;
  }

  /** Takes the line whose name is `rawName` and whose value begins at `from`; returns where the next begins, or -1. */
  #line(text: string, rawName: string, from: number): number {
    let known = KNOWN_FIELDS.get(rawName);
    let name: string;
    if (known === undefined) {
      for (let i = 0; i < rawName.length; i++) {
        if (TOKEN_CHAR[rawName.charCodeAt(i)] !== 1) return this.#fail(nameFault(rawName, 0));
      }
      name = rawName.toLowerCase();
      known = KNOWN_FIELDS.get(name);
    } else name = known.name;
    const cr = valueEnd(text, from);
    if (text.charCodeAt(cr) !== CR || text.charCodeAt(cr + 1) !== LF) {
      const c = text.charCodeAt(cr);
      return this.#fail(c === CR || c === LF ? H1_FAULTS.lineEnd : H1_FAULTS.fieldValue);
    }
    const value = trimmed(text, from, cr);
    if (known === undefined || known.kind === 'ordinary') this.fields.push(name, value);
    else {
      const fault = this.#special(known.kind, name, value);
      if (fault !== null) return this.#fail(fault);
    }
    return cr + 2;
  }

  #fail(fault: H1Fault): -1 {
    this.#fault = fault;
    return -1;
  }

  #special(kind: FieldKind, name: string, value: string): H1Fault | null {
    switch (kind) {
      case 'host':
        if (this.host !== null) return H1_FAULTS.host;
        this.host = value;
        return null;
      case 'content-length':
        return this.#length(value);
      case 'transfer-encoding':
        this.#coding(value);
        return null;
      case 'connection':
        this.#connection(value);
        return null;
      case 'upgrade':
        this.upgrade = this.upgrade === null ? value : `${this.upgrade}, ${value}`;
        return null;
      case 'te':
        if (listHas(value, 'trailers')) this.fields.push(name, 'trailers');
        return null;
      case 'expect':
        if (value.toLowerCase() === '100-continue') this.expectContinue = true;
        this.fields.push(name, value);
        return null;
      case 'keep-alive':
        this.keepAliveText = value;
        return null;
      case 'dropped':
        return null;
      case 'ordinary':
        this.fields.push(name, value);
        return null;
    }
  }

  #length(value: string): H1Fault | null {
    const length = parseContentLength(value);
    if (length < 0) return H1_FAULTS.contentLength;
    // The same length said twice is one length (RFC 9110 §8.6); what goes on says it once.
    if (this.contentLength >= 0 && this.contentLength !== length) return H1_FAULTS.contentLengths;
    this.contentLength = length;
    return null;
  }

  #coding(value: string): void {
    if (this.transferCoding === 'none' && value.toLowerCase() === 'chunked') {
      this.transferCoding = 'chunked';
      return;
    }
    for (const raw of value.split(',')) this.#addCoding(raw.trim().toLowerCase());
  }

  #addCoding(coding: string): void {
    const before = this.transferCoding;
    // After chunked nothing may follow; an empty list says nothing; identity is gone since RFC 7230.
    const open = before === 'none' || before === 'coded';
    if (!open || coding === '' || coding === 'identity') this.transferCoding = 'invalid';
    else if (coding !== 'chunked') this.transferCoding = 'coded';
    else this.transferCoding = before === 'none' ? 'chunked' : 'coded-chunked';
  }

  #connection(value: string): void {
    // Two tokens that make up nearly all of the traffic, before the general way.
    if (value === 'keep-alive') this.keepAlive = true;
    else if (value === 'close') this.close = true;
    else for (const raw of value.split(',')) this.#connectionOption(raw.trim().toLowerCase());
  }

  #connectionOption(option: string): void {
    if (option === 'close') this.close = true;
    else if (option === 'keep-alive') this.keepAlive = true;
    else if (option === 'upgrade') this.connectionUpgrade = true;
    else if (option !== 'te' && option !== '') (this.#named ??= []).push(option);
  }

  #stripNamed(named: string[]): void {
    const kept: Fields = [];
    for (let i = 0; i < this.fields.length; i += 2) {
      const name = this.fields[i]!;
      if (!named.includes(name)) kept.push(name, this.fields[i + 1]!);
    }
    this.fields = kept;
  }
}

function nameFault(text: string, at: number): H1Fault {
  const c = text.charCodeAt(at);
  if (c === SP || c === HTAB) return H1_FAULTS.folding;
  return c === CR || c === LF ? H1_FAULTS.lineEnd : H1_FAULTS.fieldName;
}

/** The first position that cannot be part of a field value. */
function valueEnd(text: string, from: number): number {
  let i = from;
  for (;;) {
    const c = text.charCodeAt(i);
    // NaN, past the end, ends it too.
    if (c >= SP ? c === 0x7f : c !== HTAB) return i;
    i++;
  }
}

function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(c: number): boolean {
  return c === SP || c === HTAB;
}

/** Whether a comma-separated list holds `member` (lower case), leaving parameters aside. */
export function listHas(list: string, member: string): boolean {
  for (const raw of list.split(',')) {
    const semicolon = raw.indexOf(';');
    const item = semicolon < 0 ? raw : raw.slice(0, semicolon);
    if (item.trim().toLowerCase() === member) return true;
  }
  return false;
}
