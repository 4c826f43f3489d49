// What the inbound side is made of; filled in by the composition root. Types only.

import type { OutboundDeps } from '../outbound/deps.ts';

export type InboundDeps = Omit<OutboundDeps, 'resolver'>;

/** Far above what a pod is called by at once. */
export const defaultMaxConnections = 20_000;
/**
 * Silence on a port that admits plaintext, after which the app is connected too. Longer than outbound: a
 * sidecar that is short of CPU must not be taken for a silent client.
 */
export const defaultDetectMs = 150;
/** From accepting to the end of the TLS handshake, and for a first byte under STRICT. */
export const handshakeMs = 10_000;
