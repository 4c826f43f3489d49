// Where each kind lives in the Kubernetes API: a table, and the paths formed from it.

import type { Kind } from '../resources/api-client.ts';

export interface KindInfo {
  group: string;
  version: string;
  plural: string;
  namespaced: boolean;
}

export const kinds: Readonly<Record<Kind, KindInfo>> = {
  Mesh: { group: 'tsmesh.dev', version: 'v1alpha1', plural: 'meshes', namespaced: false },
  PeerAuthentication: {
    group: 'tsmesh.dev',
    version: 'v1alpha1',
    plural: 'peerauthentications',
    namespaced: true,
  },
  TrafficPolicy: {
    group: 'tsmesh.dev',
    version: 'v1alpha1',
    plural: 'trafficpolicies',
    namespaced: true,
  },
  MeshStatus: {
    group: 'tsmesh.dev',
    version: 'v1alpha1',
    plural: 'meshstatuses',
    namespaced: false,
  },
  Namespace: { group: '', version: 'v1', plural: 'namespaces', namespaced: false },
  Pod: { group: '', version: 'v1', plural: 'pods', namespaced: true },
  Service: { group: '', version: 'v1', plural: 'services', namespaced: true },
  EndpointSlice: {
    group: 'discovery.k8s.io',
    version: 'v1',
    plural: 'endpointslices',
    namespaced: true,
  },
  Secret: { group: '', version: 'v1', plural: 'secrets', namespaced: true },
  ServiceAccount: { group: '', version: 'v1', plural: 'serviceaccounts', namespaced: true },
  RoleBinding: {
    group: 'rbac.authorization.k8s.io',
    version: 'v1',
    plural: 'rolebindings',
    namespaced: true,
  },
  Lease: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', namespaced: true },
  MutatingWebhookConfiguration: {
    group: 'admissionregistration.k8s.io',
    version: 'v1',
    plural: 'mutatingwebhookconfigurations',
    namespaced: false,
  },
  ValidatingWebhookConfiguration: {
    group: 'admissionregistration.k8s.io',
    version: 'v1',
    plural: 'validatingwebhookconfigurations',
    namespaced: false,
  },
  Event: { group: 'events.k8s.io', version: 'v1', plural: 'events', namespaced: true },
};

export function apiVersionOf(kind: Kind): string {
  const { group, version } = kinds[kind];
  return group === '' ? version : `${group}/${version}`;
}

/** Path of the collection; an empty namespace means all of them. */
export function collectionPath(kind: Kind, namespace: string): string {
  const { group, version, plural, namespaced } = kinds[kind];
  const base = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const scope =
    namespaced && namespace !== '' ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${base}${scope}/${plural}`;
}

export function objectPath(kind: Kind, namespace: string, name: string): string {
  return `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`;
}
