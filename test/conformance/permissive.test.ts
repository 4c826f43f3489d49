// One undeclared port under PERMISSIVE that an app serves in every way at once: mesh peers, plaintext and TLS of the
// app's own come to it side by side, whole or byte by byte, and each gets what it asked for.

import http from 'node:http';
import http2 from 'node:http2';
import net, { type Socket } from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { alpn } from '../../proxy/api/constants.ts';
import { issue, newAuthority } from '../support/identity-files.ts';
import { call, listenOn, startPair, until, type MeshPair } from '../support/mesh-pair.ts';
import { loopback, workload } from '../support/sidecar.ts';

/** The app has certificates of its own, which the mesh knows nothing of. */
const own = issue(newAuthority(), { serviceAccount: 'app' });
/** A server name that has the app hand back the bytes that it got. */
const rawName = 'raw.example';
/** Nobody has said anything: the app does, as SMTP and MySQL do. Longer than sidecars wait for the client. */
const greetAfterMs = 300;
const closers: (() => void)[] = [];
let pair: MeshPair;

interface Servers {
  plain: http.Server;
  h2c: http2.Http2Server;
  secure: tls.Server;
}

function startServers(): Servers {
  const context = { key: own.keyPem, cert: own.chainPem, ALPNProtocols: ['h2', 'http/1.1'] };
  const secure = tls.createServer(context, (socket) => {
    socket.on('error', () => undefined);
    const said = `${socket.getProtocol()} ${String(socket.alpnProtocol)}`;
    socket.once('data', (bytes) => socket.end(`${said} ${bytes.toString()}`));
  });
  secure.on('tlsClientError', () => undefined);
  return {
    plain: http.createServer((_request, response) => response.end('http1')),
    h2c: http2.createServer((_request, response) => void response.end('h2c')),
    secure,
  };
}

/** Finds out by itself what a connection is, as the sidecar has to. */
function serveAnything(servers: Servers, socket: Socket): void {
  socket.on('error', () => undefined);
  closers.push(() => socket.destroy());
  const greet = setTimeout(() => socket.write('220 ready\r\n'), greetAfterMs);
  let bytes = Buffer.alloc(0);
  const look = (chunk: Buffer): void => {
    clearTimeout(greet);
    bytes = Buffer.concat([bytes, chunk]);
    const text = bytes.toString('latin1');
    const isTls = bytes[0] === 0x16;
    const isHttp = /^(GET |PRI )/.test(text);
    // As much as tells one from another.
    if (isTls && (bytes.length < 5 || bytes.length < Math.min(5 + bytes.readUInt16BE(3), 300)))
      return;
    if (!isTls && !isHttp && !/(\n|hello)$/.test(text)) return;
    socket.off('data', look);
    if (!isTls && !isHttp) {
      socket.write(`line ${text}`);
      return;
    }
    if (text.includes(rawName)) {
      socket.write(bytes);
      socket.on('data', (more: Buffer) => void socket.write(more));
      return;
    }
    socket.pause();
    socket.unshift(bytes);
    const { plain, h2c, secure } = servers;
    (isTls ? secure : text.startsWith('PRI') ? h2c : plain).emit('connection', socket);
    if (text.startsWith('GET ')) socket.resume();
  };
  socket.on('data', look);
  socket.on('close', () => clearTimeout(greet));
}

beforeAll(async () => {
  const servers = startServers();
  const app = net.createServer((socket) => serveAnything(servers, socket));
  pair = await startPair(await listenOn(app), workload({ mtls: 'PERMISSIVE' }));
  closers.push(
    () => pair.close(),
    () => app.close(),
  );
});
afterAll(() => {
  for (const close of closers) close();
});

