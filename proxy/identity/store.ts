// What the rest of the sidecar knows of its identity: the certificate in force and news of a change.
// Types and the holder; loading and checking is beside it.

import type { ChainLink } from './certificate.ts';
import type { SecureContext } from 'node:tls';
import type { SpiffeId } from '../api/spiffe.ts';

/** Certificate, key and roots that were checked to fit; replaced as a whole. */
export interface Identity {
  /** For client and server side of mesh connections: chain, key and roots are in it. */
  readonly secureContext: SecureContext;
  readonly spiffeId: SpiffeId;
  readonly trustDomain: string;
  /** Serial number, upper-case hexadecimal. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly rootsPem: string;
  /** Earliest end of a trusted root. */
  readonly rootsNotAfterMs: number;
  /** Fingerprints (see `CertificateFacts`): the root that the chain ends in, and all of `rootsPem`. */
  readonly underRoot: string;
  readonly trustedRoots: readonly string[];
  /** Leaf and intermediates, for people. */
  readonly chain?: readonly ChainLink[];
  /** Grows by one with each change: connections remember the one they were made with. */
  readonly generation: number;
}

export interface IdentityStore {
  /** Null before the first; read once per connection. */
  current(): Identity | null;
  /** Called after each swap; returns how to stop. */
  onChange(listener: (identity: Identity) => void): () => void;
}

export interface IdentityHolder extends IdentityStore {
  swap(identity: Omit<Identity, 'generation'>): Identity;
}

export function createIdentityHolder(): IdentityHolder {
  let held: Identity | null = null;
  const listeners = new Set<(identity: Identity) => void>();
  return {
    current: () => held,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    swap(identity) {
      const next = { ...identity, generation: (held?.generation ?? 0) + 1 };
      held = next;
      for (const listener of listeners) listener(next);
      return next;
    },
  };
}
