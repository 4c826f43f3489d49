// Admission of namespaces: mirrors the annotation to the label in the same write, refuses what is not
// valid, and says which running pods the change does not reach. The mirror itself is a pure function,
// for the controller that repairs it.

import type { PodEntry } from '../model/view.ts';
import type { Namespace } from '../resources/kubernetes.ts';
import type { AdmissionHandler, HandlerDeps } from './admission.ts';
import { namespaceInjects, protectedNamespaces } from './eligibility.ts';
import { diff } from './json-patch.ts';
import { podSecurityWarning } from './pod-security.ts';
import { injectKey } from './settings.ts';

export function createNamespaceHandler(deps: Pick<HandlerDeps, 'podsOf'>): AdmissionHandler {
  return async (request) => {
    const namespace = request.object as Namespace | null;
    if (namespace === null) return { allowed: true, patch: [], warnings: [] };
    const before = request.oldObject as Namespace | null;
    const mirrored = mirrorInjection(namespace, before);
    if (!mirrored.ok) return { allowed: false, message: mirrored.message, warnings: [] };
    const warnings = warningsOf(deps, mirrored.namespace, before);
    return { allowed: true, patch: diff(namespace, mirrored.namespace), warnings };
  };
}

export type MirrorResult = { ok: true; namespace: Namespace } | { ok: false; message: string };

/**
 * The annotation decides, the label follows; a label that is set alone brings the annotation. Without
 * `before` (a repair), an annotation that is gone cannot be told from one that never was.
 */
export function mirrorInjection(namespace: Namespace, before: Namespace | null): MirrorResult {
  const { name } = namespace.metadata;
  const annotation = namespace.metadata.annotations?.[injectKey];
  const label = namespace.metadata.labels?.[injectKey];
  const removed = before?.metadata.annotations?.[injectKey] !== undefined;
  const value = annotation ?? (removed ? undefined : label);
  if (value !== undefined && value !== 'enabled' && value !== 'disabled') {
    const hint = 'valid: enabled or disabled';
    return {
      ok: false,
      message: `namespace ${name}: ${injectKey}: "${value}" is not valid; ${hint}`,
    };
  }
  if (value === 'enabled' && protectedNamespaces.includes(name)) {
    const list = protectedNamespaces.join(' and ');
    return { ok: false, message: `namespace ${name} cannot be meshed (${list} never are)` };
  }
  const metadata = {
    ...namespace.metadata,
    annotations: withValue(namespace.metadata.annotations, value),
    labels: withValue(namespace.metadata.labels, value),
  };
  return { ok: true, namespace: { ...namespace, metadata } as Namespace };
}

function withValue(
  map: Record<string, string> | undefined,
  value: string | undefined,
): Record<string, string> | undefined {
  if (value !== undefined) return { ...map, [injectKey]: value };
  if (map?.[injectKey] === undefined) return map;
  const { [injectKey]: _, ...rest } = map;
  return rest;
}

function warningsOf(
  deps: Pick<HandlerDeps, 'podsOf'>,
  namespace: Namespace,
  before: Namespace | null,
): string[] {
  const now = namespaceInjects(namespace);
  const was = before !== null && namespaceInjects(before);
  if (now === was) return [];
  const security = now ? podSecurityWarning(namespace) : null;
  const restart = before === null ? null : restartWarning(deps, namespace, now);
  return [restart, security].filter((warning) => warning !== null);
}

/** Which pods go on as they are, and the command that changes it; null: none do. */
function restartWarning(
  deps: Pick<HandlerDeps, 'podsOf'>,
  namespace: Namespace,
  enabled: boolean,
): string | null {
  const { name } = namespace.metadata;
  const stale = deps.podsOf(name).filter((pod) => isRunning(pod) && pod.meshed !== enabled);
  if (stale.length === 0) return null;
  const count = stale.length === 1 ? '1 running pod' : `${stale.length} running pods`;
  const state = enabled ? 'no sidecar' : 'a sidecar still';
  return `${count} of ${name} ${stale.length === 1 ? 'has' : 'have'} ${state} until restarted: ${restartCommand(name, stale)}`;
}

/** `kubectl rollout restart` of every kind that can be restarted; other pods have to be deleted. */
function restartCommand(namespace: string, pods: readonly PodEntry[]): string {
  const names: Record<string, string> = {
    Deployment: 'deployment',
    StatefulSet: 'statefulset',
    DaemonSet: 'daemonset',
  };
  const kinds = pods.map((pod) => names[pod.workload.split('/')[0]!]);
  const types = [...new Set(kinds.filter((kind) => kind !== undefined))].toSorted();
  const others = kinds.filter((kind) => kind === undefined).length;
  const commands = [];
  if (types.length > 0) commands.push(`kubectl -n ${namespace} rollout restart ${types.join(',')}`);
  if (others > 0) commands.push(`${others} of them without such a controller: delete and create`);
  return commands.join('; ');
}

function isRunning(pod: PodEntry): boolean {
  return pod.alive && !pod.terminating && !pod.hostNetwork;
}
