// Builds X.509 certificates (RFC 5280) for ECDSA P-256 keys: forge writes the ASN.1, node:crypto makes
// keys and signatures, because forge signs with RSA only. The one importer of node-forge. It decides
// no lifetimes or names.

import { createHash, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto';
import forge from 'node-forge';

const { asn1 } = forge;
type Node = forge.asn1.Asn1;

const oids = {
  ecPublicKey: '1.2.840.10045.2.1',
  prime256v1: '1.2.840.10045.3.1.7',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  organization: '2.5.4.10',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  extensionRequest: '1.2.840.113549.1.9.14',
} as const;

/** RFC 5280 §4.2.1.3: number of unused bits, then the bits. */
const keyUsageBits = { leaf: '\x07\x80', authority: '\x01\x06' } as const;
/** RFC 5280 §4.2.1.6: context tags of GeneralName. */
const generalName = { dns: 2, uri: 6 } as const;
/** RFC 5280 §4.1.2.5: UTCTime up to 2049. */
const firstGeneralizedYear = 2050;

export interface Name {
  organization: string;
  commonName?: string;
}

export interface CertificateParts {
  role: 'authority' | 'leaf';
  subject: Name;
  publicKey: KeyObject;
  notBeforeMs: number;
  notAfterMs: number;
  uris: string[];
  dnsNames: string[];
}

/** The signing side: its name and key identifier as they stand in its own certificate. */
export interface Issuer {
  key: KeyObject;
  name: Node;
  keyIdentifier: string;
}

export interface BuiltCertificate {
  pem: string;
  /** Upper-case hexadecimal. */
  serial: string;
}

/** Signs with `issuer`; null: with `selfKey`, which makes a root. */
export function buildCertificate(
  parts: CertificateParts,
  issuer: Issuer | { selfKey: KeyObject },
): BuiltCertificate {
  const point = publicPoint(parts.publicKey);
  const subject = nameNode(parts.subject);
  const keyIdentifier = keyIdentifierOf(point);
  const signer =
    'selfKey' in issuer ? { key: issuer.selfKey, name: subject, keyIdentifier } : issuer;
  const serial = randomSerial();
  const tbs = sequence([
    asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, [integer('\x02')]),
    integer(serial),
    signatureAlgorithm(),
    signer.name,
    sequence([timeNode(parts.notBeforeMs), timeNode(parts.notAfterMs)]),
    subject,
    publicKeyInfo(point),
    asn1.create(asn1.Class.CONTEXT_SPECIFIC, 3, true, [
      sequence(extensions(parts, keyIdentifier, signer.keyIdentifier)),
    ]),
  ]);
  const signature = sign('sha256', toDer(tbs), signer.key).toString('latin1');
  const certificate = sequence([tbs, signatureAlgorithm(), bitString(`\0${signature}`)]);
  const hex = Buffer.from(serial, 'latin1').toString('hex').toUpperCase();
  return { pem: pem(toDer(certificate)), serial: hex.replace(/^00/, '') };
}

export interface SigningRequestParts {
  subject: Name;
  privateKey: KeyObject;
  uris: string[];
}

/** A request (PKCS#10, RFC 2986) for the certificate of an authority, as PEM. */
export function buildSigningRequest(parts: SigningRequestParts): string {
  const { subject, privateKey, uris } = parts;
  const wanted = [
    extension(oids.basicConstraints, true, sequence([boolean(true)])),
    extension(oids.subjectAltName, false, sequence(alternativeNames({ uris, dnsNames: [] }))),
  ];
  const set = asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, [sequence(wanted)]);
  const info = sequence([
    integer('\0'),
    nameNode(subject),
    publicKeyInfo(publicPoint(createPublicKey(privateKey))),
    asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, [
      sequence([oid(oids.extensionRequest), set]),
    ]),
  ]);
  const signature = sign('sha256', toDer(info), privateKey).toString('latin1');
  const request = sequence([info, signatureAlgorithm(), bitString(`\0${signature}`)]);
  return pem(toDer(request), 'CERTIFICATE REQUEST');
}

/** What of a CA certificate goes into those that it issues. Throws where the DER is not a certificate. */
export function issuerFromCertificate(der: Buffer, key: KeyObject): Issuer {
  const tbs = children(children(fromDer(der))[0]);
  // RFC 5280 §4.1: version, serial, algorithm, issuer, validity, subject, key, …, extensions [3].
  const subject = tbs[5];
  if (subject === undefined) throw new Error('not an X.509 v3 certificate');
  const declared = declaredKeyIdentifier(tbs);
  const keyIdentifier = declared ?? keyIdentifierOf(publicPoint(createPublicKey(key)));
  return { key, name: subject, keyIdentifier };
}

function declaredKeyIdentifier(tbs: Node[]): string | null {
  const content = extensionIn(tbs, oids.subjectKeyIdentifier);
  return content === null ? null : (asn1.fromDer(content).value as string);
}

/** The DER within an extension of a certificate, as latin1; null where it has none of the kind. */
export function contentOfExtension(der: Buffer, type: string): string | null {
  return extensionIn(children(children(fromDer(der))[0]), type);
}

/** A piece of DER for reading: `bytes` of what is not constructed, as latin1. */
export interface DerNode {
  tag: number;
  bytes: string;
  children: DerNode[];
}

