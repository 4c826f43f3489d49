// Test support: X.509 certificates with anything in them, as no CA of the mesh would issue them. DER is written by
// hand here, so that what is odd does not depend on what a library lets through.

import {
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  type KeyObject,
} from 'node:crypto';

const oids = {
  commonName: [2, 5, 4, 3],
  keyUsage: [2, 5, 29, 15],
  subjectAltName: [2, 5, 29, 17],
  basicConstraints: [2, 5, 29, 19],
  nameConstraints: [2, 5, 29, 30],
  extendedKeyUsage: [2, 5, 29, 37],
  serverAuth: [1, 3, 6, 1, 5, 5, 7, 3, 1],
  clientAuth: [1, 3, 6, 1, 5, 5, 7, 3, 2],
  codeSigning: [1, 3, 6, 1, 5, 5, 7, 3, 3],
  ecdsaWithSha256: [1, 2, 840, 10045, 4, 3, 2],
  rsaWithSha256: [1, 2, 840, 113549, 1, 1, 11],
  rsaWithSha1: [1, 2, 840, 113549, 1, 1, 5],
} as const;

/** Tags of DER, and of GeneralName (RFC 5280 §4.2.1.6). */
const sequenceTag = 0x30;
const generalName = { email: 0x81, dns: 0x82, uri: 0x86 } as const;
/** RFC 5280 §4.2.1.3. */
const keyUsages = { digitalSignature: 0x80, keyCertSign: 0x04 } as const;

export type Names = readonly (readonly [keyof typeof generalName, string])[];

export interface OddParts {
  commonName?: string;
  /** Absent: a new P-256 key. */
  key?: KeyObject;
  notBeforeMs?: number;
  notAfterMs?: number;
  names?: Names;
  ca?: boolean;
  usages?: readonly (keyof typeof keyUsages)[];
  purposes?: readonly ('serverAuth' | 'clientAuth' | 'codeSigning')[];
  /** The one URI host that a CA may issue for. */
  permittedUriHost?: string;
  /** SHA-1 needs an issuer with an RSA key. */
  sha1?: boolean;
}

export interface OddCertificate {
  pem: string;
  der: Buffer;
  key: KeyObject;
  keyPem: string;
  subject: Buffer;
}

export const newKey = {
  p256: () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey,
  curve: (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey,
  rsa: (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).privateKey,
} as const;

const hourMs = 3_600_000;

/** `issuer` null: signed with its own key. Without parts: a leaf that is good but for having no name. */
export function oddCertificate(parts: OddParts, issuer: OddCertificate | null): OddCertificate {
  const key = parts.key ?? newKey.p256();
  const subject = nameOf(parts.commonName ?? 'odd');
  const signingKey = issuer?.key ?? key;
  const algorithm = algorithmOf(signingKey, parts.sha1 === true);
  const now = Date.now();
  const body = der(
    sequenceTag,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    issuer?.subject ?? subject,
    der(
      sequenceTag,
      timeOf(parts.notBeforeMs ?? now - hourMs),
      timeOf(parts.notAfterMs ?? now + hourMs),
    ),
    subject,
    publicKeyOf(key),
    der(0xa3, der(sequenceTag, ...extensionsOf(parts))),
  );
  const digest = parts.sha1 === true ? 'sha1' : 'sha256';
  const whole = der(sequenceTag, body, algorithm, bits(sign(digest, body, signingKey)));
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { pem: pemOf(whole), der: whole, key, keyPem, subject };
}

/** A root that may issue, unless the parts say otherwise. */
export function oddRoot(parts: OddParts = {}): OddCertificate {
  return oddCertificate({ commonName: 'odd root', ...authority, ...parts }, null);
}

/** What makes a certificate one that may issue. */
export const authority = { ca: true, usages: ['keyCertSign'], purposes: [] } as const;

function extensionsOf(parts: OddParts): Buffer[] {
  const { names = [], ca = false, permittedUriHost } = parts;
  const usages = parts.usages ?? ['digitalSignature'];
  const purposes = parts.purposes ?? ['serverAuth', 'clientAuth'];
  const list = [
    extension(oids.basicConstraints, der(sequenceTag, ...(ca ? [yes] : []))),
    extension(oids.keyUsage, usageBits(usages)),
  ];
  if (purposes.length > 0) {
    const inner = purposes.map((purpose) => oid(oids[purpose]));
    list.push(extension(oids.extendedKeyUsage, der(sequenceTag, ...inner)));
  }
  if (names.length > 0) {
    const inner = names.map(([kind, value]) => der(generalName[kind], Buffer.from(value)));
    list.push(extension(oids.subjectAltName, der(sequenceTag, ...inner)));
  }
  if (permittedUriHost !== undefined) {
    const subtree = der(sequenceTag, der(generalName.uri, Buffer.from(permittedUriHost)));
    list.push(extension(oids.nameConstraints, der(sequenceTag, der(0xa0, subtree))));
  }
  return list;
}

const yes = Buffer.from([0x01, 0x01, 0xff]);

function extension(type: readonly number[], value: Buffer): Buffer {
  return der(sequenceTag, oid(type), yes, der(0x04, value));
}

function usageBits(usages: readonly (keyof typeof keyUsages)[]): Buffer {
  const byte = usages.reduce((sum, usage) => sum | keyUsages[usage], 0);
  return der(0x03, Buffer.from([2, byte]));
}

function algorithmOf(key: KeyObject, sha1: boolean): Buffer {
  if (key.asymmetricKeyType === 'ec') return der(sequenceTag, oid(oids.ecdsaWithSha256));
  const type = sha1 ? oids.rsaWithSha1 : oids.rsaWithSha256;
  return der(sequenceTag, oid(type), Buffer.from([0x05, 0x00]));
}

function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

function nameOf(commonName: string): Buffer {
  const attribute = der(sequenceTag, oid(oids.commonName), der(0x0c, Buffer.from(commonName)));
  return der(sequenceTag, der(0x31, attribute));
}

/** UTCTime: years up to 2049 are all that tests use. */
function timeOf(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

function oid(arcs: readonly number[]): Buffer {
  const [first = 0, second = 0, ...rest] = arcs;
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(arc: number): number[] {
  const digits = [arc & 0x7f];
  for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}

function bits(content: Buffer): Buffer {
  return der(0x03, Buffer.from([0]), content);
}

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const digits: number[] = [];
  for (let left = length; left > 0; left >>= 8) digits.unshift(left & 0xff);
  return [0x80 | digits.length, ...digits];
}

function pemOf(content: Buffer): string {
  const lines = content.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
