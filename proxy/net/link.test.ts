import net from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { listenOn, until } from '../../test/support/mesh-pair.ts';
import { testAuthority } from '../../test/support/identities.ts';
import { alpn } from '../api/constants.ts';
import { createIdentityHolder } from '../identity/store.ts';
import { resetLink } from './link.ts';
import { meshClient, meshServer } from './mesh-tls.ts';

async function connected(): Promise<{ near: net.Socket; far: net.Socket; close: () => void }> {
  const accepted: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    accepted.push(socket);
  });
  const { port } = await listenOn(server);
  const near = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  near.on('error', () => undefined);
  await until('it is accepted', () => accepted.length === 1 && !near.connecting);
  const [far] = accepted;
  const close = (): void => {
    server.close();
    far!.destroy();
  };
  return { near, far: far!, close };
}

describe('resetting a link', () => {
  it('is a reset for the peer', async () => {
    const { near, far, close } = await connected();
    let error = '';
    far.on('error', ({ code }: NodeJS.ErrnoException) => (error = code ?? ''));
    far.resume();
    resetLink({ socket: near, raw: near, peer: null });
    await until('the peer saw it', () => error !== '');
    expect(error).toBe('ECONNRESET');
    close();
  });

  // A reset is refused while an end is on its way, and the handle would stay open for ever.
  it('closes a TLS connection whose end waits behind data', async () => {
    const { near, far, close } = await connected();
    const authority = testAuthority();
    const holder = createIdentityHolder();
    const server = meshServer(far, holder.swap(authority('server')));
    server.on('error', () => undefined);
    server.pause();
    const client = meshClient(near, holder.swap(authority('client')), alpn.tcp);
    client.on('error', () => undefined);
    await new Promise((resolve) => client.once('secureConnect', resolve));
    let closed = false;
    near.on('close', () => (closed = true));
    client.end(Buffer.alloc(32 * 1024 * 1024));
    await new Promise((resolve) => setTimeout(resolve, 50));
    resetLink({ socket: client, raw: near, peer: null });
    await until('it is closed', () => closed);
    expect(client.destroyed).toBe(true);
    close();
  });

  it('closes a connection whose end was sent', async () => {
    const { near, close } = await connected();
    let closed = false;
    near.on('close', () => (closed = true));
    near.write(Buffer.alloc(8 * 1024 * 1024));
    near.end();
    await new Promise((resolve) => setTimeout(resolve, 20));
    resetLink({ socket: near, raw: near, peer: null });
    await until('it is closed', () => closed);
    expect(near.destroyed).toBe(true);
    close();
  });
});
