// What the operator needs of the Kubernetes API, as an interface: operator/kube implements it on
// @kubernetes/client-node; tests of controllers use a hand-written fake of the same shape.

import type { KubeObject } from './kubernetes.ts';

/** Every kind that the operator touches. */
export type Kind =
  | 'Mesh'
  | 'PeerAuthentication'
  | 'TrafficPolicy'
  | 'AuthorizationPolicy'
  | 'MeshStatus'
  | 'Namespace'
  | 'Pod'
  | 'Service'
  | 'EndpointSlice'
  | 'Secret'
  | 'ConfigMap'
  | 'CertificateRequest'
  | 'ServiceAccount'
  | 'RoleBinding'
  | 'Lease'
  | 'MutatingWebhookConfiguration'
  | 'ValidatingWebhookConfiguration'
  | 'Event';

/** Answers of the API server that callers tell apart. */
export type ApiErrorCode =
  'NotFound' | 'Conflict' | 'AlreadyExists' | 'Forbidden' | 'Invalid' | 'Unavailable' | 'Other';

export class ApiError extends Error {
  readonly code: ApiErrorCode;
  readonly status: number;
  constructor(code: ApiErrorCode, status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.status = status;
  }
}

/** `namespace` is empty for cluster-scoped kinds. Every method rejects with ApiError, but `get`: null when NotFound. */
export interface ApiClient {
  get<T extends KubeObject>(kind: Kind, namespace: string, name: string): Promise<T | null>;
  list<T extends KubeObject>(kind: Kind, namespace: string, labelSelector?: string): Promise<T[]>;
  create<T extends KubeObject>(kind: Kind, object: T): Promise<T>;
  /** PUT; Conflict when `resourceVersion` is stale. */
  replace<T extends KubeObject>(kind: Kind, object: T): Promise<T>;
  /** RFC 7386 merge patch, of the object or of its status subresource. */
  patch<T extends KubeObject>(target: PatchTarget, mergePatch: object): Promise<T>;
  /** Absent already is success. */
  delete(kind: Kind, namespace: string, name: string): Promise<void>;
}

export interface PatchTarget {
  kind: Kind;
  namespace: string;
  name: string;
  subresource?: 'status';
}

/** Writes an Event (events.k8s.io/v1 semantics: repeated ones are counted, not multiplied). */
export interface EventRecorder {
  event(regarding: EventTarget, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export interface EventTarget {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  uid?: string;
}
