// Which TrafficPolicy speaks for a port of a Service: one that names the port before one that does not,
// the oldest of equals; an invalid one never. Pure.

import type { ObjectKey, View } from '../model/view.ts';
import type { TrafficPolicy } from '../resources/tsmesh.ts';
import { trafficPolicyFaults } from './validity.ts';

export function speakingPolicy(view: View, service: ObjectKey, port: number): TrafficPolicy | null {
  const candidates = (view.trafficPolicies.get(service) ?? []).filter(
    (policy) => appliesTo(policy, port) && trafficPolicyFaults(policy.spec).length === 0,
  );
  const exact = candidates.find((policy) => policy.spec.service.port === port);
  return exact ?? candidates[0] ?? null;
}

export function appliesTo(policy: TrafficPolicy, port: number): boolean {
  return policy.spec.service.port === undefined || policy.spec.service.port === port;
}
