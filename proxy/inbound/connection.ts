// One connection to the pod: mesh peer, plaintext or the app's own TLS. Finds out which, asks the port's
// mTLS mode, and hands it to HTTP or a tunnel. Its original destination is the only target it can reach.

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { alpn, ports } from '../api/constants.ts';
import type { InboundPort } from '../api/resources.ts';
import { parseClientHello } from '../codec/client-hello.ts';
import { detect, type Detected } from '../codec/detect.ts';
import type { RequestHead, ServerSession } from '../codec/session.ts';
import type { ProxyErrorCode } from '../errors.ts';
import { contextOf, type ExchangeContext } from '../exchange/context.ts';
import { Downstream } from '../exchange/downstream.ts';
import { modeOf, Race, refusalMs, type RaceMode } from '../exchange/race.ts';
import { logRefusedConnection } from '../exchange/connection-log.ts';
import { Tunnel } from '../exchange/tunnel.ts';
import type { Identity } from '../identity/store.ts';
import { resetLink, type Link, type PeerFacts } from '../net/link.ts';
import { afterHandshake, meshServer, peerFacts } from '../net/mesh-tls.ts';
import type { OriginalDestination } from '../net/original-destination.ts';
import { Peek } from '../net/peek.ts';
import { Deadline } from '../net/timer-wheel.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { defaultDetectMs, handshakeMs, type InboundDeps } from './deps.ts';
import { planInbound, planLate, refusalOf } from './plan.ts';

export interface InboundOwner {
  readonly active: { requests: number };
  readonly draining: boolean;
  /** The app is about to end: nothing new reaches it. */
  readonly refusing: boolean;
  /** The one handle of an app's address and port. */
  appAt(target: OriginalDestination): EndpointHandle;
  onDone(connection: InboundConnection): void;
}

export class InboundConnection extends Deadline {
  private readonly deps: InboundDeps;
  private readonly owner: InboundOwner;
  private readonly raw: Socket;
  private target: OriginalDestination = { address: '', port: 0 };
  private link: Link;
  private race: Race | null = null;
  private peek: Peek | null = null;
  private tls: TLSSocket | null = null;
  private downstream: Downstream | null = null;
  private tunnel: Tunnel | null = null;
  private done = false;
  private lookedAgain = false;

  constructor(deps: InboundDeps, owner: InboundOwner, socket: Socket) {
    super();
    this.deps = deps;
    this.owner = owner;
    this.raw = socket;
    this.link = { socket, raw: socket, peer: null };
  }

  start(): void {
    const { raw, deps } = this;
    raw.on('error', () => undefined);
    raw.once('close', () => this.onSocketClosed());
    const target = deps.originalDestination(raw);
    if (target === null) {
      this.drop('no-original-destination', `from ${raw.remoteAddress}`);
      return;
    }
    this.target = target;
    if (Object.values<number>(ports).includes(target.port)) {
      this.drop('own-port', `${target.address} port ${target.port}`);
      return;
    }
    const port = this.port();
    if (port === null) {
      this.drop('not-ready', `port ${target.port}`);
      return;
    }
    this.lookAtFirstBytes(port);
  }

  /** No new requests; open ones finish. */
  drain(): void {
    this.downstream?.drain();
  }

  /** HTTP, or not known yet. */
  get mayCarryHttp(): boolean {
    return this.tunnel === null;
  }

  /** The own certificate changed: what the peer asks next belongs on a new connection. */
  onIdentityChange(generation: number): void {
    const { peer } = this.link;
    if (peer !== null && peer.generation !== generation) this.downstream?.drain();
  }

  /** Nothing runs on a certificate that has ended. */
  endIfExpired(wallTimeMs: number): void {
    const { peer } = this.link;
    if (peer !== null && peer.notAfterMs <= wallTimeMs) this.destroy();
  }

  destroy(): void {
    this.downstream?.destroy();
    this.tunnel?.destroy();
    resetLink(this.link);
  }

  onDeadline(): void {
    if (this.tls !== null) this.drop('tls-handshake-failed', 'not finished in time');
    else if (this.peek !== null) this.onDeadlineOfPeek();
  }

  private port(): InboundPort | null {
    const { workload } = this.deps.store.snapshot();
    if (workload === null) return null;
    return workload.ports.get(this.target.port) ?? workload.otherPort;
  }

  // First bytes: a mesh peer or not.

