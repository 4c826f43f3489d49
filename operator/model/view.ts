// What the operator knows of the cluster at one instant: read-only, replaced as a whole. Types and
// look-ups only; model.ts builds it.

import type { AccessLogWish } from '../resources/access-log.ts';
import type {
  EndpointSlice,
  KubeObject,
  Namespace,
  Service,
  ServicePort,
} from '../resources/kubernetes.ts';
import type {
  AuthorizationPolicy,
  Mesh,
  PeerAuthentication,
  TrafficPolicy,
} from '../resources/tsmesh.ts';

/** `namespace/name`. */
export type ObjectKey = string;

/** The part of a pod that decides anything in the mesh. */
export interface PodEntry {
  readonly key: ObjectKey;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** Empty before the pod has an address, and once it has ended (the address may be reused). */
  readonly ips: readonly string[];
  readonly hostNetwork: boolean;
  /** Carries the label that injection sets, and has a network of its own. */
  readonly meshed: boolean;
  readonly ready: boolean;
  /** The sidecar's own container reports ready. */
  readonly proxyReady: boolean;
  /** Neither succeeded nor failed. */
  readonly alive: boolean;
  /** Deletion has begun. */
  readonly terminating: boolean;
  readonly containerPorts: readonly { name: string; port: number }[];
  /** Pod ports whose traffic is not captured: peers speak to them in plaintext. */
  readonly excludedInboundPorts: readonly number[];
  /** What its annotations say of the access log; absent: nothing. */
  readonly accessLog?: AccessLogWish;
  /** What the pod is a copy of, `Deployment/cart`, `StatefulSet/db`; the pod itself if none. */
  readonly workload: string;
  /** Empty before the pod is scheduled. */
  readonly nodeName: string;
}

export interface ServicePortEntry {
  readonly service: Service;
  readonly port: ServicePort;
  /** The address is the Service's ClusterIP; else one that it only claims (externalIPs, load balancer). */
  readonly own: boolean;
}

export interface View {
  /** Grows with every view; not comparable between replicas. */
  readonly revision: number;
  /** The one named `default`. */
  readonly mesh: Mesh | null;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly pods: ReadonlyMap<ObjectKey, PodEntry>;
  /** By canonical address, without host-network pods; the living first. See `podAt`. */
  readonly podsByIp: ReadonlyMap<string, readonly PodEntry[]>;
  readonly services: ReadonlyMap<ObjectKey, Service>;
  readonly servicesByNamespace: ReadonlyMap<string, readonly Service[]>;
  /** By `destinationName(address, port)`; ClusterIPs first, then the oldest. See `servicePortAt`. */
  readonly servicePorts: ReadonlyMap<string, readonly ServicePortEntry[]>;
  /** By Service; sorted by name. */
  readonly slices: ReadonlyMap<ObjectKey, readonly EndpointSlice[]>;
  /** By namespace; the oldest first, then by name. */
  readonly peerAuthentications: ReadonlyMap<string, readonly PeerAuthentication[]>;
  /** By Service; the oldest first, then by name. */
  readonly trafficPolicies: ReadonlyMap<ObjectKey, readonly TrafficPolicy[]>;
  /** By namespace; the oldest first, then by name. */
  readonly authorizationPolicies: ReadonlyMap<string, readonly AuthorizationPolicy[]>;
  /** Policies whose routes ask for a label of their caller, by `labelKey`. */
  readonly sourceLabels: ReadonlyMap<string, readonly TrafficPolicy[]>;
  /** Of nodes, as EndpointSlices that lead there say. */
  readonly zones: ReadonlyMap<string, string>;
}

/**
 * Something that a translation read and that can change:
 * `mesh` · `namespace:<name>` · `pod:<ns>/<name>` · `address:<ip>` (what an address is) ·
 * `service:<ns>/<name>` (the object) · `services:<ns>` (any of them) · `endpoints:<ns>/<name>`
 * (slices of a Service, or the pods in them) · `peerauth:<ns>` · `traffic:<ns>/<service>` ·
 * `authorization:<ns>` · `source-label:<labelKey>` (policies that ask for it) · `node:<name>` (its zone).
 */
export type DependencyKey = string;

/** What differs between a view and the one before it. */
export interface Change {
  readonly keys: ReadonlySet<DependencyKey>;
}

/** The TCP ports of a Service. */
export function tcpPorts(service: Service): ServicePort[] {
  return (service.spec.ports ?? []).filter((port) => (port.protocol ?? 'TCP') === 'TCP');
}

/** The API server writes `null` for a slice without endpoints. */
export function endpointsOf(slice: EndpointSlice): EndpointSlice['endpoints'] {
  return (slice.endpoints as EndpointSlice['endpoints'] | null) ?? [];
}

/** Empty for cluster-scoped objects. */
export function namespaceOf(object: KubeObject): string {
  return object.metadata.namespace ?? '';
}

export function keyOf(object: KubeObject): ObjectKey {
  return objectKey(namespaceOf(object), object.metadata.name);
}

/** A label as one text. */
export function labelKey([key, value]: readonly [key: string, value: string]): string {
  return `${key}=${value}`;
}

export function objectKey(namespace: string, name: string): ObjectKey {
  return `${namespace}/${name}`;
}

/** The pod that has this canonical address. */
export function podAt(view: View, address: string): PodEntry | null {
  return view.podsByIp.get(address)?.[0] ?? null;
}

/**
 * The Service port that this canonical address and port mean. Anybody may write any address into the
 * `externalIPs` of a Service of his own (CVE-2020-8554): never does such a claim take the ClusterIP of
 * another Service or the address of a pod.
 */
export function servicePortAt(view: View, name: string): ServicePortEntry | null {
  return view.servicePorts.get(name)?.[0] ?? null;
}

export const emptyView: View = {
  revision: 0,
  mesh: null,
  namespaces: new Map(),
  pods: new Map(),
  podsByIp: new Map(),
  services: new Map(),
  servicesByNamespace: new Map(),
  servicePorts: new Map(),
  slices: new Map(),
  peerAuthentications: new Map(),
  trafficPolicies: new Map(),
  authorizationPolicies: new Map(),
  sourceLabels: new Map(),
  zones: new Map(),
};
