// Whether a pod gets a sidecar: yes, no (skipped), or not admitted at all (refused). Pure.

import { containerNames, ports, proxyUserId, systemNamespace } from '../../proxy/api/constants.ts';
import type { Container, Namespace, Pod, PodSpec } from '../resources/kubernetes.ts';
import { volumeNames } from './containers.ts';
import { injectKey } from './settings.ts';

export type Verdict =
  | { verdict: 'inject' }
  /** An empty message: nobody asked for a sidecar, and nobody needs to hear of it. */
  | { verdict: 'skip'; reason: string; message: string }
  | { verdict: 'refuse'; reason: string; message: string };

export const protectedNamespaces: readonly string[] = ['kube-system', systemNamespace];
const ownPorts: readonly number[] = Object.values(ports);
const ownNames: readonly string[] = Object.values(containerNames);
const values = ['enabled', 'disabled'];
/** On what the API server shows of a static pod: the kubelet runs its own file, whatever we write. */
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const hint = `valid: enabled or disabled`;

/** What the namespace says; the annotation counts before its mirror, the label. */
export function namespaceInjects(namespace: Namespace): boolean {
  const { annotations, labels } = namespace.metadata;
  return (annotations?.[injectKey] ?? labels?.[injectKey]) === 'enabled';
}

/** Before the pod's settings are read. */
export function judgeWish(pod: Pod, namespace: Namespace): Verdict {
  const { name } = namespace.metadata;
  const said = [pod.metadata.annotations?.[injectKey], pod.metadata.labels?.[injectKey]];
  const wrong = said.find((value) => value !== undefined && !values.includes(value));
  if (wrong !== undefined) {
    return refuse('InvalidSetting', `${injectKey}: "${wrong}" is not valid; ${hint}`);
  }
  if (said.includes('disabled')) {
    return skip('OptedOut', `the pod carries ${injectKey}=disabled`);
  }
  if (!said.includes('enabled') && !namespaceInjects(namespace)) return skip('NotMeshed', '');
  if (protectedNamespaces.includes(name)) {
    return refuse('ProtectedNamespace', `pods of namespace ${name} cannot be meshed`);
  }
  if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) {
    return skip('StaticPod', "the pod is static: it comes from a file of the kubelet's");
  }
  return judgeKind(pod.spec);
}

function judgeKind(spec: PodSpec): Verdict {
  if (spec.hostNetwork === true) {
    if (allContainers(spec).some((container) => ownNames.includes(container.name))) {
      return refuse(
        'HostNetwork',
        `the pod has the host's network and containers of the mesh, which would capture the node's traffic; remove ${ownNames.join(' and ')}`,
      );
    }
    return skip('HostNetwork', `the pod uses the host's network, where nothing can be captured`);
  }
  const os = spec.os?.name ?? selected(spec)['kubernetes.io/os'];
  if (os === 'windows') return skip('Windows', 'the pod runs on Windows, which has no iptables');
  return { verdict: 'inject' };
}

/** What would break the mesh or be broken by it; the mesh's own containers are not in `spec`. */
export function judgeConflicts(spec: PodSpec): Verdict {
  const message =
    nameConflict(spec) ?? userConflict(spec) ?? portConflict(spec) ?? volumeConflict(spec);
  return message === null ? { verdict: 'inject' } : refuse('Conflict', message);
}

/** Of ephemeral containers only: they join a pod that is running. */
export function judgeEphemeralContainers(spec: PodSpec): Verdict {
  const containers = spec.ephemeralContainers ?? [];
  for (const container of containers) {
    const message = userOf(container.securityContext, `ephemeral container ${container.name}`);
    if (message !== null) return refuse('Conflict', message);
  }
  return { verdict: 'inject' };
}

function nameConflict(spec: PodSpec): string | null {
  const container = allContainers(spec).find(({ name }) => ownNames.includes(name));
  if (container === undefined) return null;
  return `container ${container.name}: the name belongs to the mesh; choose another one`;
}

function userConflict(spec: PodSpec): string | null {
  const ofPod = userOf(spec.securityContext, 'the pod');
  if (ofPod !== null) return ofPod;
  for (const container of allContainers(spec)) {
    const message = userOf(container.securityContext, `container ${container.name}`);
    if (message !== null) return message;
  }
  return null;
}

function userOf(context: Record<string, unknown> | undefined, who: string): string | null {
  if (context == null) return null;
  const groups = Array.isArray(context.supplementalGroups) ? context.supplementalGroups : [];
  const clash = ['runAsUser', 'runAsGroup', 'fsGroup'].find((f) => context[f] === proxyUserId);
  const field = clash ?? (groups.includes(proxyUserId) ? 'supplementalGroups' : null);
  if (field === null) return null;
  return `${who}: securityContext.${field} ${proxyUserId} belongs to the sidecar, whose traffic is not captured; choose another one`;
}

function portConflict(spec: PodSpec): string | null {
  for (const container of allContainers(spec)) {
    for (const port of container.ports ?? []) {
      if (!ownPorts.includes(port.containerPort) || (port.protocol ?? 'TCP') !== 'TCP') continue;
      return `container ${container.name}: port ${port.containerPort} belongs to the sidecar (${ownPorts.join(', ')}); choose another one`;
    }
  }
  return null;
}

function volumeConflict(spec: PodSpec): string | null {
  const own: readonly string[] = Object.values(volumeNames);
  const volume = spec.volumes?.find(({ name }) => own.includes(name));
  if (volume === undefined) return null;
  return `volume ${volume.name}: the name belongs to the mesh; choose another one`;
}

function allContainers(spec: PodSpec): Container[] {
  return [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ];
}

function selected(spec: PodSpec): Record<string, string> {
  return (spec.nodeSelector as Record<string, string> | undefined) ?? {};
}

function skip(reason: string, message: string): Verdict {
  return { verdict: 'skip', reason, message };
}

function refuse(reason: string, message: string): Verdict {
  return { verdict: 'refuse', reason, message };
}