  private lookAtFirstBytes(port: InboundPort): void {
    const { io, detectMs } = this.deps;
    const undeclared = port.protocol === 'auto' || port.protocol === 'tcp';
    const mayBeSilent = port.mtls !== 'STRICT' && undeclared;
    const waitMs = mayBeSilent ? (detectMs ?? defaultDetectMs) : handshakeMs;
    io.wheel.schedule(this, io.clock.nowMs() + waitMs);
    this.peek = new Peek(this.raw, {
      onBytes: (bytes) => this.onFirstBytes(bytes),
      onEnd: () => this.onFirstEnd(),
    });
  }

  private onFirstBytes(bytes: Buffer): void {
    if (bytes[0] !== tlsHandshake) {
      this.plaintext(this.stopPeek());
      return;
    }
    const hello = helloOf(bytes);
    if (hello === 'need-more') {
      const { io } = this.deps;
      io.wheel.schedule(this, io.clock.nowMs() + handshakeMs);
      return;
    }
    const first = this.stopPeek();
    if (hello === 'mesh') this.handshake(first);
    else this.plaintext(first);
  }

  /** Timers come before sockets in a turn of the event loop: a process that was held up looks at both once more. */
  private onDeadlineOfPeek(): void {
    if (this.lookedAgain) {
      this.onSilence();
      return;
    }
    this.lookedAgain = true;
    const { io } = this.deps;
    io.wheel.schedule(this, io.clock.nowMs() + lookAgainMs);
  }

  private onSilence(): void {
    const port = this.port();
    const first = this.stopPeek();
    if (first.length > 0 && port?.mtls === 'STRICT') {
      this.drop('tls-handshake-failed', 'the ClientHello was not finished in time');
      return;
    }
    if (port?.mtls === 'STRICT') {
      this.drop('mtls-required', `${port.decidedBy}: nothing was sent within ${handshakeMs} ms`);
      return;
    }
    this.plaintext(first, true);
  }

  private onFirstEnd(): void {
    const first = this.stopPeek();
    if (this.raw.destroyed || first.length === 0) resetLink(this.link);
    else this.plaintext(first);
  }

  private stopPeek(): Buffer {
    this.deps.io.wheel.cancel(this);
    const first = this.peek?.stop() ?? Buffer.alloc(0);
    this.peek = null;
    return first;
  }

  // Mesh peers. With DISABLE too: a caller that has not heard of the change yet loses nothing that way.

  private handshake(first: Buffer): void {
    const { identity, io } = this.deps;
    const own = identity.current();
    if (own === null) {
      this.drop('no-identity', '');
      return;
    }
    this.raw.unshift(first);
    const tls = meshServer(this.raw, own);
    this.tls = tls;
    io.wheel.schedule(this, io.clock.nowMs() + handshakeMs);
    afterHandshake(tls, 'secure', () => this.onSecure(tls, own));
    tls.on('error', (error) => this.onTlsError(error));
    tls.once('close', () => this.raw.destroy());
  }

  private onSecure(tls: TLSSocket, own: Identity): void {
    if (tls.destroyed || this.raw.destroyed) return;
    this.deps.io.wheel.cancel(this);
    this.tls = null;
    try {
      const peer = peerFacts(tls, own);
      this.link = { socket: tls, raw: this.raw, peer };
      if (peer.alpn === alpn.http) this.serveMesh(peer, own);
      else this.startRace('opaque', null);
    } catch (error) {
      this.drop('tls-handshake-failed', `${this.raw.remoteAddress}: ${(error as Error).message}`);
    }
  }

  private onTlsError(error: Error): void {
    if (this.tls === null) return;
    this.drop('tls-handshake-failed', `${this.raw.remoteAddress}: ${error.message}`);
  }

  private serveMesh(peer: PeerFacts, own: Identity): void {
    this.serve(this.deps.sessions.meshServer(), { peer, http2: true, own: own.spiffeId }, null);
  }

  // Everything else.

  /** `silent`: it may still turn out to be a mesh peer, on a machine that has much to do. */
  private plaintext(first: Buffer, silent = false): void {
    const port = this.port();
    if (port === null) {
      this.drop('not-ready', `port ${this.target.port}`);
      return;
    }
    if (first.length > 0) this.raw.unshift(first);
    if (refusalOf(port, null) !== null) this.startRace('refuse', port);
    else this.startRace(silent && isTcp(port) ? 'detect' : modeOf(port.protocol), port);
  }

