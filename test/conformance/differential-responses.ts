// The odd responses of the differential test: every way known to make two recipients disagree on where an answer ends.
// The status is 299 where it does not matter, so that it is not taken for a proxy's own.

export interface OddResponse {
  readonly name: string;
  /** Of the request. */
  readonly method: 'GET' | 'HEAD';
  readonly raw: string;
  /** The upstream ends the connection behind it. */
  readonly close: boolean;
}

const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const CHUNKS = '3\r\nabc\r\n0\r\n\r\n';
const odd = (lines: string, body = '', start = 'HTTP/1.1 299 Odd'): string =>
  `${start}\r\n${lines}\r\n${body}`;
const start = (line: string): string => odd('Content-Length: 3\r\n', 'abc', line);
const INJECTED = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ninjected';

type Row = readonly [name: string, raw: string];

const kept: readonly Row[] = [
  ['plain', odd('Content-Length: 3\r\n', 'abc')],
  ['plain chunks', odd(CHUNKED, CHUNKS)],
  ['chunks with trailers', odd(CHUNKED, '3\r\nabc\r\n0\r\nX: y\r\n\r\n')],
  ['chunks with extensions', odd(CHUNKED, '3;a=b\r\nabc\r\n0\r\n\r\n')],
  ['CL and TE', odd(`Content-Length: 3\r\n${CHUNKED}`, CHUNKS)],
  ['TE and CL', odd(`${CHUNKED}Content-Length: 13\r\n`, CHUNKS)],
  ['CL twice alike', odd('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc')],
  ['CL twice, different', odd('Content-Length: 3\r\nContent-Length: 5\r\n', 'abcde')],
  ['a list of CL alike', odd('Content-Length: 3, 3\r\n', 'abc')],
  ['a list of CL that differs', odd('Content-Length: 3, 5\r\n', 'abcde')],
  ['CL with a plus', odd('Content-Length: +3\r\n', 'abc')],
  ['CL with a minus', odd('Content-Length: -3\r\n', 'abc')],
  ['CL in hexadecimal', odd('Content-Length: 0x3\r\n', 'abc')],
  ['CL that is empty', odd('Content-Length:\r\n', 'abc')],
  ['CL with letters', odd('Content-Length: 3abc\r\n', 'abc')],
  ['CL of 2^64 + 3', odd('Content-Length: 18446744073709551619\r\n', 'abc')],
  ['CL with a space before the colon', odd('Content-Length : 3\r\n', 'abc')],
  ['CL folded', odd('Content-Length:\r\n 3\r\n', 'abc')],
  ['TE with a space before the colon', odd('Transfer-Encoding : chunked\r\n', CHUNKS)],
  ['TE xchunked', odd('Transfer-Encoding: xchunked\r\n', CHUNKS)],
  ['TE chunked, chunked', odd('Transfer-Encoding: chunked, chunked\r\n', CHUNKS)],
  ['TE chunked twice', odd(CHUNKED + CHUNKED, CHUNKS)],
  ['TE chunked, identity', odd('Transfer-Encoding: chunked, identity\r\n', CHUNKS)],
  ['TE that is empty', odd('Transfer-Encoding:\r\n', CHUNKS)],
  ['TE in HTTP/1.0', odd(CHUNKED, CHUNKS, 'HTTP/1.0 299 Odd')],
  ['TE after a bare LF', odd('X: y\nTransfer-Encoding: chunked\r\n', CHUNKS)],
  ['a chunk size with 0x', odd(CHUNKED, '0x3\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size with a minus', odd(CHUNKED, '-3\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size of 2^64 + 3', odd(CHUNKED, '10000000000000003\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size behind a space', odd(CHUNKED, ' 3\r\nabc\r\n0\r\n\r\n')],
  ['a chunk that is too long', odd(CHUNKED, '3\r\nabcd\r\n0\r\n\r\n')],
  ['a bare LF behind a chunk size', odd(CHUNKED, '3\nabc\r\n0\r\n\r\n')],
  ['a bare LF behind a chunk', odd(CHUNKED, '3\r\nabc\n0\r\n\r\n')],
  ['a length as trailer', odd(CHUNKED, '3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n')],
  ['a folded field', odd('X: y\r\n z\r\nContent-Length: 3\r\n', 'abc')],
  ['a bare CR in a value', odd('X: y\rz\r\nContent-Length: 3\r\n', 'abc')],
  ['NUL in a value', odd('X: \0\r\nContent-Length: 3\r\n', 'abc')],
  ['NUL in a name', odd('X\0: y\r\nContent-Length: 3\r\n', 'abc')],
  ['a line without colon', odd('Xy\r\nContent-Length: 3\r\n', 'abc')],
  ['bare LF everywhere', 'HTTP/1.1 299 Odd\nContent-Length: 3\n\nabc'],
  ['a bare LF for the empty line', 'HTTP/1.1 299 Odd\r\nContent-Length: 3\r\n\nabc'],
  ['an empty line before', `\r\n${odd('Content-Length: 3\r\n', 'abc')}`],
  ['no reason and no space', start('HTTP/1.1 299')],
  ['no reason', start('HTTP/1.1 299 ')],
  ['a high octet in the reason', start('HTTP/1.1 299 \xe9')],
  ['a control in the reason', start('HTTP/1.1 299 \x01')],
  ['two spaces before the status', start('HTTP/1.1  299 Odd')],
  ['a status of two digits', start('HTTP/1.1 99 Odd')],
  ['a status of four digits', start('HTTP/1.1 2999 Odd')],
  ['a status of letters', start('HTTP/1.1 2x9 Odd')],
  ['a negative status', start('HTTP/1.1 -299 Odd')],
  ['status 000', start('HTTP/1.1 000 Odd')],
  ['status 600', start('HTTP/1.1 600 Odd')],
  ['HTTP/1.2', start('HTTP/1.2 299 Odd')],
  ['HTTP/2.0', start('HTTP/2.0 299 Odd')],
  ['lower-case protocol', start('http/1.1 299 Odd')],
  ['a protocol that is none', start('ICY 299 Odd')],
  ['204 with a length', odd('Content-Length: 3\r\n', 'abc', 'HTTP/1.1 204 No Content')],
  ['204 with chunks', odd(CHUNKED, CHUNKS, 'HTTP/1.1 204 No Content')],
  ['304 with a length', odd('Content-Length: 3\r\n', '', 'HTTP/1.1 304 Not Modified')],
  ['304 with a body', odd('Content-Length: 3\r\n', 'abc', 'HTTP/1.1 304 Not Modified')],
  ['304 with chunks', odd(CHUNKED, CHUNKS, 'HTTP/1.1 304 Not Modified')],
  ['100 before', `HTTP/1.1 100 Continue\r\n\r\n${odd('Content-Length: 3\r\n', 'abc')}`],
  [
    '100 with a length before',
    `HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n${odd('Content-Length: 3\r\n', 'abc')}`,
  ],
  [
    '103 before',
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${odd('Content-Length: 3\r\n', 'abc')}`,
  ],
  ['150 before', `HTTP/1.1 150 Odd\r\n\r\n${odd('Content-Length: 3\r\n', 'abc')}`],
  [
    '101 that nobody asked for',
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw`,
  ],
  ['a second response behind', odd('Content-Length: 3\r\n', 'abc') + INJECTED],
  ['a second response behind chunks', odd(CHUNKED, CHUNKS) + INJECTED],
  ['junk behind', `${odd('Content-Length: 3\r\n', 'abc')}junk`],
  ['120 KB of head', odd(`X: ${'y'.repeat(120_000)}\r\nContent-Length: 3\r\n`, 'abc')],
];

const closing: readonly Row[] = [
  ['a body until the end', odd('', 'abc')],
  ['a body until the end in HTTP/1.0', odd('', 'abc', 'HTTP/1.0 299 Odd')],
  ['TE gzip until the end', odd('Transfer-Encoding: gzip\r\n', 'abc')],
  ['TE identity until the end', odd('Transfer-Encoding: identity\r\n', 'abc')],
  ['TE chunked, gzip until the end', odd('Transfer-Encoding: chunked, gzip\r\n', CHUNKS)],
  ['TE gzip, chunked', odd('Transfer-Encoding: gzip, chunked\r\n', CHUNKS)],
  ['less body than said', odd('Content-Length: 9\r\n', 'abc')],
  ['chunks without the last', odd(CHUNKED, '3\r\nabc\r\n')],
  ['chunks without the last line', odd(CHUNKED, '3\r\nabc\r\n0\r\n')],
  ['half a head', 'HTTP/1.1 299 Odd\r\nX: y\r\n'],
  ['nothing', ''],
  ['HTTP/0.9', 'just text'],
  ['CL and TE, closed', odd(`Content-Length: 3\r\n${CHUNKED}`, CHUNKS)],
];

const toHead: readonly Row[] = [
  ['HEAD with a length', odd('Content-Length: 3\r\n')],
  ['HEAD with chunks said', odd(CHUNKED)],
  ['HEAD with a body', odd('Content-Length: 3\r\n', 'abc')],
  ['HEAD with chunks', odd(CHUNKED, CHUNKS)],
  ['HEAD with a response as body', odd('Content-Length: 46\r\n', INJECTED)],
  ['HEAD with two lengths', odd('Content-Length: 3\r\nContent-Length: 5\r\n')],
];

const rows = (list: readonly Row[], method: OddResponse['method'], close: boolean): OddResponse[] =>
  list.map(([name, raw]) => ({ name, method, raw, close }));

export const oddResponses: readonly OddResponse[] = [
  ...rows(kept, 'GET', false),
  ...rows(closing, 'GET', true),
  ...rows(toHead, 'HEAD', false),
];
