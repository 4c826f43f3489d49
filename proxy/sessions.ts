// Makes the HTTP sessions of this sidecar from the codecs, each with the bounds and timeouts of its side.

import { createH1ClientSession } from './codec/h1-client.ts';
import type { H1Options } from './codec/h1-options.ts';
import { createH1ServerSession } from './codec/h1-server.ts';
import { SlabPool } from './codec/output.ts';
import type { Sessions } from './exchange/sessions.ts';

/** An app closes idle connections when it likes; most wait 5 s or longer (FACTS §6.3). */
const idleToAppMs = 3000;
/** A caller's connection pool decides when an idle connection ends, not the sidecar. */
const idleFromCallerMs = 3_600_000;

export function createSessions(): Sessions {
  const slabs = new SlabPool();
  const h1Server: Partial<H1Options> = { slabs, idleTimeoutMs: idleFromCallerMs };
  const h1Client: Partial<H1Options> = { slabs, idleTimeoutMs: idleToAppMs };
  return {
    h1Server: () => createH1ServerSession(h1Server),
    h1Client: () => createH1ClientSession(h1Client),
    h2Server: notBuilt,
    h2Client: notBuilt,
    meshServer: notBuilt,
    meshClient: notBuilt,
  };
}

function notBuilt(): never {
  throw new Error('HTTP/2 is not built in');
}
