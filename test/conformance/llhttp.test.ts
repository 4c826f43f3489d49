// The HTTP/1.1 parser cases of llhttp (vectors/llhttp, MIT) against the sessions of proxy/codec. Every case that states
// a strict behaviour counts; where this project judges differently, DIFFERENT says why, with the section.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { createH1ClientSession } from '../../proxy/codec/h1-client.ts';
import { createH1ServerSession } from '../../proxy/codec/h1-server.ts';
import type { ResponseHead } from '../../proxy/codec/session.ts';
import { Recorder, recordRequests, request, response } from '../../proxy/codec/test-recorder.ts';
import { vectors } from '../support/vectors.ts';

const VECTORS = vectors('llhttp');
const FILES = 'connection content-length finish invalid method pipelining sample transfer-encoding';

interface Case {
  name: string;
  kind: 'request' | 'response';
  /** One octet per character. */
  input: string;
  log: string;
}

/** The test format of llhttp: markdown, a line of meta data, the message, the log. */
function parseFile(kind: 'request' | 'response', file: string): { cases: Case[]; left: number } {
  const path = `${VECTORS}/${kind}/${file}.md`;
  const cases: Case[] = [];
  let left = 0;
  let title = '';
  const text = readFileSync(path).toString('latin1');
  const blocks = /^#+ (.*)$|<!-- meta=(\{.*?\}) -->\s*```http\n([^]*?)```[^]*?```log\n([^]*?)```/gm;
  for (const [, heading, meta, input, log] of text.matchAll(blocks)) {
    if (heading !== undefined) title = heading;
    else if (/lenient|pause|skipBody/.test(meta!)) left++;
    else {
      const type = (JSON.parse(meta!) as { type?: string }).type ?? kind;
      const name = `${kind}/${file}: ${title}`;
      cases.push({
        name,
        kind: type.startsWith('response') ? 'response' : 'request',
        input: octets(input!),
        log: log!,
      });
    }
  }
  return { cases, left };
}

