// Why a request is allowed or not: the decision, and of each policy and rule whether it holds and what keeps it from
// holding. Asks the very leaves that decide. Pure; for people, not for the hot path.

import type { Authorization, AuthorizationAction } from '../../api/authorization.ts';
import { compileAuthorization } from './compile.ts';
import { CallerFacts, Facts } from './facts.ts';
import { pathReadings } from './path-readings.ts';
import { compilePolicies } from './rule-sets.ts';
import { ruleHolds, whyNot, type CompiledRule } from './rule.ts';
import type { Caller, Decision, HttpRequest, Target } from './types.ts';

export interface RuleExplanation {
  readonly rule: string;
  /** It decides: DENY and AUDIT if it holds for any reading of the path, ALLOW if it holds for all. */
  readonly matches: boolean;
  /** Positions in `readings` for which it holds. */
  readonly holdsFor: readonly number[];
  /**
   * For the first reading that it does not hold for: `from[0].namespaces: the caller's namespace is web`, several
   * joined by `; `; empty where it holds for all.
   */
  readonly why: string;
}

export interface PolicyExplanation {
  readonly policy: string;
  readonly action: AuthorizationAction;
  readonly dryRun: boolean;
  readonly rules: readonly RuleExplanation[];
}

export interface Explanation {
  readonly decision: Decision;
  /** What apps may take the path for, as sent first; one `null` for TCP, or for a path with too many readings. */
  readonly readings: readonly (string | null)[];
  readonly policies: readonly PolicyExplanation[];
}

export function explainDecision(
  authorization: Authorization | undefined,
  caller: Caller,
  target: Target,
  request: HttpRequest | null,
): Explanation {
  const decision = compileAuthorization(authorization).decide(caller, target, request);
  const found = request === null ? [] : pathReadings(request.path).texts;
  const readings = found.length === 0 ? [null] : found;
  const policies = authorization === undefined ? [] : compilePolicies(authorization);
  const known = new CallerFacts(caller);
  const facts = readings.map((path) => {
    const one = new Facts(caller, known, target, request);
    one.path = path;
    return one;
  });
  return {
    decision,
    readings,
    policies: policies.map(({ policy, rules }) => ({
      policy: policy.name,
      action: policy.action,
      dryRun: policy.dryRun,
      rules: rules.map((rule) => explainRule(rule, facts)),
    })),
  };
}

function explainRule(rule: CompiledRule, facts: readonly Facts[]): RuleExplanation {
  const holdsFor = facts.flatMap((one, i) => (ruleHolds(rule, one) ? [i] : []));
  const needed = rule.action === 'ALLOW' ? facts.length : 1;
  // Of many readings the first that fails tells enough, and is the one as sent where that fails.
  const failing = facts.findIndex((_, i) => !holdsFor.includes(i));
  const reasons = failing < 0 ? [] : whyNot(rule, facts[failing]!);
  return {
    rule: rule.ref.rule,
    matches: holdsFor.length >= needed,
    holdsFor,
    why: reasons.join('; '),
  };
}
