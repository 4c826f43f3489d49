// One opaque connection through the sidecar, from the first byte on: relays, counts and logs it. How its
// upstream was chosen and opened is settled before.

import { destinationName } from '../api/resources.ts';
import { errorSpec } from '../errors.ts';
import { Relay } from '../net/relay.ts';
import { isExpired, resetLink, type Link, type PeerFacts } from '../net/link.ts';
import type { AccessEntry } from '../telemetry/access-log.ts';
import { countError, emptyEntry } from './connection-log.ts';
import type { ExchangeContext } from './context.ts';
import { readOpaqueDenial } from './denial.ts';
import { replyOfPeer, type LocalReply } from './local-reply.ts';

/** Looks at what an opaque connection carries; it decides nothing. */
export interface TunnelObserver {
  /** What the downstream sends, only lent. False: seen enough. */
  sees(bytes: Buffer): boolean;
  ended(sentBytes: number, receivedBytes: number): void;
  /** Further fields of the access log. */
  logFields(): Partial<AccessEntry>;
}

export interface TunnelOwner {
  readonly observer?: TunnelObserver;
  /** How long nothing may move either way, and which destination says so; absent: as long as it may. */
  readonly idle?: { timeoutMs: number; by: string };
  onTunnelDone(tunnel: Tunnel): void;
}

export class Tunnel {
  readonly downstream: Link;
  readonly upstream: Link;
  private readonly context: ExchangeContext;
  private readonly startedMs: number;
  private readonly relay: Relay;
  /** Read while the socket is open: afterwards nobody knows. */
  private readonly endpoint: string;
  private readonly observer: TunnelObserver | null;
  private refusal: LocalReply | null = null;

  constructor(
    context: ExchangeContext,
    links: { downstream: Link; upstream: Link },
    first: Buffer | null,
    owner: TunnelOwner,
  ) {
    this.context = context;
    this.downstream = links.downstream;
    this.upstream = links.upstream;
    this.startedMs = context.deps.io.clock.nowMs();
    this.observer = owner.observer ?? null;
    const { remoteAddress = '', remotePort = 0 } = links.upstream.raw;
    this.endpoint = destinationName(remoteAddress, remotePort);
    context.series.connection(this.mtls);
    const joined = { a: links.downstream, b: links.upstream };
    const { observer, idle } = owner;
    const mayBeRefused = context.direction === 'outbound' && links.upstream.peer !== null;
    this.relay = new Relay(joined, first, context.deps.io, {
      ...(mayBeRefused ? { guard: (bytes: Buffer) => this.isOfApp(bytes) } : {}),
      ...(idle === undefined
        ? {}
        : { idle: { timeoutMs: idle.timeoutMs, onIdle: () => this.onIdle(idle) } }),
      ...(observer === undefined ? {} : { watch: (bytes: Buffer) => observer.sees(bytes) }),
      onDone: (sent, received, broken) => {
        context.series.bytes(sent, received);
        this.observer?.ended(sent, received);
        const error = this.refusal ?? (broken ? this.causeOfBreak() : null);
        if (error !== null) countError(context.series, error);
        this.log(sent, received, error);
        owner.onTunnelDone(this);
      },
    });
  }

  destroy(): void {
    this.relay.destroy();
  }

  /** A policy does not allow it any more. */
  refuse(reply: LocalReply): void {
    this.refusal = reply;
    this.destroy();
  }

  private onIdle({ timeoutMs, by }: { timeoutMs: number; by: string }): void {
    this.refuse({ code: 'idle-timeout', detail: `${by}: ${timeoutMs} ms` });
  }

  /** False: the peer's sidecar refused the connection, and says why. */
  private isOfApp(first: Buffer): boolean {
    const by = readOpaqueDenial(first);
    if (by === null) return true;
    this.refusal = replyOfPeer(by);
    // Not by the relay, which is perhaps still being made; at once, so that no orderly end goes before.
    resetLink(this.downstream);
    resetLink(this.upstream);
    return false;
  }

  private get mtls(): boolean {
    return this.peer !== null;
  }

  private get peer(): PeerFacts | null {
    return this.context.direction === 'inbound' ? this.downstream.peer : this.upstream.peer;
  }

  /** DESIGN §5: at the latest at the end of the certificate that opened it. */
  private causeOfBreak(): LocalReply | null {
    const expired = isExpired(this.peer, this.context.deps.io.clock.wallTimeMs());
    return expired ? { code: 'certificate-expired', detail: '' } : null;
  }

  private log(sentBytes: number, receivedBytes: number, error: LocalReply | null): void {
    const { deps } = this.context;
    if (!deps.accessLog.wants(error !== null)) return;
    deps.accessLog.write({
      ...emptyEntry(this.context),
      endpoint: this.endpoint,
      mtls: this.mtls,
      peer: this.peer?.id ?? '',
      durationMs: deps.io.clock.nowMs() - this.startedMs,
      sentBytes,
      receivedBytes,
      flag: error === null ? '' : errorSpec(error.code).flag,
      detail: error?.detail ?? '',
      ...error?.by,
      ...this.observer?.logFields(),
    });
  }
}
