// One connection to the pod: mesh peer, plaintext or the app's own TLS. Finds out which, asks the port's
// mTLS mode and whether opaque bytes may come at all, and hands it to what carries it. Its original
// destination is the only target it can reach.

import type { Socket } from 'node:net';
import { alpn, ports } from '../api/constants.ts';
import { destinationName, type InboundPort } from '../api/resources.ts';
import type { Detected } from '../codec/detect.ts';
import type { ProxyErrorCode } from '../errors.ts';
import { logRefusal } from '../exchange/connection-log.ts';
import { contextOf, type ExchangeContext } from '../exchange/context.ts';
import { opaqueDenial } from '../exchange/denial.ts';
import type { LocalReply } from '../exchange/local-reply.ts';
import { Race } from '../exchange/race.ts';
import type { OpenConnection } from '../exchange/side.ts';
import { isExpired, resetLink, type Link, type PeerFacts } from '../net/link.ts';
import type { OriginalDestination } from '../net/original-destination.ts';
import { Peek } from '../net/peek.ts';
import { Deadline } from '../net/timer-wheel.ts';
import { callerOf, plainAddress } from '../policy/authorization/caller.ts';
import { Carried, type CarriedOwner } from './carried.ts';
import { defaultDetectMs, handshakeMs, type InboundDeps } from './deps.ts';
import { detectLate, detectWithin, firstSight } from './first-bytes.ts';
import { Handshake } from './handshake.ts';
import { portOf, refusalOf } from './plan.ts';
import { limitConnection } from './rate-limit.ts';
import { silentMs, wayOfPeer, wayOfPlain, type Way } from './way.ts';

export interface InboundOwner extends CarriedOwner {
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
  private shaking: Handshake | null = null;
  /** Made once it is settled who is at the other end. */
  private carried: Carried | null = null;
  /** The peer's sidecar was told why it is refused; it ends the connection. */
  private told = false;
  private done = false;
  private lookedAgain = false;
  private readonly sinceMs: number;

  constructor(deps: InboundDeps, owner: InboundOwner, socket: Socket) {
    super();
    this.deps = deps;
    this.owner = owner;
    this.raw = socket;
    this.link = { socket, raw: socket, peer: null };
    this.sinceMs = deps.io.clock.nowMs();
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
    const limit = this.limitOfAll();
    if (limit === null) this.lookAtFirstBytes(port);
    else this.refuse(limit);
  }

  /** Whoever it is: before anything is read, so that a flood costs no handshakes. */
  private limitOfAll(): LocalReply | null {
    const { store, io } = this.deps;
    const limits = store.snapshot().workload?.rateLimits.connections ?? null;
    if (limits === null) return null;
    const { address, port } = this.target;
    const arrival = {
      caller: callerOf('', this.raw.remoteAddress ?? ''),
      target: { address: plainAddress(address), port },
    };
    return limitConnection(limits, arrival, false, io.clock.nowMs());
  }

  describe(): OpenConnection {
    const { target, carried, raw } = this;
    return {
      from: destinationName(plainAddress(raw.remoteAddress ?? ''), raw.remotePort ?? 0),
      to: destinationName(target.address, target.port),
      carries: carried?.carries ?? '',
      peer: this.link.peer?.id ?? '',
      requests: carried?.requests ?? 0,
      ageMs: Math.round(this.deps.io.clock.nowMs() - this.sinceMs),
    };
  }

  /** No new requests; open ones finish. */
  drain(): void {
    this.carried?.drain();
  }

  /** HTTP, or not known yet. */
  get mayCarryHttp(): boolean {
    return this.carried?.isTunnel !== true;
  }

  /** Policies have changed. Returns how much was judged. */
  judgeAnew(): number {
    return this.carried?.judgeAnew() ?? 0;
  }

  /** The own certificate changed: what the peer asks next belongs on a new connection. */
  onIdentityChange(generation: number): void {
    const { peer } = this.link;
    if (peer !== null && peer.generation !== generation) this.carried?.drain();
  }

  endIfExpired(wallTimeMs: number): void {
    if (isExpired(this.link.peer, wallTimeMs)) this.destroy();
  }

  destroy(): void {
    this.carried?.destroy();
    resetLink(this.link);
  }

  onDeadline(): void {
    if (this.told) this.destroy();
    else if (this.peek !== null) this.onDeadlineOfPeek();
  }

  private port(): InboundPort | null {
    const { workload } = this.deps.store.snapshot();
    return workload === null ? null : portOf(workload, this.target.port);
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
    const sight = firstSight(bytes);
    if (sight === 'need-more') {
      const { io } = this.deps;
      io.wheel.schedule(this, io.clock.nowMs() + handshakeMs);
      return;
    }
    const first = this.stopPeek();
    if (sight === 'mesh') this.handshake(first);
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
      const detail = `${port.decidedBy}: nothing was sent within ${handshakeMs} ms`;
      this.refuse({ ...refusalOf(port, null)!, detail });
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
    this.shaking = new Handshake(this.raw, own, io, {
      onPeer: (link, peer) => this.onPeer(link, peer),
      onFailed: (detail) => this.drop('tls-handshake-failed', detail),
    });
  }

