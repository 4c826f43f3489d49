// The inbound side of the sidecar: accepts what comes to the pod (redirected to 15006), keeps connections
// current with the certificates. It knows no protocol.

import type { Socket } from 'node:net';
import { destinationName } from '../api/resources.ts';
import { logOverload } from '../exchange/overload.ts';
import type { Side } from '../exchange/side.ts';
import { listen } from '../net/listener.ts';
import type { OriginalDestination } from '../net/original-destination.ts';
import { Deadline } from '../net/timer-wheel.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { JudgedAnew } from './anew.ts';
import { InboundConnection, type InboundOwner } from './connection.ts';
import { defaultMaxConnections, type InboundDeps } from './deps.ts';
import { newLoad } from '../policy/load.ts';

/** How often the ends of certificates are looked at. */
const sweepMs = 1_000;
/** How often is looked while closing. */
const lookMs = 10;
/** Ports of a pod that are called; scanners must not fill the memory. */
const maxApps = 1_024;

class InboundConnections extends Deadline implements InboundOwner {
  readonly active = { requests: 0 };
  draining = false;
  refusing = false;
  readonly open = new Set<InboundConnection>();
  private readonly apps = new Map<string, EndpointHandle>();
  private readonly deps: InboundDeps;

  constructor(deps: InboundDeps) {
    super();
    this.deps = deps;
  }

  accept(socket: Socket): void {
    const connection = new InboundConnection(this.deps, this, socket);
    this.open.add(connection);
    if (this.slot < 0) this.scheduleSweep();
    connection.start();
  }

  appAt(target: OriginalDestination): EndpointHandle {
    const name = destinationName(target.address, target.port);
    const known = this.apps.get(name);
    if (known !== undefined) return known;
    if (this.apps.size >= maxApps) this.apps.clear();
    const made: EndpointHandle = {
      key: `${name}|`,
      ...target,
      identity: null,
      podName: '',
      zone: '',
      load: newLoad(),
    };
    this.apps.set(name, made);
    return made;
  }

  onDone(connection: InboundConnection): void {
    this.open.delete(connection);
  }

  onDeadline(): void {
    const wallTimeMs = this.deps.io.clock.wallTimeMs();
    for (const connection of this.open) connection.endIfExpired(wallTimeMs);
    if (this.open.size > 0) this.scheduleSweep();
  }

  drain(): void {
    this.draining = true;
    for (const connection of this.open) connection.drain();
  }

  /** Resolves when the last HTTP connection has ended, or at the deadline. */
  httpEnded(deadlineMs: number): Promise<void> {
    const { clock } = this.deps.io;
    return new Promise((resolve) => {
      const look = (): void => {
        const some = this.open.values().some((connection) => connection.mayCarryHttp);
        if (some && clock.nowMs() < deadlineMs) clock.after(lookMs, look);
        else resolve();
      };
      look();
    });
  }

  private scheduleSweep(): void {
    const { wheel, clock } = this.deps.io;
    wheel.schedule(this, clock.nowMs() + sweepMs);
  }
}

/** Rejects where the port cannot be had. */
export async function createInbound(deps: InboundDeps): Promise<Side> {
  const connections = new InboundConnections(deps);
  const listening = await listen({
    ...deps.listen,
    maxConnections: deps.maxConnections ?? defaultMaxConnections,
    onConnection: (socket) => connections.accept(socket),
    onDropped: (reason) => logOverload(deps, 'inbound', reason),
  });
  const stopListening = deps.identity.onChange(({ generation }) => {
    for (const connection of connections.open) connection.onIdentityChange(generation);
  });
  const anew = new JudgedAnew(connections.open, deps.io);
  anew.onSwap(deps.store.snapshot().workload);
  const stopFollowing = deps.store.onSwap(({ workload }) => anew.onSwap(workload));
  return {
    address: listening.address,
    inFlight: () => connections.active.requests,
    connections: () => connections.open.size,
    list: () => [...connections.open].map((connection) => connection.describe()),
    drain: () => connections.drain(),
    refuseNew() {
      connections.refusing = true;
    },
    async close(graceMs) {
      listening.close();
      connections.drain();
      await connections.httpEnded(deps.io.clock.nowMs() + graceMs);
      destroy();
    },
    destroy,
  };

  function destroy(): void {
    stopListening();
    stopFollowing();
    deps.io.wheel.cancel(anew);
    listening.close();
    deps.io.wheel.cancel(connections);
    for (const connection of connections.open) connection.destroy();
  }
}
