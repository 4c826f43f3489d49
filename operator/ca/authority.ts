// A certificate authority from PEM: makes a root, checks that key and certificates fit, issues leaves.
// It keeps nothing outside of memory; Secrets are beside it.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  X509Certificate,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { CertificateAuthority, LeafRequest, TlsMaterial } from './types.ts';
import { backdateMs, minimumLifetimeMs } from './types.ts';
import { buildCertificate, issuerFromCertificate } from './x509.ts';

/** PEM of a CA: issuing certificate (and those above it, but the root), its key, trusted roots. */
export interface CaPem {
  chainPem: string;
  keyPem: string;
  rootsPem: string;
}

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
    | 'CARootMissing';
  message: string;
}

export type CaResult =
  { ok: true; authority: CertificateAuthority } | { ok: false; problem: CaProblem };

const curve = 'prime256v1';
const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** A new self-signed root. */
export function createRoot(trustDomain: string, lifetimeMs: number, nowMs: number): CaPem {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve });
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

/** Checks everything that would make sidecars refuse what this CA issues. */
export function loadAuthority(pem: CaPem, nowMs: number): CaResult {
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
  const fault =
    faultOfKey(issuing, key) ?? faultOfTime(issuing, nowMs) ?? faultOfRoots(chain, roots, nowMs);
  if (fault !== null) return { ok: false, problem: fault };
  return { ok: true, authority: authorityOf(pem, chain, key) };
}

/** PEM certificates in order; null where there is none or one is malformed. */
export function readCertificates(pem: string): X509Certificate[] | null {
  const blocks = pem.match(certificateBlock);
  if (blocks === null) return null;
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return null;
  }
}

export function readPrivateKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
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
    trustDomain: trustDomainOf(issuing),
    fingerprint: issuing.fingerprint256.replaceAll(':', ''),
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
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve });
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

function faultOfKey(issuing: X509Certificate, key: KeyObject): CaProblem | null {
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== curve) {
    return {
      reason: 'CAKeyUnsupported',
      message: `tls.key is ${describeKey(key)}; the mesh signs with ECDSA P-256 only`,
    };
  }
  if (!issuing.checkPrivateKey(key)) {
    return { reason: 'CAKeyMismatch', message: 'tls.key does not belong to tls.crt' };
  }
  if (!issuing.ca) {
    return {
      reason: 'CANotAnAuthority',
      message: 'tls.crt may not issue certificates (basicConstraints CA or keyCertSign is missing)',
    };
  }
  return null;
}

function faultOfTime(issuing: X509Certificate, nowMs: number): CaProblem | null {
  if (issuing.validToDate.getTime() <= nowMs) {
    const end = issuing.validToDate.toISOString();
    return { reason: 'CAExpired', message: `the issuing certificate ended at ${end}` };
  }
  if (issuing.validFromDate.getTime() > nowMs) {
    const begin = issuing.validFromDate.toISOString();
    return { reason: 'CANotYetValid', message: `the issuing certificate begins at ${begin}` };
  }
  return null;
}

/** Sidecars verify up to `roots`: the chain has to reach one of them that is in force. */
function faultOfRoots(
  chain: X509Certificate[],
  roots: X509Certificate[],
  nowMs: number,
): CaProblem | null {
  const reached = chain.some((certificate) =>
    roots.some(
      (root) =>
        root.validToDate.getTime() > nowMs &&
        (root.fingerprint256 === certificate.fingerprint256 ||
          (certificate.checkIssued(root) && certificate.verify(root.publicKey))),
    ),
  );
  if (reached) return null;
  return {
    reason: 'CARootMissing',
    message: 'no root in ca.crt that is still valid has issued tls.crt',
  };
}

function trustDomainOf(certificate: X509Certificate): string | null {
  return /URI:spiffe:\/\/([a-z0-9._-]+)(?:,|$)/.exec(certificate.subjectAltName ?? '')?.[1] ?? null;
}

function selfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey);
}

function describeKey(key: KeyObject): string {
  const publicKey = createPublicKey(key);
  const details = publicKey.asymmetricKeyDetails;
  const size = details?.namedCurve ?? details?.modulusLength;
  return [publicKey.asymmetricKeyType, size].filter((part) => part !== undefined).join(' ');
}

function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function problem(reason: CaProblem['reason'], message: string): CaResult {
  return { ok: false, problem: { reason, message } };
}
