// AuthorizationPolicies at the called pod's sidecar, for connections whose bytes are not looked at, and for
// gRPC streams: refused before a byte reaches the app, ended when the policy changes.

import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { callerIdentity, guarded, policy } from '../../test/support/authorization.ts';
import { testAuthority } from '../../test/support/identities.ts';
import { listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { workload } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

class App {
  readonly sockets: net.Socket[] = [];
  received = '';
  readonly server: net.Server;

  constructor(greeting: string) {
    this.server = net.createServer((socket) => {
      this.sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => (this.received += chunk.toString('latin1')));
      if (greeting !== '') socket.write(greeting);
    });
  }
}

async function pairFor(greeting = ''): Promise<MeshPair & { app: App }> {
  const app = new App(greeting);
  const pair = await startPair(await listenOn(app.server));
  closers.push(() => {
    pair.close();
    app.server.close();
    for (const socket of app.sockets) socket.destroy();
  });
  return { ...pair, app };
}

class Client {
  readonly socket: net.Socket;
  text = '';
  error = '';
  ended = false;

  constructor(port: number, first = '') {
    this.socket = net.connect({ port, host: '127.0.0.1' });
    this.socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')));
    this.socket.on('end', () => (this.ended = true));
    this.socket.on('error', (error: NodeJS.ErrnoException) => (this.error = error.code ?? ''));
    if (first !== '') this.socket.write(first);
    closers.push(() => this.socket.destroy());
  }
}

const viaMesh = (pair: MeshPair) => pair.caller.outbound.address.port;
const direct = (pair: MeshPair) => pair.callee.inbound.address.port;

const caller = [{ identities: [callerIdentity] }];
const other = [{ identities: ['cluster.local/ns/shop/sa/other'] }];
const byIdentity = (from: typeof caller) => policy('ALLOW', [{ name: 'who', from }]);
const onlyGet = policy('ALLOW', [{ name: 'reading', to: [{ methods: ['GET'] }] }]);

describe.each(['auto', 'tcp'] as const)('opaque connections to a port declared %s', (protocol) => {
  it('are let in by identity, and reset before a byte reaches the app', async () => {
    const pair = await pairFor();
    pair.route({ protocol });
    pair.callee.apply(guarded([byIdentity(caller)], { protocol }));
    const allowed = new Client(viaMesh(pair), '\u0001hello');
    await until('the app got it', () => pair.app.received === '\u0001hello');
    allowed.socket.destroy();
    pair.callee.apply(guarded([byIdentity(other)], { protocol }));
    const refused = new Client(viaMesh(pair), '\u0001secret');
    await until('it was reset', () => refused.error === 'ECONNRESET');
    expect([refused.text, refused.ended]).toEqual(['', false]);
    expect(pair.app.received).toBe('\u0001hello');
    expect(pair.app.sockets).toHaveLength(1);
  });

  it('are named with policy and reason in both logs and counts', async () => {
    const pair = await pairFor();
    pair.route({ protocol });
    const noCaller = policy('DENY', [{ name: 'not you', from: caller }]);
    pair.callee.apply(guarded([noCaller], { protocol }));
    const refused = new Client(viaMesh(pair), '\u0001x');
    await until('it was reset', () => refused.error === 'ECONNRESET');
    const by = { policy: 'AuthorizationPolicy shop/deny', rule: 'not you', reason: 'deny-rule' };
    await until('both have logged', () => pair.callee.log.length + pair.caller.log.length === 2);
    const peer = 'spiffe://cluster.local/ns/shop/sa/caller';
    expect(pair.callee.log[0]).toMatchObject({ ...by, flag: 'PD', peer, mtls: true });
    expect(pair.callee.log[0]!.detail).toContain(`the caller is ${peer}`);
    expect(pair.caller.log[0]).toMatchObject({ ...by, flag: 'PP', mtls: true });
    for (const [sidecar, direction] of [
      [pair.callee, 'inbound'],
      [pair.caller, 'outbound'],
    ] as const) {
      const [one] = sidecar.counters.snapshot(direction);
      expect([...one!.decisions.values()]).toEqual([1]);
    }
    await until('nothing is left open', () => pair.callee.inbound.connections() === 0);
  });

  it('of a server that speaks first are refused without a connection to the app', async () => {
    const pair = await pairFor('220 ready\r\n');
    pair.route({ protocol });
    pair.callee.apply(guarded([byIdentity(other)], { protocol }));
    const refused = new Client(viaMesh(pair));
    if (protocol === 'auto') {
      // It may be a client of HTTP that opened its connection in advance: it gets some seconds.
      await until('the callee has it', () => pair.callee.inbound.connections() === 1);
      await until('it waits', () => {
        pair.callee.advance(1_000);
        return refused.error !== '';
      });
    }
    await until('it was reset', () => refused.error === 'ECONNRESET');
    expect(refused.text).toBe('');
    expect(pair.app.sockets).toEqual([]);
  });

  it('that are open end when the policy changes, and those still allowed do not', async () => {
    const pair = await pairFor('hello');
    pair.route({ protocol });
    pair.callee.apply(guarded([byIdentity(caller)], { protocol }));
    const client = new Client(viaMesh(pair));
    await until('it is through', () => client.text === 'hello');
    pair.callee.apply(guarded([byIdentity(caller), byIdentity(other)], { protocol }));
    client.socket.write('still here');
    await until('it goes on', () => pair.app.received === 'still here');
    pair.callee.apply(guarded([byIdentity(other)], { protocol }));
    await until('it was reset', () => client.error === 'ECONNRESET');
    await until('the app lost it', () => pair.app.sockets[0]!.destroyed);
    const by = { policy: 'AuthorizationPolicy shop/allow', rule: '', reason: 'no-allow-rule' };
    expect(pair.callee.log.at(-1)).toMatchObject({ ...by, flag: 'PD', sentBytes: 10 });
  });
});

