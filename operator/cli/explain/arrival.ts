// A call where it arrives. Types only.

import type { RequestHead } from '../../../proxy/codec/session.ts';

/** A connection as it arrives at a pod. */
export interface Arrival {
  address: string;
  port: number;
  podName: string;
  /** Of whoever calls by mutual TLS; null: plaintext. */
  peerIdentity: string | null;
  peerAddress: string;
  /** The caller is the pod itself. */
  own: boolean;
  /** As the caller's sidecar sends it; null: opaque TCP. */
  request: RequestHead | null;
}
