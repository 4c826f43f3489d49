// The Workload resource of a pod: what its sidecar accepts at which port, and what it does with
// destinations that nobody knows. Pure.

import type { InboundPort, Protocol, WorkloadResource } from '../../proxy/api/resources.ts';
import { labelKey } from '../model/view.ts';
import type { ObjectKey, PodEntry, View } from '../model/view.ts';
import { accessLogOf } from './access-log.ts';
import { authorizationFor, authorizationPoliciesFor, meshWideNamespace } from './authorization.ts';
import type { RulesOf } from './authorization.ts';
import { meshRefs, statisticsIntervalMs, trustDomainOf } from './mesh-settings.ts';
import {
  defaultMode,
  modeAt,
  namedPorts,
  speakerRefs,
  speakersFor,
} from './peer-authentication.ts';
import type { Speakers } from './peer-authentication.ts';
import { podPortProtocols } from './protocol.ts';
import { limitingServices, rateLimitsOf } from './rate-limits.ts';
import { sourceLabelRefs, sourceLabels, zoneOf } from './caller.ts';
import { tracingDependencies, tracingOf } from './tracing.ts';
import { distinctPolicies, shapedBy, withoutUids } from './translated.ts';
import type { Translated } from './translated.ts';

/** Null for a pod that the view does not have. */
export function translateWorkload(
  view: View,
  podKey: ObjectKey,
  rulesOf?: RulesOf,
): Translated<WorkloadResource> | null {
  const pod = view.pods.get(podKey);
  if (pod === undefined) return null;
  const speakers = speakersFor(view, pod);
  const authorization = authorizationFor(view, pod, rulesOf);
  const { limits, policies: limiting } = rateLimitsOf(view, pod);
  const { tracing, policies: sampling } = tracingOf(view, pod);
  const labels = sourceLabels(view, pod);
  const zone = zoneOf(view, pod);
  const policies = distinctPolicies([
    ...meshRefs(view),
    ...speakerRefs(speakers),
    ...authorizationPoliciesFor(view, pod).map((one) => shapedBy('AuthorizationPolicy', one)),
    ...[...limiting, ...sampling].map((one) => shapedBy('TrafficPolicy', one)),
  ]);
  const resource: WorkloadResource = {
    type: 'Workload',
    name: 'self',
    trustDomain: trustDomainOf(view),
    namespace: pod.namespace,
    serviceAccount: pod.serviceAccount,
    workload: pod.workload.split('/')[1] ?? '',
    ...(labels === null ? {} : { labels }),
    ...(zone === '' ? {} : { zone }),
    ...(pod.nodeName === '' ? {} : { node: pod.nodeName }),
    inbound: inbound(view, pod, speakers),
    outbound: outbound(view),
    ...(authorization === undefined ? {} : { authorization }),
    ...(limits.length === 0 ? {} : { rateLimits: limits }),
    ...accessLogOf(view, pod),
    ...(tracing === null ? {} : { tracing }),
    statisticsIntervalMs: statisticsIntervalMs(view),
    policies: withoutUids(policies),
  };
  const { namespace } = pod;
  return {
    resource,
    shapedBy: distinctPolicies([...policies, ...sourceLabelRefs(view, pod)]),
    dependsOn: [
      'mesh',
      `pod:${podKey}`,
      `namespace:${namespace}`,
      `peerauth:${namespace}`,
      `services:${namespace}`,
      `authorization:${namespace}`,
      `authorization:${meshWideNamespace}`,
      ...limitingServices(view, pod).map((key) => `traffic:${key}`),
      ...Object.entries(pod.labels).map((label) => `source-label:${labelKey(label)}`),
      `node:${pod.nodeName}`,
      ...tracingDependencies(view),
    ],
  };
}

function inbound(view: View, pod: PodEntry, speakers: Speakers): WorkloadResource['inbound'] {
  const protocols = podPortProtocols(view, pod);
  const describe = (port: number | null, protocol: Protocol): InboundPort => {
    const { mode, decidedBy } = modeAt(view, speakers, port);
    return { protocol, mtls: mode, decidedBy };
  };
  const numbers = new Set([...protocols.keys(), ...namedPorts(speakers)]);
  const ports = [...numbers]
    .toSorted((a, b) => a - b)
    .map((port) => [String(port), describe(port, protocols.get(port) ?? 'auto')] as const);
  return { ports: Object.fromEntries(ports), other: describe(null, 'auto') };
}

/**
 * While the operator is away an unknown destination may be a mesh peer that asks for mTLS, or one that
 * RegistryOnly forbids: it passes only where neither can be.
 */
function outbound(view: View): WorkloadResource['outbound'] {
  const policy = view.mesh?.spec.outboundPolicy ?? 'AllowAny';
  const lenient = (view.mesh?.spec.mtls?.mode ?? defaultMode) !== 'STRICT';
  return { policy, whenDisconnected: policy === 'AllowAny' && lenient ? 'pass' : 'refuse' };
}
