// Builders of cluster objects for tests and benchmarks: valid ones, of which a test says only what it is
// about.

import type { Clock, Timer } from '../resources/clock.ts';
import type {
  EndpointSlice,
  Namespace,
  Pod,
  Service,
  ServicePort,
} from '../resources/kubernetes.ts';
import type {
  AuthorizationPolicy,
  AuthorizationPolicySpec,
  Mesh,
  MeshSpec,
  PeerAuthentication,
  PeerAuthenticationSpec,
  TrafficPolicy,
  TrafficPolicySpec,
} from '../resources/tsmesh.ts';
import { createModel } from './model.ts';
import type { Model, ModelKind } from './model.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import type { View } from './view.ts';

/** `shop/cart`. */
type Key = string;

function meta(key: Key, kind: string): KubeObject['metadata'] & { namespace: string } {
  const [namespace = '', name = ''] = key.split('/');
  const uid = `uid-${kind}-${namespace}-${name}`;
  return { namespace, name, uid, generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' };
}

export interface PodOptions {
  ip?: string;
  labels?: Record<string, string>;
  serviceAccount?: string;
  meshed?: boolean;
  ready?: boolean;
  phase?: string;
  deleted?: boolean;
  hostNetwork?: boolean;
  ports?: { name?: string; containerPort: number; protocol?: string }[];
  annotations?: Record<string, string>;
  owner?: { kind: string; name: string };
  uid?: string;
  nodeName?: string;
}

export function pod(key: Key, options: PodOptions = {}): Pod {
  const { ip, labels = {}, meshed = true, ready = true, owner } = options;
  const base = meta(key, 'pod');
  const references =
    owner === undefined ? [] : [{ apiVersion: 'apps/v1', uid: 'o', controller: true, ...owner }];
  return {
    metadata: {
      ...base,
      uid: options.uid ?? base.uid!,
      labels: { ...labels, ...(meshed ? { 'tsmesh.dev/injected': 'true' } : {}) },
      annotations: options.annotations ?? {},
      ownerReferences: references,
      ...(options.deleted === true ? { deletionTimestamp: '2026-01-02T00:00:00Z' } : {}),
    },
    spec: {
      containers: [{ name: 'app', ports: options.ports ?? [] }],
      serviceAccountName: options.serviceAccount ?? 'default',
      ...(options.nodeName === undefined ? {} : { nodeName: options.nodeName }),
      ...(options.hostNetwork === true ? { hostNetwork: true } : {}),
    },
    status: {
      phase: options.phase ?? 'Running',
      ...(ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }] }),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      initContainerStatuses: meshed ? [{ name: 'tsmesh-proxy', ready }] : [],
    },
  };
}

export function service(key: Key, ip: string, ports: ServicePort[], spec = {}): Service {
  const { name } = meta(key, 'service');
  return {
    metadata: meta(key, 'service'),
    spec: { clusterIP: ip, clusterIPs: [ip], selector: { app: name }, ports, ...spec },
  };
}

export interface EndpointOptions {
  address: string;
  pod?: string;
  ready?: boolean;
  /** Default: as `ready` says. */
  serving?: boolean;
  terminating?: boolean;
  zone?: string;
  node?: string;
  /** Zones of hints. */
  forZones?: string[];
}

/** The slice of a Service; `ports` by the name of the Service port. */
export function slice(
  key: Key,
  endpoints: EndpointOptions[],
  ports: { name?: string; port: number; protocol?: string }[],
): EndpointSlice {
  const base = meta(`${key}-1`, 'slice');
  return {
    metadata: { ...base, labels: { 'kubernetes.io/service-name': key.split('/')[1]! } },
    addressType: endpoints.some(({ address }) => address.includes(':')) ? 'IPv6' : 'IPv4',
    ports: ports.map((port) => ({ protocol: 'TCP', ...port })),
    endpoints: endpoints.map(endpointOf),
  };
}

function endpointOf(options: EndpointOptions): EndpointSlice['endpoints'][number] {
  const { address, pod: name, ready = true, serving = ready, terminating = false } = options;
  const { zone, node, forZones } = options;
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(zone === undefined ? {} : { zone }),
    ...(node === undefined ? {} : { nodeName: node }),
    ...(forZones === undefined
      ? {}
      : { hints: { forZones: forZones.map((one) => ({ name: one })) } }),
    ...(name === undefined ? {} : { targetRef: { kind: 'Pod', name } }),
  };
}

export function mesh(spec: MeshSpec = {}, generation = 1): Mesh {
  return { metadata: { name: 'default', uid: 'uid-mesh', generation }, spec };
}

export function peerAuthentication(
  key: Key,
  spec: PeerAuthenticationSpec,
  metadata: Partial<KubeObject['metadata']> = {},
): PeerAuthentication {
  return { metadata: { ...meta(key, 'pa'), ...metadata }, spec };
}

export function trafficPolicy(
  key: Key,
  spec: TrafficPolicySpec,
  metadata: Partial<KubeObject['metadata']> = {},
): TrafficPolicy {
  return { metadata: { ...meta(key, 'tp'), ...metadata }, spec };
}

export function authorizationPolicy(
  key: Key,
  spec: AuthorizationPolicySpec,
  metadata: Partial<KubeObject['metadata']> = {},
): AuthorizationPolicy {
  return { metadata: { ...meta(key, 'ap'), ...metadata }, spec };
}

export function namespace(name: string, annotations: Record<string, string> = {}): Namespace {
  return { metadata: { name, uid: `uid-ns-${name}`, annotations } };
}

/** Time that stands still until a test moves it. */
export class ManualClock implements Clock {
  #now: number;
  #timers: { at: number; run: () => void }[] = [];

  constructor(startMs = 1_800_000_000_000) {
    this.#now = startMs;
  }

  nowMs(): number {
    return this.#now;
  }

  wallTimeMs(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.push(timer);
    return { cancel: () => (this.#timers = this.#timers.filter((one) => one !== timer)) };
  }

  /** Runs what falls due, in order. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > until) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.#now = next.at;
      next.run();
    }
    this.#now = until;
  }

  get waiting(): number {
    return this.#timers.length;
  }
}

export type Objects = Partial<Record<ModelKind, KubeObject[]>>;

export function fill(model: Model, objects: Objects): void {
  for (const [kind, list] of Object.entries(objects)) {
    for (const object of list) model.upsert(kind as ModelKind, object);
  }
}

export function viewOf(objects: Objects): View {
  const model = createModel({ clock: new ManualClock() });
  fill(model, objects);
  model.flush();
  return model.view();
}
