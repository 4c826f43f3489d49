// What the CA Secret holds, and how it is written: the CA in force, the one that is to follow it, and how
// far a rotation has come. Pure; nothing is judged here.

import type { Secret } from '../resources/kubernetes.ts';
import { decode, encode } from './pem.ts';
import type { CaPem } from './authority.ts';

export const rotationSteps = ['Trust', 'Issue', 'Drop', 'Done'] as const;
export type RotationStep = (typeof rotationSteps)[number];

/** Kept as an annotation: whoever leads next goes on from here. Roots are fingerprints. */
export interface RotationRecord {
  step: RotationStep;
  /** Why it began, in words. */
  cause: string;
  startedAtMs: number;
  /** Begin of this step. */
  sinceMs: number;
  oldRoots: string[];
  newRoots: string[];
  /** The issuer of what is to follow; null: nobody that the Mesh named. */
  issuedBy: string | null;
}

export interface CaContent {
  pem: CaPem;
  /** Its roots are its own only; those in force are in `pem`. */
  next: CaPem | null;
  rotation: RotationRecord | null;
  /** The issuer (`group/kind/name`) that issued `pem`; null: nobody that the Mesh named. */
  issuedBy: string | null;
  /** Key of a certificate that was asked of an issuer and has not come yet; null: none was. */
  requestKeyPem: string | null;
}

const rotationAnnotation = 'tsmesh.dev/root-rotation';
const issuedByAnnotation = 'tsmesh.dev/issued-by';
const keys = { chain: 'tls.crt', key: 'tls.key', roots: 'ca.crt' } as const;
const requestKey = 'request.key';
const nextKeys = { chain: 'next.crt', key: 'next.key', roots: 'next-ca.crt' } as const;

/** Of a CA that nothing follows yet. */
export function contentWith(pem: CaPem): CaContent {
  return { pem, next: null, rotation: null, issuedBy: null, requestKeyPem: null };
}

export function contentOf(secret: Secret): CaContent {
  const text = (key: string) => decode(secret.data?.[key]);
  const { annotations = {} } = secret.metadata;
  const chainPem = text(keys.chain);
  // A CA that somebody brought along without ca.crt is its own root.
  const pem = { chainPem, keyPem: text(keys.key), rootsPem: text(keys.roots) || chainPem };
  const next = {
    chainPem: text(nextKeys.chain),
    keyPem: text(nextKeys.key),
    rootsPem: text(nextKeys.roots) || text(nextKeys.chain),
  };
  return {
    pem,
    next: next.chainPem === '' ? null : next,
    rotation: recordIn(annotations[rotationAnnotation]),
    issuedBy: annotations[issuedByAnnotation] ?? null,
    requestKeyPem: text(requestKey) || null,
  };
}

/** The Secret with this content in the place of what it had; all else of it stays. */
export function withContent(secret: Secret, content: CaContent): Secret {
  const data = { ...secret.data };
  for (const key of [...Object.values(nextKeys), requestKey]) delete data[key];
  put(data, keys, content.pem);
  if (content.next !== null) put(data, nextKeys, content.next);
  if (content.requestKeyPem !== null) data[requestKey] = encode(content.requestKeyPem);
  const annotations = { ...secret.metadata.annotations };
  delete annotations[rotationAnnotation];
  delete annotations[issuedByAnnotation];
  if (content.rotation !== null) annotations[rotationAnnotation] = recordText(content.rotation);
  if (content.issuedBy !== null) annotations[issuedByAnnotation] = content.issuedBy;
  return { ...secret, metadata: { ...secret.metadata, annotations }, data };
}

function put(data: Record<string, string>, names: typeof keys | typeof nextKeys, pem: CaPem): void {
  data[names.chain] = encode(pem.chainPem);
  data[names.key] = encode(pem.keyPem);
  data[names.roots] = encode(pem.rootsPem);
}

function recordText(record: RotationRecord): string {
  const { startedAtMs, sinceMs, ...rest } = record;
  const [startedAt, since] = [startedAtMs, sinceMs].map((ms) => new Date(ms).toISOString());
  return JSON.stringify({ ...rest, startedAt, since });
}

/** Null where there is none, or somebody made nonsense of it: a rotation then begins anew if it is due. */
function recordIn(text: string | undefined): RotationRecord | null {
  if (text === undefined) return null;
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    const step = rotationSteps.find((one) => one === value['step']);
    const sinceMs = Date.parse(String(value['since']));
    const startedAtMs = Date.parse(String(value['startedAt']));
    if (step === undefined || Number.isNaN(sinceMs) || Number.isNaN(startedAtMs)) return null;
    const [oldRoots, newRoots] = [textsOf(value['oldRoots']), textsOf(value['newRoots'])];
    const cause = String(value['cause']);
    const issuedBy = typeof value['issuedBy'] === 'string' ? value['issuedBy'] : null;
    return { step, cause, startedAtMs, sinceMs, oldRoots, newRoots, issuedBy };
  } catch {
    return null;
  }
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
