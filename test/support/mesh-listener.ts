// Test support: what a sidecar's inbound port is to its peers, for programs that cannot offer the mesh's ALPN: the very
// same TLS and the same questions to the peer, but every TLS connection is taken for a peer's.

import net, { type Socket } from 'node:net';
import type { Identity } from '../../proxy/identity/store.ts';
import { afterHandshake, meshServer, peerFacts } from '../../proxy/net/mesh-tls.ts';
import { loopback } from './sidecar.ts';

export interface MeshListener {
  port: number;
  /** Who got through. */
  peers: string[];
  close(): void;
}

export async function startMeshListener(identity: Identity): Promise<MeshListener> {
  const peers: string[] = [];
  const sockets = new Set<Socket>();
  const server = net.createServer((raw) => {
    sockets.add(raw);
    raw.on('error', () => undefined);
    raw.on('close', () => sockets.delete(raw));
    const socket = meshServer(raw, identity);
    socket.on('error', () => undefined);
    afterHandshake(socket, 'secure', () => {
      try {
        peers.push(peerFacts(socket, identity).id);
        socket.end();
      } catch {
        raw.resetAndDestroy();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, loopback, resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    peers,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
