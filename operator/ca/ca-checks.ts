// What makes a CA unfit for the mesh: everything for which a sidecar would refuse what it issues, and
// what is too weak to sign identities. Pure; the first fault found, in words for who brought the CA.

import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { isIssuedBy, rootOf } from './trust.ts';
import { constraintsOf, type NameConstraints } from './x509-constraints.ts';

/** Why a CA cannot issue. */
export interface CaProblem {
  reason:
    | 'CASecretIncomplete'
    | 'CASecretUnreadable'
    | 'CAKeyMismatch'
    | 'CANotAnAuthority'
    | 'CAKeyUnsupported'
    | 'CAExpired'
    | 'CANotYetValid'
    | 'CARootMissing'
    | 'CAChainBroken'
    | 'CAWeak'
    | 'CAPathLength'
    | 'CANameConstraints'
    | 'CATrustDomain';
  message: string;
}

export interface CaParts {
  /** The issuing certificate, then those above it. */
  chain: X509Certificate[];
  roots: X509Certificate[];
  key: KeyObject;
}

/** What it is to issue: SPIFFE ids of this trust domain (null: not known) and these DNS names. */
export interface CaPurpose {
  trustDomain: string | null;
  dnsNames: readonly string[];
}

export const curve = 'prime256v1';
const minimumRsaBits = 2048;
/** RFC 5480 and NIST SP 800-57: below this, not for identities. */
const weakCurve = /^(?:prime192|secp1|secp224|prime239|sect)/;
const weakHash = /md5|sha-?1(?!\d)/i;

export function faultOfCa(parts: CaParts, purpose: CaPurpose, nowMs: number): CaProblem | null {
  const { chain, roots, key } = parts;
  const issuing = chain[0]!;
  return (
    faultOfKey(issuing, key) ??
    faultOfTime(issuing, 'the issuing certificate', nowMs) ??
    faultOfLinks(chain, roots, nowMs) ??
    faultOfStrength(chain, roots) ??
    faultOfConstraints(chain, purpose)
  );
}

/** The id of a trust domain in a signing certificate (X.509-SVID §2). */
export function trustDomainIn(certificate: X509Certificate): string | null {
  return /URI:spiffe:\/\/([a-z0-9._-]+)(?:,|$)/.exec(certificate.subjectAltName ?? '')?.[1] ?? null;
}

export function selfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey);
}

function faultOfKey(issuing: X509Certificate, key: KeyObject): CaProblem | null {
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== curve) {
    const kind = describeKey(createPublicKey(key));
    const message = `tls.key is ${kind}; the mesh signs with ECDSA P-256 only`;
    return { reason: 'CAKeyUnsupported', message };
  }
  if (!issuing.checkPrivateKey(key)) {
    return { reason: 'CAKeyMismatch', message: 'tls.key does not belong to tls.crt' };
  }
  if (issuing.ca) return null;
  const message =
    'tls.crt may not issue certificates (basicConstraints CA or keyCertSign is missing)';
  return { reason: 'CANotAnAuthority', message };
}

function faultOfTime(one: X509Certificate, what: string, nowMs: number): CaProblem | null {
  if (one.validToDate.getTime() <= nowMs) {
    const message = `${what} ended at ${one.validToDate.toISOString()}`;
    return { reason: 'CAExpired', message };
  }
  if (one.validFromDate.getTime() > nowMs) {
    const message = `${what} begins at ${one.validFromDate.toISOString()}`;
    return { reason: 'CANotYetValid', message };
  }
  return null;
}

/** Sidecars verify up to a root that is in force, through certificates that are in force. */
function faultOfLinks(
  chain: X509Certificate[],
  roots: X509Certificate[],
  nowMs: number,
): CaProblem | null {
  const inForce = roots.filter((root) => faultOfTime(root, '', nowMs) === null);
  for (const [index, above] of chain.entries()) {
    if (index === 0 || rootOf(chain.slice(0, index), inForce) !== null) continue;
    if (!isIssuedBy(chain[index - 1]!, above)) {
      const message = `certificate ${index + 1} of tls.crt has not issued the one before it, or may not issue`;
      return { reason: 'CAChainBroken', message };
    }
    const fault = faultOfTime(above, `certificate ${index + 1} of tls.crt`, nowMs);
    if (fault !== null) return fault;
  }
  const root = rootOf(chain, inForce);
  if (root !== null && selfSigned(root)) return null;
  const message =
    root === null
      ? 'no root in ca.crt that is still valid has issued tls.crt'
      : 'what ca.crt holds above tls.crt is not self-signed: the root itself is needed';
  return { reason: 'CARootMissing', message };
}