  private startRace(mode: RaceMode, port: InboundPort | null): void {
    const { io, identity } = this.deps;
    const refused = port !== null && mode === 'refuse';
    this.race = new Race(
      {
        link: this.link,
        io,
        mode,
        detectMs: refused ? refusalMs : 1,
        open: { io, identity, random: this.deps.random },
        endpoints: [this.owner.appAt(this.target)],
        detect: (bytes) => detectLate(bytes, port),
      },
      {
        onHttp: (detected, first) => this.onHttp(detected, first),
        onTunnel: (upstream, first) => this.connect(upstream, first),
        onFailed: (code, detail) => {
          if (refused) this.drop('mtls-required', port.decidedBy);
          else this.drop(code === 'connect-failed' ? 'app-unreachable' : code, detail);
        },
      },
    );
    this.race.start();
  }

  private onHttp(detected: Detected | 'mesh', first: Buffer): void {
    this.race = null;
    if (detected === 'mesh') {
      this.handshake(first);
      return;
    }
    const http2 = detected === 'http2';
    const { sessions, identity } = this.deps;
    const session = http2 ? sessions.strangerH2Server() : sessions.h1Server();
    const own = identity.current()?.spiffeId ?? '';
    this.serve(session, { peer: null, http2, own }, first);
  }

  private serve(
    session: ServerSession,
    caller: { peer: PeerFacts | null; http2: boolean; own: string },
    first: Buffer | null,
  ): void {
    const app = [this.owner.appAt(this.target)];
    const plan = (head: RequestHead) => {
      if (this.owner.refusing) return planLate(caller.peer, head);
      // The port's mode may change while the connection lives: asked for each request.
      const port = this.port() ?? unknownPort;
      const facts = { ...caller, port, ownIdentity: caller.own, app };
      return planInbound(facts, head, this.deps.nextRequestId);
    };
    this.downstream = new Downstream(this.link, session, this.context(), {
      plan,
      onClosed: () => this.end(),
    });
    this.downstream.start(first);
    if (this.owner.draining) this.downstream.drain();
  }

  private connect(upstream: Link, first: Buffer | null): void {
    this.race = null;
    const links = { downstream: this.link, upstream };
    this.tunnel = new Tunnel(this.context(), links, first, { onTunnelDone: () => this.end() });
  }

  private drop(code: ProxyErrorCode, detail: string): void {
    if (this.done) return;
    logRefusedConnection(this.context(), code, detail);
    this.destroy();
    this.tls?.destroy();
  }

  private context(): ExchangeContext {
    const destination = this.target.port === 0 ? '' : String(this.target.port);
    const { active } = this.owner;
    const { peer } = this.link;
    return contextOf(this.deps, { direction: 'inbound', destination, peer, active });
  }

  private onSocketClosed(): void {
    this.race?.cancel();
    if (this.tunnel === null && this.downstream === null) this.end();
  }

  private end(): void {
    if (this.done) return;
    this.done = true;
    this.deps.io.wheel.cancel(this);
    this.owner.onDone(this);
  }
}

/** RFC 8446 §5.1: content type of the record that opens every TLS connection. */
const tlsHandshake = 0x16;

/** What the ClientHello at the start of a connection says about who is there. */
function helloOf(bytes: Buffer): 'mesh' | 'tls' | 'need-more' {
  const hello = parseClientHello(bytes);
  if (hello === 'need-more') return hello;
  const isMesh =
    hello !== 'invalid' && (hello.alpn.includes(alpn.http) || hello.alpn.includes(alpn.tcp));
  return isMesh ? 'mesh' : 'tls';
}

/** First bytes of who was silent, or spoke plaintext: a mesh peer may come late. */
function detectLate(bytes: Buffer, port: InboundPort | null): Detected | 'mesh' {
  if (bytes[0] === tlsHandshake) return helloOf(bytes);
  return port !== null && isTcp(port) ? 'other' : detect(bytes);
}

function isTcp({ protocol }: InboundPort): boolean {
  return protocol === 'tcp';
}

/** A later turn of the event loop is all that it must be. */
const lookAgainMs = 10;

/** Only while the configuration is taken away under an open connection. */
const unknownPort: InboundPort = {
  protocol: 'auto',
  mtls: 'STRICT',
  decidedBy: 'no configuration',
};
