// One gRPC call of a peer whose certificate was verified: messages in, messages out, one way to end it.
// It frames and bounds; what messages mean is not known here.

import { constants } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { parseSpiffeId } from '../../proxy/api/spiffe.ts';
import type { Clock, Timer } from '../resources/clock.ts';
import { canonicalAddress } from '../model/addresses.ts';
import type { Peer } from './admission.ts';
import { FrameDecoder, encodeFrame } from './frames.ts';
import { grpcStatus, refusalKinds, refusal } from './refusals.ts';
import type { Refusal } from './refusals.ts';

export interface CallHandlers {
  onMessage(text: string): void;
  /** The peer has ended its side in order. */
  onPeerEnd(): void;
  /** Once, when nothing more will come or go. */
  onClose(refused: Refusal | null): void;
}

/** A peer that does not read what it was sent is given up at this many bytes. */
const maxQueuedBytes = 8 << 20;
const closeTimeoutMs = 5000;

/** Of messages that are not whole yet, all sidecars together: it must not cost the operator's memory. */
const maxHeldBytes = 64 << 20;
/** A stream that holds less goes on all the same: who begins many large messages keeps nobody else out. */
const alwaysHeldBytes = 256 << 10;

interface CallOptions {
  peer: Peer;
  certificateEndsMs: number;
  maxMessageBytes: number;
  held: HeldBytes;
  clock: Clock;
}

/** Shared by the calls of a server. */
export interface HeldBytes {
  bytes: number;
}

export class Call {
  readonly peer: Peer;
  readonly #stream: ServerHttp2Stream;
  readonly #decoder: FrameDecoder;
  readonly #handlers: CallHandlers;
  readonly #clock: Clock;
  readonly #held: HeldBytes;
  readonly #certificateEnd: Timer;
  #accepted = false;
  #closed = false;

  constructor(
    stream: ServerHttp2Stream,
    options: CallOptions,
    makeHandlers: (call: Call) => CallHandlers,
  ) {
    this.#stream = stream;
    this.peer = options.peer;
    this.#clock = options.clock;
    this.#held = options.held;
    this.#decoder = new FrameDecoder(options.maxMessageBytes);
    this.#certificateEnd = this.#endAt(options.certificateEndsMs);
    this.#handlers = makeHandlers(this);
    stream.on('data', (bytes: Buffer) => this.#onData(bytes));
    stream.on('end', () => {
      if (!this.#closed) this.#handlers.onPeerEnd();
    });
    stream.on('error', () => this.#close(null));
    stream.on('close', () => this.#close(null));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Answers the call's head: the peer knows that it is welcome. */
  accept(): void {
    if (this.#accepted || this.#closed) return;
    this.#accepted = true;
    if (isGone(this.#stream)) return;
    this.#stream.respond({ ':status': 200, ...contentType }, { waitForTrailers: true });
  }

  /** Bytes written; 0 when the call is over. */
  send(text: string): number {
    if (this.#closed) return 0;
    const frame = encodeFrame(text);
    this.#stream.write(frame);
    if (this.#stream.writableLength > maxQueuedBytes) {
      this.fail(refusal('does-not-read', 'the peer does not read what it is sent'));
    }
    return frame.length;
  }

  /** Written and not yet taken by the socket. */
  get queuedBytes(): number {
    return this.#closed ? 0 : this.#stream.writableLength;
  }

  /** Ends the call with a status in words; `OK` too. */
  fail(reason: Refusal): void {
    if (this.#closed) return;
    const stream = this.#stream;
    const trailers = statusHeaders(reason);
    this.#close(reason);
    if (isGone(stream)) return;
    closeSoon(stream, this.#clock);
    if (!this.#accepted) {
      stream.respond({ ...contentType, ...trailers }, { endStream: true });
    } else {
      stream.once('wantTrailers', () => {
        if (!isGone(stream)) stream.sendTrailers(trailers);
      });
      stream.end();
    }
    stream.resume();
  }

  /** Ends in order, status OK. */
  end(): void {
    this.fail(refusal('replaced', ''));
  }

  #onData(bytes: Buffer): void {
    if (this.#closed) return;
    const before = this.#decoder.held;
    const decoded = this.#decoder.push(bytes);
    const { held } = this.#decoder;
    this.#held.bytes += held - before;
    if (this.#held.bytes > maxHeldBytes && held > alwaysHeldBytes) {
      return this.fail(refusal('busy', 'too many large messages are under way; try again'));
    }
    if (!decoded.ok) {
      const compressed = 'the message is compressed, which was not agreed on';
      const large = 'the message is larger than the operator takes';
      const isLarge = decoded.reason === 'too-large';
      this.fail(refusal(isLarge ? 'too-large' : 'malformed', isLarge ? large : compressed));
      return;
    }
    for (const message of decoded.messages) {
      if (this.#closed) return;
      this.#handlers.onMessage(message);
    }
  }

  #close(reason: Refusal | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#held.bytes -= this.#decoder.held;
    this.#certificateEnd.cancel();
    this.#handlers.onClose(reason);
  }

  /** Calls do not outlive the certificate that opened them: the peer comes back with a newer one. */
  #endAt(certificateEndsMs: number): Timer {
    const leftMs = Math.max(0, certificateEndsMs - this.#clock.wallTimeMs());
    const reason = refusal('certificate-ended', 'the certificate of this connection has ended');
    // Longer than setTimeout can (2^31 ms) is longer than any workload certificate that matters.
    return this.#clock.after(Math.min(leftMs, 2 ** 31 - 1), () => this.fail(reason));
  }
}

const contentType = { 'content-type': 'application/grpc+json' };

function statusHeaders(reason: Refusal): Record<string, string> {
  const status = grpcStatus[refusalKinds[reason.code].status];
  return {
    'grpc-status': String(status),
    ...(status === 0 ? {} : { 'grpc-message': encodeURIComponent(reason.message) }),
  };
}

/** Ends a stream that never became a call. */
export function refuseStream(stream: ServerHttp2Stream, reason: Refusal, clock: Clock): void {
  if (isGone(stream)) return;
  stream.on('error', () => undefined);
  closeSoon(stream, clock);
  stream.respond({ ...contentType, ...statusHeaders(reason) }, { endStream: true });
  stream.resume();
}

/** Reset by the peer or torn down: answering would throw. */
function isGone(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.closed;
}

/**
 * A peer that is told the end closes its side; one that does not is not waited for. Without a code Node
 * would wait until the peer has read what is queued, which may be never.
 */
function closeSoon(stream: ServerHttp2Stream, clock: Clock): void {
  const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;
  const timer = clock.after(closeTimeoutMs, () =>
    stream.close(stream.writableFinished ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL),
  );
  stream.once('close', () => timer.cancel());
}

/** Who is on the other side, as its verified certificate says; null where it says nothing of the mesh. */
export function peerOf(socket: TLSSocket): { peer: Peer; certificateEndsMs: number } | null {
  const certificate = socket.getPeerX509Certificate();
  // X.509-SVID §5.2: an authority's certificate is nobody's identity.
  if (certificate === undefined || certificate.ca) return null;
  const names = (certificate.subjectAltName ?? '').split(', ');
  const uris = names.filter((name) => name.startsWith('URI:')).map((name) => name.slice(4));
  // X.509-SVID §2: exactly one URI.
  const identity = uris.length === 1 ? parseSpiffeId(uris[0]!) : null;
  if (identity === null) return null;
  const address = canonicalAddress(socket.remoteAddress ?? '');
  return { peer: { identity, address }, certificateEndsMs: certificate.validToDate.getTime() };
}
