// Test support: identities under one test root, as the operator's CA would issue them.

import { createRoot, loadAuthority } from '../../operator/ca/authority.ts';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import { checkIdentity } from '../../proxy/identity/certificate.ts';
import { secureContextOf } from '../../proxy/identity/secure-context.ts';
import type { Identity } from '../../proxy/identity/store.ts';

const hourMs = 3_600_000;

export type NewIdentity = (serviceAccount: string) => Omit<Identity, 'generation'>;

/** Each call of the result issues a new certificate. */
export function testAuthority(trustDomain = 'cluster.local'): NewIdentity {
  const nowMs = Date.now();
  const loaded = loadAuthority(createRoot(trustDomain, 24 * hourMs, nowMs), nowMs);
  if (!loaded.ok) throw new Error(loaded.problem.message);
  return (serviceAccount) => {
    const uri = formatSpiffeId({ trustDomain, namespace: 'shop', serviceAccount });
    const request = { uris: [uri], dnsNames: [], lifetimeMs: hourMs };
    const leaf = loaded.authority.issue(request, nowMs);
    const verdict = checkIdentity(leaf, null, nowMs);
    if (!verdict.ok) throw new Error(verdict.reason);
    const { identity } = verdict;
    return {
      ...identity,
      rootsPem: leaf.rootsPem,
      secureContext: secureContextOf(leaf),
    };
  };
}
