// Keeps the CA Secret and the CA in memory in step: made once, checked on every load, restored from
// memory when it vanishes, and never replaced by a new root unless the user asks for that. It decides
// whether certificates can be issued; issuing itself is beside it.

import type { ApiClient, EventRecorder } from '../resources/api-client.ts';
import { ApiError } from '../resources/api-client.ts';
import type { Secret } from '../resources/kubernetes.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import { systemNamespace } from '../../proxy/api/constants.ts';
import { newRootAcceptedAt } from './acceptance.ts';
import { createRoot, loadAuthority, type CaPem, type CaResult } from './authority.ts';
import { contentOf, contentWith, withContent, type CaContent } from './ca-content.ts';
import { rootLifetimeMs } from './lifetimes.ts';
import { trustOf } from './trust.ts';
import type { CaCondition, CaSource, CertificateAuthority } from './types.ts';
import {
  backdateMs,
  caSecretName,
  caSecretType,
  defaultTrustDomain,
  newRootAnnotation,
} from './types.ts';

export interface CaKeeperDeps {
  api: ApiClient;
  events: EventRecorder;
  getMesh: () => Mesh | null;
  /**
   * Roots (PEM) that the cluster already trusts, as the caBundle of the mesh's webhooks says; null
   * where there are none. They tell a first start from a lost CA.
   */
  knownRoots: () => Promise<string | null>;
}

export interface CaKeeper extends CaSource {
  /**
   * Reads the Secret and acts on what it finds. Called at the start, when the Secret or Mesh changes,
   * and from time to time. Rejects with ApiError, and then nothing has changed.
   */
  sync(nowMs: number): Promise<void>;
}

interface Problem {
  reason: string;
  message: string;
}

interface State {
  /** The last CA that was found good: what a vanished Secret is restored from. */
  held: CertificateAuthority | null;
  heldContent: CaContent | null;
  problem: Problem | null;
}

/** Remaining share of a CA's life below which its condition begins to warn. */
const expiresSoonShare = 0.1;
const attempts = 5;
const target = {
  apiVersion: 'v1',
  kind: 'Secret',
  namespace: systemNamespace,
  name: caSecretName,
};
const where = `Secret ${systemNamespace}/${caSecretName}`;
const newRootHint = `to begin with a new root (every sidecar must then be restarted), delete the Secret and run: kubectl annotate mesh default --overwrite ${newRootAnnotation}=$(date -u +%FT%TZ)`;

export function createCaKeeper(deps: CaKeeperDeps): CaKeeper {
  const state: State = {
    held: null,
    heldContent: null,
    problem: { reason: 'CANotLoaded', message: `${where} has not been read yet` },
  };
  return {
    sync: (nowMs) => sync(deps, state, nowMs),
    // The last good one goes on, whatever the Secret holds by now.
    current: (nowMs) => (state.held !== null && state.held.notAfterMs > nowMs ? state.held : null),
    condition: (nowMs) => conditionOf(state, nowMs),
  };
}

async function sync(deps: CaKeeperDeps, state: State, nowMs: number): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const secret = await deps.api.get<Secret>('Secret', systemNamespace, caSecretName);
    if (secret !== null) return adopt(deps, state, secret, nowMs);
    const made = await replacement(deps, state, nowMs);
    if (made === null) return;
    if (await createSecret(deps.api, made.content)) {
      deps.events.event(target, made.isNew ? 'Normal' : 'Warning', made.event, made.message);
    }
    // Read back: another replica may have been first, and its CA is then the one that counts.
  }
  throw new ApiError('Conflict', 409, `${where} vanished ${attempts} times while it was made`);
}

/** What to write where there is no Secret; null: nothing may be written, and the state says why. */
async function replacement(deps: CaKeeperDeps, state: State, nowMs: number) {
  const accepted = acceptsNewRoot(deps.getMesh(), state.held, nowMs);
  if (state.heldContent !== null && !accepted) {
    return {
      content: state.heldContent,
      isNew: false,
      event: 'CARestored',
      message: `${where} was gone and has been restored from the operator's memory`,
    };
  }
  const lost = state.heldContent === null && !accepted && (await deps.knownRoots()) !== null;
  if (lost) {
    setProblem(deps, state, {
      reason: 'CAKeyLost',
      message: `${where} is gone, and this operator never held its key: restore it from a backup; or ${newRootHint}`,
    });
    return null;
  }
  const mesh = deps.getMesh();
  const trustDomain = mesh?.spec.trustDomain ?? defaultTrustDomain;
  const pem = createRoot(trustDomain, rootLifetimeMs(mesh), nowMs);
  return {
    content: contentWith(pem),
    isNew: true,
    event: 'CACreated',
    message: 'A new root was made: the mesh had none, or a new one was asked for',
  };
}

