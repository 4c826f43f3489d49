// Which TrafficPolicy speaks for a port of a Service: one that names the port before one that does not,
// the oldest of equals; an invalid one never. Pure.

import type { ObjectKey, View } from '../model/view.ts';
import type { TrafficPolicy } from '../resources/tsmesh.ts';
import type { Fault } from './field-checks.ts';
import { trafficPolicyFaults } from './validity.ts';

export function speakingPolicy(view: View, service: ObjectKey, port: number): TrafficPolicy | null {
  const all = view.trafficPolicies.get(service) ?? [];
  // Whoever comes first, so that however many stand behind it are not judged at all.
  const exact = all.find((policy) => policy.spec.service.port === port && isValid(policy));
  return exact ?? all.find((policy) => appliesTo(policy, port) && isValid(policy)) ?? null;
}

/** What was found of an object, which never changes: compiling its expressions again and again would take too long. */
const judged = new WeakMap<TrafficPolicy, readonly Fault[]>();

/** What is wrong with a policy in itself. */
export function faultsOf(policy: TrafficPolicy): readonly Fault[] {
  const known = judged.get(policy);
  if (known !== undefined) return known;
  const faults = trafficPolicyFaults(policy.spec);
  judged.set(policy, faults);
  return faults;
}

function isValid(policy: TrafficPolicy): boolean {
  return faultsOf(policy).length === 0;
}

export function appliesTo(policy: TrafficPolicy, port: number): boolean {
  return policy.spec.service.port === undefined || policy.spec.service.port === port;
}
