// Status of TrafficPolicies: whether one is valid and speaks for its Service. (Whether what it names exists:
// traffic-references.ts.)

import { objectKey, type View } from '../model/view.ts';
import type { Service } from '../resources/kubernetes.ts';
import type { TrafficPolicy } from '../resources/tsmesh.ts';
import { appliesTo, faultsOf, speakingPolicy } from '../translate/traffic-policy.ts';
import { routesOutOfReach } from '../translate/route-order.ts';
import type { Verdict } from './conditions.ts';
import type { ControllerContext } from './context.ts';
import { trafficPolicyInView } from './in-view.ts';
import { resolveReferences } from './traffic-references.ts';
import { accepted, programmedVerdict, refused } from './verdicts.ts';
import { writeConditions } from './write-status.ts';

export async function reconcileTrafficPolicy(
  context: ControllerContext,
  namespace: string,
  name: string,
): Promise<void> {
  const policy = context.stores.trafficPolicies.get(namespace, name);
  const view = context.view();
  // The view that has it wakes this again.
  if (policy === undefined || !trafficPolicyInView(view, policy)) return;
  const acceptance = acceptTrafficPolicy(view, policy);
  const programmed = programmedVerdict(acceptance, () =>
    context.insight.programmed('TrafficPolicy', policy),
  );
  const verdicts = [acceptance, resolveReferences(view, policy), programmed];
  await writeConditions(context, 'TrafficPolicy', policy, verdicts);
}

/** Pure. */
export function acceptTrafficPolicy(view: View, policy: TrafficPolicy): Verdict {
  const faults = faultsOf(policy);
  if (faults.length > 0) {
    return refused('Invalid', faults.map((fault) => `${fault.path}: ${fault.message}`).join('; '));
  }
  const key = serviceKey(policy);
  const ports = portNumbers(view.services.get(key)).filter((port) => appliesTo(policy, port));
  const winners = ports.map((port) => speakingPolicy(view, key, port));
  const lost = winners.filter((winner) => winner !== null && !isSame(winner, policy));
  const names = [...new Set(lost.map((winner) => `${winner!.metadata.name}`))].join(', ');
  const message = `TrafficPolicy ${names} holds for the same Service: one that names the port goes before one that does not, and of equals the oldest`;
  if (lost.length > 0 && lost.length === ports.length) return refused('Conflicted', message);
  // Only of those that speak: of many routes it takes long.
  const notes = routesOutOfReach(policy.spec.routes ?? []);
  if (lost.length === 0) return accepted([`holds for Service ${key}`, ...notes].join('; '));
  const kept = ports.filter((_, i) => !lost.includes(winners[i]!)).join(', ');
  const words = [`holds for port ${kept}`, message, ...notes].join('; ');
  return { ...accepted(words), reason: 'PartlyOverridden' };
}

function serviceKey(policy: TrafficPolicy): string {
  return objectKey(policy.metadata.namespace ?? '', policy.spec.service.name);
}

function portNumbers(service: Service | undefined): number[] {
  return (service?.spec.ports ?? []).map((port) => port.port);
}

function isSame(a: TrafficPolicy, b: TrafficPolicy): boolean {
  return a.metadata.name === b.metadata.name;
}
