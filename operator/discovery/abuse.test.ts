// What a peer can do to the discovery port below the level of messages: connections, handshakes, HTTP/2
// itself. The server must go on for others, and hold no more of a peer than its share.

import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect, constants } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import { discoveryMethod } from '../../proxy/api/discovery.ts';
import { ManualClock, mesh, pod } from '../model/test-objects.ts';
import type { Objects } from '../model/test-objects.ts';
import { systemClock } from '../runtime/clock.ts';
import { encodeFrame } from './frames.ts';
import { Bench, leaf } from './test-replica.ts';

const bench = new Bench();
const ends: (() => void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  await bench.close();
});

const objects: Objects = {
  Mesh: [mesh({})],
  Pod: [
    pod('shop/web-1', { ip: '127.0.0.1', serviceAccount: 'web' }),
    pod('shop/web-2', { ip: '127.0.0.2', serviceAccount: 'web' }),
  ],
};
const helloOf = (i: number) => ({
  pod: { namespace: 'shop', name: `web-${i}`, uid: `uid-pod-shop-web-${i}`, ips: [`127.0.0.${i}`] },
  proxyVersion: 'test',
  held: {},
  subscribe: [],
});

/** A connection of shop/web that does what the test wants. */
function hostile(port: number, options: object = {}): ClientHttp2Session {
  const material = leaf(bench.ca, 'shop', 'web');
  const session = connect(`https://127.0.0.1:${port}`, {
    cert: material.chainPem,
    key: material.keyPem,
    ca: material.rootsPem,
    checkServerIdentity: () => undefined,
    ...options,
  });
  session.on('error', () => undefined);
  ends.push(() => session.destroy());
  return session;
}

function request(session: ClientHttp2Session, headers: Record<string, string> = {}) {
  const stream = session.request({
    ':method': 'POST',
    ':path': discoveryMethod,
    'content-type': 'application/grpc+json',
    ...headers,
  });
  stream.on('error', () => undefined);
  return stream;
}

