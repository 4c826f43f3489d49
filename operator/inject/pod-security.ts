// What the user is warned of: Pod Security levels that the init container does not pass, and pods whose
// containers can look into the sidecar. Pure.

import type { Namespace, PodSpec } from '../resources/kubernetes.ts';

const enforceLabel = 'pod-security.kubernetes.io/enforce';

/** What the user is told; null where the namespace admits NET_ADMIN. */
export function podSecurityWarning(namespace: Namespace): string | null {
  const level = namespace.metadata.labels?.[enforceLabel];
  if (level !== 'baseline' && level !== 'restricted') return null;
  const { name } = namespace.metadata;
  return `namespace ${name} enforces Pod Security "${level}", which refuses the NET_ADMIN and NET_RAW of tsmesh-init: meshed pods will not start; set ${enforceLabel}=privileged`;
}

/** The same with the reason and the whole way out, for an Event, which has room for it. */
export function podSecurityEvent(namespace: Namespace): string | null {
  const warning = podSecurityWarning(namespace);
  if (warning === null) return null;
  return `${warning}. tsmesh-init needs the two once, before the app starts, to redirect the pod's TCP traffic to its sidecar with iptables; no other container gets them. Keep pod-security.kubernetes.io/warn and audit at the level you had, to hear of everything else, or mesh single workloads in a namespace of their own`;
}

/** /proc shows each container's files to the root user of every other one. */
export function sharedProcessWarning(spec: PodSpec): string | null {
  if (spec.shareProcessNamespace !== true) return null;
  return 'shareProcessNamespace lets containers of this pod that run as root read the key of its identity';
}