async function adopt(deps: CaKeeperDeps, state: State, secret: Secret, nowMs: number) {
  const content = contentOf(secret);
  const result = checkSecret(secret, content.pem, { mesh: deps.getMesh(), nowMs });
  if (!result.ok) return setProblem(deps, state, result.problem);
  const accepted = acceptsNewRoot(deps.getMesh(), state.held, nowMs);
  if (!accepted && !(await isTrusted(deps, state, content.pem))) {
    return setProblem(deps, state, {
      reason: 'CARootChanged',
      message: `${where} holds a CA under a root that sidecars do not trust yet: put back the former one (delete the Secret, and a running operator restores it), or add the new root to ca.crt first and let it spread; ${newRootHint}`,
    });
  }
  state.held = result.authority;
  state.heldContent = content;
  if (state.problem !== null && state.problem.reason !== 'CANotLoaded') {
    deps.events.event(target, 'Normal', 'CAReady', `${where} is valid again: issuing goes on`);
  }
  state.problem = null;
}

function checkSecret(
  secret: Secret,
  pem: CaPem,
  { mesh, nowMs }: { mesh: Mesh | null; nowMs: number },
): CaResult {
  const missing = ['tls.crt', 'tls.key'].filter((key) => !secret.data?.[key]);
  if (missing.length > 0) {
    const message = `has no ${missing.join(' and no ')}`;
    return { ok: false, problem: { reason: 'CASecretIncomplete', message } };
  }
  return loadAuthority(pem, nowMs, mesh?.spec.trustDomain ?? null);
}

/**
 * True where peers accept what this CA issues: by the roots of the CA before, or, for a replica that missed
 * a step of a rotation, by those that the webhooks have meanwhile. A first CA has nobody to ask.
 */
async function isTrusted(deps: CaKeeperDeps, state: State, pem: CaPem): Promise<boolean> {
  const reaches = (rootsPem: string) => trustOf({ ...pem, rootsPem }).underRoot !== null;
  const held = state.heldContent?.pem.rootsPem ?? null;
  if (held !== null && reaches(held)) return true;
  const known = await deps.knownRoots();
  return known === null ? held === null : reaches(known);
}

function setProblem(deps: CaKeeperDeps, state: State, problem: Problem): void {
  const message = problem.message.startsWith(where)
    ? problem.message
    : `${where}: ${problem.message}`;
  const effect =
    state.held === null
      ? 'nothing is issued until it is put right; certificates in force go on'
      : 'the last good CA goes on from the memory of the running operator, and is put back when you delete the Secret';
  if (state.problem?.reason !== problem.reason) {
    deps.events.event(target, 'Warning', problem.reason, `${message}; ${effect}`);
  }
  state.problem = { reason: problem.reason, message: `${message}; ${effect}` };
}

function conditionOf(state: State, nowMs: number): CaCondition {
  if (state.problem !== null) return { status: 'False', ...state.problem };
  const held = state.held!;
  const end = new Date(held.notAfterMs).toISOString();
  if (held.notAfterMs <= nowMs) {
    return {
      status: 'False',
      reason: 'CAExpired',
      message: `${where}: the issuing certificate ended at ${end}; ${newRootHint}`,
    };
  }
  const share = (held.notAfterMs - nowMs) / (held.notAfterMs - held.notBeforeMs);
  const reason = share < expiresSoonShare ? 'CAExpiresSoon' : 'CAReady';
  return { status: 'True', reason, message: `the issuing certificate ends at ${end}` };
}

/** False where another replica was first. */
async function createSecret(api: ApiClient, content: CaContent): Promise<boolean> {
  try {
    const secret: Secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: caSecretName,
        namespace: systemNamespace,
        labels: { 'app.kubernetes.io/part-of': 'tsmesh', 'app.kubernetes.io/component': 'ca' },
      },
      type: caSecretType,
    };
    await api.create('Secret', withContent(secret, content));
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'AlreadyExists') return false;
    throw error;
  }
}

/** The user's word does not count for what was made after it. */
function acceptsNewRoot(
  mesh: Mesh | null,
  held: CertificateAuthority | null,
  nowMs: number,
): boolean {
  const saidMs = newRootAcceptedAt(mesh, nowMs);
  return saidMs !== null && (held === null || held.notBeforeMs + backdateMs < saidMs);
}
