import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { testAuthority } from '../../test/support/identities.ts';
import { alpn } from '../api/constants.ts';
import { createIdentityHolder } from '../identity/store.ts';
import type { Link } from './link.ts';
import { meshClient, meshServer } from './mesh-tls.ts';
import { SocketWriter } from './socket-writer.ts';

const cleanUp: (() => void)[] = [];

afterEach(() => {
  for (const end of cleanUp.splice(0)) end();
});

async function tcpPair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [near] = (await once(server, 'connection')) as [Socket];
  cleanUp.push(
    () => near.destroy(),
    () => far.destroy(),
    () => server.close(),
  );
  return { near, far };
}

async function links(encrypted: boolean): Promise<{ link: Link; far: Socket }> {
  const { near, far } = await tcpPair();
  if (!encrypted) return { link: { socket: near, raw: near, peer: null }, far };
  const issue = testAuthority();
  const identity = (name: string) => createIdentityHolder().swap(issue(name));
  const server = meshServer(near, identity('writer'));
  const client: TLSSocket = meshClient(far, identity('reader'), alpn.tcp);
  await Promise.all([once(server, 'secure'), once(client, 'secureConnect')]);
  return { link: { socket: server, raw: near, peer: null }, far: client };
}

const piece = (length: number, seed: number) =>
  Buffer.from(Array.from({ length }, (_, i) => (i * 17 + seed * 101) % 253));

/** Pieces of one `write` each. */
const batches: readonly (readonly number[])[] = [
  [5],
  [9, 100, 9, 2000],
  [9, 16384, 9, 16384, 9, 16384],
  Array.from({ length: 60 }, () => 10_000),
  [9, 262_144, 9, 65_536],
  [300_000, 9, 200_000],
  [1, 2, 3],
];

describe.each([
  { over: 'TCP', encrypted: false },
  { over: 'TLS', encrypted: true },
])('SocketWriter over $over', ({ encrypted }) => {
  it('writes all pieces in order, whatever the peer has read of what came before', async () => {
    const { link, far } = await links(encrypted);
    const read: Buffer[] = [];
    far.on('data', (chunk: Buffer) => read.push(chunk));
    const writer = new SocketWriter();
    const expected: Buffer[] = [];
    // Twice without a pause, so that writes wait behind others, and once more when nothing waits.
    for (const pause of [false, false, true])
      for (const [at, lengths] of batches.entries()) {
        const pieces = lengths.map((length, index) => piece(length, at * 7 + index));
        expected.push(...pieces);
        writer.write(link, pieces);
        while (pause && link.socket.writableLength > 0)
          await new Promise((resolve) => setImmediate(resolve));
      }
    link.socket.end();
    await once(far, 'end');
    expect(Buffer.concat(read).equals(Buffer.concat(expected))).toBe(true);
  });
});
