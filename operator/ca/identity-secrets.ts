// Writes identity Secrets: at admission (there before the pod is) and for renewal. What has to be done
// is decided in identity-decision.ts.

import { createHash } from 'node:crypto';
import { identityKeys, identitySecretType } from '../../proxy/api/constants.ts';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import type { ApiClient, EventRecorder } from '../resources/api-client.ts';
import { ApiError } from '../resources/api-client.ts';
import type { Secret } from '../resources/kubernetes.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import { decode, encode, readCertificates } from './pem.ts';
import { decideIdentitySecret, renewalTime, type IdentityDecision } from './identity-decision.ts';
import { workloadLifetimeMs } from './lifetimes.ts';
import { trustDomainOf } from './trust-domain.ts';
import type { CaSource, CertificateAuthority, TlsMaterial } from './types.ts';
import { renewAnnotation } from './types.ts';

export interface IdentityDeps {
  api: ApiClient;
  events: EventRecorder;
  ca: CaSource;
  getMesh: () => Mesh | null;
}

export interface ServiceAccountRef {
  namespace: string;
  serviceAccount: string;
}

export interface IdentityOutcome {
  action: IdentityDecision['action'];
  secretName: string;
  /** When to look again; Unix milliseconds. */
  renewAtMs: number;
}

/** There is no identity, and trying again at once does not help; the message says why. */
export class IdentityError extends Error {
  readonly reason: 'CAUnavailable' | 'NameTaken';
  constructor(reason: IdentityError['reason'], message: string) {
    super(message);
    this.name = 'IdentityError';
    this.reason = reason;
  }
}

export const serviceAccountAnnotation = 'tsmesh.dev/service-account';
export const identityLabels = {
  'app.kubernetes.io/part-of': 'tsmesh',
  'tsmesh.dev/identity': 'true',
} as const;

/** Before a pod is there admission makes the Secret: whom the leader finds without one lost it. */
const deleted = {
  action: 'restore',
  reason: 'Deleted',
  message: 'it was gone, and pods use it',
} as const;

const namePrefix = 'tsmesh-identity-';
/** DNS subdomain, as all Secret names. */
const maxNameLength = 253;
const attempts = 5;

/** Name of the identity Secret of a service account; long ones are cut and get a hash. */
export function identitySecretName(serviceAccount: string): string {
  const name = namePrefix + serviceAccount;
  if (name.length <= maxNameLength) return name;
  const hash = createHash('sha256').update(serviceAccount).digest('hex').slice(0, 16);
  const kept = name.slice(0, maxNameLength - hash.length - 1).replace(/[^a-z0-9]+$/, '');
  return `${kept}-${hash}`;
}

/** Null where the Secret is not one of the mesh's. */
export function serviceAccountOf(secret: Secret): string | null {
  return secret.metadata.annotations?.[serviceAccountAnnotation] ?? null;
}

/**
 * At admission, by any replica: afterwards the Secret exists and a sidecar can start with it. Leaves
 * renewal to the leader. Rejects with ApiError or IdentityError.
 */
export function ensureIdentitySecret(
  deps: IdentityDeps,
  ref: ServiceAccountRef,
  nowMs: number,
): Promise<IdentityOutcome> {
  return settle(deps, ref, { nowMs, renew: false });
}

/** By the leader, from its work queue: creates, restores, renews and updates the trusted roots. */
export function maintainIdentitySecret(
  deps: IdentityDeps,
  ref: ServiceAccountRef,
  nowMs: number,
): Promise<IdentityOutcome> {
  return settle(deps, ref, { nowMs, renew: true });
}

async function settle(
  deps: IdentityDeps,
  ref: ServiceAccountRef,
  mode: { nowMs: number; renew: boolean },
): Promise<IdentityOutcome> {
  const secretName = identitySecretName(ref.serviceAccount);
  for (let attempt = 0; attempt < attempts; attempt++) {
    const existing = await deps.api.get<Secret>('Secret', ref.namespace, secretName);
    const found = decide(deps, ref, { existing, nowMs: mode.nowMs });
    const decision = found.action === 'create' && mode.renew ? deleted : found;
    if (decision.action === 'keep') return { ...decision, secretName };
    if (decision.action === 'blocked') throw blocked(deps, ref, decision.message);
    if (!mode.renew && isBearable(deps, decision, { existing, nowMs: mode.nowMs })) {
      return outcomeOf(decision, existing!);
    }
    try {
      const written = await write(deps, ref, { existing, decision, nowMs: mode.nowMs });
      return outcomeOf(decision, written);
    } catch (error) {
      if (!isRace(error)) throw error;
      // Somebody else wrote first: what is there now may be good.
    }
  }
  const place = `Secret ${ref.namespace}/${secretName}`;
  throw new ApiError('Conflict', 409, `${place} changed ${attempts} times while it was written`);
}

/**
 * Whether a pod may start with what is there until the leader renews it. Not with other roots than the
 * mesh's: peers may be under a root already that it would not know before the kubelet's next look.
 */
function isBearable(
  deps: IdentityDeps,
  decision: IdentityDecision,
  seen: { existing: Secret | null; nowMs: number },
): boolean {
  if (decision.action !== 'renew') return false;
  const roots = decode(seen.existing?.data?.[identityKeys.roots]);
  const rootsPem = deps.ca.current(seen.nowMs)?.rootsPem ?? roots;
  return roots === rootsPem;
}

