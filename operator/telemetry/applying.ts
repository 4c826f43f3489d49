// The policies that have a say in what comes to a workload: those that shaped what its sidecars were sent, and the TrafficPolicies
// of the Services that it stands behind. Pure.

import type { PolicyRef } from '../../proxy/api/resources.ts';
import { podAt, endpointsOf, keyOf, namespaceOf } from '../model/view.ts';
import type { ObjectKey, View } from '../model/view.ts';

export type Applying = Pick<PolicyRef, 'kind' | 'namespace' | 'name'>;

/** `workload` is `shop/Deployment/cart`; `shaping` is what shaped what a pod's sidecar was sent. Each once, sorted. */
export function policiesApplying(
  view: View,
  workload: string,
  shaping: (pod: ObjectKey) => readonly PolicyRef[],
): Applying[] {
  const found = new Map<string, Applying>();
  const add = ({ kind, namespace, name }: Applying) =>
    found.set(`${kind} ${namespace}/${name}`, { kind, namespace, name });
  for (const pod of view.pods.values()) {
    if (`${pod.namespace}/${pod.workload}` === workload) shaping(pod.key).forEach(add);
  }
  const [namespace = ''] = workload.split('/');
  for (const service of view.servicesByNamespace.get(namespace) ?? []) {
    if (!standsBehind(view, keyOf(service), workload)) continue;
    for (const policy of view.trafficPolicies.get(keyOf(service)) ?? []) {
      const { name } = policy.metadata;
      add({ kind: 'TrafficPolicy', namespace: namespaceOf(policy), name });
    }
  }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

function standsBehind(view: View, service: ObjectKey, workload: string): boolean {
  return (view.slices.get(service) ?? []).flatMap(endpointsOf).some(({ addresses }) => {
    const pod = podAt(view, addresses[0] ?? '');
    return pod !== null && `${pod.namespace}/${pod.workload}` === workload;
  });
}
