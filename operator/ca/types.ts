// What the rest of the operator sees of the certificate authority. Types and fixed names only.

/** Key, certificate and trusted roots that belong together, ready for a TLS server or client. All PEM. */
export interface TlsMaterial {
  /** Leaf with intermediates. */
  chainPem: string;
  keyPem: string;
  rootsPem: string;
  /** Upper-case hexadecimal. */
  serial: string;
  notBeforeMs: number;
  notAfterMs: number;
}

export interface LeafRequest {
  /** SPIFFE ids, as URI names. */
  uris: string[];
  dnsNames: string[];
  /** Raised to 15 minutes, cut at the end of the issuing certificate. */
  lifetimeMs: number;
}

/** A checked CA key and certificate. Issuing cannot fail for what a user wrote. */
export interface CertificateAuthority {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** What sidecars trust; the issuing certificate among it. */
  readonly rootsPem: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** That the CA was made for (`spiffe://…` without a path in its certificate); null: it does not say. */
  readonly trustDomain: string | null;
  /** Upper-case hexadecimal SHA-256 of the issuing certificate. */
  readonly fingerprint: string;
  issue(request: LeafRequest, nowMs: number): TlsMaterial;
  /** True where the PEM certificate is signed by this CA's key. */
  issued(certificatePem: string): boolean;
}

/** `CAReady` on Mesh `default`. */
export interface CaCondition {
  status: 'True' | 'False';
  reason: string;
  message: string;
}

/** The CA at this moment: null while nothing can be issued, and the condition says why. */
export interface CaSource {
  current(nowMs: number): CertificateAuthority | null;
  condition(nowMs: number): CaCondition;
}

export const caSecretName = 'tsmesh-ca';
export const caSecretType = 'tsmesh.dev/ca';
/** On an identity Secret: renew now, whatever the value. On Mesh `default`: RFC 3339, renew all issued before. */
export const renewAnnotation = 'tsmesh.dev/renew';
/** On Mesh `default`, RFC 3339: in the hour that follows, a lost or foreign CA may be replaced. */
export const newRootAnnotation = 'tsmesh.dev/new-root';
/** On Mesh `default`, RFC 3339: a root that was made before is followed by a new one, in steps. */
export const rotateRootAnnotation = 'tsmesh.dev/rotate-root';
/** Certificates begin this long before they are made, for clocks that are behind. */
export const backdateMs = 5 * 60_000;
export const minimumLifetimeMs = 15 * 60_000;
export const defaultLifetimeMs = 24 * 3_600_000;
export const defaultRootLifetimeMs = 87_600 * 3_600_000;
export const defaultTrustDomain = 'cluster.local';
/** Names of the operator's own certificate. */
export const operatorDnsNames = [
  'tsmesh-operator.tsmesh-system.svc',
  'tsmesh-operator.tsmesh-system.svc.cluster.local',
] as const;
