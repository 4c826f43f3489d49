// The Endpoints resources: the pods behind a Service port, a subset of them, or one pod by its address,
// each with the identity its sidecar must prove. Pure.

import { ports as sidecarPorts } from '../../proxy/api/constants.ts';
import type { Endpoint, EndpointsResource } from '../../proxy/api/resources.ts';
import { destinationName } from '../../proxy/api/resources.ts';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import { canonicalAddress } from '../model/addresses.ts';
import { compareText } from '../model/order.ts';
import { endpointsOf, objectKey, podAt, tcpPorts } from '../model/view.ts';
import type { PodEntry, View } from '../model/view.ts';
import type { EndpointSlice, Service } from '../resources/kubernetes.ts';
import { parseEndpointsName } from './endpoint-names.ts';
import type { EndpointsName } from './endpoint-names.ts';
import { meshRefs, trustDomainOf } from './mesh-settings.ts';
import { modeAt, speakersFor } from './peer-authentication.ts';
import { matchesLabels } from './protocol.ts';
import { distinctPolicies, shapedBy } from './translated.ts';
import type { ShapedBy, Translated } from './translated.ts';

type ServiceName = Extract<EndpointsName, { kind: 'service' }>;

/** A pod and port, and the policy that took its identity away, if one did. */
interface Place {
  endpoint: Endpoint;
  /** Name of the pod's workload; empty: there is no pod. */
  workload: string;
  disabledBy: ShapedBy[];
}

/** A name that nothing stands for gives an empty list. */
export function translateEndpoints(view: View, name: string): Translated<EndpointsResource> {
  const parsed = parseEndpointsName(name);
  if (parsed === null) return translated(name, [], []);
  if (parsed.kind === 'service') return serviceEndpoints(view, name, parsed);
  const { address, port } = parsed;
  const canonical = canonicalAddress(address);
  const pod = podAt(view, canonical);
  const dependsOn = ['mesh', `address:${canonical}`, ...podDependencies(pod)];
  const places = pod === null ? [] : [place(view, pod, { address: canonical, port, zone: '' })];
  return translated(name, places, dependsOn);
}

function podDependencies(pod: PodEntry | null): string[] {
  return pod === null ? [] : [`pod:${pod.key}`, `peerauth:${pod.namespace}`];
}

function serviceEndpoints(
  view: View,
  name: string,
  wanted: ServiceName,
): Translated<EndpointsResource> {
  const key = objectKey(wanted.namespace, wanted.service);
  const service = view.services.get(key);
  const all = view.slices.get(key) ?? [];
  const slices = all.filter((slice) => slice.addressType === wanted.family);
  const placesThat = (isWanted: Filter): Place[] =>
    slices.flatMap((slice) =>
      service === undefined ? [] : slicePlaces({ view, service, isWanted }, slice, wanted),
    );
  const ready = placesThat(isReady);
  // All are going: better those that still answer than none, as kube-proxy has it (KEP-1669), on each node alone
  // where none of the others is used.
  const served = new Set(ready.map(({ endpoint }) => endpoint.onlyNode));
  const going = placesThat(isLastResort).filter(({ endpoint }) => !served.has(endpoint.onlyNode));
  const places = [...ready, ...going];
  return translated(name, wanted.undefinedSubset ? [] : places, [
    'mesh',
    `service:${key}`,
    `endpoints:${key}`,
    `peerauth:${wanted.namespace}`,
  ]);
}

interface Choice {
  view: View;
  service: Service;
  isWanted: Filter;
}

function slicePlaces(
  { view, service, isWanted }: Choice,
  slice: EndpointSlice,
  wanted: ServiceName,
): Place[] {
  const declared = tcpPorts(service).find((port) => port.port === wanted.port);
  if (declared === undefined) return [];
  const named = (slice.ports ?? []).find(
    (port) => (port.name || '') === (declared.name || '') && port.protocol !== 'UDP',
  );
  const port = named?.port;
  if (port === undefined) return [];
  const unready = service.spec.publishNotReadyAddresses === true;
  return endpointsOf(slice).flatMap((endpoint) =>
    endpoint.addresses.flatMap((text) => {
      const address = canonicalAddress(text);
      const pod = podBehind(view, wanted.namespace, address, endpoint.targetRef);
      if (!isWanted(conditionsOf(endpoint, pod), unready)) return [];
      if (wanted.labels !== null && !matchesLabels(wanted.labels, pod?.labels ?? {})) return [];
      const at = { address, port, zone: endpoint.zone ?? '', ...callersOf(service, endpoint) };
      return [pod === null ? plain(at, endpoint.targetRef?.name ?? '') : place(view, pod, at)];
    }),
  );
}

