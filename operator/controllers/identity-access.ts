// The operator's rights on Secrets of one namespace: a RoleBinding there, made when the namespace is
// meshed and taken away when it no longer is. The role that it binds stands in config/operator/rbac.yaml.

import { systemNamespace } from '../../proxy/api/constants.ts';
import { operatorServiceAccount } from '../ca/operator-identity.ts';
import { ApiError, type ApiClient } from '../resources/api-client.ts';
import type { KubeObject } from '../resources/kubernetes.ts';

export const identityRoleName = 'tsmesh-identity';

interface RoleBinding extends KubeObject {
  roleRef: { apiGroup: string; kind: string; name: string };
  subjects: { kind: string; name: string; namespace: string }[];
}

export function identityRoleBinding(namespace: string): RoleBinding {
  return {
    metadata: {
      name: identityRoleName,
      namespace,
      labels: { 'app.kubernetes.io/part-of': 'tsmesh' },
    },
    roleRef: {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: identityRoleName,
    },
    subjects: [
      { kind: 'ServiceAccount', name: operatorServiceAccount, namespace: systemNamespace },
    ],
  };
}

/** Makes the binding where there is none; the API server's authorizer learns of it a moment later. */
export async function grantIdentityAccess(api: ApiClient, namespace: string): Promise<void> {
  if ((await api.get('RoleBinding', namespace, identityRoleName)) !== null) return;
  try {
    await api.create('RoleBinding', identityRoleBinding(namespace));
  } catch (error) {
    if (error instanceof ApiError && error.code === 'AlreadyExists') return;
    throw error;
  }
}

export function revokeIdentityAccess(api: ApiClient, namespace: string): Promise<void> {
  return api.delete('RoleBinding', namespace, identityRoleName);
}
