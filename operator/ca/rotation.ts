// Root rotation: a new root is trusted everywhere, then used, then the old one is dropped. Decides from
// the CA Secret and from what everybody reports whether the next step may be taken. Pure: making keys and
// writing are the controller's.

import type { Mesh } from '../resources/tsmesh.ts';
import { loadAuthority, type CaPem } from './authority.ts';
import { selfSigned, type CaProblem } from './ca-checks.ts';
import type { CaContent, RotationRecord, RotationStep } from './ca-content.ts';
import { readCertificates } from './pem.ts';
import { trustOf, unionOfRoots, withoutRoots, type Trust } from './trust.ts';
import { issuerOf } from './issuer-reference.ts';
import { backdateMs, rotateRootAnnotation, type CertificateAuthority } from './types.ts';

/** Somebody whose certificate and trusted roots come from the CA: a sidecar, a replica of the operator. */
export interface Follower {
  /** `pod shop/cart-1`, `operator tsmesh-operator-abc`. */
  name: string;
  /** `starting`: not ready, and not heard of yet. */
  state: 'connected' | 'disconnected' | 'starting';
  /** Null: it has not said. */
  trust: Trust | null;
}

export interface RotationFacts {
  content: CaContent;
  /** Made of `content`. */
  authority: CertificateAuthority;
  mesh: Mesh | null;
  followers: readonly Follower[];
  /** Who verifies the operator by a list of roots: the webhook configurations. */
  verifiers: readonly { name: string; trustedRoots: readonly string[] }[];
}

export type RotationDecision =
  | { action: 'none' }
  /** A new built-in root is to follow. */
  | { action: 'begin'; cause: string }
  | { action: 'write'; content: CaContent };

/** `True` while a rotation goes on. */
export interface RotationCondition {
  status: 'True' | 'False';
  reason:
    | 'TrustingNewRoot'
    | 'IssuingUnderNewRoot'
    | 'DroppingOldRoot'
    | 'Complete'
    | 'NotBuiltIn'
    | 'NextRefused';
  message: string;
}

/** A built-in root is followed by another in this last share of its life. */
const scheduleShare = 0.2;
/** The API server has a changed webhook configuration by then, and its view shows new pods. */
const settleMs = 5_000;
/** A pod that mounted the Secret before it changed has the change by then: kubelet's sync and cache. */
const kubeletDelayMs = 120_000;
const maxNames = 10;
const rootName = 'O=tsmesh\nCN=tsmesh root';

const words = {
  Trust: {
    reason: 'TrustingNewRoot',
    text: 'step 1 of 3: the new root is to be trusted everywhere',
  },
  Issue: {
    reason: 'IssuingUnderNewRoot',
    text: 'step 2 of 3: certificates come from the new root',
  },
  Drop: { reason: 'DroppingOldRoot', text: 'step 3 of 3: the old root is dropped' },
} as const;

export function decideRotation(facts: RotationFacts, nowMs: number): RotationDecision {
  const { content } = facts;
  const { rotation } = content;
  if (rotation === null || rotation.step === 'Done') {
    if (content.next !== null) return decideBrought(facts, content.next, nowMs);
    const cause = causeOf(facts, nowMs);
    return cause === null ? { action: 'none' } : { action: 'begin', cause };
  }
  if (!isConsistent(content, rotation, nowMs)) return write(abandoned(content, rotation));
  const settled = nowMs - rotation.sinceMs >= settleMs;
  if (!settled || waitedFor(facts, rotation, nowMs).length > 0) return { action: 'none' };
  return write(nextStep(content, rotation, nowMs));
}

/** Somebody put the next CA there: it takes its place as one of the mesh's own does, if it is good. */
function decideBrought({ content, mesh }: RotationFacts, next: CaPem, nowMs: number) {
  if (issuerOf(mesh) !== null) return write({ ...content, next: null });
  if (faultOfNext(content, mesh, nowMs) !== null) return { action: 'none' } as const;
  const cause = 'the CA Secret holds the next CA';
  return write(beginRotation(content, { pem: next, issuedBy: null }, cause, nowMs));
}

function faultOfNext({ next }: CaContent, mesh: Mesh | null, nowMs: number): CaProblem | null {
  if (next === null) return null;
  const loaded = loadAuthority(next, nowMs, mesh?.spec.trustDomain ?? null);
  return loaded.ok ? null : loaded.problem;
}

