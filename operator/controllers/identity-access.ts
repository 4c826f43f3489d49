// The operator's rights on Secrets of one namespace: a RoleBinding there, made when the namespace is
// meshed and taken away when it no longer is. The role that it binds stands in config/operator/rbac.yaml.

import { systemNamespace } from '../../proxy/api/constants.ts';
import { operatorServiceAccount } from '../ca/operator-identity.ts';
import { ApiError, type ApiClient } from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { pause } from '../runtime/clock.ts';

export const identityRoleName = 'tsmesh-identity';

interface RoleBinding extends KubeObject {
  roleRef: { apiGroup: string; kind: string; name: string };
  subjects: { kind: string; name: string; namespace: string }[];
}

/** The API server's authorizer learns of a new RoleBinding from its own watch, a moment later. */
const settleMs = { step: 50, atMost: 3_000 };

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

/** Makes the binding where there is none. */
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

/** For admission, which needs the rights at once: makes the binding and waits until it holds. */
export async function prepareIdentityAccess(
  api: ApiClient,
  clock: Clock,
  namespace: string,
): Promise<void> {
  await grantIdentityAccess(api, namespace);
  const startedMs = clock.nowMs();
  for (;;) {
    try {
      await api.get('Secret', namespace, 'tsmesh-identity-default');
      return;
    } catch (error) {
      const forbidden = error instanceof ApiError && error.code === 'Forbidden';
      if (!forbidden || clock.nowMs() - startedMs > settleMs.atMost) throw error;
    }
    await pause(clock, settleMs.step);
  }
}
