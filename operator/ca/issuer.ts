// The CA from an issuer of cert-manager: decides when to ask for a certificate, what to make of the
// answer, and what to say where there is none. Pure; requests are made by operator/controllers/issuer.ts,
// and what was obtained takes its place by root rotation.

import type { KubeObject } from '../resources/kubernetes.ts';
import type { IssuerReference, Mesh } from '../resources/tsmesh.ts';
import { loadAuthority, type CaPem } from './authority.ts';
import type { CaContent } from './ca-content.ts';
import { issuerText } from './issuer-reference.ts';
import { workloadLifetimeMs } from './lifetimes.ts';
import { decode, readPrivateKey } from './pem.ts';
import { isRequested } from './rotation.ts';
import { trustDomainOf } from './trust-domain.ts';
import type { CertificateAuthority } from './types.ts';

/** cert-manager.io/v1, as far as the mesh reads and writes it. */
export interface CertificateRequest extends KubeObject {
  spec: {
    request: string;
    issuerRef: Required<IssuerReference>;
    isCA: boolean;
    duration: string;
    usages: string[];
  };
  status?: {
    conditions?: RequestCondition[];
    /** Base64 of PEM. */
    certificate?: string;
    ca?: string;
    failureTime?: string;
  };
}

interface RequestCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export interface IssuerFacts {
  content: CaContent;
  authority: CertificateAuthority;
  mesh: Mesh;
  issuer: Required<IssuerReference>;
  /** Of `content.requestKeyPem`; null: it was not made yet, or is gone. */
  request: CertificateRequest | null;
  /** From ConfigMap tsmesh-issuer-roots; null: what the issuer says counts. */
  rootsPem: string | null;
}

/** Beside `CAReady=True`: the CA in force goes on. */
export interface IssuerProblem {
  reason: 'IssuerPending' | 'IssuerDenied' | 'IssuerFailed' | 'IssuerRefused' | 'IssuerUnavailable';
  message: string;
}

export type IssuerDecision =
  | { action: 'none' }
  /** Make a key and remember it. */
  | { action: 'prepare' }
  /** Ask with the key that is there. */
  | { action: 'ask' }
  | { action: 'wait'; problem: IssuerProblem }
  /** What was asked is of no use (any more). */
  | { action: 'forget' }
  | { action: 'adopt'; pem: CaPem; cause: string };

/** As other issuing certificates: renewed when two thirds of its life are over. */
const renewShare = 2 / 3;
const lifetimeMs = 90 * 86_400_000;
/** An answer that could not be used stands this long before it is asked again. */
const retryMs = 10 * 60_000;

export function decideIssuer(facts: IssuerFacts, nowMs: number): IssuerDecision {
  const { content, request } = facts;
  const { rotation, requestKeyPem } = content;
  const cause = wantedFor(facts, nowMs);
  const rotating = rotation !== null && rotation.step !== 'Done';
  if (rotating) return { action: 'none' };
  if (cause === null) return requestKeyPem === null ? { action: 'none' } : { action: 'forget' };
  if (requestKeyPem === null) return { action: 'prepare' };
  if (readPrivateKey(requestKeyPem) === null) return { action: 'forget' };
  if (request === null) return { action: 'ask' };
  if (!isFor(request, facts)) return { action: 'forget' };
  return answerOf(facts, { request, requestKeyPem, cause }, nowMs);
}

/** Duration of a request, as Go writes it. A leaf has to fit into it several times. */
export function requestedDuration(mesh: Mesh): string {
  const ms = Math.max(lifetimeMs, 4 * workloadLifetimeMs(mesh));
  return `${Math.ceil(ms / 3_600_000)}h`;
}

/** Why a certificate is wanted of the issuer; null: what there is is good. */
function wantedFor(facts: IssuerFacts, nowMs: number): string | null {
  const { content, authority, issuer } = facts;
  const wanted = issuerText(issuer);
  if (content.issuedBy !== wanted) return `Mesh default names the issuer ${wanted}`;
  if (isRequested(facts, nowMs)) return 'asked for by tsmesh.dev/rotate-root';
  const { notBeforeMs, notAfterMs } = authority;
  const due = nowMs >= notBeforeMs + (notAfterMs - notBeforeMs) * renewShare;
  return due ? 'two thirds of the life of the issuing certificate are over' : null;
}

