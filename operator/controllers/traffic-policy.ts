// Status of TrafficPolicies: whether one is valid and speaks for its Service, and whether what it names
// exists.

import { objectKey, type View } from '../model/view.ts';
import type { Service } from '../resources/kubernetes.ts';
import type { BackendSpec, TrafficPolicy } from '../resources/tsmesh.ts';
import { appliesTo, speakingPolicy } from '../translate/traffic-policy.ts';
import { trafficPolicyFaults } from '../translate/validity.ts';
import type { Verdict } from './conditions.ts';
import type { ControllerContext } from './context.ts';
import { trafficPolicyInView } from './in-view.ts';
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
  const faults = trafficPolicyFaults(policy.spec);
  if (faults.length > 0) {
    return refused('Invalid', faults.map((fault) => `${fault.path}: ${fault.message}`).join('; '));
  }
  const key = serviceKey(policy);
  const ports = portNumbers(view.services.get(key)).filter((port) => appliesTo(policy, port));
  const winners = ports.map((port) => speakingPolicy(view, key, port));
  const lost = winners.filter((winner) => winner !== null && !isSame(winner, policy));
  if (lost.length === 0) return accepted(`holds for Service ${key}`);
  const names = [...new Set(lost.map((winner) => `${winner!.metadata.name}`))].join(', ');
  const message = `TrafficPolicy ${names} holds for the same Service: one that names the port goes before one that does not, and of equals the oldest`;
  if (lost.length === ports.length) return refused('Conflicted', message);
  const kept = ports.filter((_, i) => !lost.includes(winners[i]!)).join(', ');
  return { ...accepted(`holds for port ${kept}; ${message}`), reason: 'PartlyOverridden' };
}

/** Pure: the first thing named that does not exist, all of them in the message. */
export function resolveReferences(view: View, policy: TrafficPolicy): Verdict {
  const problems = [...ownServiceProblems(view, policy), ...backendProblems(view, policy)];
  const first = problems[0];
  if (first === undefined) {
    const message = 'every Service, port and subset that is named exists';
    return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message };
  }
  const message = [...new Set(problems.map((problem) => problem.message))].join('; ');
  return { type: 'ResolvedRefs', status: 'False', reason: first.reason, message };
}

interface Problem {
  reason: 'ServiceNotFound' | 'PortNotFound' | 'BackendNotFound' | 'SubsetNotFound';
  message: string;
}

function ownServiceProblems(view: View, policy: TrafficPolicy): Problem[] {
  const key = serviceKey(policy);
  const service = view.services.get(key);
  if (service === undefined) {
    return [{ reason: 'ServiceNotFound', message: `spec.service: there is no Service ${key}` }];
  }
  const { port } = policy.spec.service;
  const known = portNumbers(service);
  if (port === undefined || known.includes(port)) return [];
  const message = `spec.service.port: Service ${key} has no port ${port}, but ${known.join(', ')}`;
  return [{ reason: 'PortNotFound', message }];
}

function backendProblems(view: View, policy: TrafficPolicy): Problem[] {
  return (policy.spec.routes ?? []).flatMap((route, i) =>
    (route.backends ?? []).flatMap((backend, j) =>
      backendProblem(view, policy, backend).map(({ reason, message }) => ({
        reason,
        message: `spec.routes[${i}].backends[${j}].${message}`,
      })),
    ),
  );
}

function backendProblem(view: View, policy: TrafficPolicy, backend: BackendSpec): Problem[] {
  const { namespace = '' } = policy.metadata;
  const key = objectKey(namespace, backend.service ?? policy.spec.service.name);
  const service = view.services.get(key);
  const problems: Problem[] = [];
  if (service === undefined) {
    // The policy's own Service is spoken of already.
    if (backend.service === undefined) return [];
    return [{ reason: 'BackendNotFound', message: `service: there is no Service ${key}` }];
  }
  const known = portNumbers(service);
  if (backend.port !== undefined && !known.includes(backend.port)) {
    const message = `port: Service ${key} has no port ${backend.port}, but ${known.join(', ')}`;
    problems.push({ reason: 'BackendNotFound', message });
  }
  const subsets = (policy.spec.subsets ?? []).map((subset) => subset.name);
  if (backend.subset !== undefined && !subsets.includes(backend.subset)) {
    const message = `subset: "${backend.subset}" is not in spec.subsets (${subsets.join(', ')})`;
    problems.push({ reason: 'SubsetNotFound', message });
  }
  return problems;
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
