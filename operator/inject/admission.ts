// The admission webhook protocol (admission.k8s.io/v1) as far as the mesh speaks it, and what its
// handlers are made of. Types and names only.

import type { CaSource } from '../ca/types.ts';
import type { PodEntry } from '../model/view.ts';
import type { ApiClient, EventRecorder } from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import type { KubeObject, Namespace } from '../resources/kubernetes.ts';
import type { Mesh } from '../resources/tsmesh.ts';

export interface AdmissionRequest<T = KubeObject> {
  uid: string;
  kind: { group: string; version: string; kind: string };
  resource: { group: string; version: string; resource: string };
  subResource?: string;
  name?: string;
  namespace?: string;
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  object: T | null;
  oldObject: T | null;
  dryRun?: boolean;
}

export type PatchOperation =
  { op: 'add' | 'replace'; path: string; value: unknown } | { op: 'remove'; path: string };

/** `patch` only with `allowed`. `message` is what the user reads when refused. */
export type AdmissionDecision =
  | { allowed: true; patch: PatchOperation[]; warnings: string[] }
  | { allowed: false; message: string; warnings: string[] };

export type AdmissionHandler = (request: AdmissionRequest) => Promise<AdmissionDecision>;

/** Paths of the webhook server, for the webhook configurations. */
export const webhookPaths = {
  /** pods CREATE, and pods/ephemeralcontainers UPDATE. */
  pods: '/mutate/pods',
  /** namespaces CREATE, UPDATE. */
  namespaces: '/mutate/namespaces',
  /** Mesh, PeerAuthentication, TrafficPolicy, AuthorizationPolicy CREATE, UPDATE. */
  validate: '/validate',
} as const;

export interface InjectionImages {
  proxy: string;
  init: string;
}

export interface InjectionSettings {
  images: InjectionImages;
  /** `host:port` of the discovery service, ClusterIP first. Read at every injection. */
  operatorAddresses: () => string[];
  /** Written into the pod's `tsmesh.dev/injected` annotation. */
  version: string;
}

export interface HandlerDeps {
  api: ApiClient;
  events: EventRecorder;
  ca: CaSource;
  /** Mesh `default` from the cache; null: built-in defaults hold. */
  getMesh: () => Mesh | null;
  /** From the cache; where it is null, the API is asked. */
  getNamespace: (name: string) => Namespace | null;
  settings: InjectionSettings;
  clock: Clock;
  /** The living and the ended pods of a namespace, from the cache. */
  podsOf: (namespace: string) => readonly PodEntry[];
  /** Gives the operator its rights on identity Secrets there (RoleBinding); called when they are missing. */
  prepareNamespace: (namespace: string) => Promise<void>;
}
