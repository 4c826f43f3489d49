// Parses and judges whole HTTP/1.1 heads (RFC 9112 §3, §4, §6.3): start line, fields, and how the body is framed.
// Text in, message out; knows nothing of connections or of where the bytes come from.
import { CR, isAuthority, isTarget, isToken, isUpgrade } from './chars.ts';
import { H1_FAULTS } from './h1-faults.ts';
import type { H1Fault } from './h1-faults.ts';
import { H1FieldSection } from './h1-fields.ts';
import type { RequestHead, ResponseHead } from './session.ts';

/** How the end of a body is known. `close`: by the end of the connection; `tunnel`: it is no body any more. */
export type BodyFraming = 'none' | 'length' | 'chunked' | 'close' | 'tunnel';

const COMMON_METHODS: ReadonlySet<string> = new Set(
  'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH'.split(' '),
);
const ABSOLUTE_FORM = /^(https?):\/\/([^/?]*)(.*)$/i;
const VERSION = /^HTTP\/[0-9]\.[0-9]$/;
/** A higher minor version is spoken to as 1.1 (RFC 9110 §6.2). */
const LATER_VERSION = /^HTTP\/1\.[2-9]$/;
const STATUS_LINE = /^HTTP\/1\.([0-9]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const OTHER_VERSION_STATUS_LINE = /^HTTP\/[0-9]\.[0-9] /;

/** One per server connection; the public fields hold the head parsed last. */
export class H1RequestParser {
  readonly section: H1FieldSection;
  head: RequestHead | null = null;
  framing: BodyFraming = 'none';
  http10 = false;
  keepAlive = true;
  expectContinue = false;
  readonly #scheme: string;
  #method = '';
  #authority: string | null = null;
  #path = '';
  #targetScheme = '';
  #absoluteForm = false;

  constructor(maxFields: number, scheme: string) {
    this.section = new H1FieldSection(maxFields);
    this.#scheme = scheme;
  }

  /** `text`: from the request line up to and with the empty line. */
  parse(text: string): H1Fault | null {
    const lineEnd = text.indexOf('\n') - 1;
    if (text.charCodeAt(lineEnd) !== CR) return H1_FAULTS.lineEnd;
    return (
      this.#requestLine(text, lineEnd) ??
      this.section.parse(text, lineEnd + 2) ??
      this.#judgeFraming() ??
      this.#judgeHost() ??
      this.#assemble()
    );
  }

  #requestLine(text: string, lineEnd: number): H1Fault | null {
    const methodEnd = text.indexOf(' ');
    const targetEnd = text.indexOf(' ', methodEnd + 1);
    if (methodEnd <= 0 || targetEnd < 0 || targetEnd > lineEnd) return H1_FAULTS.requestLine;
    const method = text.slice(0, methodEnd);
    if (!COMMON_METHODS.has(method) && !isToken(method)) return H1_FAULTS.method;
    const target = text.slice(methodEnd + 1, targetEnd);
    if (!isTarget(target)) return H1_FAULTS.target;
    const version = text.slice(targetEnd + 1, lineEnd);
    if (version === 'HTTP/1.1') this.http10 = false;
    else if (version === 'HTTP/1.0') this.http10 = true;
    else if (LATER_VERSION.test(version)) this.http10 = false;
    else return VERSION.test(version) ? H1_FAULTS.version : H1_FAULTS.requestLine;
    // PRI is reserved so that HTTP/2's preface can never be a request (RFC 9113 §11.6).
    if (method === 'PRI') return H1_FAULTS.method;
    this.#method = method;
    return this.#target(method, target);
  }

  /** RFC 9112 §3.2: which form the target has follows from the method and its first character. */
  #target(method: string, target: string): H1Fault | null {
    this.#targetScheme = this.#scheme;
    this.#absoluteForm = false;
    this.#authority = null;
    this.#path = target;
    if (method === 'CONNECT') {
      if (!/:[0-9]{1,5}$/.test(target) || !isAuthority(target)) return H1_FAULTS.target;
      this.#authority = target;
      this.#path = '';
      return null;
    }
    if (target.charCodeAt(0) === 0x2f) return null;
    if (target === '*') return method === 'OPTIONS' ? null : H1_FAULTS.target;
    const parts = ABSOLUTE_FORM.exec(target);
    if (parts === null || parts[2] === '' || !isAuthority(parts[2]!)) return H1_FAULTS.target;
    this.#targetScheme = parts[1]!.toLowerCase();
    this.#absoluteForm = true;
    this.#authority = parts[2]!;
    this.#path = originForm(method, parts[3]!);
    return null;
  }

  #judgeFraming(): H1Fault | null {
    const section = this.section;
    this.framing = 'none';
    if (section.transferCoding !== 'none') {
      const fault = codingFault(section, this.http10);
      if (fault !== null) return fault;
      this.framing = 'chunked';
    } else if (section.contentLength > 0) this.framing = 'length';
    if (this.#method === 'CONNECT') {
      if (this.framing !== 'none') return H1_FAULTS.connectBody;
      this.framing = 'tunnel';
    }
    return null;
  }

  #judgeHost(): H1Fault | null {
    const host = this.section.host;
    if (host === null) return this.http10 ? null : H1_FAULTS.host;
    return isAuthority(host) ? null : H1_FAULTS.host;
  }

  #assemble(): null {
    const section = this.section;
    this.keepAlive = !section.close && (!this.http10 || section.keepAlive);
    this.expectContinue = section.expectContinue && !this.http10 && this.framing !== 'none';
    const upgrade = this.#acceptableUpgrade();
    if (upgrade !== null) this.framing = 'tunnel';
    this.head = {
      method: this.#method,
      scheme: this.#targetScheme,
      // An absolute target overrules Host (RFC 9112 §3.2.2).
      authority: this.#authority ?? section.host ?? '',
      path: this.#path,
      upgrade,
      fields: section.fields,
      contentLength: section.contentLength < 0 ? null : section.contentLength,
    };
    // Only where it is so: all other heads keep one shape.
    if (this.#absoluteForm) this.head.absoluteForm = true;
    return null;
  }

  /**
   * Upgrade is ignored, as a server may (RFC 9110 §7.8), in HTTP/1.0, without the connection option, with a body
   * (what follows it would be ambiguous), and for what may not become a tunnel.
   */
  #acceptableUpgrade(): string | null {
    const { upgrade, connectionUpgrade } = this.section;
    if (upgrade === null || !connectionUpgrade || this.http10) return null;
    return this.framing === 'none' && isUpgrade(upgrade) ? upgrade : null;
  }
}