/** A request to another issuer than the one named now is of no use. */
function isFor(request: CertificateRequest, { issuer }: IssuerFacts): boolean {
  const { name, kind, group } = request.spec.issuerRef;
  return name === issuer.name && kind === issuer.kind && group === issuer.group;
}

function answerOf(
  facts: IssuerFacts,
  asked: { request: CertificateRequest; requestKeyPem: string; cause: string },
  nowMs: number,
): IssuerDecision {
  const { request, requestKeyPem, cause } = asked;
  const { conditions = [], certificate } = request.status ?? {};
  const refusal = refusalIn(conditions);
  if (refusal !== null) return later(facts, refusal, { request, nowMs });
  const ready = conditions.find(({ type }) => type === 'Ready');
  if (ready?.status !== 'True' || certificate === undefined) {
    return { action: 'wait', problem: pendingOf(facts, conditions) };
  }
  const rootsPem = facts.rootsPem ?? decode(request.status?.ca);
  const pem = { chainPem: decode(certificate), keyPem: requestKeyPem, rootsPem };
  const loaded = loadAuthority(pem, nowMs, trustDomainOf(facts.mesh, facts.authority));
  if (loaded.ok) return { action: 'adopt', pem, cause };
  const { reason, message } = loaded.problem;
  const words = `what it issued cannot be used: ${reason}: ${message}`;
  return later(facts, { reason: 'IssuerRefused', words }, { request, nowMs });
}

interface Refusal {
  reason: IssuerProblem['reason'];
  words: string;
}

function refusalIn(conditions: readonly RequestCondition[]): Refusal | null {
  const holds = (type: string, status: string, reason?: string) =>
    conditions.find(
      (one) => one.type === type && one.status === status && (reason ?? one.reason) === one.reason,
    );
  const denied = holds('Denied', 'True');
  if (denied !== undefined) {
    return { reason: 'IssuerDenied', words: `the request was denied: ${denied.message}` };
  }
  const failed = holds('InvalidRequest', 'True') ?? holds('Ready', 'False', 'Failed');
  if (failed === undefined) return null;
  return { reason: 'IssuerFailed', words: `it did not sign: ${failed.message}` };
}

/** The refusal stands for a while, counted from the last word on the request; then it is asked anew. */
function later(
  facts: IssuerFacts,
  { reason, words }: Refusal,
  at: { request: CertificateRequest; nowMs: number },
): IssuerDecision {
  const { conditions = [] } = at.request.status ?? {};
  const times = conditions.map(({ lastTransitionTime }) => Date.parse(lastTransitionTime ?? ''));
  const lastMs = Math.max(0, ...times.filter((ms) => !Number.isNaN(ms)));
  if (at.nowMs - lastMs >= retryMs) return { action: 'forget' };
  return { action: 'wait', problem: problemOf(facts, reason, words) };
}

function pendingOf(facts: IssuerFacts, conditions: readonly RequestCondition[]): IssuerProblem {
  const approved = conditions.some(({ type, status }) => type === 'Approved' && status === 'True');
  const name = `CertificateRequest ${facts.request?.metadata.namespace}/${facts.request?.metadata.name}`;
  const ready = conditions.find(({ type }) => type === 'Ready')?.message;
  const words = approved
    ? `${name} is approved and not signed yet${ready === undefined ? '' : `: ${ready}`}`
    : `${name} waits for approval`;
  return problemOf(facts, 'IssuerPending', words);
}

export function problemOf(
  { issuer, authority }: Pick<IssuerFacts, 'issuer' | 'authority'>,
  reason: IssuerProblem['reason'],
  words: string,
): IssuerProblem {
  const end = new Date(authority.notAfterMs).toISOString();
  const message = `issuer ${issuerText(issuer)}: ${words}; the CA in force goes on until ${end}`;
  return { reason, message };
}