/** What is to take the place of the CA in force. */
export interface Successor {
  pem: CaPem;
  /** As in CaContent. */
  issuedBy: string | null;
}

/** First step: `next` is trusted beside what is trusted already. */
export function beginRotation(
  content: CaContent,
  next: Successor,
  cause: string,
  nowMs: number,
): CaContent {
  const newRoots = [...trustOf(next.pem).trustedRoots];
  const { underRoot } = trustOf(content.pem);
  const oldRoots = underRoot === null || newRoots.includes(underRoot) ? [] : [underRoot];
  const rootsPem = unionOfRoots(content.pem.rootsPem, next.pem.rootsPem);
  return {
    ...content,
    pem: { ...content.pem, rootsPem },
    next: next.pem,
    rotation: {
      step: 'Trust',
      cause,
      issuedBy: next.issuedBy,
      startedAtMs: nowMs,
      sinceMs: nowMs,
      oldRoots,
      newRoots,
    },
  };
}

/** What Mesh status says of it; null where there was never a rotation, and none is asked for. */
export function rotationCondition(facts: RotationFacts, nowMs: number): RotationCondition | null {
  const { rotation } = facts.content;
  if (rotation !== null && rotation.step !== 'Done') return progress(facts, rotation, nowMs);
  const { content, mesh } = facts;
  const fault = faultOfNext(content, mesh, nowMs);
  if (fault !== null) {
    const message = `next.crt, next.key and next-ca.crt of Secret tsmesh-system/tsmesh-ca are not used: ${fault.reason}: ${fault.message.replaceAll('tls.', 'next.').replaceAll('ca.crt', 'next-ca.crt')}`;
    return { status: 'False', reason: 'NextRefused', message };
  }
  const ownOfUser = issuerOf(mesh) === null && !isBuiltIn(content.pem);
  if (ownOfUser && content.issuedBy === null && isRequested(facts, nowMs)) {
    const message = `${rotateRootAnnotation} asks for a new root, but the CA is not the mesh's own to replace: put the next one into Secret tsmesh-system/tsmesh-ca as next.crt, next.key and next-ca.crt`;
    return { status: 'False', reason: 'NotBuiltIn', message };
  }
  if (rotation === null) return null;
  const [begin, end] = [rotation.startedAtMs, rotation.sinceMs].map(timeText);
  const message = `the root was rotated from ${begin} to ${end} (${rotation.cause}); nobody trusts the old one any more`;
  return { status: 'False', reason: 'Complete', message };
}

/** A self-signed root with the mesh's own name: the only kind that the mesh may replace by itself. */
export function isBuiltIn(pem: CaPem): boolean {
  const issuing = readCertificates(pem.chainPem)?.[0];
  return issuing !== undefined && issuing.subject === rootName && selfSigned(issuing);
}

function progress(facts: RotationFacts, rotation: RotationRecord, nowMs: number) {
  const { reason, text } = words[rotation.step as keyof typeof words];
  const waiting = waitedFor(facts, rotation, nowMs);
  const all = facts.followers.length + facts.verifiers.length;
  const who =
    waiting.length === 0
      ? 'everybody has followed'
      : `waiting for ${waiting.length} of ${all}: ${namesOf(waiting)}`;
  const message = `${text}, since ${timeText(rotation.sinceMs)} (${rotation.cause}); ${who}`;
  return { status: 'True' as const, reason, message };
}

/** Why a new root is to be made now; null: it is not. */
function causeOf(facts: RotationFacts, nowMs: number): string | null {
  const { content, mesh } = facts;
  // The issuer's successor comes from the issuer: issuer.ts.
  if (issuerOf(mesh) !== null) return null;
  if (mesh !== null && content.issuedBy !== null) {
    return `Mesh default names no issuer any more, and ${content.issuedBy} issued the CA`;
  }
  if (!isBuiltIn(content.pem)) return null;
  if (isRequested(facts, nowMs)) return `asked for by ${rotateRootAnnotation}`;
  const { notBeforeMs, notAfterMs } = facts.authority;
  const left = (notAfterMs - nowMs) / (notAfterMs - notBeforeMs);
  return left < scheduleShare ? 'the last fifth of the life of the root' : null;
}

/**
 * Where the CA in force, and the last rotation, are older than the word. A time in the future would ask
 * again and again.
 */
