// Status of AuthorizationPolicies: whether one is understood, whom it holds for, how it reads where there
// is no HTTP, what it names that does not exist, and whether it only rehearses.

import type { View } from '../model/view.ts';
import { dryRunAnnotation, isDryRun } from '../resources/dry-run.ts';
import type { AuthorizationPolicy } from '../resources/tsmesh.ts';
import { actionOf, meshWideNamespace } from '../translate/authorization.ts';
import { authorizationFaults } from '../translate/authorization-validity.ts';
import { authorizationReach, withoutHttp } from './authorization-reach.ts';
import { authorizationReferences } from './authorization-references.ts';
import type { Verdict } from './conditions.ts';
import type { ControllerContext } from './context.ts';
import { authorizationPolicyInView } from './in-view.ts';
import { accepted, programmedVerdict, refused } from './verdicts.ts';
import { writeConditions } from './write-status.ts';

export async function reconcileAuthorizationPolicy(
  context: ControllerContext,
  namespace: string,
  name: string,
): Promise<void> {
  const policy = context.stores.authorizationPolicies.get(namespace, name);
  const view = context.view();
  // The view that has it wakes this again.
  if (policy === undefined || !authorizationPolicyInView(view, policy)) return;
  const acceptance = acceptAuthorizationPolicy(view, policy);
  const programmed = programmedVerdict(acceptance, () =>
    context.insight.programmed('AuthorizationPolicy', policy),
  );
  const verdicts = [
    acceptance,
    authorizationReferences(view, policy),
    dryRunVerdict(policy),
    programmed,
  ];
  await writeConditions(context, 'AuthorizationPolicy', policy, verdicts);
}

/** What a policy with faults is until it is mended: translate/authorization.ts. */
const safeReading = {
  ALLOW: 'rules with a fault match nothing, and what no rule matches is refused',
  DENY: 'the fields with a fault are left out, so that more is refused',
  AUDIT: 'rules with a fault match nothing',
} as const;

/** Pure. */
export function acceptAuthorizationPolicy(view: View, policy: AuthorizationPolicy): Verdict {
  const faults = authorizationFaults(policy);
  if (faults.length > 0) {
    const said = faults.map(({ path, message }) => `${path}: ${message}`).join('; ');
    const until = faults.every(({ path }) => path.startsWith('metadata'))
      ? 'it is enforced'
      : safeReading[actionOf(policy)];
    return refused('Invalid', `${said}; until this is mended, ${until}`);
  }
  const { holdsFor, unmeshed } = authorizationReach(view, policy);
  const everywhere =
    policy.metadata.namespace === meshWideNamespace ? ', in every namespace of the mesh' : '';
  const parts = [`${holdsFor}${everywhere}`, ...unmeshed, ...withoutHttp(view, policy)];
  return accepted(parts.join('; '));
}

/** Its own condition, because an annotation moves no generation: others are told apart by it. */
function dryRunVerdict(policy: AuthorizationPolicy): Verdict {
  if (isDryRun(policy)) {
    const message = `only logs and counts what it would have done (annotation ${dryRunAnnotation})`;
    return { type: 'DryRun', status: 'True', reason: 'DryRun', message };
  }
  return { type: 'DryRun', status: 'False', reason: 'Enforced', message: 'is enforced' };
}
