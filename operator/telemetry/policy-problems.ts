// Policies that do not do what they say, and why: the first condition of each that says so. Pure; from their statuses.

import type { Condition, KubeObject } from '../resources/kubernetes.ts';
import type { ConditionsStatus, PolicyProblem } from '../resources/tsmesh.ts';
import { compareText } from '../model/order.ts';

type Policy = KubeObject & { status?: ConditionsStatus };

/** Of these the first speaks. On its way is no problem. */
const conditionTypes = ['Accepted', 'ResolvedRefs', 'Programmed'];
const onItsWay = 'Pending';

/** By kind. Sorted by policy. */
export function policyProblems(policies: Readonly<Record<string, readonly Policy[]>>) {
  const found = Object.entries(policies).flatMap(([kind, list]) =>
    list.flatMap((policy): PolicyProblem[] => {
      const wrong = wrongCondition(policy.status?.conditions ?? []);
      if (wrong === undefined) return [];
      const { namespace = '', name } = policy.metadata;
      const { reason, message } = wrong;
      return [{ kind, policy: `${namespace}/${name}`, reason, message }];
    }),
  );
  return found.toSorted((a, b) => compareText(`${a.policy} ${a.kind}`, `${b.policy} ${b.kind}`));
}

function wrongCondition(conditions: readonly Condition[]): Condition | undefined {
  const wrong = conditions.filter(({ status, reason }) => status !== 'True' && reason !== onItsWay);
  return conditionTypes
    .map((type) => wrong.find((condition) => condition.type === type))
    .find((condition) => condition !== undefined);
}
