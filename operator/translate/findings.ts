// What a policy's author should know of it: the content of the conditions Accepted and ResolvedRefs, from
// the view alone. Pure; controllers write them.

import { objectKey } from '../model/view.ts';
import type { PodEntry, View } from '../model/view.ts';
import type { Service } from '../resources/kubernetes.ts';
import type { Mesh, PeerAuthentication, TrafficPolicy } from '../resources/tsmesh.ts';
import { isNamespaceWide, selectsPod } from './peer-authentication.ts';
import { resolveBackends } from './routes.ts';
import type { ResolvedBackend, RouteContext } from './routes.ts';
import { speakingPolicy } from './traffic-policy.ts';
import { meshFaults, trafficPolicyFaults } from './validity.ts';
import type { Fault } from './validity.ts';

export interface Finding {
  type: 'Accepted' | 'ResolvedRefs';
  status: 'True' | 'False';
  reason: FindingReason;
  message: string;
}

export type FindingReason =
  | 'Accepted'
  | 'ResolvedRefs'
  | 'Invalid'
  | 'Conflicted'
  | 'UnsupportedService'
  | 'TargetNotFound'
  | 'PortNotFound'
  | 'BackendNotFound'
  | 'SubsetNotFound';

/** Where one is there is more: what is said first of a list. */
const maxListed = 5;

export function meshFindings(mesh: Mesh): Finding[] {
  return [accepted(meshFaults(mesh.spec)), resolved()];
}

export function peerAuthenticationFindings(view: View, policy: PeerAuthentication): Finding[] {
  const policies = view.peerAuthentications.get(policy.metadata.namespace ?? '') ?? [];
  const found = isNamespaceWide(policy)
    ? namespaceWide(policies, policy)
    : workloadWide(view, policies, policy);
  return [found, resolved()];
}

export function trafficPolicyFindings(view: View, policy: TrafficPolicy): Finding[] {
  const faults = trafficPolicyFaults(policy.spec);
  if (faults.length > 0) return [accepted(faults), resolved()];
  const namespace = policy.metadata.namespace ?? '';
  const key = objectKey(namespace, policy.spec.service.name);
  const service = view.services.get(key);
  if (service === undefined) {
    const message = `There is no Service ${key}.`;
    return [accepted([]), finding('ResolvedRefs', 'TargetNotFound', message)];
  }
  const ports = (service.spec.ports ?? []).filter((port) => (port.protocol ?? 'TCP') === 'TCP');
  const wanted = policy.spec.service.port;
  const concerned = ports
    .map(({ port }) => port)
    .filter((port) => wanted === undefined || port === wanted);
  if (concerned.length === 0) {
    const message = `Service ${key} has no TCP port ${wanted ?? 'at all'}.`;
    return [accepted([]), finding('ResolvedRefs', 'PortNotFound', message)];
  }
  return [
    addressing(service) ?? conflicts(view, policy, concerned),
    references(view, policy, concerned),
  ];
}

function accepted(faults: Fault[]): Finding {
  if (faults.length === 0) return finding('Accepted', 'Accepted', '');
  const text = faults.slice(0, maxListed).map(({ path, message }) => `${path}: ${message}`);
  const rest = faults.length > maxListed ? `; and ${faults.length - maxListed} more` : '';
  const message = `It has no effect: ${text.join('; ')}${rest}.`;
  return finding('Accepted', 'Invalid', message);
}

function resolved(): Finding {
  return finding('ResolvedRefs', 'ResolvedRefs', '');
}

function finding(type: Finding['type'], reason: FindingReason, message: string): Finding {
  return { type, status: reason === type ? 'True' : 'False', reason, message };
}

/** Callers reach such a Service by its pods' own addresses, where routes of a Service do not apply. */
function addressing(service: Service): Finding | null {
  const { namespace, name } = service.metadata;
  const { type, clusterIP } = service.spec;
  if (type === 'ExternalName') {
    const message = `Service ${namespace}/${name} is an alias (ExternalName): it has no address that a policy could hold for.`;
    return finding('Accepted', 'UnsupportedService', message);
  }
  if (clusterIP !== 'None') return null;
  const message = `Service ${namespace}/${name} is headless: callers connect to its pods' own addresses, where routes do not apply.`;
  return finding('Accepted', 'UnsupportedService', message);
}

