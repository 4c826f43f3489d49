import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { testAuthority } from '../../test/support/identities.ts';
import { listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, workload } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Pair = MeshPair & { sockets: net.Socket[] };

async function pairFor(serve: (socket: net.Socket) => void): Promise<Pair> {
  const sockets: net.Socket[] = [];
  const app = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    serve(socket);
  });
  const pair = await startPair(await listenOn(app));
  closers.push(() => {
    pair.close();
    app.close();
    for (const socket of sockets) socket.destroy();
  });
  return { ...pair, sockets };
}

class Client {
  readonly socket: net.Socket;
  text = '';
  ended = false;
  error: string | null = null;
  closed = false;

  constructor(port: number) {
    this.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')));
    this.socket.on('end', () => (this.ended = true));
    this.socket.on('error', (error: NodeJS.ErrnoException) => (this.error = error.code ?? ''));
    this.socket.on('close', () => (this.closed = true));
    closers.push(() => this.socket.destroy());
  }
}

const outbound = (pair: MeshPair) => new Client(pair.caller.outbound.address.port);

const protocols = ['auto', 'tcp'] as const;

describe.each(protocols)('TCP through two sidecars, port declared %s', (protocol) => {
  async function tcpPair(serve: (socket: net.Socket) => void): Promise<Pair> {
    const pair = await pairFor(serve);
    pair.route({ protocol });
    pair.callee.apply(workload({ mtls: 'STRICT', protocol }));
    return pair;
  }

  it('lets a server speak first, in less than 300 ms', async () => {
    const pair = await tcpPair((socket) => void socket.write('220 ready\r\n'));
    const startedMs = performance.now();
    const client = outbound(pair);
    await until('the greeting came', () => client.text === '220 ready\r\n');
    expect(performance.now() - startedMs).toBeLessThan(300);
    client.socket.write('QUIT');
    const [app] = pair.sockets;
    let said = '';
    app!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('the app got the answer', () => said === 'QUIT');
    expect(pair.caller.counters.totals('outbound')).toMatchObject({
      connections: 1,
      mtlsConnections: 1,
    });
  });

  it('carries half-closes: the answer comes after the client sent its FIN', async () => {
    const body = randomBytes(20_000_000);
    const pair = await tcpPair((socket) => {
      const hash = createHash('sha256');
      socket.on('data', (chunk: Buffer) => hash.update(chunk));
      socket.on('end', () => socket.end(hash.digest('hex')));
    });
    const client = outbound(pair);
    client.socket.end(Buffer.concat([Buffer.from([0]), body]));
    await until('the digest came', () => client.ended);
    const expected = createHash('sha256')
      .update(Buffer.from([0]))
      .update(body)
      .digest('hex');
    expect(client.text).toBe(expected);
    await until('nothing is left open', () => pair.callee.inbound.connections() === 0);
    expect(pair.callee.log.at(-1)).toMatchObject({ sentBytes: 20_000_001, receivedBytes: 64 });
  });

  it('carries a FIN of the server while the client goes on', async () => {
    let said = '';
    const pair = await tcpPair((socket) => {
      socket.end('bye');
      socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
    });
    const client = outbound(pair);
    await until('the end came', () => client.ended);
    client.socket.end('still here');
    await until('the app got it', () => said === 'still here');
  });

  it('carries resets both ways', async () => {
    let reset = false;
    const pair = await tcpPair((socket) => {
      socket.write('x');
      socket.on('error', () => (reset = true));
    });
    const first = outbound(pair);
    await until('it is through', () => first.text === 'x');
    first.socket.resetAndDestroy();
    await until('the app saw the reset', () => reset);
    const second = outbound(pair);
    await until('it is through', () => second.text === 'x');
    pair.sockets[1]!.resetAndDestroy();
    await until('the client saw the reset', () => second.error === 'ECONNRESET');
    expect(second.ended).toBe(false);
    await until('nothing is left open', () => pair.caller.outbound.connections() === 0);
  });

  it('stops the sender when the receiver does not read', async () => {
    const pair = await tcpPair((socket) => {
      socket.write('x');
      socket.pause();
    });
    const client = outbound(pair);
    await until('it is through', () => client.text === 'x');
    const chunk = Buffer.alloc(1 << 20);
    let sent = 0;
    const send = () => {
      if (sent < 512 && !client.closed)
        client.socket.write(chunk, () => {
          sent += 1;
          send();
        });
    };
    send();
    let before = -1;
    await until('it stopped', () => {
      const stopped = sent === before;
      before = sent;
      return stopped;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(sent).toBeLessThan(64);
  });
});

describe('finding out what an undeclared port speaks', () => {
  it('takes a client that sends one byte and stops for TCP', async () => {
    let said = '';
    const pair = await pairFor((socket) => {
      socket.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        socket.write('seen');
      });
    });
    const client = outbound(pair);
    client.socket.write('G');
    await until('the answer came', () => client.text === 'seen');
    expect(said).toBe('G');
  });

  it('takes a slow client that turns out to speak HTTP for HTTP', async () => {
    const pair = await pairFor((socket) => {
      socket.on('data', () => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
    });
    const client = outbound(pair);
    await until('the upstream is open too', () => pair.sockets.length === 1);
    client.socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await until('the answer came', () => client.text.endsWith('ok'));
    expect(pair.caller.counters.totals('outbound')).toMatchObject({ requests: 1, connections: 0 });
    await until('the unused tunnel is closed', () => pair.sockets[0]!.destroyed);
  });

  it('serves an HTTP client that is slow to speak although the upstream is gone by then', async () => {
    const pair = await pairFor((socket) => {
      if (pair.sockets.length === 1) return void socket.resetAndDestroy();
      socket.on('data', () => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
    });
    const client = outbound(pair);
    await until('the upstream was there and has ended', () => pair.sockets[0]?.destroyed === true);
    expect(client.ended).toBe(false);
    client.socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await until('the answer came', () => client.text.endsWith('ok'));
  });

  it('lets TLS of the app through', async () => {
    const { secureContext } = testAuthority()('app');
    const pair = await pairFor((socket) => {
      const secure = new tls.TLSSocket(socket, { isServer: true, secureContext });
      secure.on('data', (chunk: Buffer) => void secure.write(chunk));
      secure.on('error', () => undefined);
    });
    const secure = tls.connect({
      port: pair.caller.outbound.address.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
    });
    closers.push(() => secure.destroy());
    secure.on('error', () => undefined);
    secure.write('through');
    const answer = await new Promise<Buffer>((resolve) => secure.once('data', resolve));
    expect(answer.toString()).toBe('through');
    expect(pair.caller.counters.totals('outbound').mtlsConnections).toBe(1);
  });

  it('passes a client that never sends and leaves', async () => {
    const pair = await pairFor(() => undefined);
    const client = outbound(pair);
    await until('the app got it', () => pair.sockets.length === 1);
    client.socket.resetAndDestroy();
    await until('nothing is left open', () => pair.callee.inbound.connections() === 0);
  });
});

describe('plaintext to a pod', () => {
  it('is reset under STRICT, and counted', async () => {
    const pair = await pairFor(() => undefined);
    const client = new Client(pair.callee.inbound.address.port);
    client.socket.write('hello there\r\n');
    await until('it was reset', () => client.error === 'ECONNRESET');
    expect(pair.callee.log.at(-1)).toMatchObject({ flag: 'MR', detail: 'Mesh default' });
    expect(pair.callee.counters.totals('inbound').denied).toBe(1);
    expect(pair.sockets).toEqual([]);
  });

  it('reaches a server that speaks first under PERMISSIVE', async () => {
    const pair = await pairFor((socket) => void socket.write('220 ready\r\n'));
    pair.callee.apply(workload({ mtls: 'PERMISSIVE' }));
    const client = new Client(pair.callee.inbound.address.port);
    await until('the greeting came', () => client.text === '220 ready\r\n');
  });

  it('with TLS of its own is let through under PERMISSIVE and DISABLE only', async () => {
    const { secureContext } = testAuthority()('app');
    const pair = await pairFor((socket) => {
      const secure = new tls.TLSSocket(socket, { isServer: true, secureContext });
      secure.on('data', (chunk: Buffer) => void secure.write(chunk));
      secure.on('error', () => undefined);
    });
    const { port } = pair.callee.inbound.address;
    const attempt = () =>
      new Promise<string>((resolve) => {
        const secure = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
        closers.push(() => secure.destroy());
        secure.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
        secure.on('data', (chunk: Buffer) => resolve(chunk.toString()));
        secure.write('hi');
      });
    expect(await attempt()).toBe('ECONNRESET');
    for (const mtls of ['PERMISSIVE', 'DISABLE'] as const) {
      pair.callee.apply(workload({ mtls }));
      expect(await attempt()).toBe('hi');
    }
  });

  it('does not become a mesh peer by offering its protocol without a certificate', async () => {
    const pair = await pairFor(() => undefined);
    const { port } = pair.callee.inbound.address;
    const secure = tls.connect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['tsmesh-tcp'],
    });
    closers.push(() => secure.destroy());
    let failed = false;
    secure.on('error', () => (failed = true));
    secure.on('close', () => (failed = true));
    secure.write('hi');
    await until('it was refused', () => failed);
    expect(pair.sockets).toEqual([]);
    expect(pair.callee.log.at(-1)?.flag).toBe('UTLS');
  });

  it('does not become a mesh peer by a certificate of another root or trust domain', async () => {
    const pair = await pairFor(() => undefined);
    const { port } = pair.callee.inbound.address;
    for (const authority of [testAuthority(), testAuthority('other.example')]) {
      const before = pair.callee.log.length;
      const secure = tls.connect({
        port,
        host: '127.0.0.1',
        secureContext: authority('caller').secureContext,
        rejectUnauthorized: false,
        ALPNProtocols: ['tsmesh-tcp'],
      });
      closers.push(() => secure.destroy());
      secure.on('error', () => undefined);
      secure.write('hi');
      await until('it was refused', () => pair.callee.log.length > before);
      expect(pair.callee.log.at(-1)?.flag).toBe('UTLS');
    }
    expect(pair.sockets).toEqual([]);
  });
});

