// How HTTP sessions of this sidecar are made: which bounds and timeouts hold on which side. Types and
// settings; the sessions themselves are the codecs'.

import { createH1ClientSession } from '../codec/h1-client.ts';
import { createH1ServerSession } from '../codec/h1-server.ts';
import { SlabPool } from '../codec/output.ts';
import type { ClientSession, ServerSession } from '../codec/session.ts';

export interface Sessions {
  /** Towards apps that call, and plaintext callers of the own app. */
  h1Server(): ServerSession;
  h2Server(): ServerSession;
  /** Towards the own app and endpoints without a sidecar. */
  h1Client(): ClientSession;
  h2Client(): ClientSession;
  /** Between sidecars. */
  meshServer(): ServerSession;
  meshClient(): ClientSession;
}

/** Apps and their pools keep connections open long; a sidecar that closes one first causes races. */
const appIdleMs = 3_600_000;
/** FACTS §6.3: shorter than any server's keep-alive, so that the app never closes a connection in use. */
const upstreamIdleMs = 3_000;

export function createSessions(): Sessions {
  const slabs = new SlabPool();
  const h1Server = () => createH1ServerSession({ slabs, idleTimeoutMs: appIdleMs });
  const h1Client = () => createH1ClientSession({ slabs, idleTimeoutMs: upstreamIdleMs });
  return {
    h1Server,
    h1Client,
    h2Server: h1Server,
    h2Client: h1Client,
    meshServer: h1Server,
    meshClient: h1Client,
  };
}
