// What the pods of a Service take at most: the rate limits of the policies that speak for the Services of a
// pod, at the pod's own ports. Pure.

import type { RateLimit } from '../../proxy/api/resources.ts';
import { keyOf, namespaceOf, tcpPorts } from '../model/view.ts';
import type { PodEntry, View } from '../model/view.ts';
import { parseDuration } from '../resources/duration.ts';
import type { RateLimitSpec, TrafficPolicy } from '../resources/tsmesh.ts';
import { routeMatches } from './matches.ts';
import { servicesOfPod, targetPort } from './protocol.ts';
import { speakingPolicy } from './traffic-policy.ts';

/** Values that are counted apart; a caller with more of them shares the last. */
const maxBuckets = 10_000;
const defaultIntervalMs = 1000;

/** A policy with rate limits, and the ports it speaks for: of the Service and of the pod. */
interface Limiting {
  policy: TrafficPolicy;
  ports: { service: number; pod: number }[];
}

export interface PodRateLimits {
  limits: RateLimit[];
  policies: TrafficPolicy[];
}

export function rateLimitsOf(view: View, pod: PodEntry): PodRateLimits {
  const limiting = limitingPolicies(view, pod);
  return {
    limits: limiting.flatMap(({ policy, ports }) =>
      policy.spec.rateLimits!.flatMap((spec) => rateLimit(policy, spec, ports)),
    ),
    policies: limiting.map(({ policy }) => policy),
  };
}

/** Services whose policies decide here, whether there are any or not. */
export function limitingServices(view: View, pod: PodEntry): string[] {
  return servicesOfPod(view, pod).map(keyOf);
}

function limitingPolicies(view: View, pod: PodEntry): Limiting[] {
  const found = new Map<TrafficPolicy, Limiting>();
  for (const { policy, servicePort, podPort } of policiesAtPod(view, pod)) {
    if ((policy.spec.rateLimits ?? []).length === 0) continue;
    const known = found.get(policy) ?? { policy, ports: [] };
    known.ports.push({ service: servicePort, pod: podPort });
    found.set(policy, known);
  }
  return [...found.values()];
}

/** For each port of the Services that lead to a pod, the policy that speaks for it. */
export function* policiesAtPod(
  view: View,
  pod: PodEntry,
): Generator<{ policy: TrafficPolicy; servicePort: number; podPort: number }> {
  for (const service of servicesOfPod(view, pod)) {
    for (const port of tcpPorts(service)) {
      const podPort = targetPort(port, pod);
      const policy = speakingPolicy(view, keyOf(service), port.port);
      if (podPort !== null && policy !== null) yield { policy, servicePort: port.port, podPort };
    }
  }
}

/** Nothing where the pod has no such port: a limit without ports would hold for all of them. */
function rateLimit(
  policy: TrafficPolicy,
  spec: RateLimitSpec,
  places: Limiting['ports'],
): RateLimit[] {
  const meant = places.filter(({ service }) => spec.port === undefined || spec.port === service);
  const matches = routeMatches(spec.matches, null);
  if (meant.length === 0 || matches === null) return [];
  const amount = spec.requests ?? spec.connections ?? 0;
  const intervalMs = parseDuration(spec.interval ?? '') ?? defaultIntervalMs;
  return [
    {
      name: `TrafficPolicy ${namespaceOf(policy)}/${policy.metadata.name}, rate limit ${spec.name}`,
      ports: [...new Set(meant.map(({ pod }) => pod))].toSorted((a, b) => a - b),
      unit: spec.connections === undefined ? 'requests' : 'connections',
      perSecond: (amount * 1000) / intervalMs,
      burst: spec.burst ?? amount,
      matches,
      per: (spec.per ?? []).map(countedBy),
      maxBuckets,
    },
  ];
}

function countedBy(spec: NonNullable<RateLimitSpec['per']>[number]): RateLimit['per'][number] {
  if (spec.header !== undefined) return { header: spec.header.toLowerCase() };
  return spec.identity === true ? { identity: true } : { sourceAddress: true };
}
