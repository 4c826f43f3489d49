// Which kinds the operator keeps local copies of, and those copies as controllers read them.

import { systemNamespace } from '../proxy/api/constants.ts';
import { caSecretName } from './ca/types.ts';
import type { Stores } from './controllers/context.ts';
import { identityRoleName } from './controllers/identity-access.ts';
import { webhookConfigurationName } from './controllers/webhook-configuration.ts';
import type { Caches } from './kube/caches.ts';
import type { InformerScope } from './kube/informer.ts';
import type { EndpointSlice, KubeObject, Pod } from './resources/kubernetes.ts';

/** What makes a Pod large and is read by nobody here. */
const unreadPodFields = ['volumes', 'affinity', 'tolerations', 'topologySpreadConstraints'];
const unreadContainerFields = ['env', 'envFrom', 'volumeMounts', 'args', 'command', 'resources'];
const unreadHooks = ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'];

/** Half of the operator's memory in a large cluster would be Pods: kept is what the model reads. */
export function slimPod(object: KubeObject): void {
  const { spec } = object as Pod;
  for (const field of unreadPodFields) delete spec[field];
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
    for (const field of [...unreadContainerFields, ...unreadHooks]) delete container[field];
  }
}

/** Single objects are watched by name, which is all that the operator's role allows. */
export const informerScopes: readonly InformerScope[] = [
  { kind: 'Mesh' },
  { kind: 'PeerAuthentication' },
  { kind: 'TrafficPolicy' },
  { kind: 'AuthorizationPolicy' },
  { kind: 'MeshStatus' },
  { kind: 'Namespace' },
  { kind: 'Pod', prepare: slimPod },
  { kind: 'Service' },
  // Slices without endpoints come with null in the place of the list.
  { kind: 'EndpointSlice', prepare: (slice) => void ((slice as EndpointSlice).endpoints ??= []) },
  { kind: 'RoleBinding', fieldSelector: `metadata.name=${identityRoleName}` },
  {
    kind: 'MutatingWebhookConfiguration',
    fieldSelector: `metadata.name=${webhookConfigurationName}`,
  },
  {
    kind: 'ValidatingWebhookConfiguration',
    fieldSelector: `metadata.name=${webhookConfigurationName}`,
  },
  { kind: 'Secret', namespace: systemNamespace, fieldSelector: `metadata.name=${caSecretName}` },
];

export function storesOf(caches: Caches): Stores {
  return {
    meshes: caches.of('Mesh'),
    peerAuthentications: caches.of('PeerAuthentication'),
    trafficPolicies: caches.of('TrafficPolicy'),
    authorizationPolicies: caches.of('AuthorizationPolicy'),
    meshStatuses: caches.of('MeshStatus'),
    namespaces: caches.of('Namespace'),
    roleBindings: caches.of('RoleBinding'),
    mutatingWebhooks: caches.of('MutatingWebhookConfiguration'),
    validatingWebhooks: caches.of('ValidatingWebhookConfiguration'),
  };
}
