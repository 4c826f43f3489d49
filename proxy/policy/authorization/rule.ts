// One rule, compiled: when it holds. The one place that says so, for deciding and for explaining. Pure.

import type { AuthorizationAction, AuthorizationRule } from '../../api/authorization.ts';
import type { Facts } from './facts.ts';
import { conditionLeaves, operationLeaves, sourceLeaves, type Leaf } from './leaf.ts';
import type { Decision, RuleRef } from './types.ts';

export interface CompiledRule {
  readonly ref: RuleRef;
  readonly action: AuthorizationAction;
  readonly source: AuthorizationRule;
  /** Any source whose leaves all hold; without sources, any caller. */
  readonly from: readonly (readonly Leaf[])[];
  readonly to: readonly (readonly Leaf[])[];
  readonly when: readonly Leaf[];
  /** What is decided where this rule decides; made once. */
  readonly decision: Decision;
}

export function compileRule(
  policy: string,
  action: AuthorizationAction,
  rule: AuthorizationRule,
): CompiledRule {
  const ref = { policy, rule: rule.name };
  return {
    ref,
    action,
    source: rule,
    from: rule.from.map((source, i) => sourceLeaves(source, `from[${i}]`, action)),
    to: rule.to.map((operation, i) => operationLeaves(operation, `to[${i}]`, action)),
    when: rule.when.flatMap((condition, i) => conditionLeaves(condition, `when[${i}]`, action)),
    decision:
      action === 'DENY'
        ? { allowed: false, reason: 'deny-rule', by: ref, remarks: [] }
        : { allowed: true, reason: 'allow-rule', by: ref, remarks: [] },
  };
}

export function sourceHolds(rule: CompiledRule, facts: Facts): boolean {
  return anyHolds(rule.from, facts);
}

export function ruleHolds(rule: CompiledRule, facts: Facts): boolean {
  return sourceHolds(rule, facts) && anyHolds(rule.to, facts) && allHold(rule.when, facts);
}

/** Whether it holds with this one of its operations. */
export function ruleHoldsWith(
  rule: CompiledRule,
  operation: readonly Leaf[],
  facts: Facts,
): boolean {
  return sourceHolds(rule, facts) && allHold(operation, facts) && allHold(rule.when, facts);
}

/** For each alternative the first leaf that does not hold; empty where the rule holds. */
export function whyNot(rule: CompiledRule, facts: Facts): string[] {
  return [
    ...failures(rule.from, facts),
    ...failures(rule.to, facts),
    ...failures([rule.when], facts),
  ];
}

function failures(alternatives: readonly (readonly Leaf[])[], facts: Facts): string[] {
  if (anyHolds(alternatives, facts)) return [];
  return alternatives.flatMap((leaves) => {
    const failed = leaves.find((leaf) => !leaf.test(facts));
    return failed === undefined ? [] : [`${failed.field}: ${failed.seen(facts)}`];
  });
}

function anyHolds(alternatives: readonly (readonly Leaf[])[], facts: Facts): boolean {
  if (alternatives.length === 0) return true;
  for (let i = 0; i < alternatives.length; i++) if (allHold(alternatives[i]!, facts)) return true;
  return false;
}

function allHold(leaves: readonly Leaf[], facts: Facts): boolean {
  for (let i = 0; i < leaves.length; i++) if (!leaves[i]!.test(facts)) return false;
  return true;
}