function conflicts(view: View, policy: TrafficPolicy, ports: readonly number[]): Finding {
  const namespace = policy.metadata.namespace ?? '';
  const key = objectKey(namespace, policy.spec.service.name);
  const lost = ports.flatMap((port) => {
    const winner = speakingPolicy(view, key, port);
    const own = winner === null || winner.metadata.name === policy.metadata.name;
    return own ? [] : [{ port, winner: winner.metadata.name }];
  });
  if (lost.length === 0) return finding('Accepted', 'Accepted', '');
  const text = lost.map(
    ({ port, winner }) => `port ${port} to TrafficPolicy ${namespace}/${winner}`,
  );
  const message = `It loses ${text.join(', ')} (one that names the port wins, then the oldest).`;
  return finding('Accepted', lost.length === ports.length ? 'Conflicted' : 'Accepted', message);
}

function references(view: View, policy: TrafficPolicy, ports: readonly number[]): Finding {
  const missing = ports.flatMap((port) => missingBackends(view, policy, port));
  const first = missing[0];
  if (first === undefined) return resolved();
  const reasons = {
    service: 'BackendNotFound',
    port: 'BackendNotFound',
    subset: 'SubsetNotFound',
  } as const;
  const texts = [...new Set(missing.map(({ text }) => text))].slice(0, maxListed);
  return finding('ResolvedRefs', reasons[first.missing], `${texts.join('; ')}.`);
}

function missingBackends(
  view: View,
  policy: TrafficPolicy,
  port: number,
): { missing: NonNullable<ResolvedBackend['missing']>; text: string }[] {
  const service = objectKey(policy.metadata.namespace ?? '', policy.spec.service.name);
  const context: RouteContext = { view, service, port, policy, defaults: undefined };
  return (policy.spec.routes ?? []).flatMap((route, index) => {
    if (route.redirect !== undefined) return [];
    return resolveBackends(context, route.backends).flatMap((backend, at) => {
      if (backend.missing === null) return [];
      const path = `spec.routes[${index}].backends[${at}]`;
      return [{ missing: backend.missing, text: `${path}: ${missingText(backend)}` }];
    });
  });
}

function missingText({ missing, spec, service, port }: ResolvedBackend): string {
  if (missing === 'subset') return `there is no subset ${spec.subset} in spec.subsets`;
  if (missing === 'service') return `there is no Service ${service}`;
  return `Service ${service} has no TCP port ${port}`;
}

function namespaceWide(
  policies: readonly PeerAuthentication[],
  policy: PeerAuthentication,
): Finding {
  const winner = policies.find(isNamespaceWide);
  if (winner === undefined || winner.metadata.name === policy.metadata.name) {
    return finding('Accepted', 'Accepted', '');
  }
  const { namespace, name } = winner.metadata;
  const message = `PeerAuthentication ${namespace}/${name} is older and decides for the namespace.`;
  return finding('Accepted', 'Conflicted', message);
}

function workloadWide(
  view: View,
  policies: readonly PeerAuthentication[],
  policy: PeerAuthentication,
): Finding {
  const pods = [...view.pods.values()].filter(
    (pod) => pod.namespace === policy.metadata.namespace && pod.alive && selectsPod(policy, pod),
  );
  if (pods.length === 0) {
    return finding('Accepted', 'Accepted', 'It selects no pod at present.');
  }
  const lost = pods.flatMap((pod) => {
    const winner = winnerFor(policies, pod);
    return winner === policy.metadata.name ? [] : [{ pod: pod.name, winner }];
  });
  if (lost.length === 0) return finding('Accepted', 'Accepted', '');
  const { namespace } = policy.metadata;
  const winners = [...new Set(lost.map(({ winner }) => `${namespace}/${winner}`))].join(', ');
  const message = `PeerAuthentication ${winners} is older and decides for ${lost.length} of the ${pods.length} pods that it selects.`;
  return finding('Accepted', lost.length === pods.length ? 'Conflicted' : 'Accepted', message);
}

function winnerFor(policies: readonly PeerAuthentication[], pod: PodEntry): string {
  const winner = policies.find((one) => !isNamespaceWide(one) && selectsPod(one, pod));
  return winner!.metadata.name;
}
