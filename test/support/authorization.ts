// Test support: AuthorizationPolicies as a sidecar gets them.

import type {
  AuthorizationAction,
  AuthorizationPolicyRules,
  AuthorizationRule,
} from '../../proxy/api/authorization.ts';
import type { InboundPort, WorkloadResource } from '../../proxy/api/resources.ts';
import { workload } from './sidecar.ts';

export const callerIdentity = 'cluster.local/ns/shop/sa/caller';

/** Named by its action: `AuthorizationPolicy shop/deny`. */
export function policy(
  action: AuthorizationAction,
  rules: Partial<AuthorizationRule>[],
  dryRun = false,
): AuthorizationPolicyRules {
  return {
    name: `AuthorizationPolicy shop/${action.toLowerCase()}`,
    action,
    dryRun,
    rules: rules.map((rule, at) => ({ name: `rule ${at}`, from: [], to: [], when: [], ...rule })),
  };
}

export function guarded(
  policies: AuthorizationPolicyRules[],
  port: Partial<InboundPort> = {},
  ambiguousPaths: 'allReadings' | 'refuse' = 'allReadings',
): WorkloadResource {
  const self = workload({ mtls: 'STRICT', ...port });
  return { ...self, authorization: { policies, ambiguousPaths } };
}
