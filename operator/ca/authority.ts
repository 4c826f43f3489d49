// A certificate authority from PEM: makes a root, checks that key and certificates fit, issues leaves.
// It keeps nothing outside of memory; Secrets are beside it.

import { generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto';
import { curve, faultOfCa, selfSigned, trustDomainIn, type CaProblem } from './ca-checks.ts';
import { readCertificates, readPrivateKey } from './pem.ts';
import { fingerprintOf } from './trust.ts';
import type { CertificateAuthority, LeafRequest, TlsMaterial } from './types.ts';
import { backdateMs, minimumLifetimeMs, operatorDnsNames } from './types.ts';
import { buildCertificate, issuerFromCertificate } from './x509.ts';

/** PEM of a CA: issuing certificate (and those above it, but the root), its key, trusted roots. */
export interface CaPem {
  chainPem: string;
  keyPem: string;
  rootsPem: string;
}

export type CaResult =
  { ok: true; authority: CertificateAuthority } | { ok: false; problem: CaProblem };

/** A new self-signed root. */
export function createRoot(trustDomain: string, lifetimeMs: number, nowMs: number): CaPem {
  const { publicKey, privateKey } = createKeyPair();
  const { pem } = buildCertificate(
    {
      role: 'authority',
      subject: { organization: 'tsmesh', commonName: 'tsmesh root' },
      publicKey,
      notBeforeMs: nowMs - backdateMs,
      notAfterMs: nowMs + lifetimeMs,
      // X.509-SVID §2: a signing certificate has the id of its trust domain.
      uris: [`spiffe://${trustDomain}`],
      dnsNames: [],
    },
    { selfKey: privateKey },
  );
  return { chainPem: pem, keyPem: privateKeyPem(privateKey), rootsPem: pem };
}

/** Checks everything that would make sidecars refuse what this CA issues; `trustDomain` null: not known. */
export function loadAuthority(
  pem: CaPem,
  nowMs: number,
  trustDomain: string | null = null,
): CaResult {
  const chain = readCertificates(pem.chainPem);
  const roots = readCertificates(pem.rootsPem);
  const key = readPrivateKey(pem.keyPem);
  const issuing = chain?.[0];
  if (chain === null || roots === null || issuing === undefined) {
    return problem('CASecretUnreadable', 'tls.crt or ca.crt is not a PEM certificate');
  }
  if (key === null) {
    return problem('CASecretUnreadable', 'tls.key is not an unencrypted PEM private key');
  }
  const purpose = { trustDomain, dnsNames: operatorDnsNames };
  try {
    const fault = faultOfCa({ chain, roots, key }, purpose, nowMs);
    if (fault !== null) return { ok: false, problem: fault };
    return { ok: true, authority: authorityOf(pem, chain, key) };
  } catch (error) {
    // OpenSSL is laxer about DER than what reads the extensions here.
    return problem('CASecretUnreadable', `tls.crt: ${(error as Error).message}`);
  }
}

function authorityOf(pem: CaPem, chain: X509Certificate[], key: KeyObject): CertificateAuthority {
  const issuing = chain[0]!;
  const issuer = issuerFromCertificate(issuing.raw, key);
  const publicKey = issuing.publicKey;
  const notAfterMs = issuing.validToDate.getTime();
  // What a peer needs between the leaf and its roots; a root itself is of no use to it.
  const above = chain.filter((certificate) => !selfSigned(certificate)).map(String);
  return {
    certificatePem: issuing.toString(),
    keyPem: pem.keyPem,
    rootsPem: pem.rootsPem,
    notBeforeMs: issuing.validFromDate.getTime(),
    notAfterMs,
    trustDomain: trustDomainIn(issuing),
    fingerprint: fingerprintOf(issuing),
    issue: (request, nowMs) => {
      const leaf = buildLeaf(request, nowMs, notAfterMs);
      const built = buildCertificate(leaf.parts, issuer);
      return {
        ...leaf.times,
        chainPem: [built.pem, ...above].join(''),
        keyPem: leaf.keyPem,
        rootsPem: pem.rootsPem,
        serial: built.serial,
      };
    },
    issued: (certificatePem) => {
      const certificate = readCertificates(certificatePem)?.[0];
      return certificate !== undefined && certificate.verify(publicKey);
    },
  };
}

function buildLeaf(request: LeafRequest, nowMs: number, caNotAfterMs: number) {
  const { publicKey, privateKey } = createKeyPair();
  const lifetimeMs = Math.max(request.lifetimeMs, minimumLifetimeMs);
  // X.509 times are whole seconds.
  const second = Math.floor(nowMs / 1000) * 1000;
  const notAfterMs = Math.min(second + lifetimeMs, caNotAfterMs);
  const times: Pick<TlsMaterial, 'notBeforeMs' | 'notAfterMs'> = {
    notBeforeMs: second - backdateMs,
    notAfterMs,
  };
  return {
    times,
    keyPem: privateKeyPem(privateKey),
    parts: {
      role: 'leaf' as const,
      subject: { organization: 'tsmesh' },
      publicKey,
      ...times,
      uris: request.uris,
      dnsNames: request.dnsNames,
    },
  };
}

export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

export function createKeyPair(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: curve });
}

function problem(reason: CaProblem['reason'], message: string): CaResult {
  return { ok: false, problem: { reason, message } };
}
