// Requests that two recipients could cut differently: none may get through, and none may leave a rest that is read
// as the next request. And: however the bytes are split, the session says the same.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createH1ClientSession } from './h1-client.ts';
import { createH1ServerSession } from './h1-server.ts';
import type { ResponseHead } from './session.ts';
import { Recorder, bytesOf, recordRequests, request, response, takeText } from './test-recorder.ts';

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
const head = (lines: string, start = 'POST / HTTP/1.1\r\nHost: a\r\n'): string =>
  `${start}${lines}\r\n`;

const REFUSED: readonly (readonly [string, string, number])[] = [
  ['CL and TE', head('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n'), 400],
  ['TE and CL', head('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n'), 400],
  ['CLs that differ', head('Content-Length: 4\r\nContent-Length: 5\r\n'), 400],
  ['a list of CLs', head('Content-Length: 4, 4\r\n'), 400],
  ['CL with a plus', head('Content-Length: +4\r\n'), 400],
  ['CL with a minus', head('Content-Length: -4\r\n'), 400],
  ['CL in hex', head('Content-Length: 0x4\r\n'), 400],
  ['CL with a space inside', head('Content-Length: 4 2\r\n'), 400],
  ['an empty CL', head('Content-Length:\r\n'), 400],
  ['CL beyond 2^53', head('Content-Length: 9007199254740993\r\n'), 400],
  ['CL of forty digits', head(`Content-Length: ${'1'.repeat(40)}\r\n`), 400],
  ['TE identity', head('Transfer-Encoding: identity\r\n'), 400],
  ['TE chunked twice', head('Transfer-Encoding: chunked, chunked\r\n'), 400],
  [
    'TE chunked in two lines',
    head('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'),
    400,
  ],
  ['TE chunked not last', head('Transfer-Encoding: chunked, gzip\r\n'), 400],
  ['an empty TE', head('Transfer-Encoding:\r\n'), 400],
  ['TE with an empty member', head('Transfer-Encoding: ,chunked\r\n'), 400],
  ['TE gzip, chunked', head('Transfer-Encoding: gzip, chunked\r\n'), 501],
  ['TE xchunked', head('Transfer-Encoding: xchunked\r\n'), 400],
  ['TE with a quoted chunked', head('Transfer-Encoding: "chunked"\r\n'), 400],
  ['TE gzip', head('Transfer-Encoding: gzip\r\n'), 400],
  ['TE gzip, chunked twice', head('Transfer-Encoding: gzip, chunked, chunked\r\n'), 400],
  [
    'TE gzip and chunked in two lines',
    head('Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n'),
    501,
  ],
  ['TE with vertical tab', head('Transfer-Encoding: \x0bchunked\r\n'), 400],
  ['TE in HTTP/1.0', head('Transfer-Encoding: chunked\r\n', 'POST / HTTP/1.0\r\nHost: a\r\n'), 400],
  ['space before the colon', head('Transfer-Encoding : chunked\r\n'), 400],
  ['tab before the colon', head('Content-Length\t: 4\r\n'), 400],
  ['a folded TE', head('Transfer-Encoding:\r\n chunked\r\n'), 400],
  ['a folded line', head('X: y\r\n\tz\r\n'), 400],
  ['a line that begins with space', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 400],
  ['bare LF after a field', head('X: y\nContent-Length: 4\r\n'), 400],
  ['bare LF after the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 400],
  ['bare LF everywhere', 'GET / HTTP/1.1\nHost: a\n\n', 400],
  ['bare CR in a value', head('X: y\rContent-Length: 4\r\n'), 400],
  ['bare CR before LF CR LF', head('X: y\r\r\n'), 400],
  ['bare CR in the request line', 'GET /\r HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['NUL in a value', head('X: a\0b\r\n'), 400],
  ['NUL in a name', head('X\0: a\r\n'), 400],
  ['DEL in a value', head('X: \x7f\r\n'), 400],
  ['a name with a high octet', head('X\xa0: a\r\n'), 400],
  ['an empty name', head(': a\r\n'), 400],
  ['a line without colon', head('GET / HTTP/1.1\r\n'), 400],
  ['a last line without colon', head('nothing\r\n'), 400],
  ['no Host', 'GET / HTTP/1.1\r\nX: y\r\n\r\n', 400],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
  ['a Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
  ['a Host with user information', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400],
  ['a Host with a space', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
  ['a list of Hosts in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n', 400],
  ['HTTP/0.9', 'GET /\r\n\r\n', 400],
  ['two spaces', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a tab for a space', 'GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a space after the version', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n', 400],
  ['a space before the method', ' GET / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a method with a slash', 'GE/T / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['PRI', 'PRI * HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a lower-case protocol', 'GET / http/1.1\r\nHost: a\r\n\r\n', 400],
  ['HTTP/1.1x', 'GET / HTTP/1.1x\r\nHost: a\r\n\r\n', 400],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
  ['HTTP/0.9 said', 'GET / HTTP/0.9\r\nHost: a\r\n\r\n', 505],
  ['a relative target', 'GET a HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['* with GET', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a fragment', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a high octet in the target', 'GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['an absolute target without host', 'GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['an absolute target with user', 'GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['another scheme', 'GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['CONNECT without port', 'CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['CONNECT with a path', 'CONNECT /a:1 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['CONNECT with a length', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n', 400],
  [
    'CONNECT with chunks',
    'CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
    400,
  ],
  ['TLS on a plaintext port', '\x16\x03\x01\x00\xee\x01\x00\r\n\r\n', 400],
  ['many empty lines', `${'\r\n'.repeat(5)}GET / HTTP/1.1\r\nHost: a\r\n\r\n`, 400],
  ['a very long target', `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
  ['a very long head', head(`X: ${'a'.repeat(70_000)}\r\n`), 431],
  ['a head without end', `GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(20_000)}`, 431],
  ['too many fields', head('X: y\r\n'.repeat(300)), 431],
];

const chunked = (body: string): string => head('Transfer-Encoding: chunked\r\n') + body;

const BAD_CHUNKS: readonly (readonly [string, string])[] = [
  ['no size', '\r\n'],
  ['not hex', 'g\r\n'],
  ['a prefix 0x', '0x1\r\na\r\n'],
  ['a sign', '-1\r\n'],
  ['a space before the size', ' 1\r\na\r\n'],
  ['a space after the size', '1 \r\na\r\n'],
  ['a size of 14 digits', '10000000000000\r\na\r\n'],
  ['zeros without end', `${'0'.repeat(100)}1\r\na\r\n`],
  ['bare LF after the size', '1\na\r\n'],
  ['bare CR after the size', '1\rXa\r\n'],
  ['no CR LF after the data', '1\r\nab\r\n'],
  ['LF after the data', '1\r\na\n1\r\n'],
  ['CR and something after the data', '1\r\na\rX'],
  ['an empty extension', '1;\r\na\r\n'],
  ['a space within the name of an extension', '1;a b\r\na\r\n'],
  ['a space behind an extension', '1;a \r\na\r\n'],
  ['an extension without value', '1;a=\r\na\r\n'],
  ['bare LF in an extension', '1;a\n\r\na\r\n'],
  ['bare CR in an extension', '1;a\rb\r\na\r\n'],
  ['LF in a quoted extension', '1;a="\n"\r\na\r\n'],
  ['an escaped LF in a quoted extension', '1;a="\\\n"\r\na\r\n'],
  ['something after a quoted extension', '1;a="b"c\r\na\r\n'],
  ['a very long extension', `1;${'a'.repeat(2000)}\r\na\r\n`],
  ['a long extension that does not end', `1;${'a'.repeat(2000)}`],
  ['very many extensions', `1;${'a'.repeat(1000)}\r\na\r\n`.repeat(80)],
  ['a bare CR where trailers begin', '0\r\n\rX'],
  ['a bare LF in trailers', '0\r\nX: y\n\r\n'],
  ['a bare LF where trailers begin', '0\r\n\n'],
  ['a folded trailer', '0\r\nX: y\r\n z\r\n\r\n'],
  ['a length as trailer', '0\r\nContent-Length: 5\r\n\r\n'],
  ['a coding as trailer', '0\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a host as trailer', '0\r\nHost: b\r\n\r\n'],
  ['very long trailers', `0\r\nX: ${'y'.repeat(70_000)}\r\n\r\n`],
  ['trailers without end', `0\r\n${'X: y\r\n'.repeat(20_000)}`],
];

function outcome(input: string, cuts: readonly number[]) {
  const session = createH1ServerSession();
  const bytes = bytesOf(input);
  const exchanges = recordRequests(session, ({ head: { method, upgrade }, stream }) => {
    if (upgrade !== null) stream.sendHead(response({ status: 101 }), false);
    else if (method === 'GET') stream.sendHead(response({ status: 204 }), true);
  });
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    if (cut > at) session.receive(bytes.subarray(at, cut), 0);
    at = Math.max(at, cut);
  }
  session.receiveEnd(0);
  return {
    output: takeText(session),
    error: session.error,
    heads: exchanges.map((exchange) => exchange.head),
    bodies: exchanges.map(({ got }) => [got.body, got.ended, got.trailers, got.resetReason]),
    closing: session.closing,
  };
}

describe('a request in doubt is refused, and what follows it never read', () => {
  it.each(REFUSED)('%s', (_what, text, status) => {
    const session = createH1ServerSession();
    const exchanges = recordRequests(session);
    session.receive(bytesOf(text + SMUGGLED), 0);
    session.receive(bytesOf(SMUGGLED), 0);
    expect(exchanges).toHaveLength(0);
    const output = takeText(session);
    expect(output.startsWith(`HTTP/1.1 ${status} `)).toBe(true);
    expect(output).toContain('\r\nconnection: close\r\n');
    expect(session).toMatchObject({ closing: true, aborting: false, openStreams: 0 });
    expect(session.error).not.toBeNull();
    expect(output.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
  });

  it.each(BAD_CHUNKS)('in its chunks: %s', (_what, body) => {
    const session = createH1ServerSession();
    const exchanges = recordRequests(session);
    session.receive(bytesOf(chunked(body) + SMUGGLED), 0);
    expect(exchanges).toHaveLength(1);
    expect(exchanges[0]!.got).toMatchObject({ resetReason: 'protocol', ended: false });
    expect(takeText(session)).toMatch(/^HTTP\/1\.1 4(00|31) /);
    expect(session).toMatchObject({ closing: true, openStreams: 0 });
  });

  it('in its chunks, when the answer is under way: the transport is reset', () => {
    const session = createH1ServerSession();
    const exchanges = recordRequests(session);
    session.receive(bytesOf(chunked('1\r\na\r\n')), 0);
    exchanges[0]!.stream.sendHead(response(), false);
    takeText(session);
    session.receive(bytesOf('zz\r\n'), 0);
    expect(exchanges[0]!.got.resetReason).toBe('protocol');
    expect(session).toMatchObject({ closing: true, aborting: true, hasOutput: false });
  });

  it('is taken with two equal lengths, and goes on with one', () => {
    const { heads } = outcome(head('Content-Length: 4\r\nContent-Length: 04\r\n') + 'abcd', []);
    const client = createH1ClientSession();
    client.open(heads[0]!, false, new Recorder<ResponseHead>());
    expect(takeText(client).match(/content-length/g)).toHaveLength(1);
  });
});

/** Odd, and to be taken: what RFC 9112 makes recipients bear. */
const BORNE: readonly (readonly [string, string, string])[] = [
  ['zeros before a size', chunked('00000000000000000003\r\nabc\r\n0\r\n\r\n'), 'abc'],
  ['white space around extensions', chunked('3 ; a\t= "b" ;c\r\nabc\r\n0\r\n\r\n'), 'abc'],
  ['a later minor version', 'GET / HTTP/1.9\r\nHost: a\r\n\r\n', ''],
];

describe('a request without doubt is taken', () => {
  it.each(BORNE)('%s', (_what, text, body) => {
    const session = createH1ServerSession();
    const exchanges = recordRequests(session);
    session.receive(bytesOf(text), 0);
    expect(session.error).toBeNull();
    expect(exchanges.map(({ got }) => [got.body, got.ended])).toEqual([[body, true]]);
  });
});

const GOOD: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  head('Content-Length: 5\r\n') + 'hello',
  chunked('5\r\nhello\r\n3;x="y;z";w=v\r\nabc\r\n0\r\n\r\n'),
  chunked('05 ; x = y\t;\tz\r\nhello\r\n00000000000000000001\r\na\r\n0 ;a\r\n\r\n'),
  'GET / HTTP/1.2\r\nHost: a\r\n\r\n',
  chunked('1\r\na\r\n0\r\nA: 1\r\nB: 2\r\n\r\n'),
  'GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nraw\r\n\r\nbytes',
  '\r\nGET / HTTP/1.0\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
];

describe('splitting the input anywhere changes nothing', () => {
  const small = (text: string): boolean => text.length < 3000;
  const inputs = [
    ...GOOD,
    ...REFUSED.map(([, text]) => text).filter(small),
    ...BAD_CHUNKS.map(([, body]) => chunked(body)).filter(small),
  ];

  const differs = (input: string, cuts: readonly number[]): boolean =>
    JSON.stringify(outcome(input, cuts)) !== JSON.stringify(outcome(input, []));

  it('at every single byte', () => {
    const bytewise = (input: string) => Array.from({ length: input.length }, (_, i) => i);
    expect(inputs.filter((input) => differs(input, bytewise(input)))).toEqual([]);
  });

  it('in two, at every place', () => {
    const cutAt = (input: string) =>
      Array.from({ length: input.length }, (_, i) => [input, i] as const);
    const places = inputs.filter((input) => input.length < 200).flatMap(cutAt);
    expect(places.filter(([input, cut]) => differs(input, [cut]))).toEqual([]);
  });

  it('with pipelined requests, in any pieces', () => {
    const one = fc.constantFrom(...inputs);
    const cuts = fc.array(fc.nat(600), { maxLength: 8 }).map((all) => all.sort((a, b) => a - b));
    fc.assert(
      fc.property(fc.constantFrom(...GOOD), fc.constantFrom(...GOOD), one, cuts, (a, b, c, at) => {
        expect(outcome(a + b + c, at)).toEqual(outcome(a + b + c, []));
      }),
    );
  });
});

describe('whatever arrives', () => {
  const piece = fc.oneof(
    fc.constantFrom('GET ', '/ ', 'HTTP/1.1\r\n', 'Host: a\r\n', '\r\n', '\r', '\n', ' ', ':', '0'),
    fc.constantFrom('Transfer-Encoding: chunked\r\n', 'Content-Length: 3\r\n', '5\r\n', 'POST '),
    fc.constantFrom('HTTP/1.1 200 OK\r\n', 'HTTP/1.1 100 x\r\n', ';a=b', 'Connection: close\r\n'),
    fc.string({ unit: 'binary', maxLength: 6 }).map((s) => Buffer.from(s).toString('latin1')),
  );
  const input = fc.array(piece, { maxLength: 30 }).map((parts) => parts.join(''));

  it('a server session neither throws nor contradicts itself', () => {
    fc.assert(
      fc.property(input, fc.array(fc.nat(100), { maxLength: 4 }), (text, cuts) => {
        const sorted = cuts.sort((a, b) => a - b);
        expect(outcome(text, sorted)).toEqual(outcome(text, []));
      }),
      { numRuns: 500 },
    );
  });

  it('a client session neither throws nor ends a response twice', () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 4 }), (reads) => {
        const session = createH1ClientSession();
        const got = new Recorder<ResponseHead>();
        let ends = 0;
        got.onData = (_chunk, end) => void (ends += end ? 1 : 0);
        got.onTrailers = () => void ends++;
        got.onReset = () => void ends++;
        const onHead = got.onHead.bind(got);
        got.onHead = (h, end) => {
          onHead(h, end);
          ends += end ? 1 : 0;
        };
        session.open(request(), true, got);
        for (const text of reads) session.receive(bytesOf(text), 0);
        session.receiveEnd(0);
        session.close();
        expect(ends).toBe(1);
        expect(session.openStreams).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
