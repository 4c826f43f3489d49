// Real sockets on loopback, whose many addresses stand for many pods.

import { afterEach, describe, expect, it } from '@jest/globals';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { guardConnections, type ConnectionLimits } from './connection-guard.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function world(limits: ConnectionLimits) {
  const time = { nowMs: 0 };
  const refused: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('hello');
  });
  guardConnections(server, limits, {
    nowMs: () => time.nowMs,
    onRefused: (reason, address) => void refused.push(`${address} ${reason}`),
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  /** Resolves when it was greeted or closed. */
  const open = (localAddress: string) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    ends.push(() => socket.destroy());
    socket.on('error', () => undefined);
    return new Promise<Socket | null>((resolve) => {
      socket.once('data', () => resolve(socket));
      socket.once('close', () => resolve(null));
    });
  };
  return { open, refused, time };
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once('close', () => resolve());
  });
}

describe('a guarded listener', () => {
  it('takes so many from one address and no more, and others from another', async () => {
    const { open, refused } = await world({ total: 100, perAddress: 2 });
    const first = await open('127.0.0.1');
    expect(await open('127.0.0.1')).not.toBeNull();
    expect(await open('127.0.0.1')).toBeNull();
    expect(await open('127.0.0.2')).not.toBeNull();
    expect(refused).toEqual(['127.0.0.1 too many from one address']);
    first!.destroy();
    await closed(first!);
    let again = await open('127.0.0.1');
    // The server may hear of the end a moment after the client.
    while (again === null) again = await open('127.0.0.1');
    expect(again.destroyed).toBe(false);
  });

  it('makes room at the cost of whoever has the most', async () => {
    const { open } = await world({ total: 4 });
    const many: Socket[] = [];
    for (let i = 0; i < 4; i += 1) many.push((await open('127.0.0.1'))!);
    expect(await open('127.0.0.2')).not.toBeNull();
    await closed(many[0]!);
    expect(await open('127.0.0.2')).not.toBeNull();
    await closed(many[1]!);
    expect(many.slice(2).every((socket) => !socket.destroyed)).toBe(true);
  });

  it('does not close those who have their share for one who has as many', async () => {
    const { open } = await world({ total: 4 });
    const sockets = [];
    for (const address of ['127.0.0.1', '127.0.0.1', '127.0.0.2', '127.0.0.2']) {
      sockets.push(await open(address));
    }
    expect(await open('127.0.0.1')).toBeNull();
    expect(sockets.every((socket) => socket?.destroyed === false)).toBe(true);
  });

  it('takes new ones from one address so often, and again after a while', async () => {
    const { open, time } = await world({ total: 100, rate: { perSecond: 1, burst: 2 } });
    expect(await open('127.0.0.1')).not.toBeNull();
    expect(await open('127.0.0.1')).not.toBeNull();
    expect(await open('127.0.0.1')).toBeNull();
    expect(await open('127.0.0.2')).not.toBeNull();
    time.nowMs = 1000;
    expect(await open('127.0.0.1')).not.toBeNull();
    expect(await open('127.0.0.1')).toBeNull();
  });

  it('says that it refuses, but not in a flood', async () => {
    const { open, refused, time } = await world({ total: 1 });
    await open('127.0.0.1');
    for (let i = 0; i < 5; i += 1) await open('127.0.0.1');
    expect(refused).toEqual(['127.0.0.1 too many']);
    time.nowMs = 1000;
    await open('127.0.0.1');
    expect(refused).toHaveLength(2);
  });
});