/** Escapes as llhttp's own runner reads them. */
function octets(input: string): string {
  return input
    .replace(/\n$/, '')
    .replace(/\\\n/g, '')
    .replace(/\n/g, '\r\n')
    .replace(/\\r/g, '\r')
    .replace(/\\n/g, '\n')
    .replace(/\\t/g, '\t')
    .replace(/\\f/g, '\f')
    .replace(/\\x([0-9a-fA-F]{2})/g, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    .replace(/\\([0-3][0-7]{1,2})/g, (_all, octal: string) =>
      String.fromCharCode(parseInt(octal, 8)),
    );
}

/** What the log says that must be seen: refused or not, and if not, methods, targets or statuses, and body octets. */
interface Verdict {
  refused: boolean;
  starts: string[];
  bodyBytes: number;
}

const REFUSED: Verdict = { refused: true, starts: [], bodyBytes: 0 };

/** 22 and 23 stop at an upgrade, 5 is data after the last message: neither refuses what came before. */
function expected({ name, kind, log }: Case): Verdict {
  const error = /error code=(\d+)/.exec(log);
  if (error !== null && !['5', '22', '23'].includes(error[1]!)) return REFUSED;
  const all = (pattern: RegExp): string[] => [...log.matchAll(pattern)].map((match) => match[1]!);
  const methods = all(/span\[method\]="(.*)"/g);
  const urls = all(/span\[url\]="(.*)"/g);
  const requests = methods.map((method, i) => `${method} ${urls[i]}`);
  const plain = (text: string): string => (name === FRAGMENT ? text : text.replace(/#.*$/, ''));
  const complete = all(/(headers complete)/g).length;
  return {
    refused: false,
    starts:
      kind === 'request' ? requests.slice(0, complete).map(plain) : all(/complete status=(\d+)/g),
    bodyBytes: all(/len=(\d+) span\[body\]/g).reduce((sum, length) => sum + Number(length), 0),
  };
}

/** Most cases have no Host, which HTTP/1.1 must have (RFC 9112 §3.2) and llhttp leaves to its user: it is added. */
function withHost(input: string): string {
  return /^host *:/im.test(input)
    ? input
    : input.replace(/( HTTP\/1\.1\r\n)(?! )/g, '$1Host: x\r\n');
}

/** Many cases about something else have a fragment in their target, which would be refused first (RFC 9112 §3.2). */
function withoutFragment(input: string): string {
  return input.replace(/#[^ \r\n]*(?= HTTP\/)/g, '');
}

function asServer(input: string): Verdict {
  const session = createH1ServerSession();
  const exchanges = recordRequests(session, ({ head, stream }) => {
    if (head.upgrade !== null) stream.sendHead(response({ status: 101 }), false);
    else stream.sendHead(response(), head.method !== 'CONNECT');
  });
  session.receive(Buffer.from(withHost(input), 'latin1'), 0);
  if (session.error !== null) return REFUSED;
  const bodies = exchanges.filter(({ head }) => head.upgrade === null && head.method !== 'CONNECT');
  return {
    refused: false,
    starts: exchanges.map(({ head }) => `${head.method} ${head.path || head.authority}`),
    bodyBytes: bodies.reduce((sum, { got }) => sum + got.bodyBytes, 0),
  };
}

function asClient(input: string): Verdict {
  const session = createH1ClientSession();
  const got = new Recorder<ResponseHead>();
  session.open(request({ upgrade: 'any' }), false, got);
  session.receive(Buffer.from(input, 'latin1'), 0);
  if (got.resetReason !== null) return REFUSED;
  const last = got.heads.at(-1);
  return {
    refused: false,
    starts: got.heads.map((head) => String(head.status)),
    bodyBytes: last?.status === 101 ? 0 : got.bodyBytes,
  };
}

function judged(one: Case): Verdict {
  // Heads are judged when they are whole: what is refused for a line of an unfinished head gets its end.
  const input = expected(one).refused ? `${one.input}\r\n\r\n` : one.input;
  if (one.kind === 'response') return asClient(input);
  return asServer(one.name === FRAGMENT ? input : withoutFragment(input));
}

const FRAGMENT = 'request/uri: Fragment in URI';
const ANY_METHOD = 'a method is any token, and others may know it (RFC 9110 §9.1, §16.1)';
const ONLY_HTTP = 'the version must be HTTP/1.0 or HTTP/1.1 (RFC 9112 §2.3)';
const NO_OTHER_CODING = 'other transfer codings are not spoken: 501 (RFC 9112 §6.1)';
const NO_OTHER_RESPONSE_CODING =
  'it ends with the connection (RFC 9112 §6.3), but HTTP/2 cannot pass a coding on (RFC 9113 §8.2.2)';
const ONE_AT_A_TIME =
  'no request is pipelined, so a second response belongs to none (RFC 9112 §9.2)';
const ORIGIN_FORM = 'an absolute target is taken apart for the next hop (RFC 9112 §3.2.2)';

const DIFFERENT: Readonly<Record<string, string>> = {
  'request/invalid: HTTP protocol and ANNOUNCE method': ANY_METHOD,
  'request/invalid: Invalid method': ANY_METHOD,
  'request/method: CONNECT with body': 'CONNECT has no content (RFC 9110 §9.3.6)',
  'request/method: M-SEARCH request': 'the target * is for OPTIONS only (RFC 9112 §3.2.4)',
  'request/method: SOURCE request with ICE': ONLY_HTTP,
  'request/method: OPTIONS request with RTSP': ONLY_HTTP,
  'request/method: ANNOUNCE request with RTSP': ONLY_HTTP,
  'request/method: PRI request HTTP2': 'PRI is reserved (RFC 9113 §3.4, §11.6)',
  'request/sample: No HTTP version': 'a request line has a version (RFC 9112 §3)',
  'request/transfer-encoding: POST with `chunked` as last transfer-encoding': NO_OTHER_CODING,
  'request/transfer-encoding: POST with `chunked` as last transfer-encoding (multiple headers)':
    NO_OTHER_CODING,
  'request/uri: Host terminated by a query string': ORIGIN_FORM,
  'request/uri: `host:port` terminated by a query string': ORIGIN_FORM,
  'request/uri: `host:port` terminated by a space': ORIGIN_FORM,
  [FRAGMENT]: 'a target has no fragment (RFC 9112 §3.2)',
  'request/uri: `host:port` and basic auth': 'no user information (RFC 9110 §4.2.4)',
  'response/connection: HTTP 304 with Content-Length': ONE_AT_A_TIME,
  'response/connection: HTTP 304 with Transfer-Encoding': ONE_AT_A_TIME,
  'response/pipelining: Should parse multiple events': ONE_AT_A_TIME,
  'response/sample: RTSP response': ONLY_HTTP,
  'response/sample: ICE response': ONLY_HTTP,
  'response/sample: HTTP version 0.9': ONLY_HTTP,
  'response/transfer-encoding: `chunked` before other transfer-encoding': NO_OTHER_RESPONSE_CODING,
  'response/transfer-encoding: multiple transfer-encoding where chunked is not the last one':
    NO_OTHER_RESPONSE_CODING,
  'response/transfer-encoding: `chunkedchunked` transfer-encoding does not enable chunked enconding':
    NO_OTHER_RESPONSE_CODING,
};

describe('the cases of llhttp', () => {
  if (!existsSync(VECTORS)) {
    it('are absent here and left out', () => {
      expect(existsSync(VECTORS)).toBe(false);
    });
    return;
  }
  const requests = `${FILES} uri`.split(' ').map((file) => parseFile('request', file));
  const responses = FILES.split(' ').filter((file) => existsSync(`${VECTORS}/response/${file}.md`));
  const groups = [...requests, ...responses.map((file) => parseFile('response', file))];
  const cases = groups.flatMap((group) => group.cases);
  const left = groups.reduce((sum, group) => sum + group.left, 0);

  it(`are found; ${left} about lenient modes and the pausing of a callback interface are left out`, () => {
    expect(cases.length).toBeGreaterThan(150);
  });

  const agreed = cases.filter(({ name }) => DIFFERENT[name] === undefined);
  it.each(agreed.map((one) => [one.name, one] as const))('%s', (_name, one) => {
    expect(judged(one)).toEqual(expected(one));
  });

  const judgedDifferently = cases.filter(({ name }) => DIFFERENT[name] !== undefined);
  it.each(judgedDifferently.map((one) => [one.name, DIFFERENT[one.name]!, one] as const))(
    '%s: judged differently, %s',
    (_name, _why, one) => {
      expect(judged(one)).not.toEqual(expected(one));
    },
  );

  it('that are listed as different all exist', () => {
    const names = new Set(cases.map(({ name }) => name));
    expect(Object.keys(DIFFERENT).filter((name) => !names.has(name))).toEqual([]);
  });
});