/** That a pod goes is known before the slice says so: the deletion of the pod is what makes it say so. */
function conditionsOf(
  { conditions = {} }: EndpointSlice['endpoints'][number],
  pod: PodEntry | null,
): Conditions {
  return pod?.terminating === true ? { ...conditions, terminating: true } : conditions;
}

type Conditions = NonNullable<EndpointSlice['endpoints'][number]['conditions']>;
/** `unready`: the Service publishes what is not ready too. */
type Filter = (conditions: Conditions, unready: boolean) => boolean;

/** `ready` absent means ready (EndpointConditions). */
function isReady({ ready = true, terminating = false }: Conditions, unready: boolean): boolean {
  return (ready || unready) && !terminating;
}

/** `serving` absent is what `ready` says, which of those that go is false. */
function isLastResort(conditions: Conditions, unready: boolean): boolean {
  const { ready = true, serving = ready, terminating = false } = conditions;
  return terminating && (serving || unready);
}

/** By address, since that is what answers; else by name, for pods on the node's network. */
function podBehind(
  view: View,
  namespace: string,
  address: string,
  target: { kind?: string; name?: string } | undefined,
): PodEntry | null {
  const atAddress = podAt(view, address);
  if (atAddress !== null || target?.kind !== 'Pod' || target.name === undefined) return atAddress;
  const named = view.pods.get(objectKey(namespace, target.name));
  return named?.hostNetwork === true ? named : null;
}

/** Who should use it, and who alone may. */
function callersOf(
  { spec }: Service,
  { hints, nodeName }: EndpointSlice['endpoints'][number],
): Pick<Endpoint, 'forZones' | 'onlyNode'> {
  const zones = (hints?.forZones ?? []).map(({ name }) => name).toSorted(compareText);
  return {
    ...(zones.length === 0 ? {} : { forZones: zones }),
    // One whose node nobody names is on no node: kube-proxy leaves it out everywhere.
    ...(spec.internalTrafficPolicy === 'Local' ? { onlyNode: nodeName ?? 'none' } : {}),
  };
}

/** Where the endpoint is, and for whom. */
type At = Pick<Endpoint, 'address' | 'port' | 'zone' | 'forZones' | 'onlyNode'>;

function plain(at: At, podName: string): Place {
  return { endpoint: { ...at, identity: null, podName }, workload: '', disabledBy: [] };
}

function place(view: View, pod: PodEntry, at: At): Place {
  const [, workload = ''] = pod.workload.split('/');
  const uncaptured = pod.excludedInboundPorts.includes(at.port) || at.port === sidecarPorts.health;
  if (!pod.meshed || uncaptured) return { ...plain(at, pod.name), workload };
  const { mode, policy } = modeAt(view, speakersFor(view, pod), at.port);
  if (mode === 'DISABLE') {
    const disabledBy = policy === null ? meshRefs(view) : [shapedBy('PeerAuthentication', policy)];
    return { ...plain(at, pod.name), workload, disabledBy };
  }
  const { namespace, serviceAccount } = pod;
  const identity = formatSpiffeId({ trustDomain: trustDomainOf(view), namespace, serviceAccount });
  return { endpoint: { ...at, identity, podName: pod.name }, workload, disabledBy: [] };
}

/** Sorted and each once: a pod can stand in several slices while they are being rearranged. */
function translated(
  name: string,
  places: Place[],
  dependsOn: string[],
): Translated<EndpointsResource> {
  const byPlace = new Map(
    places.map(({ endpoint }) => [destinationName(endpoint.address, endpoint.port), endpoint]),
  );
  const endpoints = [...byPlace.entries()]
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([, endpoint]) => endpoint);
  const [workload = '', ...others] = new Set(places.map((one) => one.workload));
  const alone = workload !== '' && others.length === 0;
  return {
    resource: { type: 'Endpoints', name, ...(alone ? { workload } : {}), endpoints },
    shapedBy: distinctPolicies(places.flatMap((one) => one.disabledBy)),
    dependsOn,
  };
}
