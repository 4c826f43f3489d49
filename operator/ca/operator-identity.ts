// The operator's own certificate, for its webhooks and its discovery service: minted by each replica
// for itself, kept in memory only, renewed before it ends.

import { systemNamespace } from '../../proxy/api/constants.ts';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import { trustDomainOf } from './trust-domain.ts';
import type { CaSource, TlsMaterial } from './types.ts';
import { defaultLifetimeMs, operatorDnsNames } from './types.ts';

export interface OperatorIdentity {
  /** Null before the first; it outlives a CA that cannot issue any more. */
  current(): TlsMaterial | null;
  /** Called after each change; returns how to stop. */
  onChange(listener: (material: TlsMaterial) => void): () => void;
  /** Mints where there is none, or where it is due or the CA has changed. To be called every minute. */
  renewIfDue(nowMs: number): void;
}

export const operatorServiceAccount = 'tsmesh-operator';
const renewShare = 2 / 3;

export function createOperatorIdentity(deps: {
  ca: CaSource;
  getMesh: () => Mesh | null;
}): OperatorIdentity {
  let held: { material: TlsMaterial; issuer: string; trustDomain: string } | null = null;
  const listeners = new Set<(material: TlsMaterial) => void>();
  return {
    current: () => held?.material ?? null,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    renewIfDue(nowMs) {
      const authority = deps.ca.current(nowMs);
      if (authority === null) return;
      const trustDomain = trustDomainOf(deps.getMesh(), authority);
      const good =
        held !== null &&
        held.issuer === authority.fingerprint &&
        held.trustDomain === trustDomain &&
        held.material.rootsPem === authority.rootsPem &&
        nowMs < renewAt(held.material);
      if (good) return;
      const ref = { namespace: systemNamespace, serviceAccount: operatorServiceAccount };
      const uris = [formatSpiffeId({ trustDomain, ...ref })];
      const material = authority.issue(
        { uris, dnsNames: [...operatorDnsNames], lifetimeMs: defaultLifetimeMs },
        nowMs,
      );
      held = { material, issuer: authority.fingerprint, trustDomain };
      for (const listener of listeners) listener(material);
    },
  };
}

function renewAt(material: TlsMaterial): number {
  return material.notBeforeMs + (material.notAfterMs - material.notBeforeMs) * renewShare;
}
