// Carries root rotation on: reads the CA Secret and what everybody reports, takes the next step when it
// may be taken (one write of the Secret, refused by the API server if it changed meanwhile), and says in
// words where it stands. When a step may be taken is decided in operator/ca/rotation.ts.

import { systemNamespace } from '../../proxy/api/constants.ts';
import { createRoot, loadAuthority } from '../ca/authority.ts';
import { contentOf, withContent, type CaContent } from '../ca/ca-content.ts';
import { rootLifetimeMs } from '../ca/lifetimes.ts';
import {
  beginRotation,
  decideRotation,
  rotationCondition,
  type RotationDecision,
  type RotationFacts,
} from '../ca/rotation.ts';
import { trustDomainOf } from '../ca/trust-domain.ts';
import { trustOf } from '../ca/trust.ts';
import { caSecretName } from '../ca/types.ts';
import type { IssuerProblem } from '../ca/issuer.ts';
import type { Secret } from '../resources/kubernetes.ts';
import type { Again } from '../runtime/work-queue.ts';
import type { Verdict } from './conditions.ts';
import type { ControllerContext, WebhookConfiguration } from './context.ts';
import { reconcileIssuer } from './issuer.ts';
import { meshName } from './mesh.ts';
import { webhookConfigurationName } from './webhook-configuration.ts';

export interface RotationOutcome {
  /** For Mesh status; null: there is nothing to say. */
  verdict: Verdict | null;
  /** Of the issuer that the Mesh names. */
  problem: IssuerProblem | null;
  again: Again;
}

/** While a rotation goes on: sidecars report every few seconds, which wakes nobody. */
const busyMs = 1_000;
/** While an issuer is waited for. */
const waitingMs = 5_000;
const idleMs = 60_000;
const events = {
  Trust: ['RootRotationBegun', 'A new root is trusted beside the old one from now on'],
  Issue: ['RootRotationIssuing', 'Everybody trusts the new root: certificates come from it'],
  Drop: ['RootRotationDropping', 'Everybody uses the new root: the old one is dropped'],
  Done: ['RootRotated', 'The new root alone is in force'],
} as const;

/** Null while the CA Secret holds no CA that issues: then nothing rotates, and CAReady says why. */
export async function reconcileRootRotation(
  context: ControllerContext,
): Promise<RotationOutcome | null> {
  const nowMs = context.clock.wallTimeMs();
  const secret = await context.api.get<Secret>('Secret', systemNamespace, caSecretName);
  if (secret === null) return null;
  const facts = factsOf(context, contentOf(secret), nowMs);
  if (facts === null) return null;
  const issuer = await reconcileIssuer(context, facts);
  const problem = issuer?.problem ?? null;
  const next = issuer?.content ?? nextContent(decideRotation(facts, nowMs), facts, nowMs);
  if (next === null) return outcomeOf(facts, problem, nowMs);
  await context.api.replace('Secret', withContent(secret, next));
  announce(context, facts.content, next);
  const outcome = outcomeOf({ ...facts, content: next }, problem, nowMs);
  return { ...outcome, again: { afterMs: busyMs } };
}

function factsOf(
  context: ControllerContext,
  content: CaContent,
  nowMs: number,
): RotationFacts | null {
  const loaded = loadAuthority(content.pem, nowMs);
  // A CA that the operator does not use is not carried on with either.
  const held = context.ca.current(nowMs)?.fingerprint;
  if (!loaded.ok || loaded.authority.fingerprint !== held) return null;
  const { mutatingWebhooks, validatingWebhooks, meshes } = context.stores;
  const configurations = [
    mutatingWebhooks.get('', webhookConfigurationName),
    validatingWebhooks.get('', webhookConfigurationName),
  ];
  return {
    content,
    authority: loaded.authority,
    mesh: meshes.get('', meshName) ?? null,
    followers: context.insight.followers(),
    verifiers: configurations.filter((one) => one !== undefined).flatMap(verifiersIn),
  };
}

function verifiersIn(configuration: WebhookConfiguration): RotationFacts['verifiers'] {
  return (configuration.webhooks ?? []).map(({ name, clientConfig }) => {
    const rootsPem = Buffer.from(clientConfig.caBundle ?? '', 'base64').toString();
    return {
      name: `webhook ${name}`,
      trustedRoots: trustOf({ chainPem: '', rootsPem }).trustedRoots,
    };
  });
}

function nextContent(
  decision: RotationDecision,
  facts: RotationFacts,
  nowMs: number,
): CaContent | null {
  if (decision.action === 'none') return null;
  if (decision.action === 'write') return decision.content;
  const trustDomain = trustDomainOf(facts.mesh, facts.authority);
  const pem = createRoot(trustDomain, rootLifetimeMs(facts.mesh), nowMs);
  return beginRotation(facts.content, { pem, issuedBy: null }, decision.cause, nowMs);
}

function outcomeOf(
  facts: RotationFacts,
  problem: IssuerProblem | null,
  nowMs: number,
): RotationOutcome {
  const condition = rotationCondition(facts, nowMs);
  const verdict = condition === null ? null : { type: 'RootRotation', ...condition };
  const restMs = problem === null ? idleMs : waitingMs;
  const afterMs = condition?.status === 'True' ? busyMs : restMs;
  return { verdict, problem, again: { afterMs } };
}

function announce(
  { events: recorder, logger }: ControllerContext,
  before: CaContent,
  { rotation }: CaContent,
): void {
  const where = {
    apiVersion: 'v1',
    kind: 'Secret',
    namespace: systemNamespace,
    name: caSecretName,
  };
  const former = before.rotation;
  if (rotation === null) {
    if (former === null) return;
    // Who asked because a key was stolen has to hear that the old root stays.
    const { step, cause } = former;
    const why = `${step}: the Secret was changed meanwhile, or what was to follow cannot be used`;
    const message = `The rotation (${cause}) was given up in step ${why}; roots that were trusted stay trusted`;
    recorder.event(where, 'Warning', 'RootRotationGivenUp', message);
    logger.warn('root rotation given up', { step, cause });
    return;
  }
  if (rotation.step === former?.step) return;
  const { step, cause } = rotation;
  const [reason, words] = events[step];
  recorder.event(where, 'Normal', reason, `${words} (${cause})`);
  logger.info('root rotation', { step, cause });
}

/** That an issuer has not answered yet is no event. */
export function announceProblem(
  { events: recorder }: Pick<ControllerContext, 'events'>,
  problem: IssuerProblem | null,
): void {
  if (problem === null || problem.reason === 'IssuerPending') return;
  const mesh = { apiVersion: 'tsmesh.dev/v1alpha1', kind: 'Mesh', namespace: '', name: meshName };
  recorder.event(mesh, 'Warning', problem.reason, problem.message);
}