/** Passes on what comes in single bytes, each in a segment and a turn of the event loop of its own, at first. */
async function startDrip(to: number, count = 3000): Promise<number> {
  const server = net.createServer((near) => {
    const far = net.connect({ port: to, host: loopback, noDelay: true });
    for (const socket of [near, far]) socket.on('error', () => undefined);
    far.pipe(near);
    near.on('close', () => far.destroy());
    void (async () => {
      let left = count;
      for await (const chunk of near as AsyncIterable<Buffer>) {
        const single = Math.min(left, chunk.length);
        left -= single;
        for (const byte of chunk.subarray(0, single)) {
          far.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (single < chunk.length) far.write(chunk.subarray(single));
      }
      far.end();
    })().catch(() => far.destroy());
  });
  closers.push(() => server.close());
  return (await listenOn(server)).port;
}

/** Everything that came until the server ended or `enough` stands in it. */
function read(socket: Socket, enough: string): Promise<string> {
  closers.push(() => socket.destroy());
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (text.includes(enough)) resolve(text);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

function say(port: number, first: string | Buffer, enough: string): Promise<string> {
  const socket = net.connect({ port, host: loopback });
  if (first.length > 0) socket.write(first);
  return read(socket, enough);
}

function overTls(port: number, options: tls.ConnectionOptions): Promise<string> {
  const socket = tls.connect({ port, host: loopback, rejectUnauthorized: false, ...options });
  socket.write('hello');
  return read(socket, 'hello');
}

async function overH2c(port: number): Promise<string> {
  const session = http2.connect(`http://${loopback}:${port}`);
  closers.push(() => session.destroy());
  const stream = session.request({ ':path': '/' });
  let text = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk.toString();
  session.close();
  return text;
}

/** Protocols whose list alone is so many bytes; never chosen. */
const longAlpn = (bytes: number): string[] =>
  Array.from({ length: Math.ceil(bytes / 255) }, (_, i) => `${i}`.padEnd(254, 'x'));

/** RFC 8701: reserved values in cipher suites, groups, versions, extensions and ALPN, as browsers send them. */
function greaseHello(): Buffer {
  const grease = Buffer.from([0x5a, 0x5a]);
  const vector = (size: 1 | 2, ...parts: Buffer[]): Buffer => {
    const body = Buffer.concat(parts);
    const length = Buffer.alloc(size);
    length.writeUIntBE(body.length, 0, size);
    return Buffer.concat([length, body]);
  };
  const extension = (type: number, ...parts: Buffer[]): Buffer =>
    Buffer.concat([Buffer.from([type >> 8, type & 255]), vector(2, ...parts)]);
  const name = vector(2, Buffer.from([0]), vector(2, Buffer.from(rawName)));
  const extensions = [
    extension(0x5a5a),
    extension(0, name),
    extension(10, vector(2, grease, Buffer.from([0, 29]))),
    extension(16, vector(2, vector(1, grease), vector(1, Buffer.from('h2')))),
    extension(43, vector(1, grease, Buffer.from([3, 4]))),
    extension(51, vector(2, grease, vector(2, Buffer.from([0])))),
    extension(0x6a6a, Buffer.from([0])),
    extension(21, Buffer.alloc(200)),
  ];
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(32, 9)),
    vector(2, grease, Buffer.from([0x13, 1])),
    vector(1, Buffer.from([0])),
    vector(2, ...extensions),
  ]);
  const message = Buffer.concat([Buffer.from([1, 0]), vector(2, body)]);
  return Buffer.concat([Buffer.from([22, 3, 1]), vector(2, message)]);
}

const postQuantum = 'X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024';
const tls13 = { minVersion: 'TLSv1.3' } as const;
const tls12 = { maxVersion: 'TLSv1.2' } as const;

