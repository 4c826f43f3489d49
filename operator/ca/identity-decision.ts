// Decides what has to happen to an identity Secret: pure, time is an argument. Writing is in
// identity-secrets.ts.

import { createHash, X509Certificate } from 'node:crypto';
import { identityKeys, identitySecretType } from '../../proxy/api/constants.ts';
import type { SpiffeId } from '../../proxy/api/spiffe.ts';
import type { Secret } from '../resources/kubernetes.ts';
import { decode, readCertificates, readPrivateKey } from './pem.ts';
import { trustOf } from './trust.ts';
import type { CertificateAuthority } from './types.ts';
import { backdateMs, renewAnnotation } from './types.ts';

export type RenewReason = 'Due' | 'Requested' | 'RequestedForAll' | 'IssuerChanged';
export type RestoreReason =
  'Deleted' | 'Corrupted' | 'WrongIdentity' | 'UntrustedIssuer' | 'Expired' | 'NotYetValid';

export type IdentityDecision =
  | { action: 'keep'; renewAtMs: number }
  | { action: 'create' }
  /** A Secret of the user's own has the name: the mesh neither uses nor deletes it. */
  | { action: 'blocked'; message: string }
  /** Good until then, but to be replaced. */
  | { action: 'renew'; reason: RenewReason; message: string }
  /** No sidecar could start with it. */
  | { action: 'restore'; reason: RestoreReason; message: string }
  /** The certificate stays, the trusted roots change. */
  | { action: 'trust'; message: string };

export interface IdentityFacts {
  existing: Secret | null;
  identity: SpiffeId;
  /** Null while nothing can be issued: then the issuer is not judged. */
  authority: CertificateAuthority | null;
  /** From Mesh `tsmesh.dev/renew`: everything issued before is renewed. Null: nothing is. */
  renewBeforeMs: number | null;
}

/** Renewal comes between 57 and 67 % of the life: two thirds, less a jitter that each name keeps. */
const renewShare = 2 / 3;
const jitterShare = 0.1;

export function decideIdentitySecret(facts: IdentityFacts, nowMs: number): IdentityDecision {
  const { existing } = facts;
  if (existing === null) return { action: 'create' };
  if (existing.type !== identitySecretType) {
    const { namespace, name } = existing.metadata;
    return {
      action: 'blocked',
      message: `Secret ${namespace}/${name} has type ${existing.type}, not ${identitySecretType}, so it is not the mesh's; free the name: kubectl -n ${namespace} delete secret ${name}`,
    };
  }
  const leaf = readIdentity(existing);
  if (typeof leaf === 'string') return restore('Corrupted', leaf);
  return faultOf(facts, leaf, nowMs) ?? renewalOf(facts, leaf, nowMs);
}

/** When a certificate of this Secret is due: Unix milliseconds. */
export function renewalTime(secretKey: string, leaf: X509Certificate): number {
  const issuedMs = leaf.validFromDate.getTime() + backdateMs;
  const lifeMs = leaf.validToDate.getTime() - issuedMs;
  const digest = createHash('sha256').update(secretKey).digest();
  const jitter = digest.readUInt32BE(0) / 2 ** 32;
  return Math.floor(issuedMs + lifeMs * (renewShare - jitterShare * jitter));
}

function faultOf(
  facts: IdentityFacts,
  leaf: X509Certificate,
  nowMs: number,
): IdentityDecision | null {
  const names = leaf.subjectAltName ?? 'no name';
  if (names !== `URI:${facts.identity}`) {
    return restore('WrongIdentity', `its certificate is for ${names}, not URI:${facts.identity}`);
  }
  if (facts.authority !== null && !trusted(facts.authority, facts.existing!)) {
    return restore('UntrustedIssuer', 'its certificates do not lead to a root of this mesh');
  }
  if (leaf.validToDate.getTime() <= nowMs) {
    return restore('Expired', `its certificate ended at ${leaf.validToDate.toISOString()}`);
  }
  if (leaf.validFromDate.getTime() > nowMs) {
    return restore('NotYetValid', `its certificate begins at ${leaf.validFromDate.toISOString()}`);
  }
  return null;
}

function renewalOf(facts: IdentityFacts, leaf: X509Certificate, nowMs: number): IdentityDecision {
  const { metadata, data } = facts.existing!;
  if (metadata.annotations?.[renewAnnotation] !== undefined) {
    return renew('Requested', `annotation ${renewAnnotation} asks for it`);
  }
  const issuedMs = leaf.validFromDate.getTime() + backdateMs;
  const before = facts.renewBeforeMs;
  // A time in the future would ask again and again until it comes.
  if (before !== null && before <= nowMs && issuedMs < before) {
    return renew('RequestedForAll', `Mesh default asks for it (${renewAnnotation})`);
  }
  // Another key issues now: a root that rotates, or an intermediate that was replaced.
  if (facts.authority !== null && !facts.authority.issued(leaf.toString())) {
    return renew('IssuerChanged', 'the mesh issues with another certificate now');
  }
  const renewAtMs = renewalTime(`${metadata.namespace}/${metadata.name}`, leaf);
  if (nowMs >= renewAtMs) return renew('Due', 'two thirds of its life are over');
  const roots = Buffer.from(data?.[identityKeys.roots] ?? '', 'base64').toString();
  if (facts.authority !== null && roots !== facts.authority.rootsPem) {
    return { action: 'trust', message: 'the trusted roots have changed' };
  }
  return { action: 'keep', renewAtMs };
}

/** Its chain, as it stands there, ends in a root of the mesh: of two, while roots rotate. */
function trusted(authority: CertificateAuthority, secret: Secret): boolean {
  const chainPem = decode(secret.data?.[identityKeys.chain]);
  return trustOf({ chainPem, rootsPem: authority.rootsPem }).underRoot !== null;
}

/** The leaf, or what is wrong with the Secret's content. */
function readIdentity(secret: Secret): X509Certificate | string {
  const text = (key: string) => Buffer.from(secret.data?.[key] ?? '', 'base64').toString();
  const missing = Object.values(identityKeys).filter((key) => text(key) === '');
  if (missing.length > 0) return `it has no ${missing.join(', no ')}`;
  const leaf = readCertificates(text(identityKeys.chain))?.[0];
  if (leaf === undefined) return `${identityKeys.chain} is not a PEM certificate`;
  const key = readPrivateKey(text(identityKeys.key));
  if (key === null) return `${identityKeys.key} is not a PEM private key`;
  if (!leaf.checkPrivateKey(key)) return `${identityKeys.key} does not fit ${identityKeys.chain}`;
  if (readCertificates(text(identityKeys.roots)) === null) {
    return `${identityKeys.roots} is not a PEM certificate`;
  }
  return leaf;
}

function restore(reason: RestoreReason, message: string): IdentityDecision {
  return { action: 'restore', reason, message };
}

function renew(reason: RenewReason, message: string): IdentityDecision {
  return { action: 'renew', reason, message };
}
