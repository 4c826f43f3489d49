// The server side of mutual TLS on one accepted connection: within a time, and with a peer of the mesh at
// the other end, or not at all. What the peer may do is decided elsewhere.

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Identity } from '../identity/store.ts';
import type { Io, Link, PeerFacts } from '../net/link.ts';
import { afterHandshake, meshServer, peerFacts, tlsCause } from '../net/mesh-tls.ts';
import { Deadline } from '../net/timer-wheel.ts';
import { handshakeMs } from './deps.ts';

export interface HandshakeListener {
  onPeer(link: Link, peer: PeerFacts): void;
  onFailed(detail: string): void;
}

export class Handshake extends Deadline {
  private readonly raw: Socket;
  private readonly io: Io;
  private readonly listener: HandshakeListener;
  private readonly tls: TLSSocket;
  private done = false;

  /** The first bytes were put back. */
  constructor(raw: Socket, own: Identity, io: Io, listener: HandshakeListener) {
    super();
    this.raw = raw;
    this.io = io;
    this.listener = listener;
    this.tls = meshServer(raw, own);
    io.wheel.schedule(this, io.clock.nowMs() + handshakeMs);
    afterHandshake(this.tls, 'secure', () => this.onSecure(own));
    this.tls.on('error', (error) => this.fail(`${raw.remoteAddress}: ${tlsCause(error)}`));
    this.tls.once('close', () => raw.destroy());
  }

  onDeadline(): void {
    this.fail('not finished in time');
  }

  /** Nothing is heard of it again; the TLS socket goes too where it was not handed on. */
  cancel(): void {
    this.io.wheel.cancel(this);
    if (!this.done) this.tls.destroy();
    this.done = true;
  }

  private onSecure(own: Identity): void {
    const { tls, raw } = this;
    if (this.done || tls.destroyed || raw.destroyed) return;
    let peer: PeerFacts;
    try {
      peer = peerFacts(tls, own);
    } catch (error) {
      this.fail(`${raw.remoteAddress}: ${(error as Error).message}`);
      return;
    }
    this.done = true;
    this.io.wheel.cancel(this);
    this.io.handshakes.inbound.ok += 1;
    this.listener.onPeer({ socket: tls, raw, peer }, peer);
  }

  private fail(detail: string): void {
    if (this.done) return;
    this.io.handshakes.inbound.failed += 1;
    this.listener.onFailed(detail);
    this.cancel();
  }
}
