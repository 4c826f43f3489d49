// Fuzz targets for the small parsers: ClientHello, protocol detection, SPIFFE ids, gRPC frames of discovery, the local
// file, resources of discovery, and paths that routes rewrite.
import { formatSpiffeId, parseSpiffeId } from '../../proxy/api/spiffe.ts';
import { MAX_CLIENT_HELLO_BYTES, parseClientHello } from '../../proxy/codec/client-hello.ts';
import { H2_PREFACE, detect } from '../../proxy/codec/detect.ts';
import { createH1ServerSession } from '../../proxy/codec/h1-server.ts';
import { recordRequests } from '../../proxy/codec/test-recorder.ts';
import { ConfigError, configFromFile } from '../../proxy/config.ts';
import { FramingError, createFrameDecoder, encodeFrame } from '../../proxy/discovery/framing.ts';
import { rewriteTarget } from '../../proxy/policy/rewrite.ts';
import { createStore } from '../../proxy/state/store.ts';
import type { VersionedResource } from '../../proxy/api/discovery.ts';
import { destination, endpoints, route, workload } from '../support/sidecar.ts';
import { H1_WORDS, oddRequest } from './h1-grammar.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';
import { must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

function vector(size: 1 | 2, body: Buffer): Buffer {
  const length = Buffer.alloc(size);
  length.writeUIntBE(Math.min(body.length, size === 1 ? 255 : 65535), 0, size);
  return Buffer.concat([length, body]);
}

function extension(type: number, body: Buffer): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(type, 0);
  return Buffer.concat([head, vector(2, body)]);
}

interface Hello {
  bytes: Buffer;
  name: string;
  alpn: string[];
}

/** A good ClientHello in records of random sizes. */
function clientHello(random: Random): Hello {
  const name = random.chars('abc.-', random.between(1, 20));
  const alpn = ['h2', ...random.list(3, () => random.chars('abc/1.', random.between(1, 12)))];
  const sni = vector(2, Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(name))]));
  const protocols = vector(2, Buffer.concat(alpn.map((one) => vector(1, Buffer.from(one)))));
  const extensions = [
    extension(0, sni),
    extension(16, protocols),
    extension(51, random.bytes(random.size(1500))),
  ];
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    random.bytes(32),
    vector(1, random.bytes(random.below(33))),
    vector(2, random.bytes(2 * random.between(1, 20))),
    vector(1, Buffer.from([0])),
    vector(2, Buffer.concat(random.oneIn(2) ? extensions : extensions.toReversed())),
  ]);
  const length = Buffer.from([1, 0, 0, 0]);
  length.writeUIntBE(body.length, 1, 3);
  return { bytes: records(random, Buffer.concat([length, body])), name, alpn };
}

function records(random: Random, message: Buffer): Buffer {
  const largest = random.pick([1, 50, 16384]);
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length;) {
    const end = Math.min(message.length, at + random.between(1, largest));
    parts.push(Buffer.from([22, 3, random.below(4)]), vector(2, message.subarray(at, end)));
    at = end;
  }
  return Buffer.concat(parts);
}

/** The answer to ever more of the bytes: once it is known it stays, and it is known when all that may come is there. */
function settles<T>(bytes: Buffer, random: Random, ask: (bytes: Buffer) => T): T {
  let known: T | null = null;
  let at = 0;
  for (const piece of random.split(bytes)) {
    at += piece.length;
    const answer = ask(bytes.subarray(0, at));
    if (known !== null) mustEqual(answer, known, 'more bytes change what was known');
    if (answer !== 'need-more') known = answer;
  }
  return known ?? ask(bytes);
}

const hello: Target = {
  name: 'client-hello',
  small: true,
  run(random) {
    const { bytes, name, alpn } = clientHello(random);
    if (random.oneIn(3)) {
      const whole = Buffer.concat([bytes, random.bytes(random.below(50))]);
      mustEqual(
        settles(whole, random, parseClientHello),
        { serverName: name, alpn },
        'a hello is misread',
      );
      return;
    }
    const spoilt = mutate(random, bytes, ['\0\0', '\x16\x03\x01', '\xff\xff', '\0\x10']);
    settles(spoilt, random, parseClientHello);
    const endless = Buffer.concat([spoilt, Buffer.alloc(MAX_CLIENT_HELLO_BYTES)]);
    must(parseClientHello(endless) !== 'need-more', 'a hello is waited for without end');
  },
};

