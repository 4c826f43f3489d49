// Whether the view is as new as what a controller read: the view follows some milliseconds later, and a
// verdict from an older one would be wrong for as long. Pure.

import { objectKey, type View } from '../model/view.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { isDryRun } from '../resources/dry-run.ts';
import type {
  AuthorizationPolicy,
  Mesh,
  PeerAuthentication,
  TrafficPolicy,
} from '../resources/tsmesh.ts';

export function meshInView(view: View, mesh: Mesh): boolean {
  return view.mesh !== null && isSame(view.mesh, mesh);
}

export function peerAuthenticationInView(view: View, policy: PeerAuthentication): boolean {
  const all = view.peerAuthentications.get(policy.metadata.namespace ?? '') ?? [];
  return all.some((other) => isSame(other, policy));
}

export function trafficPolicyInView(view: View, policy: TrafficPolicy): boolean {
  const key = objectKey(policy.metadata.namespace ?? '', policy.spec.service.name);
  return (view.trafficPolicies.get(key) ?? []).some((other) => isSame(other, policy));
}

/** Its annotation too, which moves no generation. */
export function authorizationPolicyInView(view: View, policy: AuthorizationPolicy): boolean {
  const all = view.authorizationPolicies.get(policy.metadata.namespace ?? '') ?? [];
  return all.some((other) => isSame(other, policy) && isDryRun(other) === isDryRun(policy));
}

function isSame(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.generation === b.metadata.generation;
}
