// Who speaks first: looks at a client's first bytes and, where the client is silent, opens the upstream
// too and lets whichever speaks first decide (server-first protocols need no declaration). It ends in one
// call: HTTP, a tunnel, or a failure.

import type { Protocol } from '../api/resources.ts';
import type { Detected } from '../codec/detect.ts';
import type { ProxyErrorCode } from '../errors.ts';
import { resetLink, type Io, type Link } from '../net/link.ts';
import { Peek } from '../net/peek.ts';
import { Deadline } from '../net/timer-wheel.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { OpenUpstream, type OpenDeps } from './open-upstream.ts';

/**
 * `opaque`: nothing is looked at. `http` and `http2`: declared, the client speaks first, TLS is let through opaquely;
 * the other version is taken too, and what is neither is answered in the declared one. `detect`: undeclared. `refuse`:
 * as detect, but no upstream is ever opened for who is silent.
 */
export type RaceMode = 'opaque' | 'http' | 'http2' | 'detect' | 'refuse';

export function modeOf(protocol: Protocol): RaceMode {
  switch (protocol) {
    case 'tcp':
      return 'opaque';
    case 'http1':
      return 'http';
    case 'http2':
      return 'http2';
    case 'auto':
      return 'detect';
  }
}

/** A refused client that says nothing is let go after this; one that speaks HTTP is told why. */
export const refusalMs = 1_000;

export interface RaceInput {
  link: Link;
  io: Io;
  mode: RaceMode;
  /** False: what would become a tunnel fails as `policy-denied`. Always so with `refuse`. */
  mayTunnel: boolean;
  /** Silence after which the upstream is opened (`detect`) or the client let go (`refuse`). */
  detectMs: number;
  open: OpenDeps;
  endpoints: readonly EndpointHandle[];
  detect(bytes: Buffer): Detected | 'mesh';
}

export interface RaceListener {
  /** `mesh`: a mesh peer that was slow to say so. */
  onHttp(detected: Detected | 'mesh', first: Buffer): void;
  onTunnel(upstream: Link, first: Buffer | null): void;
  onFailed(code: ProxyErrorCode, detail: string): void;
}

/** A client that began something that may become HTTP and stopped is taken for opaque after this. */
const unfinishedMs = 1_000;
/** More undecided bytes than this are not HTTP (codec/detect decides long before). */
const maxPeekBytes = 64 * 1024;

export class Race extends Deadline {
  private readonly input: RaceInput;
  private readonly listener: RaceListener;
  private clientPeek: Peek | null = null;
  private upstreamPeek: Peek | null = null;
  private opening: OpenUpstream | null = null;
  private upstream: Link | null = null;
  private endpoint: EndpointHandle | null = null;
  private clientBytes: Buffer | null = null;
  /** Why the upstream cannot be had, as long as a silent client may still turn out to speak HTTP. */
  private failure: { code: ProxyErrorCode; detail: string } | null = null;
  private upstreamEnded = false;
  /** The client's side is settled: a tunnel as soon as the upstream is open. */
  private opaque = false;
  private done = false;

  constructor(input: RaceInput, listener: RaceListener) {
    super();
    this.input = input;
    this.listener = listener;
  }

  start(): void {
    const { mode, io, detectMs, link } = this.input;
    if (mode === 'opaque') {
      this.opaque = true;
      this.openUpstream();
      return;
    }
    if (!isDeclared(mode)) io.wheel.schedule(this, io.clock.nowMs() + detectMs);
    this.clientPeek = new Peek(link.socket, {
      onBytes: (bytes) => this.onClientBytes(bytes),
      onEnd: () => this.onClientEnd(),
    });
  }

  /** The client is gone. */
  cancel(): void {
    if (this.done) return;
    this.settle();
    if (this.upstream !== null) resetLink(this.upstream);
  }

  onDeadline(nowMs: number): void {
    if (this.done) return;
    if (this.input.mode === 'refuse') {
      this.fail('policy-denied', 'silent');
      return;
    }
    const began = this.clientBytes !== null;
    if (!began && this.failure !== null) return this.fail(this.failure.code, this.failure.detail);
    if (this.opening === null && this.upstream === null) {
      if (began) this.input.io.wheel.schedule(this, nowMs + unfinishedMs);
      this.openUpstream();
    } else if (began || this.upstreamEnded) this.becomeOpaque();
  }