function faultOfStrength(chain: X509Certificate[], roots: X509Certificate[]): CaProblem | null {
  const root = rootOf(chain, roots);
  const all = chain.map((one, index) => ({ one, where: `certificate ${index + 1} of tls.crt` }));
  if (root !== null) all.push({ one: root, where: 'the root in ca.crt' });
  for (const { one, where } of all) {
    const weakness = weaknessOf(one);
    if (weakness === null) continue;
    const message = `${where} is ${weakness}, which is too weak for identities`;
    return { reason: 'CAWeak', message };
  }
  return null;
}

function weaknessOf(one: X509Certificate): string | null {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = one.publicKey;
  const short = type === 'rsa' && (details?.modulusLength ?? 0) < minimumRsaBits;
  if (short || weakCurve.test(details?.namedCurve ?? '')) {
    return `of a key ${describeKey(one.publicKey)}`;
  }
  const signedWith = String(one.signatureAlgorithm);
  return !selfSigned(one) && weakHash.test(signedWith) ? `signed with ${signedWith}` : null;
}

function faultOfConstraints(chain: X509Certificate[], purpose: CaPurpose): CaProblem | null {
  const { trustDomain, dnsNames } = purpose;
  const own = trustDomainIn(chain[0]!);
  if (own !== null && trustDomain !== null && own !== trustDomain) {
    const message = `tls.crt is for the trust domain ${own}, and the mesh's is ${trustDomain}`;
    return { reason: 'CATrustDomain', message };
  }
  for (const [index, one] of chain.entries()) {
    const { pathLength, names } = constraintsOf(one.raw);
    const where = `certificate ${index + 1} of tls.crt`;
    // RFC 5280 §4.2.1.9: intermediates below it; the leaf does not count.
    if (pathLength !== null && pathLength < index && !selfSigned(chain[index - 1]!)) {
      const message = `${where} allows ${pathLength} certificates below it (path length), and there are ${index}`;
      return { reason: 'CAPathLength', message };
    }
    const refused = names === null ? null : refusedName(names, { trustDomain, dnsNames });
    if (refused === null) continue;
    const message = `${where} may not issue ${refused} (name constraints)`;
    return { reason: 'CANameConstraints', message };
  }
  return null;
}

/** What the mesh issues and the constraints do not allow; null where they allow all of it. */
function refusedName(names: NameConstraints, purpose: CaPurpose): string | null {
  // Leaves have the subject O=tsmesh, which no directory name of a user's permits.
  if (names.permitted.directory) return 'names outside its directory';
  const { trustDomain, dnsNames } = purpose;
  const uri = trustDomain !== null && !isAllowed(trustDomain, names, 'uris');
  if (uri) return `spiffe://${trustDomain}/…`;
  return dnsNames.find((name) => !isAllowed(name, names, 'dnsNames')) ?? null;
}

function isAllowed(
  name: string,
  { permitted, excluded }: NameConstraints,
  kind: 'uris' | 'dnsNames',
): boolean {
  const fits = (constraint: string) => isWithin(name, constraint, kind);
  if (excluded[kind].some(fits)) return false;
  return permitted[kind].length === 0 || permitted[kind].some(fits);
}

/** RFC 5280 §4.2.1.10: a URI's host is exact without a leading dot; a DNS name takes all below it. */
function isWithin(name: string, constraint: string, kind: 'uris' | 'dnsNames'): boolean {
  const wanted = constraint.toLowerCase();
  if (wanted === '') return true;
  if (wanted.startsWith('.')) return name.endsWith(wanted);
  return name === wanted || (kind === 'dnsNames' && name.endsWith(`.${wanted}`));
}

function describeKey(publicKey: KeyObject): string {
  const details = publicKey.asymmetricKeyDetails;
  const size = details?.namedCurve ?? details?.modulusLength;
  return [publicKey.asymmetricKeyType, size].filter((part) => part !== undefined).join(' ');
}
