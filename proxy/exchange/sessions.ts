// How HTTP sessions of this sidecar are made: which bounds and timeouts hold on which side. Types and
// settings; the sessions themselves are the codecs'.

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