describe('a mesh peer that begins its handshake late', () => {
  it.each(protocols)('is one all the same on a port declared %s', async (protocol) => {
    const pair = await pairFor((socket) => {
      socket.on('data', (chunk: Buffer) => void socket.write(chunk));
    });
    pair.callee.apply(workload({ mtls: 'PERMISSIVE', protocol }));
    const raw = net.connect(pair.callee.inbound.address.port, '127.0.0.1');
    closers.push(() => raw.destroy());
    await until('it was taken for a silent caller', () => pair.sockets.length === 1);
    const secure = tls.connect({
      socket: raw,
      secureContext: pair.issue('caller').secureContext,
      rejectUnauthorized: false,
      ALPNProtocols: ['tsmesh-tcp'],
    });
    let answer = '';
    secure.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    secure.write('late');
    await until('the answer came', () => answer === 'late');
    expect(pair.callee.counters.totals('inbound')).toMatchObject({ mtlsConnections: 1 });
    await until('the unused connection is closed', () => pair.sockets[0]!.destroyed);
  });
});

describe('an opaque connection', () => {
  it('tries another endpoint where one cannot be reached, and is reset where none can', async () => {
    const pair = await pairFor((socket) => void socket.write('x'));
    const identity = pair.callee.identity.current()!.spiffeId;
    const dead = { address: '127.0.0.1', port: 1, family: 'IPv4' };
    pair.route({ protocol: 'tcp' }, endpoints([dead, pair.callee.inbound.address], identity));
    for (let i = 0; i < 6; i += 1) {
      const client = outbound(pair);
      await until('it is through', () => client.text === 'x');
    }
    pair.route({ protocol: 'tcp' }, endpoints(dead, identity));
    const client = outbound(pair);
    await until('it was reset', () => client.error === 'ECONNRESET');
    expect(pair.caller.log.at(-1)?.flag).toBe('UF');
  });

  it('runs on after its certificate was replaced, and ends with the one it was opened by', async () => {
    const pair = await pairFor((socket) => void socket.write('x'));
    pair.route({ protocol: 'tcp' });
    const client = outbound(pair);
    await until('it is through', () => client.text === 'x');
    pair.callee.identity.swap(pair.issue('callee'));
    pair.caller.identity.swap(pair.issue('caller'));
    client.socket.write('on');
    let said = '';
    pair.sockets[0]!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('it goes on', () => said === 'on');
    expect(client.closed).toBe(false);
    // The certificates of the test last an hour.
    pair.callee.wall.offsetMs = 2 * 3_600_000;
    await until('it was ended', () => client.closed);
  });
});
