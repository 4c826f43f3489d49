// The tables behind the model: objects and indexes, and for each kind what an update of it touches.
// An update that changes nothing the mesh decides by (a heartbeat, a status) touches nothing.

import { destinationName } from '../../proxy/api/resources.ts';
import type {
  EndpointSlice,
  KubeObject,
  Namespace,
  Pod,
  Service,
} from '../resources/kubernetes.ts';
import { isDryRun } from '../resources/dry-run.ts';
import type {
  AuthorizationPolicy,
  Mesh,
  PeerAuthentication,
  TrafficPolicy,
} from '../resources/tsmesh.ts';
import { canonicalAddress } from './addresses.ts';
import { CopyMap, Index } from './copy-map.ts';
import { NodeZones } from './node-zones.ts';
import { byName, canonicalJson, compareText, oldestFirst } from './order.ts';
import { podEntry } from './pod-entry.ts';
import { endpointsOf, labelKey, namespaceOf, objectKey, tcpPorts } from './view.ts';
import type { DependencyKey, ObjectKey, PodEntry, ServicePortEntry, View } from './view.ts';

/** The label by which a slice names its Service. */
const serviceLabel = 'kubernetes.io/service-name';

export interface Tables {
  meshes: CopyMap<Mesh>;
  namespaces: CopyMap<Namespace>;
  pods: CopyMap<PodEntry>;
  services: CopyMap<Service>;
  slices: CopyMap<EndpointSlice>;
  trafficPolicies: CopyMap<TrafficPolicy>;
  podsByIp: Index<PodEntry>;
  servicesByNamespace: Index<Service>;
  servicePorts: Index<ServicePortEntry>;
  slicesByService: Index<EndpointSlice>;
  /** Keys of Services by the keys of the pods and by the addresses in their slices. */
  servicesByEndpoint: Index<ObjectKey>;
  authByNamespace: Index<PeerAuthentication>;
  trafficByService: Index<TrafficPolicy>;
  authorizationByNamespace: Index<AuthorizationPolicy>;
  policiesBySourceLabel: Index<TrafficPolicy>;
  nodeZones: NodeZones;
  /** What each object was when it last touched something. */
  fingerprints: Map<string, string>;
}

export function createTables(): Tables {
  return {
    meshes: new CopyMap(),
    namespaces: new CopyMap(),
    pods: new CopyMap(),
    services: new CopyMap(),
    slices: new CopyMap(),
    trafficPolicies: new CopyMap(),
    podsByIp: new Index(currentFirst),
    servicesByNamespace: new Index<Service>(oldestFirst),
    servicePorts: new Index(ownersFirst),
    slicesByService: new Index<EndpointSlice>(byName),
    servicesByEndpoint: new Index(compareText),
    authByNamespace: new Index<PeerAuthentication>(oldestFirst),
    trafficByService: new Index<TrafficPolicy>(oldestFirst),
    authorizationByNamespace: new Index<AuthorizationPolicy>(oldestFirst),
    policiesBySourceLabel: new Index<TrafficPolicy>(oldestFirst),
    nodeZones: new NodeZones(),
    fingerprints: new Map(),
  };
}

/** A pod that is going gives way to the one that took its address. */
function currentFirst(a: PodEntry, b: PodEntry): number {
  return Number(a.terminating) - Number(b.terminating) || compareText(a.key, b.key);
}

/** Whoever was given the address before whoever only says that it leads to him. */
function ownersFirst(a: ServicePortEntry, b: ServicePortEntry): number {
  return Number(b.own) - Number(a.own) || oldestFirst(a.service, b.service);
}

type Setter = (tables: Tables, key: ObjectKey, object: KubeObject | null) => DependencyKey[];

