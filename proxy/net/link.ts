// One established connection as the rest of the sidecar sees it: a byte stream, the TCP socket under it,
// and who is at the other end. No reading or writing happens here.

import type { Socket } from 'node:net';
import type { SpiffeId } from '../api/spiffe.ts';
import type { Clock } from './clock.ts';
import type { Flusher } from './flusher.ts';
import type { SocketReader } from './socket-reader.ts';
import type { SocketWriter } from './socket-writer.ts';
import type { TimerWheel } from './timer-wheel.ts';

/** What everything that does input or output shares; made once in the composition root. */
export interface Io {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly flusher: Flusher;
  readonly reader: SocketReader;
  readonly writer: SocketWriter;
  readonly handshakes: Handshakes;
}

/** Of mesh mTLS, by the side that this sidecar was on. */
export type Handshakes = Record<'inbound' | 'outbound', { ok: number; failed: number }>;

export function sumHandshakes(parts: readonly Handshakes[]): Handshakes {
  const sum = newHandshakes();
  for (const part of parts)
    for (const direction of ['inbound', 'outbound'] as const) {
      sum[direction].ok += part[direction].ok;
      sum[direction].failed += part[direction].failed;
    }
  return sum;
}

export function newHandshakes(): Handshakes {
  return { inbound: { ok: 0, failed: 0 }, outbound: { ok: 0, failed: 0 } };
}

/** What mutual TLS proved. */
export interface PeerFacts {
  readonly id: SpiffeId;
  /** End of the shorter-lived of both certificates, Unix milliseconds. */
  readonly notAfterMs: number;
  /** SHA-256 of the peer's leaf, lower-case hexadecimal without colons. */
  readonly certificateHash: string;
  /** Of the own identity that the connection was made with. */
  readonly generation: number;
  readonly alpn: string;
}

/** Nothing runs on a certificate that has ended (DESIGN §5). */
export function isExpired(peer: PeerFacts | null, wallTimeMs: number): boolean {
  return peer !== null && peer.notAfterMs <= wallTimeMs;
}

export interface Link {
  /** Bytes of the application: a TLS socket, or the TCP socket itself. */
  readonly socket: Socket;
  readonly raw: Socket;
  /** Null in plaintext. */
  readonly peer: PeerFacts | null;
}

/** For every TCP socket: bytes taken before `write` answers false, so that bulk data moves in large pieces. */
export const socketBufferBytes = 256 * 1024;
/** A dead peer is noticed although nothing is sent. */
export const keepAliveIdleMs = 30_000;

/**
 * The peer sees a reset, not an orderly end: what it received is not complete. While an end is on its way
 * (or waits behind data) libuv refuses a reset and Node then never closes the handle: such a socket is closed.
 */
export function resetLink(link: Link): void {
  const { socket, raw } = link;
  if (!raw.destroyed) {
    if (isEnding(socket) || isEnding(raw)) raw.destroy();
    else reset(raw);
  }
  // Not now: this may run within a callback of OpenSSL (handshake done, session ticket). With the handle below it
  // gone, Node frees the TLS state at the end of that very callback, and OpenSSL goes on in freed memory.
  if (socket !== raw) setImmediate(destroy, socket);
}

function destroy(socket: Socket): void {
  socket.destroy();
}

function isEnding({ writableEnded, writableFinished }: Socket): boolean {
  return writableEnded && !writableFinished;
}

function reset(raw: Socket): void {
  try {
    raw.resetAndDestroy();
  } catch {
    // Not a TCP handle (any more): closing is all that is left.
    raw.destroy();
  }
}
