// The two ends of an opaque connection as a test sees them: what came, how it ended, and an app whose
// connections are handed out one after the other.

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { loopback } from '../support/sidecar.ts';
import { until } from '../support/identity-files.ts';

/** A machine that does other work too may take long. */
export const patienceMs = 15_000;

/** One end: nothing is thrown away, and an end is told from a reset. */
export class End {
  readonly socket: Socket;
  readonly chunks: Buffer[] = [];
  received = 0;
  /** A FIN came. */
  ended = false;
  /** Code of the error that ended it. */
  error: string | null = null;
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
      if (this.received <= maxKept) this.chunks.push(chunk);
    });
    socket.on('end', () => (this.ended = true));
    socket.on(
      'error',
      (error: NodeJS.ErrnoException) => (this.error = error.code ?? error.message),
    );
    socket.on('close', () => (this.closed = true));
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }
}

/** Bulk data is counted, not kept. */
const maxKept = 4 << 20;

export function dial(port: number): End {
  return new End(connect({ port, host: loopback, allowHalfOpen: true }));
}

export interface TcpApp {
  address: AddressInfo;
  /** In the order in which they were accepted. */
  connections: End[];
  /** The next one that is accepted, once it is there. */
  next(): Promise<End>;
  close(): void;
}

export async function startTcpApp(): Promise<TcpApp> {
  const connections: End[] = [];
  let handed = 0;
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.push(new End(socket));
  });
  server.listen(0, loopback);
  await once(server, 'listening');
  return {
    address: server.address() as AddressInfo,
    connections,
    async next() {
      const index = handed;
      handed += 1;
      await until(() => connections.length > index, patienceMs);
      return connections[index]!;
    },
    close() {
      server.close();
      for (const { socket } of connections) socket.destroy();
    },
  };
}

/** Writes that many bytes, as fast as the other side takes them; says how many the socket took so far. */
export function pour(socket: Socket, bytes: number): { taken: () => number; done: Promise<void> } {
  const chunk = Buffer.alloc(1 << 20, 'abcdefg');
  let left = bytes;
  const done = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    const more = (): void => {
      while (left > 0) {
        left -= chunk.length;
        if (!socket.write(chunk)) return;
      }
      socket.off('drain', more);
      socket.end(resolve);
    };
    socket.on('drain', more);
    more();
  });
  return { taken: () => bytes - left - socket.writableLength, done };
}
