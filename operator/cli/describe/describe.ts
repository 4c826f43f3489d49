// Everything of the mesh that applies to a Service or a pod, from a view, by the operator's own translation. Pure.

import type { Endpoint, WorkloadResource } from '../../../proxy/api/resources.ts';
import { canonicalAddress } from '../../model/addresses.ts';
import {
  namespaceOf,
  objectKey,
  podAt,
  tcpPorts,
  type PodEntry,
  type View,
} from '../../model/view.ts';
import { destinationName } from '../../../proxy/api/resources.ts';
import type { Condition, KubeObject, Service } from '../../resources/kubernetes.ts';
import type { ConditionsStatus, PortMode } from '../../resources/tsmesh.ts';
import { effectiveModes } from '../../telemetry/effective-modes.ts';
import {
  authorizationPoliciesFor,
  authorizationPolicyName,
  actionOf,
} from '../../translate/authorization.ts';
import { translateDestination } from '../../translate/destination.ts';
import { translateEndpoints } from '../../translate/endpoints.ts';
import { speakersFor } from '../../translate/peer-authentication.ts';
import { servicesOfPod } from '../../translate/protocol.ts';
import { speakingPolicy } from '../../translate/traffic-policy.ts';
import { translateWorkload } from '../../translate/workload.ts';
import { CliError } from '../errors.ts';
import { labelOf } from '../explain/parties.ts';
import { counted, matchWords, routeWords, settingWords } from './words.ts';

export interface RouteDescription {
  name: string;
  matches: string;
  does: string[];
}

export interface PortDescription {
  /** `80 (http)`: all at which the same holds. */
  ports: string[];
  protocol: string;
  /** Empty: none. */
  policy: string;
  routes: RouteDescription[];
  settings: string[];
  endpoints: WorkloadDescription[];
}

/** Endpoints or pods of one workload at which the same holds. */
export interface WorkloadDescription {
  workload: string;
  pods: number;
  /** Spoken to in mutual TLS. */
  meshed: boolean;
}

export interface PolicyDescription {
  /** `AuthorizationPolicy shop/cart`. */
  name: string;
  says: string;
  /** Conditions that are not True, in words. */
  problems: string[];
}

export interface ServiceDescription {
  title: string;
  addresses: string[];
  ports: PortDescription[];
  policies: PolicyDescription[];
  pods: PodDescription[];
}

export interface PodDescription {
  /** `Deployment shop/cart`, or of one pod its name. */
  title: string;
  pods: number;
  identity: string;
  /** Why there is no sidecar; empty where there is one. */
  unmeshed: string;
  ports: PortMode[];
  policies: PolicyDescription[];
  services: string[];
}

/** Throws a CliError of code NotFound. */
export function describeService(view: View, namespace: string, name: string): ServiceDescription {
  const service = view.services.get(objectKey(namespace, name));
  if (service === undefined)
    throw notFound('Service', namespace, name, serviceNames(view, namespace));
  const { spec } = service;
  const addresses = (spec.clusterIPs ?? [spec.clusterIP ?? '']).filter(
    (one) => one !== '' && one !== 'None',
  );
  const behind = podsBehind(view, service);
  const address = addresses[0] ?? null;
  return {
    title: `Service ${namespace}/${name}`,
    addresses: spec.type === 'ExternalName' ? [spec.externalName ?? ''] : addresses,
    ports: joined(tcpPorts(service).map((port) => portOf(view, service, { ...port, address }))),
    policies: (view.trafficPolicies.get(objectKey(namespace, name)) ?? []).map((policy) => ({
      name: `TrafficPolicy ${namespace}/${policy.metadata.name}`,
      says:
        policy.spec.service.port === undefined ? 'all ports' : `port ${policy.spec.service.port}`,
      problems: problemsOf(policy),
    })),
    pods: grouped(view, behind),
  };
}

export function describePod(view: View, namespace: string, name: string): PodDescription {
  const all = [...view.pods.values()].filter((pod) => pod.namespace === namespace);
  const pod = all.find((one) => one.name === name);
  if (pod === undefined)
    throw notFound(
      'pod',
      namespace,
      name,
      all.map((one) => one.name),
    );
  return { ...podDescription(view, [pod]), title: `Pod ${namespace}/${name}` };
}

function notFound(
  kind: string,
  namespace: string,
  name: string,
  there: readonly string[],
): CliError {
  const shown = there.slice(0, 8).join(', ');
  const hint = there.length === 0 ? `there is none in ${namespace}` : `there are: ${shown}`;
  return new CliError('NotFound', `there is no ${kind} ${namespace}/${name}`, { hint });
}

function serviceNames(view: View, namespace: string): string[] {
  return (view.servicesByNamespace.get(namespace) ?? []).map(({ metadata }) => metadata.name);
}

/** As sidecars in the Service's own namespace get it. */
export function describePorts(view: View, service: Service): PortDescription[] {
  const { clusterIPs, clusterIP = '' } = service.spec;
  const address = (clusterIPs ?? [clusterIP]).find((one) => one !== '' && one !== 'None') ?? null;
  return tcpPorts(service).map((port) => portOf(view, service, { ...port, address }));
}

