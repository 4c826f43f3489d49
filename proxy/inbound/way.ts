// How an inbound connection is looked at, from what its port is declared as and whether opaque bytes may
// come at all. Pure; what comes of it is race.ts.

import type { InboundPort } from '../api/resources.ts';
import type { LocalReply } from '../exchange/local-reply.ts';
import { modeOf, refusalMs, type RaceMode } from '../exchange/race.ts';
import { isHttp, isTcp } from './first-bytes.ts';

export interface Way {
  mode: RaceMode;
  port: InboundPort;
  /** Of opaque bytes; HTTP is judged request by request. */
  refusal: LocalReply | null;
}

/** Silence where only HTTP could be let in: a client may have opened its connection in advance. */
const silentDeniedMs = 5_000;

/** Null: refused at once. `silent`: it may still turn out to be a mesh peer, on a machine that has much to do. */
export function wayOfPlain(
  port: InboundPort,
  refusal: LocalReply | null,
  silent: boolean,
): Way | null {
  const declared = silent && isTcp(port) ? 'detect' : modeOf(port.protocol);
  if (refusal === null) return { mode: declared, port, refusal };
  // In words, to whoever speaks HTTP, whatever the port is declared as.
  if (refusal.code === 'mtls-required') return { mode: 'refuse', port, refusal };
  if (isHttp(port)) return { mode: declared, port, refusal };
  return declared === 'opaque' ? null : { mode: 'refuse', port, refusal };
}

/**
 * The same for what a peer carries as opaque. Where only HTTP is spoken, what its rules and the app look at is not left to
 * what the caller calls it. On an undeclared port a caller's sidecar opens a tunnel too where its app is silent, which may
 * be HTTP yet: what is refused is only refused once it speaks, or after a while.
 */
export function wayOfPeer(port: InboundPort, refusal: LocalReply | null): Way | null {
  if (isHttp(port)) return { mode: modeOf(port.protocol), port, refusal };
  if (refusal === null) return { mode: 'opaque', port, refusal };
  return isTcp(port) ? null : { mode: 'refuse', port, refusal };
}

/** How long silence is waited for. */
export function silentMs({ mode, refusal, port }: Way): number {
  if (mode !== 'refuse') return 1;
  return refusal?.code === 'mtls-required' || isTcp(port) ? refusalMs : silentDeniedMs;
}
