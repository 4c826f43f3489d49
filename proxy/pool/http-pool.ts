// Upstream HTTP connections by endpoint and protocol: mutual TLS with HTTP/2 to sidecars, plain HTTP/1.1
// or HTTP/2 to everything else. It keeps them current with the identity and the certificates' ends.

import { alpn } from '../api/constants.ts';
import type { ClientSession } from '../codec/session.ts';
import type { IdentityStore } from '../identity/store.ts';
import type { DialTarget } from '../net/dial.ts';
import type { Io } from '../net/link.ts';
import { Deadline } from '../net/timer-wheel.ts';
import type { DestinationUse } from '../policy/limits.ts';
import { leave } from '../policy/load.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { IdleLimit } from './idle-limit.ts';
import { Peer, type PeerLimits, type StreamTaker } from './peer.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** Of an endpoint without mutual TLS. */
export type PlainProtocol = 'http1' | 'http2';

export interface HttpPoolDeps {
  io: Io;
  identity: IdentityStore;
  sessions: {
    h1Client(): ClientSession;
    h2Client(): ClientSession;
    meshClient(): ClientSession;
  };
}

/** A kept connection. */
export interface PooledView {
  to: string;
  /** Identity that it must prove; empty: plaintext. */
  peer: string;
  /** Streams opened so far. */
  opened: number;
  /** Whether it takes another now. */
  usable: boolean;
}

const h1Limits: PeerLimits = { maxConnections: 1024, maxWaiting: 4096 };
/** One is enough until its stream limit is reached (100 or more at once). */
const h2Limits: PeerLimits = { maxConnections: 64, maxWaiting: 4096 };
const sweepMs = 1_000;
const mostIdleLimits = 1024;
/** A peer that nobody called for so long is not worth a connection. HTTP/1.1 sessions end sooner by themselves. */
const idleMs = 300_000;

export class HttpPool extends Deadline {
  private readonly deps: HttpPoolDeps;
  private readonly mesh = new Map<string, Peer>();
  private readonly plain = { http1: new Map<string, Peer>(), http2: new Map<string, Peer>() };
  private readonly idleLimits = new Map<string, IdleLimit>();
  private readonly stopListening: () => void;

  constructor(deps: HttpPoolDeps) {
    super();
    this.deps = deps;
    this.stopListening = deps.identity.onChange(() => {
      for (const peer of this.mesh.values()) peer.retireStale();
    });
  }

  request(endpoint: EndpointHandle, plain: PlainProtocol, taker: StreamTaker): void {
    this.peer(endpoint, plain).request(taker);
  }

  cancel(endpoint: EndpointHandle, plain: PlainProtocol, taker: StreamTaker): void {
    const peers = endpoint.identity === null ? this.plain[plain] : this.mesh;
    peers.get(endpoint.key)?.cancel(taker);
  }

  /** An attempt to connect to its endpoint is what it waited for, and not a place. */
  awaitsDial(
    { endpoint, startedMs }: { endpoint: EndpointHandle; startedMs: number },
    plain: PlainProtocol,
    taker: StreamTaker,
  ): boolean {
    const peers = endpoint.identity === null ? this.plain[plain] : this.mesh;
    return peers.get(endpoint.key)?.awaitsDial(taker, startedMs) === true;
  }

  /** There is a connection to it, or will be soon. */
  connected(endpoint: EndpointHandle, plain: PlainProtocol): boolean {
    const peers = endpoint.identity === null ? this.plain[plain] : this.mesh;
    return peers.get(endpoint.key)?.connected === true;
  }

  /** Ends the connection of a destination that has been idle for longest, and frees its place; false: it has no idle one. */
  giveUpIdle(use: DestinationUse): boolean {
    let oldest: { peer: Peer; connection: PooledConnection } | null = null;
    for (const peers of this.all())
      for (const peer of peers.values()) {
        const connection = peer.longestIdle(use);
        if (connection === null) continue;
        if (oldest === null || connection.lastUsedMs < oldest.connection.lastUsedMs)
          oldest = { peer, connection };
      }
    oldest?.peer.giveUp(oldest.connection);
    return oldest !== null;
  }

  /** What is open to whom, for people. */
  list(): PooledView[] {
    return this.all().flatMap((peers) =>
      [...peers].flatMap(([key, peer]) => {
        const [to = '', peerId = ''] = key.split('|');
        return peer.describe().map((one) => ({ to, peer: peerId, ...one }));
      }),
    );
  }

  /** Open connections, for the admin interface and tests. */
  get size(): number {
    let sum = 0;
    for (const peers of this.all()) for (const peer of peers.values()) sum += peer.size;
    return sum;
  }

  onDeadline(nowMs: number): void {
    const wallTimeMs = this.deps.io.clock.wallTimeMs();
    let peersLeft = false;
    for (const peers of this.all())
      for (const [key, peer] of peers) {
        peer.sweep(wallTimeMs, nowMs - idleMs);
        if (peer.isForgettable(nowMs)) peers.delete(key);
        else peersLeft = true;
      }
    if (peersLeft) this.deps.io.wheel.schedule(this, nowMs + sweepMs);
  }

  destroy(): void {
    this.stopListening();
    this.deps.io.wheel.cancel(this);
    for (const peers of this.all()) for (const peer of peers.values()) peer.destroy();
  }

  private all(): Map<string, Peer>[] {
    return [this.mesh, this.plain.http1, this.plain.http2];
  }

  private peer(endpoint: EndpointHandle, plain: PlainProtocol): Peer {
    const peers = endpoint.identity === null ? this.plain[plain] : this.mesh;
    return peers.get(endpoint.key) ?? this.add(peers, endpoint, plain);
  }

  private add(peers: Map<string, Peer>, endpoint: EndpointHandle, plain: PlainProtocol): Peer {
    const { io, identity, sessions } = this.deps;
    const meshed = endpoint.identity !== null;
    const multiplexed = meshed || plain === 'http2';
    const { key } = endpoint;
    const peer: Peer = new Peer(
      {
        io,
        limits: multiplexed ? h2Limits : h1Limits,
        target: () => this.target(endpoint),
        newSession: () => {
          if (meshed) return sessions.meshClient();
          return multiplexed ? sessions.h2Client() : sessions.h1Client();
        },
        current: ({ peer: facts }) =>
          facts === null || facts.generation === identity.current()?.generation,
        idleLimit: multiplexed ? null : this.idleLimitOf(key),
        onLeaving: () => leave(endpoint.load, io.clock.nowMs()),
        onEmpty: () => {
          const known = peers.get(key) === peer;
          if (known && peer.isForgettable(io.clock.nowMs())) peers.delete(key);
        },
      },
      multiplexed,
    );
    peers.set(key, peer);
    if (this.slot < 0) io.wheel.schedule(this, io.clock.nowMs() + sweepMs);
    return peer;
  }

  /** Outlives the connections it was learned from. */
  private idleLimitOf(key: string): IdleLimit {
    const { idleLimits } = this;
    const limit = idleLimits.get(key) ?? new IdleLimit();
    // The one that was asked for last is last.
    idleLimits.delete(key);
    idleLimits.set(key, limit);
    if (idleLimits.size > mostIdleLimits) idleLimits.delete(idleLimits.keys().next().value!);
    return limit;
  }

  private target(endpoint: EndpointHandle): DialTarget | null {
    const { address, port, identity: expected } = endpoint;
    if (expected === null) return { address, port, mesh: null };
    const identity = this.deps.identity.current();
    if (identity === null) return null;
    return { address, port, mesh: { identity, expected, alpn: alpn.http } };
  }
}
