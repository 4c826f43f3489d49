// Status of PeerAuthentications: whether one speaks, or an older one at its level does.

import type { PodEntry, View } from '../model/view.ts';
import type { PeerAuthentication } from '../resources/tsmesh.ts';
import { isNamespaceWide, selectsPod, speakersFor } from '../translate/peer-authentication.ts';
import type { Verdict } from './conditions.ts';
import type { ControllerContext } from './context.ts';
import { peerAuthenticationInView } from './in-view.ts';
import { accepted, countOf, listNames, programmedVerdict, refused } from './verdicts.ts';
import { writeConditions } from './write-status.ts';

export async function reconcilePeerAuthentication(
  context: ControllerContext,
  namespace: string,
  name: string,
): Promise<void> {
  const policy = context.stores.peerAuthentications.get(namespace, name);
  const view = context.view();
  // The view that has it wakes this again.
  if (policy === undefined || !peerAuthenticationInView(view, policy)) return;
  const acceptance = acceptPeerAuthentication(view, policy);
  const programmed = programmedVerdict(acceptance, () =>
    context.insight.programmed('PeerAuthentication', policy),
  );
  await writeConditions(context, 'PeerAuthentication', policy, [acceptance, programmed]);
}

/** Pure: of two at one level the oldest speaks (then by name), and the other is told who. */
export function acceptPeerAuthentication(view: View, policy: PeerAuthentication): Verdict {
  return isNamespaceWide(policy)
    ? acceptForNamespace(view, policy)
    : acceptForWorkloads(view, policy);
}

function acceptForNamespace(view: View, policy: PeerAuthentication): Verdict {
  const { namespace = '' } = policy.metadata;
  const all = view.peerAuthentications.get(namespace) ?? [];
  const winner = all.find(isNamespaceWide);
  if (winner === undefined || isSame(winner, policy)) {
    return accepted(`holds for namespace ${namespace}`);
  }
  return refused(
    'Conflicted',
    `PeerAuthentication ${nameOf(winner)} is older and holds for the whole namespace too; only the oldest does: delete one, or give this one a selector`,
  );
}

function acceptForWorkloads(view: View, policy: PeerAuthentication): Verdict {
  const { namespace = '' } = policy.metadata;
  const selected = [...view.pods.values()].filter(
    (pod) => pod.namespace === namespace && pod.alive && selectsPod(policy, pod),
  );
  if (selected.length === 0) return accepted('selects no pod at this time');
  const lost = new Map<string, PodEntry[]>();
  for (const pod of selected) {
    const winner = speakersFor(view, pod).workload;
    if (winner === null || isSame(winner, policy)) continue;
    lost.set(nameOf(winner), [...(lost.get(nameOf(winner)) ?? []), pod]);
  }
  const lostCount = [...lost.values()].reduce((sum, pods) => sum + pods.length, 0);
  if (lostCount === 0) return accepted(`holds for ${countOf(selected.length, 'pod')}`);
  const who = [...lost]
    .map(([winner, pods]) => `${winner} (${listNames(pods.map((pod) => pod.name))})`)
    .join(', ');
  const message = `older PeerAuthentications select the same pods and hold there: ${who}`;
  if (lostCount === selected.length) return refused('Conflicted', message);
  const kept = selected.length - lostCount;
  return {
    ...accepted(`holds for ${countOf(kept, 'pod')}; ${message}`),
    reason: 'PartlyOverridden',
  };
}

function isSame(a: PeerAuthentication, b: PeerAuthentication): boolean {
  return a.metadata.name === b.metadata.name;
}

function nameOf(policy: PeerAuthentication): string {
  return `${policy.metadata.namespace}/${policy.metadata.name}`;
}
