// Fuzz target for authorization: the indexed evaluator decides as the naive one, and an explanation says what decided.
import { authorizationFaults } from '../../proxy/api/authorization-faults.ts';
import type { Authorization } from '../../proxy/api/authorization.ts';
import { compileAuthorization } from '../../proxy/policy/authorization/compile.ts';
import { explainDecision, type Explanation } from '../../proxy/policy/authorization/explain.ts';
import { naiveDecision } from '../../proxy/policy/authorization/test-naive.ts';
import type { Decision } from '../../proxy/policy/authorization/types.ts';
import { randomAsked, randomAuthorization, type Asked } from './authorization-grammar.ts';
import type { Random } from './random.ts';
import { must, mustEqual, type Target } from './target.ts';

const REQUESTS = 10;

/** Policies and ten requests; returns what was decided. */
export function compareEvaluators(random: Random): Decision[] {
  const authorization = randomAuthorization(random);
  must(
    authorizationFaults(authorization).length === 0,
    'a policy of the vocabulary has a fault',
    () => authorizationFaults(authorization),
  );
  const authorizer = compileAuthorization(authorization);
  return Array.from({ length: REQUESTS }, () => {
    const asked = randomAsked(random);
    const { caller, target, request } = asked;
    const decision = authorizer.decide(caller, target, request);
    const naive = naiveDecision(authorization, caller, target, request);
    must(
      JSON.stringify(decision) === JSON.stringify(naive),
      'the index decides otherwise than the naive evaluator',
      () => ({ decision, naive, asked, authorization }),
    );
    return decision;
  });
}

/** What an explanation says of the rules is what was decided, and whatever does not hold has its reason. */
export function mustExplain(authorization: Authorization, asked: Asked): void {
  const explanation = explainDecision(authorization, asked.caller, asked.target, asked.request);
  const told = { allowed: tellsAllowed(explanation), ...asked, authorization };
  const refused = explanation.decision.reason === 'ambiguous-path';
  must(
    refused || told.allowed === explanation.decision.allowed,
    'an explanation contradicts',
    () => told,
  );
  const rules = explanation.policies.flatMap((policy) => policy.rules);
  for (const { holdsFor, why } of rules)
    mustEqual(
      why === '',
      holdsFor.length === explanation.readings.length,
      'a rule without a reason',
    );
}

function tellsAllowed({ policies, readings }: Explanation): boolean {
  const enforced = policies.filter(({ dryRun }) => !dryRun);
  const rulesOf = (action: string) =>
    enforced.filter((one) => one.action === action).flatMap(({ rules }) => rules);
  if (rulesOf('DENY').some(({ matches }) => matches)) return false;
  const allows = rulesOf('ALLOW');
  if (!enforced.some(({ action }) => action === 'ALLOW')) return true;
  return readings.every((_, i) => allows.some(({ holdsFor }) => holdsFor.includes(i)));
}

export const authorizationTargets: readonly Target[] = [
  {
    name: 'authorization',
    run(random) {
      compareEvaluators(random);
      mustExplain(randomAuthorization(random), randomAsked(random));
    },
  },
];