/** What is wrong with a message that has Transfer-Encoding: null only where chunked is all of it. */
function codingFault(section: H1FieldSection, http10: boolean): H1Fault | null {
  if (section.contentLength >= 0) return H1_FAULTS.bothLengths;
  if (http10) return H1_FAULTS.transferEncodingVersion;
  if (section.transferCoding === 'chunked') return null;
  // Its end could be found, but not what it holds: 501. Without chunked at the end, not even that: 400 (§6.3, rule 4).
  return section.transferCoding === 'coded-chunked'
    ? H1_FAULTS.transferCoding
    : H1_FAULTS.transferEncoding;
}

/** The path of an absolute-form target, completed as RFC 9112 §3.2.1 and §3.2.4 say. */
function originForm(method: string, pathAndQuery: string): string {
  if (pathAndQuery === '') return method === 'OPTIONS' ? '*' : '/';
  return pathAndQuery.charCodeAt(0) === 0x2f ? pathAndQuery : `/${pathAndQuery}`;
}

/** What the client knows of its request when the response comes: it decides the framing (RFC 9112 §6.3). */
export interface RequestFacts {
  readonly head: boolean;
  readonly connect: boolean;
  readonly upgrade: boolean;
}

/** One per client connection; the public fields hold the head parsed last. */
export class H1ResponseParser {
  readonly section: H1FieldSection;
  head: ResponseHead | null = null;
  framing: BodyFraming = 'none';
  keepAlive = true;
  #http10 = false;
  #status = 0;

  constructor(maxFields: number) {
    this.section = new H1FieldSection(maxFields);
  }

  parse(text: string, request: RequestFacts): H1Fault | null {
    const lineEnd = text.indexOf('\n') - 1;
    if (text.charCodeAt(lineEnd) !== CR) return H1_FAULTS.lineEnd;
    return (
      this.#statusLine(text, lineEnd) ??
      this.section.parse(text, lineEnd + 2) ??
      this.#judgeFraming(request) ??
      this.#assemble()
    );
  }

  #statusLine(text: string, lineEnd: number): H1Fault | null {
    const line = text.slice(0, lineEnd);
    const parts = STATUS_LINE.exec(line);
    if (parts === null) {
      const other = OTHER_VERSION_STATUS_LINE.test(line) && !line.startsWith('HTTP/1.');
      return other ? H1_FAULTS.version : H1_FAULTS.statusLine;
    }
    this.#http10 = parts[1] === '0';
    this.#status = Number(parts[2]);
    return null;
  }

  #judgeFraming(request: RequestFacts): H1Fault | null {
    const { transferCoding, contentLength } = this.section;
    const status = this.#status;
    if (status === 101) {
      this.framing = 'tunnel';
      return request.upgrade ? null : H1_FAULTS.switching;
    }
    if (transferCoding !== 'none') {
      const fault = codingFault(this.section, this.#http10);
      if (fault !== null) return fault;
    }
    this.framing = 'none';
    if (request.connect && status >= 200 && status < 300) this.framing = 'tunnel';
    else if (status < 200 || status === 204) {
      // Neither may say a length (RFC 9112 §6.1, RFC 9110 §8.6); a coding would make others wait for a body.
      if (transferCoding !== 'none') return H1_FAULTS.transferEncodingHere;
    } else if (request.head || status === 304) this.framing = 'none';
    else if (transferCoding === 'chunked') this.framing = 'chunked';
    else if (contentLength > 0) this.framing = 'length';
    else if (contentLength < 0) this.framing = 'close';
    return null;
  }

  #assemble(): null {
    const section = this.section;
    const status = this.#status;
    this.keepAlive =
      !section.close && (!this.#http10 || section.keepAlive) && this.framing !== 'close';
    const noLength =
      section.contentLength < 0 || status < 200 || status === 204 || this.framing === 'tunnel';
    if (status === 101 && section.upgrade !== null) section.fields.push('upgrade', section.upgrade);
    this.head = {
      status,
      fields: section.fields,
      contentLength: noLength ? null : section.contentLength,
    };
    return null;
  }
}