const FIRST_BYTES = [
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'EHLO a\r\n',
  'SSH-2.0-x\r\n',
  '*1\r\n$4\r\nPING\r\n',
  '\x16\x03\x01\0\x05\x01',
];

const detection: Target = {
  name: 'detect',
  small: true,
  run(random) {
    const start = random.oneIn(2) ? oddRequest(random) : random.pick(FIRST_BYTES);
    const good = Buffer.from(start, 'latin1');
    const bytes = random.oneIn(2)
      ? mutate(random, good, [...H1_WORDS, 'PRI * HTTP/2.0\r\n'])
      : good;
    if (bytes.length === 0) return;
    const found = settles(bytes, random, detect);
    const endless = Buffer.concat([bytes, Buffer.alloc(2048, 'a')]);
    must(detect(endless) !== 'need-more', 'a protocol is waited for without end');
    if (found === 'http2')
      must(bytes.subarray(0, H2_PREFACE.length).equals(H2_PREFACE), 'no preface');
    if (found === 'other') mustNotBeARequest(bytes);
  },
};

/** What is carried as opaque bytes is nothing that the HTTP/1.1 session would have taken. */
function mustNotBeARequest(bytes: Buffer): void {
  const session = createH1ServerSession();
  const exchanges = recordRequests(session);
  session.receive(bytes, 0);
  const plain = exchanges.filter(({ head }) => /^[A-Z-]{1,32}$/.test(head.method));
  must(plain.length === 0, 'a request is taken for another protocol', () =>
    bytes.toString('latin1'),
  );
}

const spiffe: Target = {
  name: 'spiffe',
  small: true,
  run(random) {
    const good = `spiffe://${random.chars('abc.-_', random.between(1, 9))}/ns/${random.chars('a-0', random.between(1, 9))}/sa/${random.chars('b.-1', random.between(1, 9))}`;
    const bytes = random.oneIn(3)
      ? Buffer.from(good)
      : mutate(random, Buffer.from(good), ['/ns/', '/sa/', '//', 'spiffe://', '%2f', '\n', 'A']);
    const text = bytes.toString('latin1');
    const parts = parseSpiffeId(text);
    if (text === good) must(parts !== null, 'a good id is refused', () => text);
    if (parts !== null) mustEqual(formatSpiffeId(parts), text, 'an id is read as another');
  },
};

const frames: Target = {
  name: 'grpc-frames',
  small: true,
  run(random) {
    const texts = random.list(5, () => random.chars('ab{}"\xe9', random.size(300)));
    const bytes = Buffer.concat(texts.map(encodeFrame));
    const read = (pieces: readonly Buffer[], most: number): unknown => {
      const decoder = createFrameDecoder(most);
      const got: string[] = [];
      try {
        for (const piece of pieces) got.push(...decoder.push(piece));
        return [got, null];
      } catch (error) {
        must(error instanceof FramingError, 'a decoder throws something else', () => String(error));
        return ['refused'];
      }
    };
    mustEqual(read(random.split(bytes), 1 << 20), [texts, null], 'messages change');
    const spoilt = mutate(random, bytes, ['\0\0\0\0\x05', '\x01', '\0\xff\xff\xff\xff']);
    mustEqual(read(random.split(spoilt), 500), read([spoilt], 500), 'a split changes the messages');
  },
};

const rewriting: Target = {
  name: 'rewrite',
  small: true,
  run(random) {
    const prefix = random.pick(['/', '/a', '/a/b', '/a/']);
    const rest = random.oneIn(4) ? '' : `/${random.chars('ab/%2.', random.below(20))}`;
    const query = random.oneIn(2) ? '' : `?${random.chars('ab/?', random.below(9))}`;
    const path = `${prefix.replace(/\/$/, '')}${rest}` || '/';
    const to = `/${random.chars('xy/', random.below(6))}`;
    const change = random.oneIn(2) ? { prefix: to } : { full: to };
    const result = rewriteTarget(path + query, change, prefix);
    must(result.startsWith('/'), 'a rewritten target is no path', () => [path, change, result]);
    mustEqual(result.slice(result.indexOf('?') >>> 0), query, 'a rewrite changes the query');
  },
};

