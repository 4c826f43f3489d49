// Policies, callers and requests for tests of authorization.
import type {
  Authorization,
  AuthorizationAction,
  AuthorizationOperation,
  AuthorizationPolicyRules,
  AuthorizationRule,
} from '../../api/authorization.ts';
import { callerOf } from './caller.ts';
import type { Caller, HttpRequest, Target } from './types.ts';

export const web: Caller = callerOf('spiffe://cluster.local/ns/web/sa/front', '10.0.0.1');
export const nobody: Caller = callerOf('', '192.168.7.7');
export const cart: Target = { address: '10.0.0.2', port: 8080 };

export function policy(
  action: AuthorizationAction,
  rules: Partial<AuthorizationRule>[],
  more: Partial<AuthorizationPolicyRules> = {},
): AuthorizationPolicyRules {
  return {
    name: `AuthorizationPolicy shop/${action.toLowerCase()}`,
    action,
    dryRun: false,
    rules: rules.map((rule, i) => ({ name: `rule ${i}`, from: [], to: [], when: [], ...rule })),
    ...more,
  };
}

export function operation(action: AuthorizationAction, to: AuthorizationOperation): Authorization {
  return { policies: [policy(action, [{ to: [to] }])], ambiguousPaths: 'allReadings' };
}

export function authorization(...policies: AuthorizationPolicyRules[]): Authorization {
  return { policies, ambiguousPaths: 'allReadings' };
}

export function get(path: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'GET', authority: 'cart.shop', path, fields: [], ...more };
}
