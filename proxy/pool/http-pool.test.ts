import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { testAuthority } from '../../test/support/identities.ts';
import { listenOn, until } from '../../test/support/mesh-pair.ts';
import { createH1ClientSession } from '../codec/h1-client.ts';
import type { RequestHead, ResponseHead, StreamListener } from '../codec/session.ts';
import { createSessions } from '../exchange/sessions.ts';
import { createIdentityHolder } from '../identity/store.ts';
import { systemClock } from '../net/clock.ts';
import { Flusher } from '../net/flusher.ts';
import { SocketReader } from '../net/socket-reader.ts';
import { SocketWriter } from '../net/socket-writer.ts';
import { newHandshakes, type Io } from '../net/link.ts';
import { TimerWheel } from '../net/timer-wheel.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { HttpPool } from './http-pool.ts';
import { IdleLimit } from './idle-limit.ts';
import { Peer, type StreamTaker } from './peer.ts';
import type { PooledConnection } from './pooled-connection.ts';
import { newLoad } from '../policy/load.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const io = (): Io => ({
  clock: systemClock,
  wheel: new TimerWheel(systemClock),
  flusher: new Flusher(),
  reader: new SocketReader(),
  writer: new SocketWriter(),
  handshakes: newHandshakes(),
});

const head: RequestHead = {
  method: 'GET',
  scheme: 'http',
  authority: 'a',
  path: '/',
  upgrade: null,
  fields: [],
  contentLength: null,
};

/** Sends one request as soon as it gets a connection. */
class Taker implements StreamTaker, StreamListener<ResponseHead> {
  connection: PooledConnection | null = null;
  failed = '';
  status = 0;
  ended = false;

  onConnection(connection: PooledConnection): void {
    this.connection = connection;
    connection.open(head, true, this);
  }

  onUnavailable(code: string): void {
    this.failed = code;
  }

  onHead(response: ResponseHead, end: boolean): void {
    this.status = response.status;
    this.ended = end;
  }

  onData(_: Buffer, end: boolean): void {
    this.ended = end;
  }

  onTrailers(): void {
    this.ended = true;
  }

  onReset(reason: string): void {
    this.failed = reason;
  }

  onDrained(): void {
    // Nothing is sent.
  }
}

/** Answers when told to. */
async function startServer() {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  const { port } = await listenOn(server);
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const answer = (index: number) =>
    sockets[index]!.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  return { port, sockets, answer };
}

function peerTo(
  port: number,
  limits: { maxConnections: number; maxWaiting: number },
  idleLimit = new IdleLimit(),
) {
  let empty = 0;
  const peer = new Peer(
    {
      io: io(),
      limits,
      target: () => ({ address: '127.0.0.1', port, mesh: null }),
      newSession: () => createH1ClientSession(),
      idleLimit,
      current: () => true,
      onLeaving: () => undefined,
      onEmpty: () => void (empty += 1),
    },
    false,
  );
  closers.push(() => peer.destroy());
  return { peer, emptied: () => empty };
}

function ask(peer: Peer): Taker {
  const taker = new Taker();
  peer.request(taker);
  return taker;
}