const LOCAL = {
  outbound: [{ listen: '127.0.0.1:0', destination: '10.96.0.7:80' }],
  inbound: [{ listen: '[::1]:0', destination: '127.0.0.1:80' }],
  resources: [
    workload(),
    destination(),
    endpoints({ address: '127.0.0.1', port: 80, family: 'IPv4' }, null),
  ],
  gracePeriodSeconds: 3,
  logLevel: 'info',
  probes: [],
};
const ODD_VALUES = [
  null,
  0,
  -1,
  1.5,
  1e300,
  '',
  'x',
  '__proto__',
  [],
  {},
  true,
  [null],
  'a:99999',
  '[::1]',
  ':1',
];

/** A deep copy in which a few places hold something else, are gone, or are there twice. */
function spoiltJson(random: Random, value: unknown, rarity: number): unknown {
  if (random.oneIn(rarity)) return random.pick(ODD_VALUES);
  if (Array.isArray(value)) {
    const list = value.map((one) => spoiltJson(random, one, rarity));
    return random.oneIn(rarity) ? [...list, ...list] : list;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(() => !random.oneIn(rarity * 2));
  const spoilt = entries.map(([key, one]) => [key, spoiltJson(random, one, rarity)] as const);
  return Object.fromEntries(random.oneIn(rarity) ? [...spoilt, ['__proto__', 1]] : spoilt);
}

const localFile: Target = {
  name: 'local-file',
  small: true,
  run(random) {
    const text = JSON.stringify(spoiltJson(random, LOCAL, random.pick([5, 30, 200])));
    const spoilt = random.oneIn(4)
      ? mutate(random, Buffer.from(text), ['"', '{', '}', '\\u0000', ',']).toString()
      : text;
    try {
      const { outbound, inbound } = configFromFile(spoilt, 'mesh.json');
      for (const { port } of [...outbound, ...inbound]) {
        must(
          Number.isInteger(port) && port >= 0 && port <= 65535,
          'a port that is none',
          () => port,
        );
      }
    } catch (error) {
      must(error instanceof ConfigError, 'not a ConfigError', () => [String(error), spoilt]);
      must((error as Error).message.startsWith('mesh.json'), 'an error without its place', () =>
        String(error),
      );
    }
  },
};

const RESOURCES = [
  workload(),
  {
    ...workload(),
    inbound: { ports: { 80: workload().inbound.other }, other: workload().inbound.other },
  },
  destination(),
  destination({
    routes: [
      route({
        matches: [
          {
            path: { prefix: '/a' },
            methods: ['GET'],
            headers: [{ name: 'a', value: { regex: 'b' } }],
            query: [{ name: 'q', value: { present: true } }],
          },
        ],
        backends: [{ endpoints: 'shop/app:80', weight: 2 }],
        timeoutMs: 5,
        retry: {
          attempts: 2,
          on: ['reset'],
          perTryTimeoutMs: 1,
          backoffMs: 1,
          maxBackoffMs: 2,
          budgetPercent: 20,
          budgetMinConcurrent: 3,
        },
        requestHeaders: { set: [{ name: 'a', value: 'b' }], add: [], remove: ['c'] },
        rewrite: { path: { prefix: '/b' }, host: 'h' },
      }),
      route({
        redirect: { scheme: 'https', host: null, port: 1, path: { full: '/' }, status: 302 },
      }),
    ],
  }),
  endpoints(
    { address: '10.0.0.1', port: 80, family: 'IPv4' },
    'spiffe://cluster.local/ns/shop/sa/app',
  ),
];

const resources: Target = {
  name: 'resources',
  run(random) {
    const store = createStore(new Set(['10.0.0.9']));
    const good = RESOURCES.map(
      (resource, i) => ({ version: `g${i}`, resource }) as VersionedResource,
    );
    mustEqual(store.apply(good, []), [], 'a good resource is refused');
    const before = store.resources().length;
    const rarity = random.pick([4, 15, 60]);
    const spoilt = RESOURCES.map(
      (resource, i) =>
        ({ version: `s${i}`, resource: spoiltJson(random, resource, rarity) }) as VersionedResource,
    );
    const errors = store.apply(spoilt, []);
    must(errors.length <= spoilt.length, 'more errors than resources');
    for (const { message, path } of errors) {
      must(
        message !== '' && (path === '' || path.startsWith('/')),
        'an error without words',
        () => [path, message],
      );
    }
    must(store.resources().length >= before, 'a bad resource takes a good one away');
    const { workload: own } = store.snapshot();
    must(own !== null, 'the last good workload is gone');
  },
};

export const parserTargets: readonly Target[] = [
  hello,
  detection,
  spiffe,
  frames,
  rewriting,
  localFile,
  resources,
];
