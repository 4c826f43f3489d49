// Listens on a capture port, IPv4 and IPv6 on one socket where there is IPv6. It hands accepted sockets
// on, not read from yet, and bounds how many are open.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { keepAliveIdleMs, socketBufferBytes } from './link.ts';

export interface ListenOptions {
  /** `::` listens on both families; tests name a loopback address. */
  host: string;
  port: number;
  /** SO_REUSEPORT: other threads of this process listen there too, the kernel spreads connections. */
  reusePort?: boolean;
  maxConnections: number;
  onConnection(socket: Socket): void;
  /** Refused at the bound, or an error while accepting. */
  onDropped(reason: string): void;
}

export interface Listening {
  readonly address: AddressInfo;
  /** Accepts no more; open connections go on. */
  close(): void;
}

/** Rejects with the error of the socket, as `EADDRINUSE`. */
export async function listen(options: ListenOptions): Promise<Listening> {
  try {
    return await listenOn(options, options.host);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (options.host !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error;
    return await listenOn(options, '0.0.0.0');
  }
}

function listenOn(options: ListenOptions, host: string): Promise<Listening> {
  const server: Server = createServer(
    {
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveIdleMs,
      highWaterMark: socketBufferBytes,
    },
    (socket) => options.onConnection(socket),
  );
  server.maxConnections = options.maxConnections;
  server.on('drop', () => options.onDropped('too many connections'));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const { port, reusePort = false } = options;
    server.listen({ host, port, reusePort, backlog: 4096 }, () => {
      server.off('error', reject);
      server.on('error', (error) => options.onDropped(error.message));
      resolve({
        address: server.address() as AddressInfo,
        close: () => void server.close(),
      });
    });
  });
}