function ended(one: { once(event: 'close', then: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => void one.once('close', resolve));
}

function tcp(port: number, localAddress: string): Socket {
  const socket = connectTcp({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  ends.push(() => socket.destroy());
  return socket;
}

/** Another pod's sidecar is served as ever. */
async function othersAreServed(port: number): Promise<void> {
  const other = bench.sidecar(port, { localAddress: '127.0.0.2' });
  other.send({ hello: helloOf(2) });
  await other.until(() => other.held.has('Workload/self'));
  other.close();
}

describe('the discovery port', () => {
  it('takes no more than a few connections of one address, and all of another', async () => {
    const { port } = await bench.replica(objects);
    const sockets = Array.from({ length: 40 }, () => tcp(port, '127.0.0.1'));
    let closed = 0;
    await new Promise<void>((resolve) => {
      for (const socket of sockets) {
        socket.once('close', () => (closed += 1) === 32 && resolve());
      }
    });
    expect(closed).toBe(32);
    await othersAreServed(port);
  });

  it('gives half-open handshakes of many addresses up for a newcomer when all places are taken', async () => {
    const { port } = await bench.replica(objects, { connections: { total: 20 } });
    const sockets = [11, 12, 13, 14, 15].flatMap((last) =>
      Array.from({ length: 4 }, () => tcp(port, `127.0.0.${last}`)),
    );
    await Promise.all(sockets.map((one) => new Promise((resolve) => one.once('connect', resolve))));
    await othersAreServed(port);
  });

  it('ends a handshake that does not go on', async () => {
    const { port } = await bench.replica(objects);
    const socket = tcp(port, '127.0.0.1');
    // The beginning of a TLS record.
    socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
    await ended(socket);
    expect(socket.bytesRead).toBeLessThan(100);
  }, 15_000);

  it('refuses connections that come without an end', async () => {
    const { port } = await bench.replica(objects, { connections: { total: 1000 } });
    let refused = 0;
    for (let i = 0; i < 100; i += 1) {
      const session = hostile(port);
      const greeted = new Promise<boolean>((resolve) => {
        session.once('remoteSettings', () => resolve(true));
        session.once('close', () => resolve(false));
      });
      if (!(await greeted)) refused += 1;
      session.destroy();
    }
    expect(refused).toBeGreaterThan(20);
    await othersAreServed(port);
  });

  it.each([
    ['many headers', Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`x-${i}`, 'y']))],
    ['a header that is large', { 'x-large': 'y'.repeat(200_000) }],
  ])('survives a request with %s, and does not hold it', async (_what, headers) => {
    const { port, server } = await bench.replica(objects);
    const session = hostile(port, { maxSendHeaderBlockLength: 1 << 24 });
    const stream = request(session, headers);
    await ended(stream);
    expect(stream.rstCode).not.toBe(constants.NGHTTP2_NO_ERROR);
    await othersAreServed(port);
    expect(server.streams().filter(({ pod: { name } }) => name === 'web-1')).toEqual([]);
  });

  it('ends streams that never say Hello', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port, metrics } = await bench.replica(objects, { clock });
    const session = hostile(port);
    await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
    const streams = Array.from({ length: 4 }, () => request(session));
    const statuses = streams.map(
      (one) =>
        new Promise<unknown>((resolve) => {
          one.once('response', (head) => resolve(head['grpc-status']));
        }),
    );
    // The second ping leaves after the requests of this turn have.
    for (let i = 0; i < 2; i += 1) {
      await new Promise<void>((resolve) => void session.ping(() => resolve()));
    }
    clock.advance(10_000);
    expect(await Promise.all(statuses)).toEqual(['4', '4', '4', '4']);
    expect(metrics.streamsRefused.get('DEADLINE_EXCEEDED')).toBe(4);
  });

  it('ends a connection of streams that are refused without an end', async () => {
    const { port, metrics } = await bench.replica(objects);
    const session = hostile(port);
    await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
    const gone = ended(session);
    while (!session.destroyed) {
      const stream = request(session, { ':path': discoveryMethod });
      stream.resume().end(encodeFrame('{}'));
      await ended(stream);
    }
    await gone;
    expect(metrics.streamsRefused.get('INVALID_ARGUMENT')).toBeLessThan(70);
    await othersAreServed(port);
  });

  it('opens no more than four streams on one connection', async () => {
    const { port } = await bench.replica(objects);
    const session = hostile(port);
    await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
    expect(session.remoteSettings.maxConcurrentStreams).toBe(4);
  });

  it('ends a connection of streams that are opened and reset without an end', async () => {
    const { port } = await bench.replica(objects);
    const session = hostile(port);
    await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
    const gone = ended(session);
    while (!session.destroyed) {
      const stream = request(session);
      stream.close(constants.NGHTTP2_CANCEL);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await gone;
    await othersAreServed(port);
  }, 20_000);

  it('holds no more than a bounded part of unfinished messages, and takes small ones all the same', async () => {
    const { port, metrics } = await bench.replica(objects, { connections: { total: 1000 } });
    const beginning = Buffer.alloc(3_900_000, ' ');
    beginning.writeUInt32BE(4_000_000, 1);
    beginning.writeUInt8(0, 0);
    const statuses = Array.from({ length: 8 }, () => hostile(port)).flatMap((session) =>
      Array.from({ length: 4 }, () => {
        const stream = request(session);
        stream.write(beginning);
        return new Promise<unknown>((resolve) => {
          stream.once('response', (head) => resolve(head['grpc-status']));
        });
      }),
    );
    // 32 × 3.9 MB are more than 64 MiB.
    expect(await Promise.race(statuses)).toBe('14');
    expect(metrics.streamsRefused.get('UNAVAILABLE')).toBeGreaterThan(0);
    await othersAreServed(port);
  });

  it('gives up a sidecar that does not read, and queues nothing more for it meanwhile', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port, model, server, metrics } = await bench.replica(objects, { clock });
    const session = hostile(port, { settings: { initialWindowSize: 1 } });
    const stream = request(session);
    stream.pause();
    stream.write(encodeFrame(JSON.stringify({ hello: helloOf(1) })));
    await new Promise<void>((resolve) => stream.once('response', () => resolve()));
    for (let generation = 2; generation < 50; generation += 1) {
      model.upsert('Mesh', mesh({ mtls: { mode: 'STRICT' } }, generation));
      model.flush();
    }
    expect(metrics.pushes).toBe(1);
    clock.advance(30_000);
    expect(server.streams()).toEqual([]);
    expect(metrics.streamsRefused.get('DEADLINE_EXCEEDED')).toBe(1);
    clock.advance(5000);
    await ended(stream);
    await othersAreServed(port);
  });
});
