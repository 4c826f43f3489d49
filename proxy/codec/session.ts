// The neutral form of an HTTP message and of a connection that carries messages, shared by the
// HTTP/1.1 and the HTTP/2 machine, so that whatever joins two of them never asks which is which.
// Types only: no I/O, no timers; time comes in as `nowMs` (monotonic milliseconds).

/**
 * Header or trailer fields, flat: name, value, name, value, … Names in lower case, values as latin1
 * strings without leading and trailing white space. Order and duplicates are kept.
 */
export type Fields = string[];

/**
 * A request without its body. `fields` hold neither pseudo-header fields, `host`, `content-length`, nor
 * hop-by-hop fields (`te` is kept where it says `trailers`). A request with `upgrade` never ends with its head:
 * what follows are the bytes of the tunnel, sent only after the 101.
 */
export interface RequestHead {
  method: string;
  scheme: string;
  /** `Host` or `:authority`, as sent; empty where the request has none. */
  authority: string;
  /** The request target as sent: origin-form, or `*`; empty for CONNECT. */
  path: string;
  /**
   * The protocol of an Upgrade (RFC 9110 §7.8) or of an extended CONNECT (RFC 8441), else null. The method of
   * the latter reads as that of the former, GET.
   */
  upgrade: string | null;
  fields: Fields;
  /** Declared body length in bytes; null where unknown (chunked, HTTP/2 without content-length). */
  contentLength: number | null;
  /** The target came in absolute-form, as clients send it to proxies; HTTP/2 has no such difference. */
  absoluteForm?: true;
  /** Names whose values came as never-indexed and are to be sent on so (RFC 7541 §6.2.3). */
  neverIndexed?: readonly string[];
}

/**
 * A response without its body; `status` 101 accepts an upgrade in either protocol (RFC 8441 maps it to 200).
 * `contentLength` of an answer to HEAD and of a 304 says what is not sent. A 101 keeps `upgrade` in its fields.
 */
export interface ResponseHead {
  status: number;
  fields: Fields;
  contentLength: number | null;
  neverIndexed?: readonly string[];
}

/**
 * Why a stream ended before its message was complete.
 * `refused`: the peer says that it was not processed (REFUSED_STREAM, or above GOAWAY's last stream id): safe to send again.
 * `cancelled`: the peer lost interest. `protocol`: framing broken. `closed`: the connection ended under it.
 * `overloaded`, `insecure`: it was asked for too much, or in a way that it does not allow. `timeout`: set by this side.
 * `internal`: set by this side, or the peer failed. `too-large`: the head is larger than the peer said it takes, nothing was sent.
 */
export type ResetReason =
  | 'refused'
  | 'cancelled'
  | 'protocol'
  | 'closed'
  | 'flow-control'
  | 'timeout'
  | 'internal'
  | 'too-large'
  | 'overloaded'
  | 'insecure';

/** Receives the peer's half of one exchange; called synchronously from `receive`, `receiveEnd` or `close`. */
export interface StreamListener<In> {
  /** For a client stream: each interim (1xx) response and then the final one; for a server stream never called. */
  onHead(head: In, end: boolean): void;
  /**
   * A view of the received bytes, valid after the call too; return it with `consumed` when it went on.
   * An end without data comes as an empty chunk.
   */
  onData(chunk: Buffer, end: boolean): void;
  /** Trailer fields; the message ends here. `neverIndexed` as in heads, null where there are none. */
  onTrailers(fields: Fields, neverIndexed?: readonly string[] | null): void;
  /** The exchange is over before it was complete. Not called for one's own `reset`; nothing follows it. */
  onReset(reason: ResetReason): void;
  /** The stream's queue fell below the low mark after a `sendData` that answered false. */
  onDrained(): void;
}

/** One exchange on a connection: the sending half and the flow control of the receiving half. */
export interface Stream<Out, In> {
  readonly id: number;
  listener: StreamListener<In>;
  /** False: larger than the peer said it takes (RFC 9113 §6.5.2). Nothing was sent, and a smaller one may be. */
  sendHead(head: Out, end: boolean): boolean;
  /** Takes the chunk without copying. False: queued above the high mark, wait for `onDrained`. */
  sendData(chunk: Buffer, end: boolean): boolean;
  sendTrailers(fields: Fields, neverIndexed?: readonly string[] | null): void;
  /**
   * Gives the exchange up. On a server stream whose answer is complete it only declines the rest of the request; until
   * then, or until the request ends, the exchange stays open and its body is still delivered.
   */
  reset(reason: ResetReason): void;
  /** Credits `bytes` of received body as moved on: this is what opens the peer's window again. */
  consumed(bytes: number): void;
  /** Bytes accepted by `sendData` and not yet taken as output. */
  readonly queuedBytes: number;
}