  private onPeer(link: Link, peer: PeerFacts): void {
    this.shaking = null;
    this.link = link;
    const carried = this.carry();
    const limit = carried.limitOfPeer();
    if (limit !== null) this.refuse(limit);
    else if (peer.alpn === alpn.http) carried.serve(this.deps.sessions.meshServer(), null, null);
    else this.carryOpaque(carried);
  }

  private carryOpaque(carried: Carried): void {
    const refusal = carried.refusalOfTunnel();
    const port = this.port();
    if (port === null) this.drop('not-ready', `port ${this.target.port}`);
    else this.begin(carried, wayOfPeer(port, refusal), refusal);
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
    const carried = this.carry();
    const limit = carried.limitOfPeer();
    if (limit !== null) {
      this.refuse(limit);
      return;
    }
    const refusal = carried.refusalOfTunnel();
    this.begin(carried, wayOfPlain(port, refusal, silent), refusal);
  }

  private begin(carried: Carried, way: Way | null, refusal: LocalReply | null): void {
    if (way !== null) this.startRace(carried, way);
    else if (refusal !== null) this.refuse(refusal);
  }

  private carry(): Carried {
    const { link, target } = this;
    this.carried = new Carried(this.deps, this.owner, { link, target }, () => this.end());
    return this.carried;
  }

  private startRace(carried: Carried, way: Way): void {
    const { io, identity, random } = this.deps;
    const { mode, port, refusal } = way;
    const meshOpaque = this.link.peer !== null;
    this.race = new Race(
      {
        link: this.link,
        io,
        mode,
        mayTunnel: refusal === null,
        detectMs: silentMs(way),
        open: { io, identity, random },
        endpoints: [this.owner.appAt(this.target)],
        detect: (bytes) => (meshOpaque ? detectWithin(bytes, port) : detectLate(bytes, port)),
      },
      {
        onHttp: (detected, first) => this.onHttp(carried, detected, first),
        onTunnel: (upstream, first) => this.connect(carried, upstream, first),
        onFailed: (code, detail) => {
          if (code === 'policy-denied' && refusal !== null) this.refuse(refusal);
          else this.drop(code === 'connect-failed' ? 'app-unreachable' : code, detail);
        },
      },
    );
    this.race.start();
  }

  private onHttp(carried: Carried, detected: Detected | 'mesh', first: Buffer): void {
    this.race = null;
    if (detected === 'mesh') {
      this.carried = null;
      this.handshake(first);
      return;
    }
    const { sessions } = this.deps;
    const http2 = detected === 'http2';
    carried.serve(http2 ? sessions.strangerH2Server() : sessions.h1Server(), http2, first);
  }

  private connect(carried: Carried, upstream: Link, first: Buffer | null): void {
    this.race = null;
    const refusal = carried.connect(upstream, first);
    if (refusal === null) return;
    resetLink(upstream);
    this.refuse(refusal);
  }

  private drop(code: ProxyErrorCode, detail: string): void {
    this.refuse({ code, detail });
  }

  private refuse(reply: LocalReply): void {
    if (this.done || this.told) return;
    logRefusal(this.carried?.context ?? this.context(), reply);
    const { link, deps } = this;
    if (reply.by !== undefined && link.peer?.alpn === alpn.tcp) {
      this.told = true;
      link.socket.end(opaqueDenial(reply.by));
      // What still comes is nobody's, but the end of it is to be seen.
      link.socket.resume();
      deps.io.wheel.schedule(this, deps.io.clock.nowMs() + tellMs);
      return;
    }
    this.destroy();
    this.shaking?.cancel();
  }

  private context(): ExchangeContext {
    const destination = this.target.port === 0 ? '' : String(this.target.port);
    const { active } = this.owner;
    const { peer } = this.link;
    const peerAddress = plainAddress(this.raw.remoteAddress ?? '');
    const of = { direction: 'inbound', destination, peer, peerAddress, active } as const;
    return contextOf(this.deps, of);
  }

  private onSocketClosed(): void {
    this.race?.cancel();
    if (this.carried === null || this.carried.idle) this.end();
  }

  private end(): void {
    if (this.done) return;
    this.done = true;
    this.deps.io.wheel.cancel(this);
    this.owner.onDone(this);
  }
}

/** For the words of a refusal to arrive, before a reset that could overtake them. */
const tellMs = 1_000;

/** A later turn of the event loop is all that it must be. */
const lookAgainMs = 10;
