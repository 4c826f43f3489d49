// The rules of all policies, sorted by what becomes of a request that they match. Pure; made once per push.

import type { Authorization, AuthorizationPolicyRules } from '../../api/authorization.ts';
import { compileRule, type CompiledRule } from './rule.ts';
import type { Decision, Remark } from './types.ts';

export interface CompiledPolicy {
  readonly policy: AuthorizationPolicyRules;
  readonly rules: readonly CompiledRule[];
}

/** Within each set the order of the policies and of their rules. */
export interface RuleSets {
  readonly deny: readonly CompiledRule[];
  readonly allow: readonly CompiledRule[];
  /** Rules of AUDIT policies, and of DENY policies on trial: what they match is remarked. */
  readonly watch: readonly CompiledRule[];
  /** Rules of ALLOW policies on trial. */
  readonly trialAllow: readonly CompiledRule[];
  /** What becomes of what no ALLOW rule allows; null where no ALLOW policy is in force. */
  readonly noAllow: Decision | null;
  /** What ALLOW policies on trial would do if none of them allowed; empty where some are in force already. */
  readonly trialNoAllow: readonly Remark[];
  /** Whether any rule looks at paths. */
  readonly paths: boolean;
}

export function compilePolicies(authorization: Authorization): CompiledPolicy[] {
  return authorization.policies.map((policy) => ({
    policy,
    rules: policy.rules.map((rule) => compileRule(policy.name, policy.action, rule)),
  }));
}

export function ruleSetsOf(policies: readonly CompiledPolicy[]): RuleSets {
  const rules = (belongs: (policy: AuthorizationPolicyRules) => boolean): CompiledRule[] =>
    policies.filter(({ policy }) => belongs(policy)).flatMap((one) => one.rules);
  const allows = policies.filter(({ policy }) => policy.action === 'ALLOW');
  const names = (dryRun: boolean): string[] =>
    allows.filter(({ policy }) => policy.dryRun === dryRun).map(({ policy }) => policy.name);
  const inForce = names(false);
  return {
    deny: rules(({ action, dryRun }) => action === 'DENY' && !dryRun),
    allow: rules(({ action, dryRun }) => action === 'ALLOW' && !dryRun),
    watch: rules(({ action, dryRun }) => action === 'AUDIT' || (action === 'DENY' && dryRun)),
    trialAllow: rules(({ action, dryRun }) => action === 'ALLOW' && dryRun),
    noAllow: inForce.length === 0 ? null : refusalBy(listed(inForce)),
    trialNoAllow:
      inForce.length > 0
        ? []
        : names(true).map((policy) => ({ kind: 'would-deny', policy, rule: '' }) as const),
    paths: policies.some((one) => one.rules.some(looksAtPaths)),
  };
}

function looksAtPaths({ source }: CompiledRule): boolean {
  return source.to.some(({ paths, notPaths }) => paths !== undefined || notPaths !== undefined);
}

function refusalBy(policy: string): Decision {
  return { allowed: false, reason: 'no-allow-rule', by: { policy, rule: '' }, remarks: [] };
}

/** Few names in full: none of these policies allowed it, so all of them are where its author looks. */
function listed(names: readonly string[]): string {
  const most = 3;
  if (names.length <= most) return names.join(', ');
  return `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
}