function blocked(deps: IdentityDeps, ref: ServiceAccountRef, message: string): IdentityError {
  const name = identitySecretName(ref.serviceAccount);
  const target = { apiVersion: 'v1', kind: 'Secret', namespace: ref.namespace, name };
  deps.events.event(target, 'Warning', 'IdentityBlocked', message);
  return new IdentityError('NameTaken', message);
}

function decide(
  deps: IdentityDeps,
  ref: ServiceAccountRef,
  seen: { existing: Secret | null; nowMs: number },
): IdentityDecision {
  const mesh = deps.getMesh();
  const authority = deps.ca.current(seen.nowMs);
  const trustDomain = trustDomainOf(mesh, authority);
  return decideIdentitySecret(
    {
      existing: seen.existing,
      identity: formatSpiffeId({ trustDomain, ...ref }),
      authority,
      renewBeforeMs: renewBefore(mesh),
    },
    seen.nowMs,
  );
}

/** What Mesh `tsmesh.dev/renew` says; null where it is absent or not a time. */
function renewBefore(mesh: Mesh | null): number | null {
  const parsed = Date.parse(mesh?.metadata.annotations?.[renewAnnotation] ?? '');
  return Number.isNaN(parsed) ? null : parsed;
}

interface Change {
  existing: Secret | null;
  decision: Exclude<IdentityDecision, { action: 'keep' | 'blocked' }>;
  nowMs: number;
}

async function write(deps: IdentityDeps, ref: ServiceAccountRef, change: Change): Promise<Secret> {
  const authority = requireAuthority(deps, ref, change.nowMs);
  const { existing, decision } = change;
  const next =
    decision.action === 'trust'
      ? withRoots(existing!, authority.rootsPem)
      : secretOf(ref, issue(deps, ref, { authority, nowMs: change.nowMs }), existing);
  const written = await put(deps.api, existing, next);
  announce(deps.events, next, decision);
  return written;
}

function requireAuthority(
  deps: IdentityDeps,
  ref: ServiceAccountRef,
  nowMs: number,
): CertificateAuthority {
  const authority = deps.ca.current(nowMs);
  if (authority !== null) return authority;
  const { reason, message } = deps.ca.condition(nowMs);
  throw new IdentityError(
    'CAUnavailable',
    `no certificate can be issued for service account ${ref.namespace}/${ref.serviceAccount}: ${reason}: ${message}`,
  );
}

function issue(
  deps: IdentityDeps,
  ref: ServiceAccountRef,
  from: { authority: CertificateAuthority; nowMs: number },
): TlsMaterial {
  const mesh = deps.getMesh();
  const trustDomain = trustDomainOf(mesh, from.authority);
  const uris = [formatSpiffeId({ trustDomain, ...ref })];
  return from.authority.issue(
    { uris, dnsNames: [], lifetimeMs: workloadLifetimeMs(mesh) },
    from.nowMs,
  );
}

function secretOf(ref: ServiceAccountRef, material: TlsMaterial, existing: Secret | null): Secret {
  const annotations = { ...existing?.metadata.annotations };
  delete annotations[renewAnnotation];
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: identitySecretName(ref.serviceAccount),
      namespace: ref.namespace,
      ...(existing?.metadata.resourceVersion && {
        resourceVersion: existing.metadata.resourceVersion,
      }),
      labels: { ...existing?.metadata.labels, ...identityLabels },
      annotations: { ...annotations, [serviceAccountAnnotation]: ref.serviceAccount },
    },
    type: identitySecretType,
    data: {
      [identityKeys.chain]: encode(material.chainPem),
      [identityKeys.key]: encode(material.keyPem),
      [identityKeys.roots]: encode(material.rootsPem),
    },
  };
}

function withRoots(existing: Secret, rootsPem: string): Secret {
  return { ...existing, data: { ...existing.data, [identityKeys.roots]: encode(rootsPem) } };
}

/** Replaces in place where that is possible, so that running pods keep their mount. */
async function put(api: ApiClient, existing: Secret | null, next: Secret): Promise<Secret> {
  if (existing === null) return api.create('Secret', next);
  try {
    return await api.replace('Secret', next);
  } catch (error) {
    // An immutable Secret can only be deleted.
    if (!(error instanceof ApiError && error.code === 'Invalid')) throw error;
  }
  await api.delete('Secret', next.metadata.namespace!, next.metadata.name);
  const { resourceVersion: _, ...metadata } = next.metadata;
  return api.create('Secret', { ...next, metadata });
}

function announce(events: EventRecorder, secret: Secret, decision: Change['decision']): void {
  const { namespace = '', name } = secret.metadata;
  const target = { apiVersion: 'v1', kind: 'Secret', namespace, name };
  if (decision.action === 'restore') {
    const message = `Restored (${decision.reason}): ${decision.message}`;
    events.event(target, 'Warning', 'IdentityRestored', message);
  } else if (decision.action === 'renew') {
    events.event(target, 'Normal', 'IdentityRenewed', `Renewed: ${decision.message}`);
  } else if (decision.action === 'trust') {
    events.event(target, 'Normal', 'RootsUpdated', `Updated: ${decision.message}`);
  }
}

function outcomeOf(decision: IdentityDecision, secret: Secret): IdentityOutcome {
  const { namespace, name } = secret.metadata;
  const chain = Buffer.from(secret.data?.[identityKeys.chain] ?? '', 'base64').toString();
  const leaf = readCertificates(chain)![0]!;
  return {
    action: decision.action,
    secretName: name,
    renewAtMs: renewalTime(`${namespace}/${name}`, leaf),
  };
}

function isRace(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return ['AlreadyExists', 'Conflict', 'NotFound'].includes(error.code);
}
