// HTTP/2 from an app to an app, and HTTP/1 to an app that speaks HTTP/2, along every way through the mesh. Node's
// own HTTP/2 stands at both ends. An app gets the version that its caller spoke, or the declared one.

import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Protocol } from '../../proxy/api/resources.ts';
import { until } from '../support/mesh-pair.ts';
import { openPath, paths, type OpenPath, type Path } from './semantics-paths.ts';
import { connectTo, value, values, type Pair, type Wire } from './semantics-peers.ts';

const { constants } = http2;

interface Request {
  stream: http2.ServerHttp2Stream;
  headers: http2.IncomingHttpHeaders;
  /** In order, as they came. */
  fields: Pair[];
  endedWithHead: boolean;
  body: string;
  trailers: Pair[];
  ended: boolean;
  /** Null: not over, or ended in order. */
  rstCode: number | null;
}

interface App {
  address: AddressInfo;
  requests: Request[];
  /** Of a request that is there as a whole. */
  serve(request: Request): void;
  /** Of a request whose head is there. */
  onHead(request: Request): void;
}

let app: App;
let path: OpenPath;
const closers: (() => void)[] = [];

function pairs(raw: readonly string[]): Pair[] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!, raw[2 * i + 1]!]);
}

async function startApp(): Promise<App> {
  const server = http2.createServer({ settings: { enableConnectProtocol: true } });
  const made = {
    requests: [] as Request[],
    serve: ({ stream }: Request) => {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    },
    onHead: () => undefined,
  };
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers, flags, raw) => {
    const request: Request = {
      stream,
      headers,
      fields: pairs(raw as unknown as string[]),
      endedWithHead: (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0,
      body: '',
      trailers: [],
      ended: false,
      rstCode: null,
    };
    made.requests.push(request);
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => (request.body += chunk.toString('latin1')));
    stream.on('trailers', (_, __, rawTrailers: string[]) => {
      request.trailers = pairs(rawTrailers);
    });
    stream.on('close', () => {
      if (stream.rstCode !== 0) request.rstCode = stream.rstCode;
    });
    stream.on('end', () => {
      request.ended = true;
      // Node ends what was reset, too, before it says that it was.
      setImmediate(() => {
        if (!stream.headersSent && !stream.closed) result.serve(request);
      });
    });
    result.onHead(request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const result: App = Object.assign(made, { address: server.address() as AddressInfo });
  closers.push(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return result;
}

interface Answer {
  status: number;
  fields: Pair[];
  interim: { status: number; fields: Pair[] }[];
  body: string;
  trailers: Pair[];
  /** Null: ended in order. */
  rstCode: number | null;
}

function follow(stream: http2.ClientHttp2Stream): { answer: Answer; done: Promise<Answer> } {
  const answer: Answer = {
    status: 0,
    fields: [],
    interim: [],
    body: '',
    trailers: [],
    rstCode: null,
  };
  stream.on('error', () => undefined);
  stream.on('headers', (headers, _, raw) => {
    const fields = pairs(raw as unknown as string[]).slice(1);
    answer.interim.push({ status: Number(headers[':status']), fields });
  });
  stream.on('response', (headers, _, raw) => {
    answer.status = headers[':status']!;
    answer.fields = pairs(raw as unknown as string[]).slice(1);
  });
  stream.on('trailers', (_, __, raw: string[]) => (answer.trailers = pairs(raw)));
  stream.on('data', (chunk: Buffer) => (answer.body += chunk.toString('latin1')));
  const done = new Promise<Answer>((resolve) => {
    stream.on('close', () => {
      if (stream.rstCode !== 0) answer.rstCode = stream.rstCode;
      resolve(answer);
    });
  });
  return { answer, done };
}

function connect(): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${path.port}`, {
    settings: { maxHeaderListSize: 1_000_000 },
    maxSendHeaderBlockLength: 1_000_000,
  });
  session.on('error', () => undefined);
  closers.push(() => session.destroy());
  return session;
}

type Headers = http2.OutgoingHttpHeaders;
const post = { ':method': 'POST', ':path': '/', ':authority': 'a' };

async function ask(headers: Headers, body: string | null = null): Promise<Answer> {
  const stream = connect().request(headers, { endStream: body === null });
  const { done } = follow(stream);
  if (body !== null) stream.end(Buffer.from(body, 'latin1'));
  return done;
}

async function start(way: Path, protocol: Protocol): Promise<void> {
  app = await startApp();
  path = await openPath(way, app.address, protocol);
  closers.push(() => path.close());
}

afterEach(() => {
  for (const close of closers.splice(0).toReversed()) close();
});

/** Without those that the sidecars add. */
function sentFields({ fields }: Request): Pair[] {
  const added = ['tsmesh-client-identity', 'x-forwarded-client-cert', 'x-request-id'];
  return fields.filter(([name]) => !added.includes(name));
}

describe.each(paths)('HTTP/2 → HTTP/2, %s', (way) => {
  // As an app without a declared port gets it; h2spec and the gRPC suites have declared ones.
  beforeEach(() => start(way, 'auto'));

  it.each(['/', '//a/../b;p?x=%2F', '/a%2fb/%00?', '/"|{}[]^`<>\\', `/${'l'.repeat(10_000)}`])(
    'keeps the target %.40s',
    async (target) => {
      await ask({ ':path': target, ':authority': 'Cart.shop:80', ':scheme': 'https' });
      const [request] = app.requests;
      expect(request!.headers).toMatchObject({
        ':authority': 'Cart.shop:80',
        ':method': 'GET',
        ':path': target,
        ':scheme': 'https',
      });
    },
  );

  it('keeps OPTIONS *, odd methods, and a request without an authority', async () => {
    await ask({ ':method': 'OPTIONS', ':path': '*', ':authority': 'a' });
    await ask({ ':method': 'M-SEARCH', ':path': '/', ':authority': 'a' });
    expect(app.requests.map(({ headers }) => [headers[':method'], headers[':path']])).toEqual([
      ['OPTIONS', '*'],
      ['M-SEARCH', '/'],
    ]);
  });

  it('keeps fields, duplicates, order, bytes, TE and what others say', async () => {
    const odd = `<\t!~\x80\xff>`;
    await ask({
      ...post,
      'x-b': ['1', '3'],
      'x-empty': '',
      'x-odd': odd,
      te: 'trailers',
      via: '1.1 edge',
      'max-forwards': '3',
      expect: 'the-best',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    expect(sentFields(app.requests[0]!).slice(4)).toEqual([
      ['x-b', '1'],
      ['x-b', '3'],
      ['x-empty', ''],
      ['x-odd', odd],
      ['te', 'trailers'],
      ['via', '1.1 edge'],
      ['max-forwards', '3'],
      ['expect', 'the-best'],
      ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
    ]);
  });

  it('joins the crumbs of a Cookie, as RFC 9113 §8.2.3 allows', async () => {
    await ask({ ...post, cookie: ['a=1', 'b=2; c=3'] });
    expect(values(app.requests[0]!.fields, 'cookie')).toEqual(['a=1; b=2; c=3']);
  });

  it('keeps lengths, empty bodies and none as they are', async () => {
    await ask(post);
    await ask(post, '');
    await ask({ ...post, 'content-length': '0' });
    await ask({ ...post, 'content-length': '3' }, 'a\xff\0');
    expect(
      app.requests.map((one) => [one.headers['content-length'], one.endedWithHead, one.body]),
    ).toEqual([
      [undefined, true, ''],
      [undefined, false, ''],
      ['0', true, ''],
      ['3', false, 'a\xff\0'],
    ]);
  });

  it('keeps the trailers of both', async () => {
    app.serve = ({ stream, trailers }) => {
      stream.respond({ ':status': 200, trailer: 'x-sum' }, { waitForTrailers: true });
      stream.on('wantTrailers', () =>
        stream.sendTrailers({ 'x-sum': trailers.map(([, text]) => text), 'x-odd': '\xe9' }),
      );
      stream.end('body');
    };
    const stream = connect().request(post, { endStream: false, waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-in': ['1', '2'] }));
    const { done } = follow(stream);
    stream.end('up');
    const answer = await done;
    expect(app.requests[0]!.trailers).toEqual([
      ['x-in', '1'],
      ['x-in', '2'],
    ]);
    expect([answer.body, answer.trailers]).toEqual([
      'body',
      [
        ['x-sum', '1'],
        ['x-sum', '2'],
        ['x-odd', '\xe9'],
      ],
    ]);
  });

  it('keeps status and fields of answers, and adds none', async () => {
    for (const status of [200, 299, 301, 404, 500, 599]) {
      app.serve = ({ stream }) => {
        stream.respond(
          { ':status': status, 'set-cookie': ['a=1', 'b=2'], server: 'own', 'x-odd': '\x80' },
          { sendDate: false } as http2.ServerStreamResponseOptions,
        );
        stream.end('x');
      };
      const { status: got, fields, body } = await ask({ ...post });
      expect([got, body]).toEqual([status, 'x']);
      expect(fields.filter(([name]) => name !== 'date')).toEqual([
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['server', 'own'],
        ['x-odd', '\x80'],
      ]);
    }
  });

  it('keeps the length in answers to HEAD and in 304', async () => {
    app.serve = ({ stream, headers }) => {
      const status = headers[':path'] === '/304' ? 304 : 200;
      stream.respond({ ':status': status, 'content-length': '1234' }, { endStream: true });
    };
    const head = await ask({ ...post, ':method': 'HEAD' });
    const unchanged = await ask({ ...post, ':method': 'GET', ':path': '/304' });
    for (const answer of [head, unchanged])
      expect([values(answer.fields, 'content-length'), answer.rstCode]).toEqual([['1234'], null]);
  });

  it('passes interim responses on, and 100 before the body', async () => {
    app.onHead = ({ stream }) => {
      stream.additionalHeaders({ ':status': 103, link: ['</a>', '</b>'] });
      stream.additionalHeaders({ ':status': 100 });
    };
    const stream = connect().request(
      { ...post, expect: '100-continue', 'content-length': '2' },
      { endStream: false },
    );
    const { answer, done } = follow(stream);
    await new Promise<void>((resolve) => stream.once('continue', () => resolve()));
    expect(app.requests[0]!.body).toBe('');
    stream.end('up');
    expect((await done).body).toBe('ok');
    expect(answer.interim[0]).toEqual({
      status: 103,
      fields: [
        ['link', '</a>'],
        ['link', '</b>'],
      ],
    });
    expect(app.requests[0]!.body).toBe('up');
  });

  it('gives an early answer, and takes the rest that the app declined off the client', async () => {
    app.onHead = ({ stream }) => {
      stream.respond({ ':status': 413 });
      stream.end('big');
      stream.close(constants.NGHTTP2_NO_ERROR);
    };
    const session = connect();
    const stream = session.request(post, { endStream: false });
    const { answer } = follow(stream);
    stream.write('x'.repeat(1000));
    await until('the answer is there', () => answer.body === 'big');
    stream.end('x'.repeat(3_000_000));
    await until('all of it was taken', () => stream.closed);
    expect([answer.status, answer.body, stream.rstCode]).toEqual([413, 'big', 0]);
    app.onHead = () => undefined;
    const next = follow(session.request(post, { endStream: true })).done;
    expect((await next).body).toBe('ok');
  });

  it('lets the app see a client that leaves', async () => {
    const stream = connect().request(post, { endStream: false });
    follow(stream);
    stream.write('x');
    await until('it is there', () => app.requests[0]?.body === 'x');
    stream.close(constants.NGHTTP2_CANCEL);
    await until('the app saw it', () => app.requests[0]!.rstCode !== null);
    expect(app.requests[0]!.rstCode).toBe(constants.NGHTTP2_CANCEL);
  });

  it.each([
    // (Its `close` with a code would end the answer in order first.)
    ['resets', (stream: http2.ServerHttp2Stream) => stream.destroy(new Error('failed'))],
    ['cuts the connection', ({ session }: http2.ServerHttp2Stream) => session!.destroy()],
  ])('does not make an answer look whole that the app %s', async (_, leave) => {
    app.onHead = ({ stream }) => {
      stream.respond({ ':status': 200 });
      stream.write('some');
    };
    const { answer, done } = follow(connect().request(post));
    await until('it began', () => answer.body === 'some');
    leave(app.requests[0]!.stream);
    expect((await done).rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR);
  });

  it('carries an extended CONNECT as a tunnel', async () => {
    app.onHead = ({ stream }) => {
      stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' });
      stream.on('data', (chunk: Buffer) => stream.write(`<${chunk.toString()}>`));
      stream.on('end', () => stream.end('bye'));
    };
    const session = connect();
    await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
    const stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': '/chat?x',
        ':scheme': 'http',
        ':authority': 'a',
        'sec-websocket-version': '13',
      },
      { endStream: false },
    );
    const { answer, done } = follow(stream);
    stream.write('ping');
    await until('it came back', () => answer.body === '<ping>');
    stream.end();
    expect((await done).body).toBe('<ping>bye');
    expect([answer.status, answer.fields.find(([name]) => name !== 'date')]).toEqual([
      200,
      ['sec-websocket-protocol', 'chat'],
    ]);
    const { headers } = app.requests[0]!;
    expect([headers[':method'], headers[':protocol'], headers[':path']]).toEqual([
      'CONNECT',
      'websocket',
      '/chat?x',
    ]);
  });

  it('refuses HTTP/2 as the protocol of a tunnel', async () => {
    const session = connect();
    await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
    const h2c = { ...post, ':method': 'CONNECT', ':protocol': 'h2c', ':scheme': 'http' };
    const { done } = follow(session.request(h2c, { endStream: false }));
    expect((await done).rstCode).toBe(constants.NGHTTP2_PROTOCOL_ERROR);
    expect(app.requests).toEqual([]);
  });

  it('carries CONNECT to an app that is a proxy', async () => {
    app.onHead = ({ stream }) => {
      stream.respond({ ':status': 200 });
      stream.on('data', (chunk: Buffer) => stream.write(`<${chunk.toString()}>`));
    };
    const head = { ':method': 'CONNECT', ':authority': 'db.example:5432' };
    const stream = connect().request(head, { endStream: false });
    const { answer } = follow(stream);
    stream.write('hi');
    await until('it came back', () => answer.body === '<hi>');
    expect(app.requests[0]!.headers[':authority']).toBe('db.example:5432');
  });

  it('answers a head that is too large', async () => {
    const large = await ask({ ...post, 'x-large': 'x'.repeat(70_000) });
    expect(large.status).toBe(431);
    expect(app.requests).toEqual([]);
  });
});

describe.each(paths)('HTTP/1 → HTTP/2, %s', (way) => {
  beforeEach(() => start(way, 'http2'));

  function open(): Wire {
    const wire = connectTo(path.port);
    closers.push(() => wire.socket.destroy());
    return wire;
  }

  async function say(text: string, bodiless = false) {
    const client = open();
    client.send(text);
    return { answer: await client.message(bodiless), client, request: app.requests.at(-1)! };
  }

  it('keeps targets, in their absolute-form too, and Host as the authority', async () => {
    for (const [line, expected] of [
      ['GET //a/../b;p?x=%2F', ['GET', 'http', 'Cart:80', '//a/../b;p?x=%2F']],
      ['OPTIONS *', ['OPTIONS', 'http', 'Cart:80', '*']],
      ['GET https://b.example/x', ['GET', 'https', 'b.example', '/x']],
    ] as const) {
      const { request } = await say(`${line} HTTP/1.1\r\nhost: Cart:80\r\n\r\n`);
      const { headers } = request;
      expect([':method', ':scheme', ':authority', ':path'].map((name) => headers[name])).toEqual(
        expected,
      );
    }
  });

  it('keeps fields but those of the hop', async () => {
    const { request } = await say(
      'GET / HTTP/1.1\r\nhost: a\r\nX-B: 1\r\nx-a: \xff\r\nx-b: 2\r\nconnection: x-hop, te, keep-alive\r\n' +
        'x-hop: 1\r\nkeep-alive: 1\r\nproxy-connection: x\r\nte: trailers, gzip\r\nupgrade: h2c\r\n\r\n',
    );
    expect(sentFields(request).filter(([name]) => !name.startsWith(':'))).toEqual([
      ['x-b', '1'],
      ['x-a', '\xff'],
      ['x-b', '2'],
      ['te', 'trailers'],
    ]);
  });

  it('keeps bodies in either framing, and trailers', async () => {
    const counted = await say('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\na\xff\0');
    expect([counted.request.body, counted.request.headers['content-length']]).toEqual([
      'a\xff\0',
      '3',
    ]);
    const chunked = await say(
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n3;x\r\nabc\r\n0\r\nx-t: 1\r\n\r\n',
    );
    const { body, trailers, headers } = chunked.request;
    expect([body, trailers, headers['content-length'], headers['transfer-encoding']]).toEqual([
      'abc',
      [['x-t', '1']],
      undefined,
      undefined,
    ]);
    const empty = await say('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n');
    expect([empty.request.endedWithHead, empty.request.headers['content-length']]).toEqual([
      true,
      '0',
    ]);
    const none = await say('POST / HTTP/1.1\r\nhost: a\r\n\r\n');
    expect([none.request.endedWithHead, none.request.headers['content-length']]).toEqual([
      true,
      undefined,
    ]);
  });

  it('writes answers of no length in chunks, with trailers, or to the close for HTTP/1.0', async () => {
    app.serve = ({ stream }) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-t': '1' }));
      stream.end('body');
    };
    const { answer, client } = await say('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    expect([answer.body, answer.trailers, value(answer, 'transfer-encoding')]).toEqual([
      'body',
      [['x-t', '1']],
      'chunked',
    ]);
    client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    expect((await client.message()).body).toBe('body');
    const old = await say('GET / HTTP/1.0\r\nhost: a\r\n\r\n');
    expect([old.answer.body, value(old.answer, 'transfer-encoding')]).toEqual(['body', undefined]);
    await old.client.end();
  });

  it('writes answers without body, to HEAD and 304', async () => {
    app.serve = ({ stream, headers }) => {
      const status = Number(String(headers[':path']).slice(1));
      stream.respond({ ':status': status, 'content-length': '12' }, { endStream: true });
    };
    for (const [line, status] of [
      ['HEAD /200', 200],
      ['GET /304', 304],
    ] as const) {
      const { answer } = await say(`${line} HTTP/1.1\r\nhost: a\r\n\r\n`, true);
      expect([answer.line.slice(9, 12), value(answer, 'content-length')]).toEqual([
        String(status),
        '12',
      ]);
    }
    app.serve = ({ stream }) => stream.respond({ ':status': 200 }, { endStream: true });
    const { answer } = await say('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    expect([answer.body, value(answer, 'content-length')]).toEqual(['', '0']);
  });

  it('passes 103 and 100 on', async () => {
    app.onHead = ({ stream }) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.additionalHeaders({ ':status': 100 });
    };
    const client = open();
    client.send('POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n');
    expect((await client.message()).fields).toEqual([['link', '</a>']]);
    expect((await client.message()).line).toBe('HTTP/1.1 100 Continue');
    client.send('up');
    expect((await client.message()).body).toBe('ok');
    expect(app.requests[0]!.body).toBe('up');
  });

  it('makes a WebSocket handshake an extended CONNECT', async () => {
    app.onHead = ({ stream }) => {
      stream.respond({ ':status': 200 });
      stream.on('data', (chunk: Buffer) => stream.write(`<${chunk.toString()}>`));
    };
    const client = open();
    client.send(
      'GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
        'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n',
    );
    const answer = await client.message();
    expect(answer.line).toBe('HTTP/1.1 101 Switching Protocols');
    expect(value(answer, 'sec-websocket-accept')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    client.send('hi');
    await client.has('<hi>');
    const { headers } = app.requests[0]!;
    expect([headers[':method'], headers[':protocol']]).toEqual(['CONNECT', 'websocket']);
  });

  it('resets a client whose answer breaks off', async () => {
    app.onHead = ({ stream }) => {
      stream.respond({ ':status': 200 });
      stream.write('some');
    };
    const client = open();
    client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await client.has('some');
    app.requests[0]!.stream.destroy(new Error('failed'));
    await client.reset();
  });

  it('resets the stream of a client that leaves', async () => {
    app.onHead = () => undefined;
    app.serve = () => undefined;
    const client = open();
    client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await until('it is there', () => app.requests.length === 1);
    client.socket.resetAndDestroy();
    await until('the app saw it', () => app.requests[0]!.rstCode === constants.NGHTTP2_CANCEL);
  });
});

describe.each(paths)('a port declared HTTP/1, %s', (way) => {
  it('gets HTTP/2 from callers that speak it, as it would without a mesh', async () => {
    await start(way, 'http1');
    expect((await ask(post, 'x')).body).toBe('ok');
  });
});