  private onClientBytes(bytes: Buffer): void {
    if (this.done || this.opaque) return;
    const first = this.clientBytes === null;
    this.clientBytes = bytes;
    const detected = bytes.length > maxPeekBytes ? 'other' : this.input.detect(bytes);
    switch (detected) {
      case 'http1':
      case 'http2':
      case 'mesh':
        this.becomeHttp(detected);
        return;
      case 'other':
        // Declared HTTP that is none: the HTTP session answers in words.
        if (!isDeclared(this.input.mode)) this.becomeOpaque();
        else this.becomeHttp(this.input.mode === 'http2' ? 'http2' : 'http1');
        return;
      case 'tls':
        this.becomeOpaque();
        return;
      case 'need-more':
        if (first && this.upstream !== null) this.waitForRest();
    }
  }

  /** The upstream is open already and the client begins: it gets the time to finish its line. */
  private waitForRest(): void {
    const { io } = this.input;
    io.wheel.schedule(this, io.clock.nowMs() + unfinishedMs);
  }

  private onClientEnd(): void {
    if (this.done) return;
    const { socket } = this.input.link;
    if (socket.destroyed || isDeclared(this.input.mode)) {
      this.cancel();
      resetLink(this.input.link);
      return;
    }
    // FIN, perhaps after some bytes: a half-closed opaque connection.
    if (!this.opaque) this.becomeOpaque();
  }

  private becomeHttp(detected: Detected | 'mesh'): void {
    const first = this.clientPeek?.stop() ?? Buffer.alloc(0);
    const unused = this.upstream;
    this.settle();
    if (unused !== null) resetLink(unused);
    this.listener.onHttp(detected, first);
  }

  private becomeOpaque(): void {
    this.opaque = true;
    this.input.io.wheel.cancel(this);
    this.clientBytes = this.clientPeek?.stop() ?? null;
    this.clientPeek = null;
    if (!this.input.mayTunnel) this.fail('policy-denied', 'not HTTP');
    else if (this.upstream !== null) this.finishTunnel(this.upstream);
    else if (this.opening === null) this.openUpstream();
  }

  private openUpstream(): void {
    this.opening = new OpenUpstream(this.input.open, this.input.endpoints, {
      onOpen: (link, endpoint) => this.onUpstream(link, endpoint),
      onFailed: (code, detail) => this.onUpstreamFailed(code, detail),
    });
    this.opening.start();
  }

  private onUpstream(link: Link, endpoint: EndpointHandle): void {
    this.opening = null;
    this.upstream = link;
    this.endpoint = endpoint;
    if (this.opaque) {
      this.finishTunnel(link);
      return;
    }
    this.upstreamPeek = new Peek(link.socket, {
      onBytes: () => this.becomeOpaque(),
      onEnd: () => this.onUpstreamEnd(),
    });
    if (this.clientBytes !== null) this.waitForRest();
  }

  /**
   * Of an endpoint that just went, say: an HTTP client that is slow to speak is served by another, request by request. Who
   * stays silent is let go a little later.
   */
  private onUpstreamFailed(code: ProxyErrorCode, detail: string): void {
    this.opening = null;
    if (this.opaque || this.failure !== null) this.fail(code, detail);
    else {
      this.failure = { code, detail };
      this.waitForClient();
    }
  }

  /** It says nothing any more: a silent client's connection ends with it, but an HTTP client needs another. */
  private onUpstreamEnd(): void {
    this.upstreamEnded = true;
    if (this.clientBytes === null) this.waitForClient();
  }

  private waitForClient(): void {
    const { io } = this.input;
    io.wheel.schedule(this, io.clock.nowMs() + refusalMs);
  }

  private finishTunnel(upstream: Link): void {
    const first = this.clientBytes;
    const spoken = this.upstreamPeek?.stop() ?? null;
    this.upstreamPeek = null;
    // Put back: the tunnel reads it like all that follows.
    if (spoken !== null && spoken.length > 0) upstream.socket.unshift(spoken);
    this.settle();
    // Not before: that it takes connections says nothing of how it answers requests.
    if (this.endpoint !== null) this.input.open.onResult?.(this.endpoint, true);
    this.listener.onTunnel(upstream, first);
  }

  private fail(code: ProxyErrorCode, detail: string): void {
    if (this.done) return;
    this.settle();
    this.listener.onFailed(code, detail);
  }

  private settle(): void {
    this.done = true;
    this.input.io.wheel.cancel(this);
    this.clientPeek?.stop();
    this.clientPeek = null;
    this.upstreamPeek?.stop();
    this.upstreamPeek = null;
    this.opening?.cancel();
    this.opening = null;
  }
}

function isDeclared(mode: RaceMode): boolean {
  return mode === 'http' || mode === 'http2';
}
