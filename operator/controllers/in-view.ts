// Whether the view is as new as what a controller read: the view follows some milliseconds later, and a
// verdict from an older one would be wrong for as long. Pure.

import { objectKey, type View } from '../model/view.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import type { Mesh, PeerAuthentication, TrafficPolicy } from '../resources/tsmesh.ts';

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

function isSame(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.generation === b.metadata.generation;
}