export type ServerStream = Stream<ResponseHead, RequestHead>;
export type ClientStream = Stream<RequestHead, ResponseHead>;

/** What both ends of a connection share. */
export interface Session {
  /** Takes what the socket read. Never throws for what a peer sent: errors end in `closing`. */
  receive(bytes: Buffer, nowMs: number): void;
  /** The peer sent FIN. */
  receiveEnd(nowMs: number): void;
  /** The transport is gone: every open stream's listener gets `onReset('closed')`. */
  close(): void;
  /** All bytes owed to the peer now, in order, to be written in one go; empty if none. */
  takeOutput(): Buffer[];
  /** Whether `takeOutput` would give something. */
  readonly hasOutput: boolean;
  /**
   * Stop accepting new streams, tell the peer (GOAWAY, `Connection: close`), finish open ones. `leaving`: new
   * connections are no better, others are to be preferred.
   */
  drain(leaving?: boolean): void;
  /**
   * True once nothing more will be said after the output at hand: take it, then end the socket (FIN).
   * Go on reading until the peer's FIN (bounded): a tunnel may still receive, and unread bytes would turn
   * the FIN into a reset that destroys what was sent last (RFC 9112 §9.6).
   */
  readonly closing: boolean;
  /** Why the session broke, for logs; null where it ended in order. */
  readonly error: string | null;
  readonly openStreams: number;
  /**
   * The transport is to be reset (RST) instead of ended in order, because an orderly end would make a
   * truncated message or tunnel look complete. Only together with `closing`.
   */
  readonly aborting: boolean;
  /**
   * Called (from within any call on the session or one of its streams) when there is something for the
   * transport to do: the first output after the last `takeOutput`, or `wantsRead` or `closing` changed.
   * Mark the connection and serve it once at the end of the turn. Set it once, before `receive`.
   */
  onWake: () => void;
  /** The next instant at which `onTimeout` wants to be called, or null. */
  nextTimeoutMs(): number | null;
  onTimeout(nowMs: number): void;
  /** False: the socket's reading is to be paused (HTTP/1.1 back-pressure). Always true for HTTP/2. */
  readonly wantsRead: boolean;
}

/** Why a connection's requests are not read any more. */
export interface Refusal {
  /** What HTTP/1.1 answered, 400 or above; 0 where the end of the connection is the answer (HTTP/2). */
  readonly status: number;
  /** One line for a person. */
  readonly text: string;
}

/** A connection on which the peer sends requests. */
export interface ServerSession extends Session {
  /** Set once the peer sent what cannot be read as a request, which no listener heard of. */
  readonly refusal: Refusal | null;
  /**
   * Set once, before the first `receive`; returns the listener for the rest of the request. Called from
   * `receive`, or, for a pipelined HTTP/1.1 request, from the send call that completes the answer before it.
   */
  onRequest: (stream: ServerStream, head: RequestHead, end: boolean) => StreamListener<RequestHead>;
}

/** A connection on which this side sends requests. */
export interface ClientSession extends Session {
  /** Opens a stream and sends the head. Only while `capacity` is above 0. */
  open(head: RequestHead, end: boolean, listener: StreamListener<ResponseHead>): ClientStream;
  /** How many more streams may be opened now; 0 when busy, full, draining or broken. */
  readonly capacity: number;
  /** How many the peer said that it takes at once; null: not told yet, or there is no such thing (HTTP/1.1). */
  readonly streamLimit: number | null;
  /** What the last answer said in `Keep-Alive` (HTTP/1.1); null: nothing. */
  readonly keepAliveText: string | null;
  /** Until the peer tells: what it told another connection. */
  assumeStreamLimit(limit: number): void;
  /** False once no further stream will ever be possible (GOAWAY, `Connection: close`, error). */
  readonly reusable: boolean;
  /** The peer said that not only this connection ends: it goes itself. */
  readonly peerLeaves: boolean;
}
