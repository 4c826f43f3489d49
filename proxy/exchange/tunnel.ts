// One opaque connection through the sidecar, from the first byte on: relays, counts and logs it. How its
// upstream was chosen and opened is settled before.

import { errorSpec, type ProxyErrorCode } from '../errors.ts';
import { Relay } from '../net/relay.ts';
import type { Link, PeerFacts } from '../net/link.ts';
import { emptyEntry } from './connection-log.ts';
import type { ExchangeContext } from './context.ts';

export interface TunnelOwner {
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
    const { remoteAddress = '', remotePort = 0 } = links.upstream.raw;
    this.endpoint = `${remoteAddress}:${remotePort}`;
    context.series.connection(this.mtls);
    const joined = { a: links.downstream, b: links.upstream };
    this.relay = new Relay(joined, first, context.deps.io, {
      onDone: (sent, received, broken) => {
        context.series.bytes(sent, received);
        const code = broken && this.isExpired() ? 'certificate-expired' : null;
        if (code !== null) context.series.error(code);
        this.log(sent, received, code);
        owner.onTunnelDone(this);
      },
    });
  }

  destroy(): void {
    this.relay.destroy();
  }

  private get mtls(): boolean {
    return this.peer !== null;
  }

  private get peer(): PeerFacts | null {
    return this.context.direction === 'inbound' ? this.downstream.peer : this.upstream.peer;
  }

  /** DESIGN §5: at the latest at the end of the certificate that opened it. */
  private isExpired(): boolean {
    const { peer } = this;
    return peer !== null && peer.notAfterMs <= this.context.deps.io.clock.wallTimeMs();
  }

  private log(sentBytes: number, receivedBytes: number, code: ProxyErrorCode | null): void {
    const { deps } = this.context;
    if (!deps.accessLog.wants(code !== null)) return;
    deps.accessLog.write({
      ...emptyEntry(this.context),
      endpoint: this.endpoint,
      mtls: this.mtls,
      durationMs: deps.io.clock.nowMs() - this.startedMs,
      sentBytes,
      receivedBytes,
      flag: code === null ? '' : errorSpec(code).flag,
    });
  }
}