export const setters = {
  Mesh: (tables, key, object) => {
    tables.meshes.put(key, object as Mesh | null);
    return ['mesh'];
  },
  Namespace: (tables, key, object) => {
    tables.namespaces.put(namePart(key), object);
    return [`namespace:${namePart(key)}`];
  },
  Pod: (tables, key, object) =>
    setPod(tables, key, object === null ? null : podEntry(object as Pod)),
  Service: (tables, key, object) => setService(tables, key, object as Service | null),
  EndpointSlice: (tables, key, object) => setSlice(tables, key, object as EndpointSlice | null),
  PeerAuthentication: (tables, key, object) => {
    const next = object as PeerAuthentication | null;
    tables.authByNamespace.replace(key, next === null ? [] : [[namespacePart(key), next]]);
    return [`peerauth:${namespacePart(key)}`];
  },
  TrafficPolicy: (tables, key, object) => {
    const next = object as TrafficPolicy | null;
    const both = [tables.trafficPolicies.get(key) ?? null, next];
    tables.trafficPolicies.put(key, next);
    tables.trafficByService.replace(key, next === null ? [] : [[targetOf(next)[0]!, next]]);
    const labels = sourceLabelsOf(next);
    tables.policiesBySourceLabel.replace(
      key,
      labels.map((label) => [label, next!]),
    );
    return [
      ...both.flatMap(targetOf).map((service) => `traffic:${service}`),
      ...both.flatMap(sourceLabelsOf).map((label) => `source-label:${label}`),
    ];
  },
  AuthorizationPolicy: (tables, key, object) => {
    const next = object as AuthorizationPolicy | null;
    const namespace = namespacePart(key);
    tables.authorizationByNamespace.replace(key, next === null ? [] : [[namespace, next]]);
    return [`authorization:${namespace}`];
  },
} satisfies Record<string, Setter>;

/** Null removes. Answers what was touched. */
export function update(
  tables: Tables,
  kind: keyof typeof setters,
  key: ObjectKey,
  object: KubeObject | null,
): DependencyKey[] {
  const id = `${kind}/${key}`;
  const print = object === null ? undefined : fingerprint(kind, object);
  if (tables.fingerprints.get(id) === print) return [];
  if (print === undefined) tables.fingerprints.delete(id);
  else tables.fingerprints.set(id, print);
  return setters[kind](tables, key, object);
}

/** Everything of an object that can matter, as text. */
function fingerprint(kind: keyof typeof setters, object: KubeObject): string {
  if (kind === 'Pod') return JSON.stringify(podEntry(object as Pod));
  const { uid, generation, creationTimestamp, labels, annotations } = object.metadata;
  const rest: Record<string, unknown> = { ...object };
  if (kind !== 'Service') delete rest['status'];
  delete rest['metadata'];
  const noted = kind === 'Namespace' ? annotations : isDryRun(object);
  return canonicalJson([uid, generation, creationTimestamp, labels, noted, rest]);
}

function setPod(tables: Tables, key: ObjectKey, next: PodEntry | null): DependencyKey[] {
  const touched = new Set([`pod:${key}`]);
  for (const entry of [tables.pods.get(key) ?? null, next]) {
    if (entry === null) continue;
    for (const name of [key, ...entry.ips]) {
      for (const service of tables.servicesByEndpoint.get(name)) {
        touched.add(`endpoints:${service}`);
      }
    }
    for (const ip of entry.ips) touched.add(`address:${ip}`);
  }
  tables.pods.put(key, next);
  const addressed = next === null || next.hostNetwork ? [] : next.ips;
  tables.podsByIp.replace(
    key,
    addressed.map((ip) => [ip, next!]),
  );
  return [...touched];
}

function setService(tables: Tables, key: ObjectKey, next: Service | null): DependencyKey[] {
  const namespace = namespacePart(key);
  const touched = new Set([`service:${key}`, `services:${namespace}`, `endpoints:${key}`]);
  for (const service of [tables.services.get(key) ?? null, next]) {
    for (const address of serviceAddresses(service)) touched.add(`address:${address}`);
  }
  tables.services.put(key, next);
  tables.servicesByNamespace.replace(key, next === null ? [] : [[namespace, next]]);
  tables.servicePorts.replace(key, next === null ? [] : portEntries(next));
  return [...touched];
}

