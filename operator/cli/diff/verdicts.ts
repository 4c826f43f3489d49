// What the operator would say in the status of policies, before and after: those of the files, and those that they displace. Pure.

import { acceptAuthorizationPolicy } from '../../controllers/authorization-policy.ts';
import { authorizationReferences } from '../../controllers/authorization-references.ts';
import type { Verdict } from '../../controllers/conditions.ts';
import { acceptMesh } from '../../controllers/mesh.ts';
import { acceptPeerAuthentication } from '../../controllers/peer-authentication.ts';
import { acceptTrafficPolicy } from '../../controllers/traffic-policy.ts';
import { resolveReferences } from '../../controllers/traffic-references.ts';
import { keyOf, type View } from '../../model/view.ts';

export interface StatusChange {
  /** `TrafficPolicy shop/cart`. */
  policy: string;
  /** `Accepted=False, Conflicted: …`. */
  says: string;
  /** Its status was well, or it was not there; or it is not well any more. */
  problem: boolean;
}

/** Of policies whose verdict is another than before: what is wrong, and what no longer is. */
export function statusChanges(before: View, after: View): StatusChange[] {
  const was = verdictsOf(before);
  return [...verdictsOf(after)].flatMap(([policy, verdicts]) =>
    verdicts.flatMap((verdict) => {
      const old = was.get(policy)?.find(({ type }) => type === verdict.type);
      if (old?.status === verdict.status && old.reason === verdict.reason) return [];
      const problem = isProblem(verdict);
      // What is well and was not there before goes without saying.
      if (!problem && (old === undefined || !isProblem(old))) return [];
      return [{ policy, says: worded(verdict), problem }];
    }),
  );
}

function isProblem({ status, reason }: Verdict): boolean {
  return status !== 'True' || reason === 'PartlyOverridden';
}

function worded({ type, status, reason, message }: Verdict): string {
  return `${type}=${status}, ${reason}: ${message}`;
}

function verdictsOf(view: View): Map<string, Verdict[]> {
  const found = new Map<string, Verdict[]>();
  if (view.mesh !== null) found.set('Mesh default', [acceptMesh(view.mesh)]);
  for (const policy of [...view.peerAuthentications.values()].flat())
    found.set(`PeerAuthentication ${keyOf(policy)}`, [acceptPeerAuthentication(view, policy)]);
  for (const policy of [...view.trafficPolicies.values()].flat())
    found.set(`TrafficPolicy ${keyOf(policy)}`, [
      acceptTrafficPolicy(view, policy),
      resolveReferences(view, policy),
    ]);
  for (const policy of [...view.authorizationPolicies.values()].flat())
    found.set(`AuthorizationPolicy ${keyOf(policy)}`, [
      acceptAuthorizationPolicy(view, policy),
      authorizationReferences(view, policy),
    ]);
  return found;
}
