// Where each kind lives in the Kubernetes API: a table, and the paths formed from it.

import { apiGroup, apiVersion } from '../../proxy/api/constants.ts';
import type { Kind } from '../resources/api-client.ts';

export interface KindInfo {
  group: string;
  version: string;
  plural: string;
  namespaced: boolean;
}

const tsmesh = { group: apiGroup, version: apiVersion };
const core = v1('');

export const kinds: Readonly<Record<Kind, KindInfo>> = {
  Mesh: { ...tsmesh, plural: 'meshes', namespaced: false },
  PeerAuthentication: { ...tsmesh, plural: 'peerauthentications', namespaced: true },
  TrafficPolicy: { ...tsmesh, plural: 'trafficpolicies', namespaced: true },
  AuthorizationPolicy: { ...tsmesh, plural: 'authorizationpolicies', namespaced: true },
  MeshStatus: { ...tsmesh, plural: 'meshstatuses', namespaced: false },
  Namespace: { ...core, plural: 'namespaces', namespaced: false },
  Pod: { ...core, plural: 'pods', namespaced: true },
  Service: { ...core, plural: 'services', namespaced: true },
  EndpointSlice: { ...v1('discovery.k8s.io'), plural: 'endpointslices', namespaced: true },
  ConfigMap: { ...core, plural: 'configmaps', namespaced: true },
  CertificateRequest: {
    ...v1('cert-manager.io'),
    plural: 'certificaterequests',
    namespaced: true,
  },
  Secret: { ...core, plural: 'secrets', namespaced: true },
  ServiceAccount: { ...core, plural: 'serviceaccounts', namespaced: true },
  RoleBinding: { ...v1('rbac.authorization.k8s.io'), plural: 'rolebindings', namespaced: true },
  Lease: { ...v1('coordination.k8s.io'), plural: 'leases', namespaced: true },
  MutatingWebhookConfiguration: {
    ...v1('admissionregistration.k8s.io'),
    plural: 'mutatingwebhookconfigurations',
    namespaced: false,
  },
  ValidatingWebhookConfiguration: {
    ...v1('admissionregistration.k8s.io'),
    plural: 'validatingwebhookconfigurations',
    namespaced: false,
  },
  Event: { ...v1('events.k8s.io'), plural: 'events', namespaced: true },
};

function v1(group: string): { group: string; version: string } {
  return { group, version: 'v1' };
}

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
