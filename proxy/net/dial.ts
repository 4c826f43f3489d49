// Opens one connection to an endpoint, in plaintext or with mutual TLS, within a time. It chooses no
// endpoint and keeps no connection.

import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { SpiffeId } from '../api/spiffe.ts';
import type { ProxyErrorCode } from '../errors.ts';
import type { Identity } from '../identity/store.ts';
import { keepAliveIdleMs, socketBufferBytes, type Io, type Link } from './link.ts';
import { afterHandshake, meshClient, peerFacts, tlsCause } from './mesh-tls.ts';
import { Deadline } from './timer-wheel.ts';

export interface DialTarget {
  address: string;
  port: number;
  /** Null: plaintext. */
  mesh: { identity: Identity; expected: SpiffeId; alpn: string } | null;
  /** Absent or null: 5 s. */
  timeoutMs?: number | null;
}

export interface DialListener {
  onConnected(link: Link): void;
  onFailed(code: ProxyErrorCode, detail: string): void;
}

/** TCP and TLS handshake together. A pod that answers takes milliseconds. */
export const connectTimeoutMs = 5_000;

export class Dial extends Deadline {
  readonly startedMs: number;
  private readonly target: DialTarget;
  private readonly io: Io;
  private readonly listener: DialListener;
  private readonly raw: Socket;
  private tls: TLSSocket | null = null;
  private readonly timeoutMs: number;
  private done = false;

  constructor(target: DialTarget, io: Io, listener: DialListener) {
    super();
    this.target = target;
    this.io = io;
    this.listener = listener;
    this.timeoutMs = target.timeoutMs ?? connectTimeoutMs;
    const options = {
      host: target.address,
      port: target.port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveIdleMs,
      highWaterMark: socketBufferBytes,
      autoSelectFamily: false,
    };
    this.raw = connect(options);
    this.raw.once('connect', () => this.onConnect());
    this.raw.on('error', (error) => this.onError(error));
    this.raw.on('close', () => this.fail('connect-failed', 'closed'));
    this.startedMs = io.clock.nowMs();
    io.wheel.schedule(this, this.startedMs + this.timeoutMs);
  }

  /** No more interest; the listener is not called. */
  cancel(): void {
    if (this.done) return;
    this.finish();
    this.destroy();
  }

  onDeadline(): void {
    this.fail('connect-timeout', `${this.where()} within ${this.timeoutMs} ms`);
  }

  private onConnect(): void {
    const { mesh } = this.target;
    if (this.done) return;
    if (mesh === null) {
      this.succeed({ socket: this.raw, raw: this.raw, peer: null });
      return;
    }
    this.tls = meshClient(this.raw, mesh.identity, mesh.alpn);
    afterHandshake(this.tls, 'secureConnect', () => this.onSecure());
    this.tls.on('error', (error) => this.onError(error));
    this.tls.on('close', () => this.fail('tls-handshake-failed', `${this.where()}: closed`));
  }

  private onSecure(): void {
    const { mesh } = this.target;
    if (this.done || this.tls === null || mesh === null) return;
    try {
      const peer = peerFacts(this.tls, mesh.identity);
      if (peer.id === mesh.expected) this.succeed({ socket: this.tls, raw: this.raw, peer });
      else
        this.fail(
          'identity-mismatch',
          `${this.where()} is ${peer.id}, expected was ${mesh.expected}`,
        );
    } catch (error) {
      this.fail('tls-handshake-failed', `${this.where()}: ${(error as Error).message}`);
    }
  }

  private onError(error: Error): void {
    const code = this.tls === null ? 'connect-failed' : 'tls-handshake-failed';
    this.fail(code, `${this.where()}: ${tlsCause(error)}`);
  }

  private succeed(link: Link): void {
    this.finish();
    if (link.peer !== null) this.io.handshakes.outbound.ok += 1;
    this.listener.onConnected(link);
  }

  private fail(code: ProxyErrorCode, detail: string): void {
    if (this.done) return;
    if (this.tls !== null) this.io.handshakes.outbound.failed += 1;
    this.finish();
    this.destroy();
    this.listener.onFailed(code, detail);
  }

  private finish(): void {
    this.done = true;
    this.io.wheel.cancel(this);
  }

  private destroy(): void {
    this.tls?.destroy();
    this.raw.destroy();
  }

  private where(): string {
    return `${this.target.address} port ${this.target.port}`;
  }
}
