// How HTTP sessions of this sidecar are made: which bounds and timeouts hold on which side. Types and
// settings; the sessions themselves are the codecs'.

import { createH1ClientSession } from '../codec/h1-client.ts';
import { createH1ServerSession } from '../codec/h1-server.ts';
import { createH2ClientSession } from '../codec/h2-client.ts';
import { createH2ServerSession } from '../codec/h2-server.ts';
import type { H2Options } from '../codec/h2-options.ts';
import { SlabPool } from '../codec/output.ts';
import type { ClientSession, ServerSession } from '../codec/session.ts';
import { longestIdleMs } from '../pool/idle-limit.ts';

export interface Sessions {
  /** Towards the own app that calls, and plaintext callers of it. */
  h1Server(): ServerSession;
  /** Towards the own app that calls. */
  h2Server(): ServerSession;
  /** Towards plaintext callers of the own app. */
  strangerH2Server(): ServerSession;
  /** Towards the own app and endpoints without a sidecar. */
  h1Client(): ClientSession;
  h2Client(): ClientSession;
  /** Between sidecars. */
  meshServer(): ServerSession;
  meshClient(): ClientSession;
}

/** Apps and their pools keep connections open long; a sidecar that closes one first causes races. */
const appIdleMs = 3_600_000;
const meshKeepalive = {
  /** A peer that vanished without a word is noticed, and its requests fail, after this and as much again. */
  keepaliveIntervalMs: 10_000,
  keepaliveTimeoutMs: 10_000,
  /**
   * What one sidecar took, the next must not refuse: a head within the bounds of HTTP/1.1 (h1-options.ts) counts 32
   * bytes more for each field here, and sidecars add some.
   */
  maxHeaderListBytes: 96 * 1024,
  /**
   * One socket read is one DATA frame, and none is cut in four: half the work of the codec per byte (9 instead of 21 ms
   * per GiB). Larger ones bring nothing more, and others wait longer behind them.
   */
  maxFrameBytes: 64 * 1024,
} as const;

/** Timeouts of an overloaded app reset many streams at once: between sidecars that is no attack. */
const meshFloodFactor = 100;

/**
 * Deadlines of gRPC calls on a slow app cancel, and a failing app resets, hundreds of streams in a second. The own app that
 * floods harms its own sidecar only, so it may do more than strangers, but not without bound.
 */
const ownAppFloodFactor = 10;

/** `h2`: for all HTTP/2 sessions, in place of the defaults of codec/h2-options. */
export function createSessions(h2: Partial<H2Options> = {}): Sessions {
  const slabs = new SlabPool();
  return {
    h1Server: () => createH1ServerSession({ slabs, idleTimeoutMs: appIdleMs }),
    h2Server: () =>
      createH2ServerSession({
        slabs,
        idleTimeoutMs: appIdleMs,
        floodFactor: ownAppFloodFactor,
        ...h2,
      }),
    strangerH2Server: () => createH2ServerSession({ slabs, idleTimeoutMs: appIdleMs, ...h2 }),
    h1Client: () => createH1ClientSession({ slabs, idleTimeoutMs: longestIdleMs }),
    h2Client: () => createH2ClientSession({ slabs, floodFactor: ownAppFloodFactor, ...h2 }),
    meshServer: () =>
      createH2ServerSession({ slabs, floodFactor: meshFloodFactor, ...meshKeepalive, ...h2 }),
    meshClient: () =>
      createH2ClientSession({ slabs, floodFactor: meshFloodFactor, ...meshKeepalive, ...h2 }),
  };
}