describe('the connections to one HTTP/1.1 endpoint', () => {
  it('are used again, bounded in number, and those who wait are served in order', async () => {
    const { port, sockets, answer } = await startServer();
    const { peer } = peerTo(port, { maxConnections: 2, maxWaiting: 10 });
    const takers = [ask(peer), ask(peer), ask(peer)];
    await until('two connections are there', () => sockets.length === 2);
    await until('two are served', () => takers.filter((one) => one.connection).length === 2);
    expect(takers[2]!.connection).toBeNull();
    answer(0);
    answer(1);
    await until('the third is served', () => takers[2]!.connection !== null);
    expect(sockets).toHaveLength(2);
    expect(peer.size).toBe(2);
  });

  it('are not waited for by more than the bound', async () => {
    const { port } = await startServer();
    const { peer } = peerTo(port, { maxConnections: 1, maxWaiting: 2 });
    const takers = [ask(peer), ask(peer), ask(peer)];
    expect(takers.map(({ failed }) => failed)).toEqual(['', '', 'overload']);
  });

  it('are not given to those who no longer wait', async () => {
    const { port, sockets } = await startServer();
    const { peer } = peerTo(port, { maxConnections: 1, maxWaiting: 2 });
    const gone = ask(peer);
    peer.cancel(gone);
    const next = ask(peer);
    await until('the connection is there', () => sockets.length === 1);
    await until('the next is served', () => next.connection !== null);
    expect(gone.connection).toBeNull();
  });

  it('fail one who waits for each that cannot be made, and leave nothing behind', async () => {
    const closed = net.createServer();
    const { port } = await listenOn(closed);
    await new Promise((resolve) => closed.close(resolve));
    const { peer, emptied } = peerTo(port, { maxConnections: 1, maxWaiting: 5 });
    const takers = [ask(peer), ask(peer), ask(peer)];
    await until('all heard', () => takers.every(({ failed }) => failed === 'connect-failed'));
    expect(emptied()).toBeGreaterThan(0);
  });

  it('are tried for again only after a pause, and not for each who asks', async () => {
    const closed = net.createServer();
    const { port } = await listenOn(closed);
    await new Promise((resolve) => closed.close(resolve));
    const { peer } = peerTo(port, { maxConnections: 1, maxWaiting: 5 });
    const later: Taker[] = [];
    const first = new Taker();
    first.onUnavailable = () => {
      for (let i = 0; i < 100; i += 1) later.push(ask(peer));
    };
    peer.request(first);
    await until('it heard', () => later.length > 0);
    expect(later.map(({ failed }) => failed)).toEqual(Array(100).fill('connect-failed'));
  });

  it('are not used when the server has closed them', async () => {
    const { port, sockets, answer } = await startServer();
    const { peer } = peerTo(port, { maxConnections: 5, maxWaiting: 5 });
    const first = ask(peer);
    await until('it is there', () => sockets.length === 1 && first.connection !== null);
    answer(0);
    await until('it is answered', () => first.status === 200);
    sockets[0]!.end();
    await until('it is gone', () => peer.size === 0);
    const second = ask(peer);
    await until('a new one is there', () => sockets.length === 2);
    await until('it is served', () => second.connection !== null);
  });

  it('carry one request each where the server ends them at once, also in the turn in which an answer ends', async () => {
    const { port, sockets, answer } = await startServer();
    const idleLimit = new IdleLimit();
    idleLimit.ended(1, systemClock.nowMs());
    const { peer } = peerTo(port, { maxConnections: 4, maxWaiting: 4 }, idleLimit);
    const first = ask(peer);
    await until('the first is there', () => sockets.length === 1);
    // Before the end of the turn, in which it is noted that the connection is idle now.
    let second: Taker | null = null;
    first.onHead = (response) => {
      first.status = response.status;
      second = ask(peer);
    };
    await until('it is connected', () => first.connection !== null);
    answer(0);
    await until('the second is there', () => sockets.length === 2);
    expect(first.status).toBe(200);
    expect(second!.connection === first.connection).toBe(false);
  });

  it('tell their streams when they break', async () => {
    const { port, sockets } = await startServer();
    const { peer } = peerTo(port, { maxConnections: 5, maxWaiting: 5 });
    const taker = ask(peer);
    await until('it is served', () => taker.connection !== null);
    await until('it arrived', () => sockets.length === 1);
    sockets[0]!.resetAndDestroy();
    await until('it heard', () => taker.failed === 'closed');
  });
});

describe('the pool', () => {
  const endpoint = (port: number, identity: string | null): EndpointHandle => ({
    key: `127.0.0.1:${port}|${identity ?? ''}`,
    address: '127.0.0.1',
    port,
    identity: identity as EndpointHandle['identity'],
    podName: 'app',
    zone: '',
    load: newLoad(),
  });

  function startPool() {
    const identity = createIdentityHolder();
    const pool = new HttpPool({ io: io(), identity, sessions: createSessions() });
    closers.push(() => pool.destroy());
    return { identity, pool };
  }

  it('has no stream to a meshed endpoint without a certificate of its own', () => {
    const { pool } = startPool();
    const taker = new Taker();
    pool.request(endpoint(1, 'spiffe://cluster.local/ns/shop/sa/app'), 'http1', taker);
    expect(taker.failed).toBe('no-identity');
  });

  it('fails a meshed endpoint that speaks no TLS, and does not hang', async () => {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('not TLS');
    });
    const { port } = (await listenOn(server)) satisfies AddressInfo;
    closers.push(() => server.close());
    const { pool, identity } = startPool();
    identity.swap(testAuthority()('caller'));
    const takers = [new Taker(), new Taker()];
    for (const taker of takers)
      pool.request(endpoint(port, 'spiffe://cluster.local/ns/shop/sa/app'), 'http1', taker);
    await until('both heard', () =>
      takers.every(({ failed }) => failed === 'tls-handshake-failed'),
    );
    expect(pool.size).toBe(0);
  });

  it('keeps HTTP/1.1 and HTTP/2 to one endpoint apart', async () => {
    const { port, sockets } = await startServer();
    const { pool } = startPool();
    const takers = [new Taker(), new Taker()];
    pool.request(endpoint(port, null), 'http1', takers[0]!);
    pool.request(endpoint(port, null), 'http2', takers[1]!);
    await until('both have one', () => takers.every(({ connection }) => connection !== null));
    await until('both arrived', () => sockets.length === 2);
    expect(pool.size).toBe(2);
  });
});
