// Which root a chain ends in, and which roots somebody trusts, by fingerprint: what root rotation
// compares. Pure; it judges neither keys nor times.

import type { X509Certificate } from 'node:crypto';
import { readCertificates } from './pem.ts';

/** Of one holder of certificates; fingerprints are upper-case hexadecimal SHA-256. */
export interface Trust {
  /** Null: its chain ends in none of the roots that it trusts. */
  underRoot: string | null;
  trustedRoots: readonly string[];
}

export function trustOf(material: { chainPem: string; rootsPem: string }): Trust {
  const chain = readCertificates(material.chainPem) ?? [];
  const roots = readCertificates(material.rootsPem) ?? [];
  const root = rootOf(chain, roots);
  return {
    underRoot: root === null ? null : fingerprintOf(root),
    trustedRoots: roots.map(fingerprintOf),
  };
}

/**
 * Follows a chain, leaf or issuing certificate first and each signed by the next, up to one of the roots.
 * A chain that begins with a root, or holds one at its end, ends in it.
 */
export function rootOf(
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): X509Certificate | null {
  for (const [index, current] of chain.entries()) {
    const root = roots.find(
      (one) => one.fingerprint256 === current.fingerprint256 || isIssuedBy(current, one),
    );
    if (root !== undefined) return root;
    const next = chain[index + 1];
    if (next === undefined || !isIssuedBy(current, next)) return null;
  }
  return null;
}

export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '');
}

/** PEM of all certificates of both texts, each once, in order. */
export function unionOfRoots(first: string, second: string): string {
  const roots = new Map<string, string>();
  for (const text of [first, second]) {
    for (const root of readCertificates(text) ?? []) roots.set(fingerprintOf(root), String(root));
  }
  return [...roots.values()].join('');
}

/** PEM of the certificates that are not among `dropped` (fingerprints). */
export function withoutRoots(rootsPem: string, dropped: readonly string[]): string {
  const roots = readCertificates(rootsPem) ?? [];
  return roots
    .filter((root) => !dropped.includes(fingerprintOf(root)))
    .map(String)
    .join('');
}