describe('rules that need HTTP', () => {
  it.each(['get / HTTP/1.1\r\n', '\u0001'])(
    'do not let in %j, which is carried as opaque',
    async (first) => {
      const pair = await pairFor();
      pair.callee.apply(guarded([onlyGet], { mtls: 'PERMISSIVE' }));
      for (const port of [direct(pair), viaMesh(pair)]) {
        const refused = new Client(port, first);
        await until('it was reset', () => refused.error === 'ECONNRESET');
      }
      const noPost = policy('DENY', [{ to: [{ methods: ['POST'] }] }]);
      pair.callee.apply(guarded([noPost], { mtls: 'PERMISSIVE' }));
      for (const port of [direct(pair), viaMesh(pair)]) {
        const refused = new Client(port, first);
        await until('it was reset', () => refused.error === 'ECONNRESET');
      }
      expect(pair.app.received).toBe('');
    },
  );

  it('let in no HTTP on a port declared tcp', async () => {
    const pair = await pairFor();
    pair.callee.apply(guarded([onlyGet], { mtls: 'PERMISSIVE', protocol: 'tcp' }));
    const refused = new Client(direct(pair), 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await until('it was reset', () => refused.error === 'ECONNRESET');
    expect(pair.app.sockets).toEqual([]);
  });

  it('let in HTTP of a client that opened its connection in advance', async () => {
    const pair = await pairFor();
    pair.callee.apply(guarded([onlyGet], { mtls: 'PERMISSIVE' }));
    const mesh = new Client(viaMesh(pair));
    await until('the callee has it', () => pair.callee.inbound.connections() === 1);
    pair.callee.advance(1_000);
    const plain = new Client(direct(pair));
    await until('the callee has both', () => pair.callee.inbound.connections() === 2);
    pair.callee.advance(1_000);
    for (const client of [mesh, plain]) {
      client.socket.write('GET /late HTTP/1.1\r\nhost: a\r\n\r\n');
      const before = pair.app.received.length;
      await until('the app got it', () => pair.app.received.indexOf('GET /late', before) >= 0);
    }
  });
});

describe('what a peer carries as opaque to a port declared http', () => {
  it('is read as HTTP all the same: rules apply, and claims of an identity are taken out', async () => {
    const pair = await pairFor();
    pair.route({ protocol: 'tcp' });
    pair.callee.apply(guarded([onlyGet], { protocol: 'http1' }));
    const claim = 'tsmesh-client-identity: spiffe://cluster.local/ns/shop/sa/admin';
    const refused = new Client(viaMesh(pair), `POST / HTTP/1.1\r\nhost: a\r\n${claim}\r\n\r\n`);
    await until('it was refused', () => refused.text.startsWith('HTTP/1.1 403'));
    const allowed = new Client(viaMesh(pair), `GET / HTTP/1.1\r\nhost: a\r\n${claim}\r\n\r\n`);
    await until('the app got it', () => pair.app.received.endsWith('\r\n\r\n'));
    expect(pair.app.received).toContain(
      'tsmesh-client-identity: spiffe://cluster.local/ns/shop/sa/caller\r\n',
    );
    expect(pair.app.received).not.toContain('admin');
    pair.app.sockets[0]!.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    await until('the answer came', () => allowed.text.endsWith('ok'));
    const odd = new Client(viaMesh(pair), '\u0001 no\r\n\r\n');
    await until('it was answered', () => odd.text.startsWith('HTTP/1.1 400'));
  });
});

describe('TLS of the app', () => {
  it('is judged as opaque on a port declared http, before the app is connected to', async () => {
    const pair = await pairFor();
    const attempt = () => {
      const secure = tls.connect({
        port: direct(pair),
        host: '127.0.0.1',
        rejectUnauthorized: false,
      });
      const state = { error: '' };
      secure.on('error', (error: NodeJS.ErrnoException) => (state.error = error.code ?? ''));
      closers.push(() => secure.destroy());
      return state;
    };
    pair.callee.apply(guarded([onlyGet], { mtls: 'PERMISSIVE', protocol: 'http1' }));
    const refused = attempt();
    await until('it was reset', () => refused.error === 'ECONNRESET');
    expect(pair.app.sockets).toEqual([]);
    const here = policy('ALLOW', [{ from: [{ ipBlocks: ['127.0.0.0/8'] }] }]);
    pair.callee.apply(guarded([here], { mtls: 'PERMISSIVE', protocol: 'http1' }));
    attempt();
    await until('the app has its ClientHello', () => pair.app.received.startsWith('\u0016'));
  });
});

describe('a plaintext tunnel', () => {
  it('is judged by address, and ends when the mode becomes STRICT', async () => {
    const pair = await pairFor('hello');
    const here = policy('ALLOW', [{ from: [{ ipBlocks: ['127.0.0.1'] }] }]);
    pair.callee.apply(guarded([here], { mtls: 'PERMISSIVE', protocol: 'tcp' }));
    const client = new Client(direct(pair));
    await until('it is through', () => client.text === 'hello');
    pair.callee.apply(guarded([here], { decidedBy: 'PeerAuthentication shop/strict' }));
    await until('it was reset', () => client.error === 'ECONNRESET');
    expect(pair.callee.log.at(-1)).toMatchObject({
      flag: 'MR',
      policy: 'PeerAuthentication shop/strict',
      reason: 'mtls-required',
    });
  });

  it('does not start on a connection that was admitted to wait under an older policy', async () => {
    const pair = await pairFor();
    pair.callee.apply(workload({ mtls: 'PERMISSIVE', protocol: 'http1' }));
    const client = new Client(direct(pair));
    await until('the callee has it', () => pair.callee.inbound.connections() === 1);
    pair.callee.advance(200);
    pair.callee.apply(guarded([onlyGet], { mtls: 'PERMISSIVE', protocol: 'http1' }));
    const hello = tls.connect({ socket: client.socket, rejectUnauthorized: false });
    hello.on('error', () => undefined);
    await until('it was reset', () => client.error === 'ECONNRESET' || client.socket.destroyed);
    expect(pair.app.received).toBe('');
  });
});

describe('gRPC', () => {
  type Grpc = { pair: MeshPair; streams: http2.ServerHttp2Stream[] };

  async function grpcPair(): Promise<Grpc> {
    const streams: http2.ServerHttp2Stream[] = [];
    const app = http2.createServer();
    const sessions: http2.ServerHttp2Session[] = [];
    app.on('session', (session) => sessions.push(session));
    app.on('stream', (one) => {
      const stream = one as http2.ServerHttp2Stream;
      stream.on('error', () => undefined);
      streams.push(stream);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write('first');
    });
    const pair = await startPair(await listenOn(app));
    closers.push(() => {
      pair.close();
      app.close();
      for (const session of sessions) session.destroy();
    });
    return { pair, streams };
  }

  function open(pair: MeshPair, path: string) {
    const session = http2.connect(`http://127.0.0.1:${viaMesh(pair)}`);
    session.on('error', () => undefined);
    closers.push(() => session.destroy());
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const state: {
      headers?: http2.IncomingHttpHeaders;
      trailers?: http2.IncomingHttpHeaders;
      text: string;
    } = { text: '' };
    stream.on('response', (headers) => (state.headers = headers));
    stream.on('trailers', (trailers) => (state.trailers = trailers));
    stream.on('data', (chunk: Buffer) => (state.text += chunk.toString()));
    stream.on('error', () => undefined);
    return state;
  }

  const denyAdmin = policy('DENY', [
    { name: 'admin', to: [{ paths: [{ prefix: '/shop.Admin/' }] }] },
  ]);
  const said = 'AuthorizationPolicy shop/deny; rule=admin; reason=deny-rule';

  it('callers that are refused get PERMISSION_DENIED in an answer that is a head alone', async () => {
    const { pair, streams } = await grpcPair();
    pair.callee.apply(guarded([denyAdmin]));
    const refused = open(pair, '/shop.Admin/Drop');
    await until('the answer came', () => refused.headers !== undefined);
    expect(refused.headers).toMatchObject({
      ':status': 200,
      'grpc-status': '7',
      'tsmesh-denied-by': said,
    });
    expect(String(refused.headers!['grpc-message'])).toContain(
      'AuthorizationPolicy shop/deny, admin',
    );
    await until('the caller has logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ flag: 'PP', grpcStatus: 7, rule: 'admin' });
    expect(streams).toEqual([]);
  });

  it('streams that are open get it in their trailers when the policy changes; others go on', async () => {
    const { pair, streams } = await grpcPair();
    pair.callee.apply(guarded([policy('ALLOW', [{ from: caller }])]));
    const admin = open(pair, '/shop.Admin/Watch');
    const cart = open(pair, '/shop.Cart/Watch');
    await until('both run', () => admin.text === 'first' && cart.text === 'first');
    pair.callee.apply(guarded([denyAdmin]));
    await until('one was ended', () => admin.trailers !== undefined);
    expect(admin.trailers).toMatchObject({ 'grpc-status': '7', 'tsmesh-denied-by': said });
    await until('the caller has logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ flag: 'PP', grpcStatus: 7, rule: 'admin' });
    const open2 = streams.filter((stream) => !stream.destroyed);
    expect(open2).toHaveLength(1);
    open2[0]!.write(' second');
    await until('the other goes on', () => cart.text === 'first second');
  });
});

describe('an answer of an app that looks like a refusal of its sidecar', () => {
  it('is passed on where it begins a longer answer', async () => {
    const greeting = `\u0000tsmesh-denied-by: not really${'.'.repeat(3000)}\r\n`;
    const pair = await pairFor(greeting);
    pair.route({ protocol: 'tcp' });
    const client = new Client(viaMesh(pair));
    await until('it came', () => client.text === greeting);
  });
});

describe('a caller of another mesh', () => {
  it('is nobody, whatever its certificate says', async () => {
    const pair = await pairFor();
    pair.callee.apply(guarded([byIdentity(caller)], { mtls: 'PERMISSIVE', protocol: 'tcp' }));
    const secure = tls.connect({
      port: direct(pair),
      host: '127.0.0.1',
      secureContext: testAuthority()('caller').secureContext,
      rejectUnauthorized: false,
      ALPNProtocols: ['tsmesh-tcp'],
    });
    let closed = false;
    secure.on('error', () => undefined);
    secure.on('close', () => (closed = true));
    closers.push(() => secure.destroy());
    secure.write('hi');
    await until('it was refused', () => closed);
    expect(pair.app.sockets).toEqual([]);
  });
});
