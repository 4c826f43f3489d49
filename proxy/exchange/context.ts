// What the exchanges of one downstream connection share, and what all of a sidecar share.

import type { RequestHead } from '../codec/session.ts';
import type { Io, PeerFacts } from '../net/link.ts';
import type { PlainProtocol } from '../pool/http-pool.ts';
import type { StreamTaker } from '../pool/peer.ts';
import type { DestinationUse } from '../policy/limits.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import type { Store } from '../state/store.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import type { Counters, Direction, Series } from '../telemetry/counters.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Tracer } from '../tracing/tracer.ts';
import type { LocalReply } from './local-reply.ts';
import type { MirrorGate } from './mirror.ts';

/** Where streams to endpoints come from: the pool. */
export interface StreamSource {
  request(endpoint: EndpointHandle, plain: PlainProtocol, taker: StreamTaker): void;
  cancel(endpoint: EndpointHandle, plain: PlainProtocol, taker: StreamTaker): void;
  /** There is a connection to it, or will be soon. */
  connected(endpoint: EndpointHandle, plain: PlainProtocol): boolean;
  /** Ends the connection of a destination that has been idle for longest; false: it has no idle one. */
  giveUpIdle(use: DestinationUse): boolean;
  /** An attempt to connect to its endpoint is what it waited for, and not a place. */
  awaitsDial(
    of: { endpoint: EndpointHandle; startedMs: number },
    plain: PlainProtocol,
    taker: StreamTaker,
  ): boolean;
}

export interface ExchangeDeps {
  io: Io;
  pool: StreamSource;
  accessLog: AccessLog;
  /** From 0 up to 1. */
  random: () => number;
  store: Pick<Store, 'snapshot'>;
  mirrors: MirrorGate;
  tracer: Tracer;
  logger: Pick<Logger, 'info' | 'warn'>;
}

/** A request that has not come to its end, in a list with the others of its connection. */
export interface Ongoing {
  earlier: Ongoing | null;
  later: Ongoing | null;
  /** As it is sent on. */
  readonly request: RequestHead;
  /** It may not go on: the caller is told, if that is still possible, or hears a reset. */
  refuse(reply: LocalReply): void;
}

export interface ExchangeContext {
  deps: ExchangeDeps;
  direction: Direction;
  series: Series;
  /** For logs: host (outbound) or port (inbound). */
  destination: string;
  /** Verified identity of the caller (inbound over mTLS), or empty. */
  peer: string;
  /** Of the connection's other end (inbound), or empty. */
  peerAddress: string;
  /** What the caller's sidecar says of its workload (inbound over mTLS), or empty. */
  peerWorkload: string;
  /** Null in plaintext, and outbound. */
  peerFacts: PeerFacts | null;
  /** Of what is carried, for logs: `HTTP/1.1`, `HTTP/2`; `TCP` until it is known to be one of them. */
  protocol: string;
  /** The newest of the requests under way. */
  ongoing: Ongoing | null;
  /** Requests not finished yet, for draining. */
  active: { requests: number };
}

export interface Downstreams {
  direction: Direction;
  destination: string;
  /** Null: plaintext, or an app of this pod. */
  peer: PeerFacts | null;
  peerAddress?: string;
  active: { requests: number };
}

export function contextOf(
  deps: ExchangeDeps & { counters: Counters },
  of: Downstreams,
): ExchangeContext {
  const { direction, destination, peer, peerAddress = '', active } = of;
  return {
    deps,
    direction,
    series:
      direction === 'outbound'
        ? deps.counters.series(direction, destination)
        : deps.counters.seriesFrom(destination, peer?.id ?? '', peerAddress),
    destination,
    peer: peer?.id ?? '',
    peerAddress,
    peerWorkload: '',
    peerFacts: peer,
    protocol: 'TCP',
    ongoing: null,
    active,
  };
}

export function addOngoing(context: ExchangeContext, one: Ongoing): void {
  one.earlier = context.ongoing;
  if (context.ongoing !== null) context.ongoing.later = one;
  context.ongoing = one;
}

export function removeOngoing(context: ExchangeContext, one: Ongoing): void {
  const { earlier, later } = one;
  if (later === null) context.ongoing = earlier;
  else later.earlier = earlier;
  if (earlier !== null) earlier.later = later;
  one.earlier = null;
  one.later = null;
}
