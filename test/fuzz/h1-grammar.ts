// Makes HTTP/1.1 messages that are mostly right and often odd, in the ways in which recipients are known to differ.
// Text only: one octet for each character.
import type { Random } from './random.ts';

export const H1_WORDS: readonly string[] = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '0\r\n\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 5, 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Transfer-Encoding:\x0bchunked\r\n',
  'Connection: close\r\n',
  'Connection: Content-Length\r\n',
  'Expect: 100-continue\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Host: b\r\n',
  ' HTTP/1.1\r\n',
  ' HTTP/1.0\r\n',
  'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n',
  'HTTP/1.1 200 OK\r\n\r\n',
  ';a=b',
  ';a="\\""',
  '\0',
  '\x7f',
  '\xff',
];

const METHODS = [
  'GET',
  'POST',
  'HEAD',
  'PUT',
  'OPTIONS',
  'CONNECT',
  'get',
  'M-SEARCH',
  'PRI',
  'G ET',
  '',
];
const TARGETS = [
  '/',
  '/a',
  '*',
  'http://a/',
  'http://b',
  'a:80',
  '/a?b=c',
  '//a/b',
  '/a#b',
  '/a b',
  '',
];
const VERSIONS = [
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'HTTP/0.9',
  'http/1.1',
  'HTTP/1.10',
  '',
];
const NAME_CHARS = 'abcXYZ-_019!~';
const CONNECTION = [
  'close',
  'keep-alive',
  'upgrade',
  'te',
  'x-b',
  'content-length',
  'close, te',
  '',
];

/** Mostly the first of the list. */
function mostly<T>(random: Random, list: readonly T[], others = 6): T {
  return random.oneIn(others) ? random.pick(list) : list[0]!;
}

function eol(random: Random): string {
  return random.oneIn(80) ? random.pick(['\n', '\r', '\r\r\n', ' \r\n', '']) : '\r\n';
}

function field(random: Random, name: string, value: string): string {
  const colon = random.oneIn(50) ? random.pick([' :', '\t:', '', '::', ': ']) : ':';
  const space = random.oneIn(30) ? random.pick(['', '\t', '  ', '\r\n ', '\x0b']) : ' ';
  const spelled = random.oneIn(3) ? name.toLowerCase() : name;
  return `${spelled}${colon}${space}${value}${eol(random)}`;
}

function anyField(random: Random): string {
  switch (random.below(8)) {
    case 0:
      return field(random, 'Connection', random.pick(CONNECTION));
    case 1:
      return field(random, 'TE', random.pick(['trailers', 'gzip', 'trailers;q=0.5', '']));
    case 2:
      return field(random, 'Upgrade', random.pick(['websocket', 'h2c', 'x/1', '']));
    case 3:
      return field(random, 'Expect', random.pick(['100-continue', '100-Continue', 'x', '']));
    case 4:
      return field(random, 'Trailer', 'x-t');
    default:
      return field(
        random,
        random.chars(NAME_CHARS, random.between(1, 12)),
        random.chars('ab c,;="\t\xe9', random.below(20)),
      );
  }
}

function chunkSize(random: Random, length: number): string {
  const hex = length.toString(16);
  if (!random.oneIn(30)) return random.oneIn(3) ? hex.toUpperCase() : hex;
  return random.pick([`0x${hex}`, `+${hex}`, `-${hex}`, ` ${hex}`, `${hex} `, `0${hex}`, '', 'g']);
}

function extension(random: Random): string {
  if (!random.oneIn(4)) return '';
  return random.pick([';a', ';a=b', ';a="b c"', ';a="\\""', ' ;a', ';', ';a=', ';a=b;c', '; a']);
}

function chunks(random: Random, data: string): string {
  let text = '';
  for (let at = 0; at < data.length;) {
    const end = Math.min(data.length, at + random.between(1, 30));
    const size = chunkSize(random, end - at);
    text += `${size}${extension(random)}${eol(random)}${data.slice(at, end)}${eol(random)}`;
    at = end;
  }
  const last = random.oneIn(20) ? random.pick(['00', '000', '', '0 ']) : '0';
  const trailers = random.oneIn(3) ? random.list(3, () => trailer(random)).join('') : '';
  return `${text}${last}${extension(random)}${eol(random)}${trailers}${eol(random)}`;
}

function trailer(random: Random): string {
  const odd = ['Content-Length', 'Transfer-Encoding', 'Host', 'Connection', 'X-T'];
  return field(
    random,
    random.oneIn(8) ? random.pick(odd) : 'X-T',
    random.pick(['1', 'chunked', '']),
  );
}

function framing(random: Random): string {
  return mostly(random, [
    'chunked',
    'Chunked',
    'gzip, chunked',
    'chunked, chunked',
    'xchunked',
    'chunked,',
    'identity',
    '"chunked"',
    'chunked;q=1',
  ]);
}

function lengthText(random: Random, length: number): string {
  const odd = [
    `+${length}`,
    `0${length}`,
    `${length}, ${length}`,
    `-1`,
    `0x1`,
    '',
    `${length + 1}`,
  ];
  return random.oneIn(12) ? random.pick(odd) : String(length);
}

/** The framing fields and the body that go with them, which now and then contradict each other. */
function body(random: Random): { lines: string; text: string } {
  const data = random.chars('abc\r\n0GET /', random.size(400));
  const te = (): string => field(random, 'Transfer-Encoding', framing(random));
  const cl = (): string => field(random, 'Content-Length', lengthText(random, data.length));
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      return { lines: '', text: '' };
    case 3:
    case 4:
    case 5:
      return { lines: cl(), text: data };
    case 6:
      return { lines: cl() + te(), text: random.oneIn(2) ? data : chunks(random, data) };
    case 7:
      return { lines: cl() + cl(), text: data };
    case 8:
      return { lines: te() + te(), text: chunks(random, data) };
    default:
      return { lines: te(), text: chunks(random, data) };
  }
}

export function oddRequest(random: Random): string {
  const sp = random.oneIn(60) ? random.pick(['  ', '\t', '\x0b', '']) : ' ';
  const method = random.oneIn(3) ? 'POST' : mostly(random, METHODS);
  const line = `${method}${sp}${mostly(random, TARGETS)}${sp}${mostly(random, VERSIONS, 10)}${eol(random)}`;
  const host = random.oneIn(12)
    ? ''
    : field(random, 'Host', mostly(random, ['a', 'b:80', '', 'a, b'], 10));
  const { lines, text } = body(random);
  const before = random.list(3, () => anyField(random)).join('');
  const after = random.list(2, () => anyField(random)).join('');
  const empty = random.oneIn(10) ? '\r\n' : '';
  return `${empty}${line}${before}${host}${lines}${after}${eol(random)}${text}`;
}

const STATUSES = [200, 200, 200, 404, 204, 304, 100, 101, 103, 500, 206, 999, 99, 0];

export function oddResponse(random: Random): string {
  const version = mostly(random, ['HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'ICY'], 10);
  const reason = random.pick([' OK', '', ' ', ' \xe9', ' a b']);
  const { lines, text } = body(random);
  const before = random.list(3, () => anyField(random)).join('');
  return `${version} ${random.pick(STATUSES)}${reason}${eol(random)}${before}${lines}${eol(random)}${text}`;
}
