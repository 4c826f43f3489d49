// Certificates and keys from PEM text. Pure; null where there is nothing that can be read.

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

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

/** Lower-case hexadecimal SHA-256 of the text of a key that cannot be read, or of its public half. */
export function keyFingerprint(keyPem: string): string {
  const key = readPrivateKey(keyPem);
  const bytes =
    key === null ? keyPem : createPublicKey(key).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(bytes).digest('hex');
}

export function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

export function decode(text: string | undefined): string {
  return Buffer.from(text ?? '', 'base64').toString();
}
