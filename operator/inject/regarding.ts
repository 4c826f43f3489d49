// What an Event about a pod is attached to, while the pod may not have a name yet. Pure.

import type { EventTarget } from '../resources/api-client.ts';
import type { Pod } from '../resources/kubernetes.ts';

/** The pod, where it has a name; else what makes it (a ReplicaSet, a Job); else its namespace. */
export function eventTargetOf(pod: Pod, namespace: string): EventTarget {
  const { name, uid, ownerReferences = [] } = pod.metadata;
  const owner = ownerReferences.find((ref) => ref.controller === true) ?? ownerReferences[0];
  if (owner !== undefined) {
    const { apiVersion, kind, name: ownerName, uid: ownerUid } = owner;
    return { apiVersion, kind, namespace, name: ownerName, uid: ownerUid };
  }
  if (name) {
    return { apiVersion: 'v1', kind: 'Pod', namespace, name, ...(uid !== undefined && { uid }) };
  }
  return { apiVersion: 'v1', kind: 'Namespace', namespace: '', name: namespace };
}

/** The pod as people know it, for messages. */
export function podTitle(pod: Pod, namespace: string): string {
  const { name, generateName } = pod.metadata;
  return `pod ${namespace}/${name || `${generateName ?? ''}…`}`;
}
