// Connections to a mesh peer that end in the very callback that hands them over, as they do where a
// certificate was renewed meanwhile: with real sockets, because what broke was OpenSSL's state.

import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, it } from '@jest/globals';
import { testAuthority } from '../../test/support/identities.ts';
import { until } from '../../test/support/identity-files.ts';
import { alpn } from '../api/constants.ts';
import { createIdentityHolder } from '../identity/store.ts';
import { systemClock } from './clock.ts';
import { Dial } from './dial.ts';
import { Flusher } from './flusher.ts';
import { newHandshakes, resetLink } from './link.ts';
import { meshServer } from './mesh-tls.ts';
import { SocketReader } from './socket-reader.ts';
import { SocketWriter } from './socket-writer.ts';
import { TimerWheel } from './timer-wheel.ts';

it('a connection may be reset as soon as it is handed over', async () => {
  const issue = testAuthority();
  const own = createIdentityHolder().swap(issue('caller'));
  const peer = createIdentityHolder().swap(issue('callee'));
  const sockets: Socket[] = [];
  const server = createServer((raw) => {
    sockets.push(raw);
    raw.on('error', () => {});
    meshServer(raw, peer).on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { address, port } = server.address() as AddressInfo;
  const wheel = new TimerWheel(systemClock);
  const reader = new SocketReader();
  const io = {
    clock: systemClock,
    wheel,
    flusher: new Flusher(),
    reader,
    writer: new SocketWriter(),
    handshakes: newHandshakes(),
  };
  const closed: boolean[] = [];
  const mesh = { identity: own, expected: peer.spiffeId, alpn: alpn.http };
  for (let n = 0; n < 20; n += 1) {
    void new Dial({ address, port, mesh }, io, {
      onConnected(link) {
        link.socket.once('close', () => closed.push(link.raw.destroyed));
        resetLink(link);
      },
      onFailed: (code, detail) => {
        throw new Error(`${code}: ${detail}`);
      },
    });
  }
  await until(() => closed.length === 20);
  expect(closed.every(Boolean)).toBe(true);
  for (const socket of sockets) socket.destroy();
  server.close();
});
