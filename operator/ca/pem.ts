// Certificates and keys from PEM text. Pure; null where there is nothing that can be read.

import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';

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

export function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

export function decode(text: string | undefined): string {
  return Buffer.from(text ?? '', 'base64').toString();
}
