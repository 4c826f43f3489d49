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

/** /proc shows each container's files to the root user of every other one. */
export function sharedProcessWarning(spec: PodSpec): string | null {
  if (spec.shareProcessNamespace !== true) return null;
  return 'shareProcessNamespace lets containers of this pod that run as root read the key of its identity';
}
