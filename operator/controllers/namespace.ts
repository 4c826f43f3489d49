// Namespaces: repairs the mirror between annotation and label, and gives or takes the operator's rights
// on the identity Secrets there.

import { namespaceInjects, protectedNamespaces } from '../inject/eligibility.ts';
import { mirrorInjection } from '../inject/namespace-handler.ts';
import { podSecurityEvent } from '../inject/pod-security.ts';
import { injectKey } from '../inject/settings.ts';
import type { View } from '../model/view.ts';
import { accessLogWish } from '../resources/access-log.ts';
import { ApiError } from '../resources/api-client.ts';
import type { Namespace } from '../resources/kubernetes.ts';
import type { ControllerContext } from './context.ts';
import { grantIdentityAccess, identityRoleName, revokeIdentityAccess } from './identity-access.ts';

export interface NamespaceDecision {
  /** Value for annotation and label where they differ; undefined: nothing to repair. */
  mirror: 'enabled' | 'disabled' | undefined;
  /** Whether the operator keeps identities here. */
  meshed: boolean;
  /** Why annotation or label have no effect; empty where they have. */
  complaint: string;
  /** Why pods of this namespace will not be admitted with a sidecar, and what to do; null: they will. */
  podSecurity: string | null;
}

export async function reconcileNamespace(context: ControllerContext, name: string): Promise<void> {
  const namespace = context.stores.namespaces.get('', name);
  if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return;
  warnOfAccessLog(context, namespace);
  const decision = decideNamespace(namespace, namespacesWithMeshedPods(context.view()).has(name));
  if (decision.complaint !== '') {
    const target = { apiVersion: 'v1', kind: 'Namespace', namespace: '', name };
    context.events.event(target, 'Warning', 'InjectionRefused', decision.complaint);
  }
  if (decision.podSecurity !== null) {
    const target = { apiVersion: 'v1', kind: 'Namespace', namespace: '', name };
    context.events.event(target, 'Warning', 'PodSecurityForbidsInjection', decision.podSecurity);
  }
  try {
    if (decision.mirror !== undefined) await writeMirror(context, name, decision.mirror);
    await settleAccess(context, name, decision.meshed);
  } catch (error) {
    // Going or gone: nothing can be made there any more.
    const ended =
      error instanceof ApiError &&
      (error.code === 'NotFound' || /because it is being terminated/.test(error.message));
    if (!ended) throw error;
  }
}

/** It holds for running pods, and nothing refuses it when it is written: the namespace itself says so. */
function warnOfAccessLog(context: ControllerContext, namespace: Namespace): void {
  const { name, annotations } = namespace.metadata;
  for (const fault of accessLogWish(annotations)?.faults ?? []) {
    const target = { apiVersion: 'v1', kind: 'Namespace', namespace: '', name };
    context.events.event(target, 'Warning', 'InvalidAnnotation', fault);
  }
}

/** Pure. */
export function decideNamespace(namespace: Namespace, hasPods: boolean): NamespaceDecision {
  const { name, annotations = {}, labels = {} } = namespace.metadata;
  const mirrored = mirrorInjection(namespace, null);
  if (!mirrored.ok) {
    const complaint = mirrored.message;
    return { mirror: undefined, meshed: hasPods, complaint, podSecurity: null };
  }
  const value = mirrored.namespace.metadata.annotations?.[injectKey];
  const same = annotations[injectKey] === value && labels[injectKey] === value;
  const meshed = hasPods || (namespaceInjects(namespace) && !protectedNamespaces.includes(name));
  const mirror = same ? undefined : (value as NamespaceDecision['mirror']);
  const podSecurity = meshed ? podSecurityEvent(namespace) : null;
  return { mirror, meshed, complaint: '', podSecurity };
}

export function namespacesWithMeshedPods(view: View): Set<string> {
  const names = new Set<string>();
  for (const pod of view.pods.values()) if (pod.meshed && pod.alive) names.add(pod.namespace);
  return names;
}

async function settleAccess(context: ControllerContext, name: string, meshed: boolean) {
  const granted = context.stores.roleBindings.get(name, identityRoleName) !== undefined;
  if (meshed && !granted) await grantIdentityAccess(context.api, name);
  if (!meshed && granted) await revokeIdentityAccess(context.api, name);
}

async function writeMirror(context: ControllerContext, name: string, value: string): Promise<void> {
  const entry = { [injectKey]: value };
  const metadata = { annotations: entry, labels: entry };
  await context.api.patch({ kind: 'Namespace', namespace: '', name }, { metadata });
  context.logger.info('repaired annotation and label of a namespace', { namespace: name, value });
}
