import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from '@jest/globals';
import { SocketReader } from './socket-reader.ts';

const open: (Server | Socket)[] = [];

afterEach(() => {
  for (const one of open.splice(0))
    if ('destroy' in one) one.destroy();
    else one.close();
});

/** Both ends of a connection over loopback. */
async function pair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [near] = (await once(server, 'connection')) as [Socket];
  open.push(server, near, far);
  return { near, far };
}

/** All that a socket reads, until its end. */
function collect(
  reader: SocketReader,
  socket: Socket,
): { pieces: Buffer[]; ended: Promise<unknown> } {
  const pieces: Buffer[] = [];
  reader.attach(socket, (bytes) => void pieces.push(bytes));
  socket.resume();
  return { pieces, ended: once(socket, 'end') };
}

const pattern = (length: number, seed: number) =>
  Buffer.from(Array.from({ length }, (_, i) => (i * 31 + seed) % 251));

describe('SocketReader', () => {
  it('reads without an allocation of Node for each read', async () => {
    const { near, far } = await pair();
    const { pieces, ended } = collect(new SocketReader(), near);
    far.end('hello');
    await ended;
    const [piece] = pieces;
    expect(piece?.toString()).toBe('hello');
    // Node's own buffers hold one read and nothing else.
    expect(piece?.buffer.byteLength).toBe(64 * 1024);
  });

  it('leaves what a receiver kept as it was, whatever other sockets read', async () => {
    const reader = new SocketReader();
    const ends = await Promise.all([pair(), pair(), pair()]);
    const read = ends.map(({ near }) => collect(reader, near));
    const sent = ends.map((_, i) => Array.from({ length: 40 }, (_, k) => pattern(1 + k * 997, i)));
    for (let k = 0; k < 40; k += 1)
      for (const [i, { far }] of ends.entries()) far.write(sent[i]![k]!);
    for (const { far } of ends) far.end();
    await Promise.all(read.map(({ ended }) => ended));
    for (const [i, { pieces }] of read.entries())
      expect(Buffer.concat(pieces).equals(Buffer.concat(sent[i]!))).toBe(true);
  });

  it('begins with the bytes that were put back', async () => {
    const { near, far } = await pair();
    far.write('first');
    near.resume();
    const [first] = (await once(near, 'data')) as [Buffer];
    near.pause();
    near.unshift(first);
    const { pieces, ended } = collect(new SocketReader(), near);
    far.end(' second');
    await ended;
    expect(Buffer.concat(pieces).toString()).toBe('first second');
  });

  it('collects what died young while bulk data comes, and not for a little', async () => {
    let collected = 0;
    const reader = new SocketReader(() => void (collected += 1));
    const little = await pair();
    const first = collect(reader, little.near);
    little.far.end(Buffer.alloc(1024));
    await first.ended;
    expect(collected).toBe(0);
    const bulk = await pair();
    const second = collect(reader, bulk.near);
    bulk.far.end(Buffer.alloc(64 * 1024 * 1024));
    await second.ended;
    expect(collected).toBeGreaterThanOrEqual(7);
    expect(collected).toBeLessThanOrEqual(8);
  });

  it('reads nothing while the socket is paused, so that the writer is held back', async () => {
    const { near, far } = await pair();
    const { pieces, ended } = collect(new SocketReader(), near);
    near.pause();
    const blocked = !far.write(Buffer.alloc(64 * 1024 * 1024, 7));
    far.end();
    await new Promise((resolve) => setImmediate(resolve));
    expect(blocked).toBe(true);
    expect(pieces).toEqual([]);
    near.resume();
    await ended;
    expect(pieces.reduce((sum, { length }) => sum + length, 0)).toBe(64 * 1024 * 1024);
  });

  describe('where Node has no place for a buffer of ours', () => {
    /** A stream without a handle, such as Node makes of a TLS connection over something that is no socket. */
    function stream(): { near: Socket; far: PassThrough } {
      const far = new PassThrough({ highWaterMark: 1024 * 1024 });
      return { near: far as unknown as Socket, far };
    }

    it('reads as usual, and all of it', async () => {
      const { near, far } = stream();
      const { pieces, ended } = collect(new SocketReader(), near);
      const sent = Array.from({ length: 40 }, (_, k) => pattern(1 + k * 997, k));
      for (const piece of sent) far.write(piece);
      far.end();
      await ended;
      expect(Buffer.concat(pieces).equals(Buffer.concat(sent))).toBe(true);
    });

    it('stops where a borrower wants no more for now, and goes on from there', async () => {
      const { near, far } = stream();
      const pieces: string[] = [];
      new SocketReader().borrow(near, (bytes) => {
        pieces.push(bytes.toString());
        return pieces.length !== 2;
      });
      for (const text of ['one', 'two', 'three', 'four']) far.write(text);
      far.end();
      await new Promise((resolve) => setImmediate(resolve));
      expect(pieces).toEqual(['one', 'two']);
      expect(near.isPaused()).toBe(true);
      const ended = once(near, 'end');
      near.resume();
      await ended;
      expect(pieces.join(' ')).toBe('one two three four');
    });
  });
});
