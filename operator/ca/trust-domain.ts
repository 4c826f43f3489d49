// The trust domain in force. Pure.

import type { Mesh } from '../resources/tsmesh.ts';
import { defaultTrustDomain, type CertificateAuthority } from './types.ts';

/** Without a Mesh (deleted, and made again in a moment) what the CA was made for counts. */
export function trustDomainOf(mesh: Mesh | null, authority: CertificateAuthority | null): string {
  return mesh?.spec.trustDomain ?? authority?.trustDomain ?? defaultTrustDomain;
}
