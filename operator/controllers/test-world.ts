// For tests only: objects of a small cluster, and the view that the model makes of them.

import { createModel } from '../model/model.ts';
import type { View } from '../model/view.ts';
import type { Kind } from '../resources/api-client.ts';
import type { KubeObject, Namespace, Pod, Service } from '../resources/kubernetes.ts';
import type {
  PeerAuthentication,
  PeerAuthenticationSpec,
  TrafficPolicy,
  TrafficPolicySpec,
} from '../resources/tsmesh.ts';
import { ManualClock } from '../runtime/test-clock.ts';

export function viewOf(objects: [Kind, KubeObject][]): View {
  const model = createModel({ clock: new ManualClock() });
  for (const [kind, object] of objects) model.upsert(kind, object);
  model.flush();
  return model.view();
}

export function namespaceOf(name: string, more: Partial<Namespace['metadata']> = {}): Namespace {
  return { metadata: { name, uid: name, ...more } };
}

export function podOf(name: string, labels: Record<string, string> = {}): [Kind, Pod] {
  const pod: Pod = {
    metadata: { name, namespace: 'shop', uid: name, labels },
    spec: { containers: [{ name: 'app' }], serviceAccountName: 'app' },
    status: { phase: 'Running', podIPs: [{ ip: `10.0.0.${name.length}` }] },
  };
  return ['Pod', pod];
}

export function serviceOf(name: string, ports: number[]): [Kind, Service] {
  const service: Service = {
    metadata: { name, namespace: 'shop', uid: name },
    spec: { clusterIP: '10.96.0.7', ports: ports.map((port) => ({ port, name: `p${port}` })) },
  };
  return ['Service', service];
}

/** `age` in days: the higher, the older. */
export function peerAuthenticationOf(
  name: string,
  age: number,
  spec: PeerAuthenticationSpec,
): PeerAuthentication {
  return { metadata: metadataOf(name, age), spec };
}

export function trafficPolicyOf(name: string, age: number, spec: TrafficPolicySpec): TrafficPolicy {
  return { metadata: metadataOf(name, age), spec };
}

function metadataOf(name: string, age: number): KubeObject['metadata'] {
  const creationTimestamp = new Date(Date.UTC(2026, 5, 30 - age)).toISOString();
  return { name, namespace: 'shop', uid: name, generation: 1, creationTimestamp };
}