function portEntries(service: Service): [string, ServicePortEntry][] {
  const ports = tcpPorts(service);
  const own = new Set(clusterAddresses(service).map(canonicalAddress));
  return serviceAddresses(service).flatMap((address) =>
    ports.map((port): [string, ServicePortEntry] => [
      destinationName(address, port.port),
      { service, port, own: own.has(address) },
    ]),
  );
}

/** ClusterIPs, external and load-balancer addresses. */
function serviceAddresses(service: Service | null): string[] {
  if (service === null) return [];
  const { externalIPs = [] } = service.spec;
  const balanced = (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
  const all = [...clusterAddresses(service), ...externalIPs, ...balanced];
  return [...new Set(all.filter((ip) => ip !== '' && ip !== 'None').map(canonicalAddress))];
}

function clusterAddresses({ spec }: Service): string[] {
  return spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
}

function setSlice(tables: Tables, key: ObjectKey, next: EndpointSlice | null): DependencyKey[] {
  const services = [tables.slices.get(key) ?? null, next].flatMap(serviceOf);
  tables.slices.put(key, next);
  const owner = serviceOf(next)[0];
  tables.slicesByService.replace(key, owner === undefined ? [] : [[owner, next!]]);
  const named = owner === undefined ? [] : endpointNames(next!);
  tables.servicesByEndpoint.replace(
    key,
    named.map((name) => [name, owner!]),
  );
  const nodes = tables.nodeZones.replace(key, next);
  return [
    ...services.map((service) => `endpoints:${service}`),
    ...nodes.map((node) => `node:${node}`),
  ];
}

function serviceOf(slice: EndpointSlice | null): ObjectKey[] {
  const name = slice?.metadata.labels?.[serviceLabel];
  if (slice === null || name === undefined || slice.addressType === 'FQDN') return [];
  return [objectKey(namespaceOf(slice), name)];
}

function endpointNames(slice: EndpointSlice): string[] {
  const namespace = namespaceOf(slice);
  const names = endpointsOf(slice).flatMap(({ addresses, targetRef }) => [
    ...addresses.map(canonicalAddress),
    ...(targetRef?.name === undefined ? [] : [objectKey(namespace, targetRef.name)]),
  ]);
  return [...new Set(names)];
}

function targetOf(policy: TrafficPolicy | null): ObjectKey[] {
  if (policy === null) return [];
  return [objectKey(namespaceOf(policy), policy.spec.service.name)];
}

/** Labels that routes ask for of their callers; of whatever was read. */
function sourceLabelsOf(policy: TrafficPolicy | null): string[] {
  const matches = (policy?.spec.routes ?? []).flatMap((route) => route.matches ?? []);
  return [
    ...new Set(matches.flatMap(({ source }) => Object.entries(source?.labels ?? {}).map(labelKey))),
  ];
}

function namespacePart(key: ObjectKey): string {
  return key.slice(0, key.indexOf('/'));
}

function namePart(key: ObjectKey): string {
  return key.slice(key.indexOf('/') + 1);
}

export function takeView(tables: Tables, revision: number): View {
  return {
    revision,
    mesh: tables.meshes.get(objectKey('', 'default')) ?? null,
    namespaces: tables.namespaces.snapshot(),
    pods: tables.pods.snapshot(),
    podsByIp: tables.podsByIp.snapshot(),
    services: tables.services.snapshot(),
    servicesByNamespace: tables.servicesByNamespace.snapshot(),
    servicePorts: tables.servicePorts.snapshot(),
    slices: tables.slicesByService.snapshot(),
    peerAuthentications: tables.authByNamespace.snapshot(),
    trafficPolicies: tables.trafficByService.snapshot(),
    authorizationPolicies: tables.authorizationByNamespace.snapshot(),
    sourceLabels: tables.policiesBySourceLabel.snapshot(),
    zones: tables.nodeZones.snapshot(),
  };
}
