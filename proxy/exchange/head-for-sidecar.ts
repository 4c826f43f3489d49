// The head of a request as one sidecar sends it to another.

import type { RequestHead } from '../codec/session.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { ExchangeContext } from './context.ts';
import { withMeshFields } from './mesh-fields.ts';

/** The first that goes over a connection tells the workload, too. */
export function headForSidecar(
  { deps }: ExchangeContext,
  connection: PooledConnection,
  head: RequestHead,
  http2: boolean,
): RequestHead {
  if (connection.introduced) return withMeshFields(head, http2);
  connection.introduced = true;
  const sourceWorkload = deps.store.snapshot().workload?.workload ?? '';
  return withMeshFields(head, http2, sourceWorkload);
}
