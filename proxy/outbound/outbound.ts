// The outbound side of the sidecar: accepts what the pod's apps open (redirected to 15001) and lets each
// connection find its way. It knows no protocol.

import type { Socket } from 'node:net';
import { logOverload } from '../exchange/overload.ts';
import type { Side } from '../exchange/side.ts';
import { listen, type Listening } from '../net/listener.ts';
import { OutboundConnection, type OutboundOwner } from './connection.ts';
import { maxHeldBytes } from './outside.ts';
import { defaultMaxConnections, type OutboundDeps } from './deps.ts';

/** Rejects where the port cannot be had. */
export async function createOutbound(deps: OutboundDeps): Promise<Side> {
  const open = new Set<OutboundConnection>();
  const owner = {
    active: { requests: 0 },
    draining: false as boolean,
    held: { left: maxHeldBytes },
    onDone: (connection: OutboundConnection) => void open.delete(connection),
  } satisfies OutboundOwner;

  function accept(socket: Socket): void {
    const connection = new OutboundConnection(deps, owner, socket);
    open.add(connection);
    connection.start();
  }

  const listening: Listening = await listen({
    ...deps.listen,
    maxConnections: deps.maxConnections ?? defaultMaxConnections,
    onConnection: accept,
    onDropped: (reason) => logOverload(deps, 'outbound', reason),
  });
  return {
    address: listening.address,
    inFlight: () => owner.active.requests,
    connections: () => open.size,
    list: () => [...open].map((connection) => connection.describe()),
    drain() {
      owner.draining = true;
      for (const connection of open) connection.drain();
    },
    refuseNew() {
      // What the own app asks for is carried to the end.
    },
    close() {
      destroy();
      return Promise.resolve();
    },
    destroy,
  };

  function destroy(): void {
    listening.close();
    for (const connection of open) connection.destroy();
  }
}