export function isRequested(
  { content, mesh, authority }: Pick<RotationFacts, 'content' | 'mesh' | 'authority'>,
  nowMs: number,
): boolean {
  const askedMs = requestedMs(mesh);
  // Certificates tell whole seconds.
  const sinceMs = Math.floor((askedMs ?? 0) / 1000) * 1000;
  if (askedMs === null || askedMs > nowMs) return false;
  // Others than the mesh may backdate more than it does.
  if (content.rotation !== null && content.rotation.startedAtMs >= sinceMs) return false;
  return authority.notBeforeMs + (isBuiltIn(content.pem) ? backdateMs : 0) < sinceMs;
}

function requestedMs(mesh: Mesh | null): number | null {
  const parsed = Date.parse(mesh?.metadata.annotations?.[rotateRootAnnotation] ?? '');
  return Number.isNaN(parsed) ? null : parsed;
}

/** False where somebody edited the Secret meanwhile, so that going on could cut somebody off. */
function isConsistent(content: CaContent, rotation: RotationRecord, nowMs: number): boolean {
  const { underRoot, trustedRoots } = trustOf(content.pem);
  if (!rotation.newRoots.every((root) => trustedRoots.includes(root))) return false;
  if (rotation.step !== 'Trust') return underRoot !== null && rotation.newRoots.includes(underRoot);
  const { next, pem } = content;
  return next !== null && loadAuthority({ ...next, rootsPem: pem.rootsPem }, nowMs).ok;
}

/** Roots that only this rotation brought, and that nothing was issued under, go with it. */
function abandoned(content: CaContent, rotation: RotationRecord): CaContent {
  const { underRoot } = trustOf(content.pem);
  const unused = rotation.newRoots.filter((root) => root !== underRoot);
  const rootsPem =
    rotation.step === 'Trust' ? withoutRoots(content.pem.rootsPem, unused) : content.pem.rootsPem;
  return { ...content, pem: { ...content.pem, rootsPem }, next: null, rotation: null };
}

function nextStep(content: CaContent, rotation: RotationRecord, nowMs: number): CaContent {
  const { pem, next } = content;
  const at = (step: RotationStep) => ({ ...rotation, step, sinceMs: nowMs });
  switch (rotation.step) {
    case 'Trust':
      // isConsistent has seen that there is one.
      return {
        ...content,
        pem: { ...next!, rootsPem: pem.rootsPem },
        next: null,
        rotation: at('Issue'),
        issuedBy: rotation.issuedBy,
      };
    case 'Issue': {
      const rootsPem = withoutRoots(pem.rootsPem, rotation.oldRoots);
      return { ...content, pem: { ...pem, rootsPem }, rotation: at('Drop') };
    }
    default:
      return { ...content, rotation: at('Done') };
  }
}

/** Who has not followed this step, each with why. */
function waitedFor(facts: RotationFacts, rotation: RotationRecord, nowMs: number): string[] {
  const waiting: string[] = [];
  for (const { name, trustedRoots } of facts.verifiers) {
    if (!trusts(rotation, trustedRoots)) waiting.push(name);
  }
  const fresh = nowMs - rotation.sinceMs < kubeletDelayMs;
  for (const { name, state, trust } of facts.followers) {
    if (state === 'starting') {
      if (fresh) waiting.push(`${name} (starting)`);
    } else if (state === 'disconnected') waiting.push(`${name} (Ready, but not connected)`);
    else if (trust === null) waiting.push(`${name} (has not said which roots it trusts)`);
    else if (!follows(rotation, trust)) waiting.push(name);
  }
  return waiting;
}

function follows(rotation: RotationRecord, trust: Trust): boolean {
  if (!trusts(rotation, trust.trustedRoots)) return false;
  const { underRoot } = trust;
  return rotation.step === 'Trust' || (underRoot !== null && rotation.newRoots.includes(underRoot));
}

function trusts({ step, newRoots, oldRoots }: RotationRecord, roots: readonly string[]): boolean {
  if (step === 'Drop' && oldRoots.some((root) => roots.includes(root))) return false;
  return newRoots.every((root) => roots.includes(root));
}

function write(content: CaContent): RotationDecision {
  return { action: 'write', content };
}

function namesOf(list: readonly string[]): string {
  const shown = list.toSorted().slice(0, maxNames).join(', ');
  return list.length > maxNames ? `${shown} and ${list.length - maxNames} more` : shown;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