/** Of one pod, or of pods at which the same holds. */
export function describePods(view: View, pods: readonly PodEntry[]): PodDescription {
  return podDescription(view, pods);
}

function podsBehind(view: View, service: Service): PodEntry[] {
  return [...view.pods.values()].filter(
    (pod) => pod.alive && !pod.terminating && servicesOfPod(view, pod).includes(service),
  );
}

function joined(described: readonly PortDescription[]): PortDescription[] {
  const groups = Map.groupBy(described, (one) => JSON.stringify({ ...one, ports: [] }));
  return [...groups.values()].map((some) => ({
    ...some[0]!,
    ports: some.flatMap(({ ports }) => ports),
  }));
}

interface AskedPort {
  port: number;
  name?: string;
  /** Null: headless. */
  address: string | null;
}

function portOf(view: View, service: Service, asked: AskedPort): PortDescription {
  const namespace = namespaceOf(service);
  const key = objectKey(namespace, service.metadata.name);
  const { port, name = '' } = asked;
  const policy = speakingPolicy(view, key, port);
  const address = asked.address ?? firstPodAddress(view, service);
  const base = {
    ports: [name === '' ? String(port) : `${port} (${name})`],
    protocol: 'auto',
    policy: policy === null ? '' : `TrafficPolicy ${namespace}/${policy.metadata.name}`,
    routes: [],
    settings: [],
    endpoints: [],
  };
  if (address === null) return base;
  const { resource } = translateDestination(view, namespace, canonicalAddress(address), port);
  const names = new Set(
    resource.routes.flatMap(({ backends }) => backends.map((one) => one.endpoints)),
  );
  const endpoints = [...names].flatMap((one) => translateEndpoints(view, one).resource.endpoints);
  return {
    ...base,
    protocol: resource.protocol,
    routes: resource.routes.map((route) => ({
      name: route.name,
      matches: matchWords(route.matches),
      does: routeWords(route, `${key}:${port}`),
    })),
    settings: settingWords(resource),
    endpoints: byWorkload(view, endpoints),
  };
}

/** DNS answers with the pods themselves: what holds for one of them holds for all. */
function firstPodAddress(view: View, service: Service): string | null {
  return podsBehind(view, service)[0]?.ips[0] ?? null;
}

function byWorkload(view: View, endpoints: readonly Endpoint[]): WorkloadDescription[] {
  const places = new Map(endpoints.map((one) => [destinationName(one.address, one.port), one]));
  const groups = Map.groupBy(places.values(), (endpoint) => {
    const pod = podAt(view, endpoint.address);
    const workload = pod === null ? `address ${endpoint.address}` : labelOf(pod);
    return JSON.stringify([workload, endpoint.identity !== null]);
  });
  return [...groups].map(([key, some]) => {
    const [workload, meshed] = JSON.parse(key) as [string, boolean];
    return { workload, pods: some.length, meshed };
  });
}

/** Pods at which the same holds stand together. */
function grouped(view: View, pods: readonly PodEntry[]): PodDescription[] {
  const groups = Map.groupBy(pods, (pod) => {
    const { title, ports, policies, unmeshed } = podDescription(view, [pod]);
    return JSON.stringify([title, ports, policies, unmeshed]);
  });
  return [...groups.values()].map((some) => podDescription(view, some));
}

function podDescription(view: View, pods: readonly PodEntry[]): PodDescription {
  const pod = pods[0]!;
  const workload = translateWorkload(view, pod.key)?.resource;
  const [modes] = effectiveModes(pods.slice(0, 1), () => workload?.inbound ?? null).workloads;
  const { meshed } = pod;
  return {
    title: labelOf(pod),
    pods: pods.length,
    identity: meshed && workload !== undefined ? identityOf(workload) : '',
    unmeshed: meshed ? '' : whyNot(pod),
    ports: meshed ? (modes?.ports ?? []) : [],
    policies: meshed ? policiesOf(view, pod) : [],
    services: servicesOfPod(view, pod).map(({ metadata }) => metadata.name),
  };
}

function identityOf({ trustDomain, namespace, serviceAccount }: WorkloadResource): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

function whyNot(pod: PodEntry): string {
  return pod.hostNetwork ? "it uses the node's network" : 'it was started without one';
}

function policiesOf(view: View, pod: PodEntry): PolicyDescription[] {
  const { workload, namespace } = speakersFor(view, pod);
  const authentication = [workload, namespace].filter((one) => one !== null);
  return [
    ...authentication.map((policy) => ({
      name: `PeerAuthentication ${namespaceOf(policy)}/${policy.metadata.name}`,
      says: `mTLS ${policy.spec.mtls?.mode ?? 'UNSET'}`,
      problems: problemsOf(policy),
    })),
    ...authorizationPoliciesFor(view, pod).map((policy) => ({
      name: authorizationPolicyName(policy),
      says: `${actionOf(policy)}, ${counted((policy.spec.rules ?? []).length, 'rule')}`,
      problems: problemsOf(policy),
    })),
  ];
}

function problemsOf(policy: KubeObject & { status?: ConditionsStatus }): string[] {
  const conditions: readonly Condition[] = policy.status?.conditions ?? [];
  return conditions
    .filter(({ status }) => status !== 'True')
    .map(({ type, reason, message }) => `${type}, ${reason}: ${message}`);
}
