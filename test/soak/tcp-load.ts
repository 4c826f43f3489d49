// Clients of opaque TCP for the soak: echoes with half-close, long tunnels, slow readers, aborts, servers
// that speak first.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { Target } from './http-load.ts';
import { bodyOf } from './ledger.ts';

const host = '127.0.0.1';
const patienceMs = 60_000;

function open(port: number): Socket {
  const socket = connect({ port, host, allowHalfOpen: true });
  socket.on('error', () => undefined);
  socket.setTimeout(patienceMs, () => socket.destroy(new Error('nothing came in time')));
  return socket;
}

/** Sends all, ends its side, reads all; late where it is told to pause. */
export function echoer(target: Target, bytes: number, pauseMs = 0): () => Promise<void> {
  const { ledger, port } = target;
  return async () => {
    const id = ledger.id(`tcp-${bytes}${pauseMs > 0 ? '-slow' : ''}`);
    const sent = Buffer.concat([Buffer.from(`${id}\n`), bodyOf(id, bytes)]);
    const socket = open(port);
    try {
      socket.end(sent);
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const got = await buffer(socket);
      if (got.equals(sent)) ledger.answered(id);
      else ledger.problem(id, `echo differs, ${got.length} of ${sent.length} bytes`);
    } catch (error) {
      ledger.problem(id, (error as Error).message);
    }
    socket.destroy();
  };
}

/** One tunnel that stays open: a line now and then, and each comes back alone. */
export function talker({ ledger, port, closers }: Target, lines: number): () => Promise<void> {
  let socket: Socket | null = null;
  let said = 0;
  closers.push(() => socket?.destroy());
  return async () => {
    const id = ledger.id('talk');
    try {
      if (socket === null || socket.destroyed) {
        const hello = ledger.id('talk-open');
        socket = open(port);
        socket.write(`${hello}\n`);
        await once(socket, 'data');
        ledger.answered(hello);
      }
      // The app reads the ids of this tunnel's lines as bytes only.
      ledger.arrived(id);
      socket.write(`${id}\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      if (answer.toString() === `${id}\n`) ledger.answered(id);
      else ledger.problem(id, `got ${answer.toString('latin1', 0, 100)}`);
    } catch (error) {
      ledger.problem(id, (error as Error).message);
    }
    said += 1;
    if (said % lines !== 0) return;
    socket?.destroy();
    socket = null;
  };
}

/** Resets in the middle. */
export function resetter({ ledger, port }: Target, bytes: number): () => Promise<void> {
  return async () => {
    const id = ledger.id('tcp-abort');
    const socket = open(port);
    socket.write(Buffer.concat([Buffer.from(`${id}\n`), bodyOf(id, bytes)]));
    await Promise.race([once(socket, 'data'), once(socket, 'close')]).catch(() => undefined);
    socket.resetAndDestroy();
    ledger.left(id);
  };
}

/** Waits for the server's greeting before it says anything. */
export function greeted({ ledger, port }: Target): () => Promise<void> {
  return async () => {
    const id = ledger.id('greeting');
    const socket = open(port);
    try {
      const [greeting] = (await once(socket, 'data')) as [Buffer];
      socket.end(`${id}\n`);
      const rest = await buffer(socket);
      const got = greeting.toString() + rest.toString();
      if (got === `220 ready\n250 ${id}\n`) ledger.answered(id);
      else ledger.problem(id, `heard ${JSON.stringify(got)}`);
    } catch (error) {
      ledger.problem(id, (error as Error).message);
    }
    socket.destroy();
  };
}
