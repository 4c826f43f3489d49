// Everything of the mesh that applies to a Service or a pod, from a view, by the operator's own translation. Pure.

import type { Authorization } from '../../../proxy/api/authorization.ts';
import type {
  DestinationResource,
  Endpoint,
  HttpRoute,
  WorkloadResource,
} from '../../../proxy/api/resources.ts';
import { namespaceInjects } from '../../inject/eligibility.ts';
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
import type { Condition, KubeObject, Pod, Service } from '../../resources/kubernetes.ts';
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
import { backendOf } from '../check/capture.ts';
import { CliError } from '../errors.ts';
import { labelOf } from '../explain/parties.ts';
import { ruleWords } from './rule-words.ts';
import { settingWords } from './setting-words.ts';
import { counted } from './units.ts';
import { backendWords, matchWords, routeWords } from './words.ts';
import {
  annotationWords,
  authenticationWords,
  callersOf,
  rateLimitWords,
  workloadSettings,
} from './workload-words.ts';

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
  /** Of requests; none where the port is declared to carry none. */
  routes: RouteDescription[];
  /** Where connections go that are no HTTP, if elsewhere than requests, or if there are no others. */
  connections: string[];
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
  /** Of an AuthorizationPolicy in force: who may do what. */
  rules: string[];
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
  /** What the policies make of it, in short. */
  callers: string;
  policies: PolicyDescription[];
  rateLimits: string[];
  /** The rest, `Access log` first: what it is about, and what holds. Empty without a sidecar. */
  settings: { about: string; says: string }[];
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
      rules: [],
      problems: problemsOf(policy),
    })),
    pods: grouped(view, behind),
  };
}

/** `object`: the pod itself, of which a view has not all. */
export function describePod(
  view: View,
  [namespace, name]: readonly [namespace: string, name: string],
  object?: Pod,
): PodDescription {
  const all = [...view.pods.values()].filter((pod) => pod.namespace === namespace);
  const pod = all.find((one) => one.name === name);
  if (pod === undefined)
    throw notFound(
      'pod',
      namespace,
      name,
      all.map((one) => one.name),
    );
  const described = podDescription(view, [pod]);
  const own = `Pod ${namespace}/${name}`;
  const backend = object === undefined ? null : backendOf(object);
  const asked = annotationWords(object?.metadata.annotations ?? {});
  return {
    ...described,
    title: own === described.title ? own : `${own} of ${described.title}`,
    settings: [
      ...described.settings,
      ...(backend === null ? [] : [{ about: 'Redirected', says: `by iptables ${backend}` }]),
      ...asked.map((says) => ({ about: 'Annotation', says })),
    ],
  };
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
    connections: [],
    settings: [],
    endpoints: [],
  };
  if (address === null) return base;
  const { resource } = translateDestination(view, namespace, canonicalAddress(address), port);
  const own = `${key}:${port}`;
  const used = [...resource.routes.flatMap(({ backends }) => backends), ...resource.tcp];
  const names = new Set(used.map((one) => one.endpoints));
  const endpoints = [...names].flatMap((one) => translateEndpoints(view, one).resource.endpoints);
  return {
    ...base,
    protocol: resource.protocol,
    routes:
      resource.protocol === 'tcp' ? [] : resource.routes.map((route) => describeRoute(route, own)),
    connections: connectionWords(resource, own),
    settings: settingWords(resource),
    endpoints: byWorkload(view, endpoints),
  };
}

function describeRoute(route: HttpRoute, own: string): RouteDescription {
  return { name: route.name, matches: matchWords(route.matches), does: routeWords(route, own) };
}

function connectionWords({ protocol, routes, tcp }: DestinationResource, own: string): string[] {
  const last = routes.at(-1)?.backends ?? [];
  const apart = protocol === 'auto' && JSON.stringify(tcp) !== JSON.stringify(last);
  return protocol === 'tcp' || apart ? backendWords(tcp, own) : [];
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
  const groups = Map.groupBy(pods, (pod) => JSON.stringify(podDescription(view, [pod])));
  return [...groups.values()].map((some) => podDescription(view, some));
}

function podDescription(view: View, pods: readonly PodEntry[]): PodDescription {
  const pod = pods[0]!;
  const title = labelOf(pod);
  const services = servicesOfPod(view, pod).map(({ metadata }) => metadata.name);
  const workload = pod.meshed ? translateWorkload(view, pod.key)?.resource : undefined;
  const base = { title, pods: pods.length, services };
  if (workload === undefined) return { ...base, ...nothing, unmeshed: whyNot(view, pod) };
  return {
    ...base,
    identity: identityOf(workload),
    unmeshed: '',
    ports: effectiveModes(pods.slice(0, 1), () => workload.inbound)[0]?.ports ?? [],
    callers: callersOf(workload.authorization),
    policies: policiesOf(view, pod, workload.authorization),
    rateLimits: (workload.rateLimits ?? []).map(rateLimitWords),
    settings: workloadSettings(workload),
  };
}

/** Of a pod without a sidecar. */
const nothing = {
  identity: '',
  ports: [],
  callers: '',
  policies: [],
  rateLimits: [],
  settings: [],
} satisfies Partial<PodDescription>;

function identityOf({ trustDomain, namespace, serviceAccount }: WorkloadResource): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

function whyNot(view: View, pod: PodEntry): string {
  if (pod.hostNetwork) return "it uses the node's network";
  const namespace = view.namespaces.get(pod.namespace);
  const injects = namespace !== undefined && namespaceInjects(namespace);
  return injects
    ? 'it was started without one: restart it, or it opted out'
    : `namespace ${pod.namespace} is not meshed`;
}

function policiesOf(
  view: View,
  pod: PodEntry,
  authorization: Authorization | undefined,
): PolicyDescription[] {
  const { workload, namespace } = speakersFor(view, pod);
  const authentication = [workload, namespace].filter((one) => one !== null);
  const inForce = new Map((authorization?.policies ?? []).map((one) => [one.name, one]));
  return [
    ...authentication.map((policy) => ({
      name: `PeerAuthentication ${namespaceOf(policy)}/${policy.metadata.name}`,
      says: authenticationWords(policy.spec),
      rules: [],
      problems: problemsOf(policy),
    })),
    ...authorizationPoliciesFor(view, pod).map((policy) => {
      const name = authorizationPolicyName(policy);
      const { dryRun = false, rules = [] } = inForce.get(name) ?? {};
      const count = (policy.spec.rules ?? []).length;
      const faulty = count - rules.length;
      const left = faulty === 0 ? '' : `, ${faulty} of them not in force`;
      const dry = dryRun ? ', dry run: never enforced' : '';
      return {
        name,
        says: `${actionOf(policy)}, ${counted(count, 'rule')}${left}${dry}`,
        rules: rules.map(ruleWords),
        problems: problemsOf(policy),
      };
    }),
  ];
}

function problemsOf(policy: KubeObject & { status?: ConditionsStatus }): string[] {
  const conditions: readonly Condition[] = policy.status?.conditions ?? [];
  // Of a dry run its sentence tells.
  const wrong = conditions.filter(({ type, status }) => status !== 'True' && type !== 'DryRun');
  const refused = wrong.find(({ type }) => type === 'Accepted');
  // What is not accepted is not in force either, for the same reason.
  return (refused === undefined ? wrong : [refused]).map(
    ({ type, reason, message }) => `${type}, ${reason}: ${message}`,
  );
}
