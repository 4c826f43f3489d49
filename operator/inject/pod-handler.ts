// Admission of pods: gathers what injection needs, makes sure that the identity Secret exists, and says
// what was skipped or refused. Deciding is in inject-pod.ts.

import { randomBytes } from 'node:crypto';
import { IdentityError, ensureIdentitySecret } from '../ca/identity-secrets.ts';
import { trustDomainOf } from '../ca/trust-domain.ts';
import { ApiError } from '../resources/api-client.ts';
import type { Namespace, Pod } from '../resources/kubernetes.ts';
import { pause } from '../runtime/clock.ts';
import type {
  AdmissionDecision,
  AdmissionHandler,
  AdmissionRequest,
  HandlerDeps,
} from './admission.ts';
import { judgeEphemeralContainers, namespaceInjects } from './eligibility.ts';
import { injectPod, type InjectionResult } from './inject-pod.ts';
import { eventTargetOf, podTitle } from './regarding.ts';

/** 128 bits: nobody guesses them over the network. */
const hookTokenBytes = 16;
/** Pauses while a new RoleBinding reaches the API server's authorizer; together far below 10 s. */
const grantPausesMs = [50, 100, 200, 400, 800, 1600];

export function createPodHandler(deps: HandlerDeps): AdmissionHandler {
  return async (request) => {
    const pod = request.object as Pod | null;
    if (pod === null || pod.spec == null) return refused('the request has no pod');
    if (request.subResource === 'ephemeralcontainers') return admitEphemeral(deps, request, pod);
    const name = request.namespace ?? pod.metadata.namespace ?? '';
    const namespace = await readNamespace(deps, name);
    if (namespace === null) return refused(`namespace ${name} does not exist`);
    return decide(deps, request, { pod, namespace });
  };
}

interface Subject {
  pod: Pod;
  namespace: Namespace;
}

async function decide(
  deps: HandlerDeps,
  request: AdmissionRequest,
  subject: Subject,
): Promise<AdmissionDecision> {
  const result = inject(deps, subject);
  if (result.result !== 'injected') return ended(deps, request, { ...subject, result });
  if (request.dryRun !== true && isMeshed(deps, subject.namespace)) {
    const namespace = subject.namespace.metadata.name;
    const problem = await ensureIdentity(deps, namespace, result.serviceAccount);
    if (problem !== null) {
      const refusal = { result: 'refused', reason: 'NoIdentity', message: problem } as const;
      return ended(deps, request, { ...subject, result: refusal });
    }
  }
  return { allowed: true, patch: result.patch, warnings: result.warnings };
}

function inject(deps: HandlerDeps, subject: Subject): InjectionResult {
  const mesh = deps.getMesh();
  return injectPod({
    ...subject,
    mesh,
    trustDomain: trustDomainOf(mesh, deps.ca.current(deps.clock.wallTimeMs())),
    images: deps.settings.images,
    operatorAddresses: deps.settings.operatorAddresses(),
    version: deps.settings.version,
    freshHookToken: randomBytes(hookTokenBytes).toString('hex'),
  });
}

function ended(
  deps: HandlerDeps,
  request: AdmissionRequest,
  end: Subject & { result: Exclude<InjectionResult, { result: 'injected' }> },
): AdmissionDecision {
  const { pod, result } = end;
  const namespace = end.namespace.metadata.name;
  const skipped = result.result === 'skipped';
  const said = `${podTitle(pod, namespace)} ${skipped ? 'gets no sidecar' : 'was refused'} (${result.reason}): ${result.message}`;
  if (result.message !== '' && request.dryRun !== true) {
    const [type, reason] = skipped
      ? (['Normal', 'InjectionSkipped'] as const)
      : (['Warning', 'InjectionRefused'] as const);
    deps.events.event(eventTargetOf(pod, namespace), type, reason, said);
  }
  if (result.result === 'refused') return refused(result.message);
  return { allowed: true, patch: result.patch, warnings: [] };
}

/**
 * Anybody who reaches the webhook's port can write a review of a pod that never will be: it must not make
 * the operator do anything in a namespace that is no part of the mesh. The first pod that asks for itself
 * there gets its Secret from the controllers, once it exists.
 */
function isMeshed(deps: HandlerDeps, namespace: Namespace): boolean {
  if (namespaceInjects(namespace)) return true;
  return deps.podsOf(namespace.metadata.name).some((pod) => pod.meshed && pod.alive);
}

/** Null when the Secret is there; else why not, in words. */
async function ensureIdentity(
  deps: HandlerDeps,
  namespace: string,
  serviceAccount: string,
): Promise<string | null> {
  const ref = { namespace, serviceAccount };
  try {
    // The API server has looked before it asks; whoever invents service accounts is not the API server.
    if ((await deps.api.get('ServiceAccount', namespace, serviceAccount)) === null) {
      return `service account ${namespace}/${serviceAccount} does not exist`;
    }
    await withGrant(deps, namespace, () =>
      ensureIdentitySecret(deps, ref, deps.clock.wallTimeMs()),
    );
    return null;
  } catch (error) {
    if (error instanceof IdentityError) return error.message;
    if (!(error instanceof ApiError)) throw error;
    return `the identity Secret of service account ${namespace}/${serviceAccount} could not be written: ${error.message}`;
  }
}

/** Where the right to write Secrets is missing yet (a namespace meshed a moment ago), asks for it. */
async function withGrant<T>(
  deps: HandlerDeps,
  namespace: string,
  run: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      const pauseMs = grantPausesMs[attempt];
      if (!(error instanceof ApiError) || error.code !== 'Forbidden') throw error;
      if (pauseMs === undefined) throw error;
      if (attempt === 0) await deps.prepareNamespace(namespace);
      await pause(deps.clock, pauseMs);
    }
  }
}

/** The cache may be a moment behind the annotation that made the API server ask. */
async function readNamespace(deps: HandlerDeps, name: string): Promise<Namespace | null> {
  const cached = deps.getNamespace(name);
  if (cached !== null && namespaceInjects(cached)) return cached;
  return deps.api.get<Namespace>('Namespace', '', name);
}

function admitEphemeral(deps: HandlerDeps, request: AdmissionRequest, pod: Pod): AdmissionDecision {
  const verdict = judgeEphemeralContainers(pod.spec);
  if (verdict.verdict === 'inject') return { allowed: true, patch: [], warnings: [] };
  const namespace = request.namespace ?? pod.metadata.namespace ?? '';
  if (request.dryRun !== true) {
    const target = eventTargetOf(pod, namespace);
    deps.events.event(target, 'Warning', 'EphemeralContainerRefused', verdict.message);
  }
  return refused(verdict.message);
}

function refused(message: string): AdmissionDecision {
  return { allowed: false, message, warnings: [] };
}
