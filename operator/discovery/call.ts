// One gRPC call of a peer whose certificate was verified: messages in, messages out, one way to end it.
// It frames and bounds; what messages mean is not known here.

import type { ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { parseSpiffeId } from '../../proxy/api/spiffe.ts';
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

export class Call {
  readonly peer: Peer;
  /** End of the peer's certificate, Unix milliseconds. */
  readonly certificateEndsMs: number;
  readonly #stream: ServerHttp2Stream;
  readonly #decoder: FrameDecoder;
  readonly #handlers: CallHandlers;
  #accepted = false;
  #closed = false;

  constructor(
    stream: ServerHttp2Stream,
    options: { peer: Peer; certificateEndsMs: number; maxMessageBytes: number },
    makeHandlers: (call: Call) => CallHandlers,
  ) {
    this.#stream = stream;
    this.peer = options.peer;
    this.certificateEndsMs = options.certificateEndsMs;
    this.#decoder = new FrameDecoder(options.maxMessageBytes);
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
    if (this.#stream.destroyed) return;
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
    if (stream.destroyed) return;
    if (!this.#accepted) {
      stream.respond({ ...contentType, ...trailers }, { endStream: true });
    } else {
      stream.once('wantTrailers', () => stream.sendTrailers(trailers));
      stream.end();
    }
    // The peer's side may stay open: nothing of it is read any more.
    stream.resume();
  }

  /** Ends in order, status OK. */
  end(): void {
    this.fail(refusal('replaced', ''));
  }

  #onData(bytes: Buffer): void {
    if (this.#closed) return;
    const decoded = this.#decoder.push(bytes);
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
    this.#handlers.onClose(reason);
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
export function refuseStream(stream: ServerHttp2Stream, reason: Refusal): void {
  if (stream.destroyed) return;
  stream.on('error', () => undefined);
  stream.respond({ ...contentType, ...statusHeaders(reason) }, { endStream: true });
  stream.resume();
}

/** Who is on the other side, as its verified certificate says; null where it says nothing of the mesh. */
export function peerOf(socket: TLSSocket): { peer: Peer; certificateEndsMs: number } | null {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  const names = (certificate.subjectAltName ?? '').split(', ');
  const uris = names.filter((name) => name.startsWith('URI:')).map((name) => name.slice(4));
  // X.509-SVID §2: exactly one URI.
  const identity = uris.length === 1 ? parseSpiffeId(uris[0]!) : null;
  if (identity === null) return null;
  const address = canonicalAddress(socket.remoteAddress ?? '');
  return { peer: { identity, address }, certificateEndsMs: certificate.validToDate.getTime() };
}