/** Throws where it is not DER. */
export function readDer(content: string): DerNode {
  return derNode(asn1.fromDer(content));
}

function derNode(node: Node): DerNode {
  const bytes = typeof node.value === 'string' ? node.value : '';
  return { tag: Number(node.type), bytes, children: children(node).map(derNode) };
}

function extensionIn(tbs: Node[], type: string): string | null {
  const holder = tbs.find(
    (n) => n.tagClass === asn1.Class.CONTEXT_SPECIFIC && Number(n.type) === 3,
  );
  const wanted = asn1.oidToDer(type).getBytes();
  for (const one of children(children(holder)[0])) {
    const parts = children(one);
    const content = parts.at(-1)?.value;
    if (parts[0]?.value === wanted && typeof content === 'string') return content;
  }
  return null;
}

function extensions(parts: CertificateParts, subjectKey: string, authorityKey: string): Node[] {
  const authority = parts.role === 'authority';
  const list = [
    extension(oids.basicConstraints, true, sequence(authority ? [boolean(true)] : [])),
    extension(oids.keyUsage, true, bitString(keyUsageBits[parts.role])),
    extension(oids.subjectKeyIdentifier, false, octetString(subjectKey)),
    extension(
      oids.authorityKeyIdentifier,
      false,
      sequence([asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, false, authorityKey)]),
    ),
  ];
  if (!authority) {
    const purposes = sequence([oid(oids.serverAuth), oid(oids.clientAuth)]);
    list.push(extension(oids.extendedKeyUsage, false, purposes));
  }
  const names = alternativeNames(parts);
  if (names.length > 0) list.push(extension(oids.subjectAltName, false, sequence(names)));
  return list;
}

function alternativeNames(parts: Pick<CertificateParts, 'uris' | 'dnsNames'>): Node[] {
  const name = (tag: number, value: string) =>
    asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, false, value);
  return [
    ...parts.uris.map((uri) => name(generalName.uri, uri)),
    ...parts.dnsNames.map((dns) => name(generalName.dns, dns)),
  ];
}

/** RFC 5480 §2.2: an uncompressed P-256 point, 65 bytes, is the end of the key's DER. */
function publicPoint(publicKey: KeyObject): string {
  return publicKey.export({ type: 'spki', format: 'der' }).subarray(-65).toString('latin1');
}

function publicKeyInfo(point: string): Node {
  return sequence([
    sequence([oid(oids.ecPublicKey), oid(oids.prime256v1)]),
    bitString(`\0${point}`),
  ]);
}

/** RFC 7093 §2 method 1: the first 160 bits of SHA-256 over the key's bits. */
function keyIdentifierOf(point: string): string {
  return createHash('sha256').update(point, 'latin1').digest('latin1').slice(0, 20);
}

/** 128 random bits (RFC 5280 §4.1.2.2 wants ≥ 64 and positive), as DER content bytes. */
function randomSerial(): string {
  const bytes = randomBytes(16);
  if (bytes[0] === 0) bytes[0] = 1;
  const text = bytes.toString('latin1');
  return bytes[0]! >= 0x80 ? `\0${text}` : text;
}

function nameNode(name: Name): Node {
  const attribute = (type: string, value: string) =>
    asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, [
      sequence([
        oid(type),
        asn1.create(asn1.Class.UNIVERSAL, asn1.Type.UTF8, false, forge.util.encodeUtf8(value)),
      ]),
    ]);
  const parts = [attribute(oids.organization, name.organization)];
  if (name.commonName !== undefined) parts.push(attribute(oids.commonName, name.commonName));
  return sequence(parts);
}

function timeNode(ms: number): Node {
  const date = new Date(Math.floor(ms / 1000) * 1000);
  const generalized = date.getUTCFullYear() >= firstGeneralizedYear;
  const type = generalized ? asn1.Type.GENERALIZEDTIME : asn1.Type.UTCTIME;
  const text = generalized ? asn1.dateToGeneralizedTime(date) : asn1.dateToUtcTime(date);
  return asn1.create(asn1.Class.UNIVERSAL, type, false, text);
}

function extension(type: string, critical: boolean, value: Node): Node {
  const content = octetString(asn1.toDer(value).getBytes());
  return sequence(critical ? [oid(type), boolean(true), content] : [oid(type), content]);
}

function signatureAlgorithm(): Node {
  return sequence([oid(oids.ecdsaWithSha256)]);
}

function sequence(value: Node[]): Node {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, value);
}

function oid(value: string): Node {
  const bytes = asn1.oidToDer(value).getBytes();
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OID, false, bytes);
}

function integer(bytes: string): Node {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.INTEGER, false, bytes);
}

function boolean(value: boolean): Node {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.BOOLEAN, false, value ? '\xff' : '\0');
}

function octetString(bytes: string): Node {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OCTETSTRING, false, bytes);
}

function bitString(bytes: string): Node {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.BITSTRING, false, bytes);
}

function children(node: Node | undefined): Node[] {
  return node === undefined || typeof node.value === 'string' ? [] : node.value;
}

function fromDer(der: Buffer): Node {
  return asn1.fromDer(der.toString('latin1'));
}

function toDer(node: Node): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
}

/** RFC 7468: lines of 64 characters. */
function pem(der: Buffer, label = 'CERTIFICATE'): string {
  const body = der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}
