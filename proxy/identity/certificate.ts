// Reads X.509-SVIDs: the SPIFFE id of a certificate, and whether chain, key, roots and expected
// identity fit together now. Pure: PEM text and a time in, a verdict in words out.

import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { formatSpiffeId, parseSpiffeId, type SpiffeId, type SpiffeParts } from '../api/spiffe.ts';
import { maxTrustedRoots } from '../api/statistics.ts';

export interface IdentityMaterial {
  chainPem: string;
  keyPem: string;
  rootsPem: string;
}

export interface CheckedIdentity {
  spiffeId: SpiffeId;
  trustDomain: string;
  serial: string;
  notBeforeMs: number;
  notAfterMs: number;
  rootsNotAfterMs: number;
  /** SHA-256 fingerprints, upper-case hexadecimal: the root that the chain ends in, and all of ca.crt. */
  underRoot: string;
  trustedRoots: string[];
  /** Leaf and intermediates, for people. */
  chain?: ChainLink[];
}

export interface ChainLink {
  subject: string;
  issuer: string;
  serial: string;
  notBefore: string;
  notAfter: string;
  sha256: string;
}

export type IdentityVerdict =
  { ok: true; identity: CheckedIdentity } | { ok: false; reason: string };

const pemBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * The SPIFFE id in a subjectAltName text as Node writes it (`URI:spiffe://…, DNS:…`). Null without
 * exactly one URI of our layout (X.509-SVID §2 allows one).
 */
export function spiffeIdOf(subjectAltName: string | undefined): SpiffeId | null {
  if (subjectAltName === undefined) return null;
  const uris = subjectAltName.split(', ').filter((name) => name.startsWith('URI:'));
  if (uris.length !== 1) return null;
  const id = uris[0]!.slice('URI:'.length);
  return parseSpiffeId(id) === null ? null : (id as SpiffeId);
}

/** `expected` null accepts any SPIFFE id. */
export function checkIdentity(
  material: IdentityMaterial,
  expected: SpiffeParts | null,
  wallTimeMs: number,
): IdentityVerdict {
  try {
    return { ok: true, identity: verify(material, expected, wallTimeMs) };
  } catch (error) {
    return { ok: false, reason: (error as Error).message };
  }
}

function verify(
  material: IdentityMaterial,
  expected: SpiffeParts | null,
  now: number,
): CheckedIdentity {
  const chain = parseCertificates(material.chainPem, 'tls.crt');
  const roots = parseCertificates(material.rootsPem, 'ca.crt');
  const leaf = chain[0]!;
  if (!leaf.checkPrivateKey(parseKey(material.keyPem))) {
    throw new Error('tls.key is not the key of the certificate in tls.crt');
  }
  checkLeaf(leaf, now);
  const spiffeId = spiffeIdOf(leaf.subjectAltName);
  if (spiffeId === null) throw new Error('tls.crt carries no SPIFFE id of this mesh');
  if (expected !== null && spiffeId !== formatSpiffeId(expected)) {
    throw new Error(`tls.crt is for ${spiffeId}, not for ${formatSpiffeId(expected)}`);
  }
  const trusted = roots.filter((root) => isValidAt(root, now));
  if (trusted.length === 0) throw new Error('no root in ca.crt is valid now');
  const root = rootOf(chain, trusted, now);
  if (root === null) {
    throw new Error('tls.crt was not issued under a root of ca.crt that is valid now');
  }
  return {
    spiffeId,
    trustDomain: parseSpiffeId(spiffeId)!.trustDomain,
    serial: leaf.serialNumber,
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
    rootsNotAfterMs: Math.min(...trusted.map((one) => one.validToDate.getTime())),
    underRoot: fingerprintOf(root),
    trustedRoots: roots.map(fingerprintOf),
    chain: chain.map(linkOf),
  };
}

function parseCertificates(pem: string, file: string): X509Certificate[] {
  const blocks = pem.match(pemBlock) ?? [];
  if (blocks.length === 0) throw new Error(`${file} holds no certificate`);
  if (blocks.length > maxTrustedRoots) throw new Error(`${file} holds too many certificates`);
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new Error(`certificate ${index + 1} of ${file} cannot be read`);
    }
  });
}

function parseKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error('tls.key holds no private key that can be read');
  }
}

function checkLeaf(leaf: X509Certificate, now: number): void {
  if (leaf.ca) throw new Error('tls.crt is a certificate authority, not a workload');
  if (leaf.validFromDate.getTime() > now) {
    throw new Error(
      `tls.crt is valid only from ${leaf.validFromDate.toISOString()}: is a clock off?`,
    );
  }
  if (leaf.validToDate.getTime() <= now) {
    throw new Error(`tls.crt expired at ${leaf.validToDate.toISOString()}`);
  }
}

function isValidAt(certificate: X509Certificate, now: number): boolean {
  return certificate.validFromDate.getTime() <= now && now < certificate.validToDate.getTime();
}

/** Follows leaf and intermediates, in order, up to a root. */
function rootOf(
  chain: X509Certificate[],
  roots: X509Certificate[],
  now: number,
): X509Certificate | null {
  let current = chain[0]!;
  for (let next = 1; next <= chain.length; next += 1) {
    const root = roots.find((one) => isIssuedBy(current, one));
    if (root !== undefined) return root;
    const issuer = chain[next];
    if (issuer === undefined || !isIssuedBy(current, issuer) || !isValidAt(issuer, now))
      return null;
    current = issuer;
  }
  return null;
}

function linkOf(certificate: X509Certificate): ChainLink {
  const { subject, issuer, serialNumber, validFromDate, validToDate } = certificate;
  const oneLine = (name: string): string => name.replaceAll('\n', ', ');
  return {
    subject: oneLine(subject),
    issuer: oneLine(issuer),
    serial: serialNumber,
    notBefore: validFromDate.toISOString(),
    notAfter: validToDate.toISOString(),
    sha256: fingerprintOf(certificate),
  };
}

function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '');
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