/** What a client does, what it must hear, and whether sidecars carry that as a request or as a connection. */
const clients: readonly (readonly [
  what: string,
  heard: string,
  as: 'request' | 'connection',
  run: (port: number) => Promise<string>,
])[] = [
  ['HTTP/1.1', 'http1', 'request', async (port) => (await call({ port })).body.toString()],
  ['HTTP/2 in plaintext', 'h2c', 'request', overH2c],
  ['TCP, the client first', 'line HELO\r\n', 'connection', (port) => say(port, 'HELO\r\n', '\n')],
  ['TCP, the server first', '220 ready\r\n', 'connection', (port) => say(port, '', '\n')],
  ['TLS 1.2', 'TLSv1.2 false hello', 'connection', (port) => overTls(port, tls12)],
  ['TLS 1.3', 'TLSv1.3 false hello', 'connection', (port) => overTls(port, tls13)],
  [
    'TLS 1.2 with ALPN',
    'TLSv1.2 h2 hello',
    'connection',
    (port) => overTls(port, { ...tls12, ALPNProtocols: ['h2'] }),
  ],
  [
    'TLS 1.3 with ALPN',
    'TLSv1.3 http/1.1 hello',
    'connection',
    (port) => overTls(port, { ...tls13, ALPNProtocols: ['http/1.1'] }),
  ],
  [
    'TLS with several post-quantum keys',
    'TLSv1.3 false hello',
    'connection',
    (port) => overTls(port, { ecdhCurve: postQuantum }),
  ],
  ...[8_000, 20_000, 40_000].map(
    (bytes) =>
      [
        `TLS with a ClientHello of ${bytes} bytes`,
        'TLSv1.3 h2 hello',
        'connection',
        (port: number) => overTls(port, { ALPNProtocols: [...longAlpn(bytes), 'h2'] }),
      ] as const,
  ),
  [
    'a ClientHello with GREASE, byte for byte',
    greaseHello().toString('latin1'),
    'connection',
    (port) => say(port, greaseHello(), greaseHello().toString('latin1')),
  ],
];

const totals = () => {
  const { requests, mtlsRequests, connections, mtlsConnections } =
    pair.callee.counters.totals('inbound');
  return { requests, mtlsRequests, connections, mtlsConnections };
};

describe.each([
  ['from outside of the mesh', 0],
  ['through a sidecar', 1],
] as const)('%s', (_from, mtls) => {
  const entry = (): number =>
    (mtls === 1 ? pair.caller.outbound : pair.callee.inbound).address.port;

  describe.each(['whole', 'byte by byte'] as const)('%s', (how) => {
    it.each(clients)('%s is heard by the app as what it is', async (_what, heard, as, run) => {
      const port = how === 'whole' ? entry() : await startDrip(entry());
      const before = totals();
      expect(await run(port)).toBe(heard);
      const more = as === 'request' ? [1, 0] : [0, 1];
      await until('it was counted', () => totals()[`${as}s`] === before[`${as}s`] + 1);
      expect(totals()).toEqual({
        requests: before.requests + more[0]!,
        mtlsRequests: before.mtlsRequests + more[0]! * mtls,
        connections: before.connections + more[1]!,
        mtlsConnections: before.mtlsConnections + more[1]! * mtls,
      });
    });
  });
});

describe('a mesh peer', () => {
  it.each([1, 30_000])(
    'is one although its ClientHello of %i and more bytes comes in single bytes',
    async (bytes) => {
      const port = await startDrip(pair.callee.inbound.address.port, 5000);
      const { secureContext } = pair.issue('caller');
      const before = totals();
      const ALPNProtocols = [...longAlpn(bytes), alpn.tcp];
      expect(await overTls(port, { secureContext, ALPNProtocols })).toBe('line hello');
      expect(totals().mtlsConnections).toBe(before.mtlsConnections + 1);
    },
  );

  it('and everybody else can come at the same time', async () => {
    const { inbound } = pair.callee;
    const { outbound } = pair.caller;
    const calls = clients.flatMap(([, heard, , run]) =>
      [inbound, outbound].map(async ({ address }) => [heard, await run(address.port)]),
    );
    for (const [heard, said] of await Promise.all(calls)) expect(said).toBe(heard);
  });
});
