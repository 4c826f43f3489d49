// What controllers are given: where they read, where they write, and the time. Interfaces only, so that
// tests give their own.

import type { PolicyRef } from '../../proxy/api/resources.ts';
import type { Follower } from '../ca/rotation.ts';
import type { CaSource } from '../ca/types.ts';
import type { View } from '../model/view.ts';
import type { ApiClient, EventRecorder } from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import type { Condition, KubeObject, Namespace } from '../resources/kubernetes.ts';
import type { Logger } from '../resources/logger.ts';
import type {
  AuthorizationPolicy,
  ConditionsStatus,
  Mesh,
  MeshStatus,
  PeerAuthentication,
  TrafficPolicy,
} from '../resources/tsmesh.ts';
import type { ExpiringCertificate } from '../telemetry/expiring.ts';
import type { MeshStatusTable } from '../telemetry/types.ts';

/** A local copy of a kind, as fresh as its watch. */
export interface Store<T extends KubeObject> {
  /** `namespace` is empty for cluster-scoped kinds. */
  get(namespace: string, name: string): T | undefined;
  list(): T[];
}

export interface Stores {
  meshes: Store<Mesh>;
  peerAuthentications: Store<PeerAuthentication>;
  trafficPolicies: Store<TrafficPolicy>;
  authorizationPolicies: Store<AuthorizationPolicy>;
  meshStatuses: Store<MeshStatus>;
  namespaces: Store<Namespace>;
  /** Those of the operator's own name only. */
  roleBindings: Store<KubeObject>;
  mutatingWebhooks: Store<WebhookConfiguration>;
  validatingWebhooks: Store<WebhookConfiguration>;
}

export interface WebhookConfiguration extends KubeObject {
  webhooks?: { name: string; clientConfig: { caBundle?: string } & Record<string, unknown> }[];
}

/** What the control plane knows of the sidecars. */
export interface MeshInsight {
  programmed(
    kind: PolicyRef['kind'],
    policy: KubeObject & { status?: ConditionsStatus },
  ): Pick<Condition, 'status' | 'reason' | 'message'>;
  meshStatus(): MeshStatusTable;
  /** Who has to follow when roots change. */
  followers(): Follower[];
  /** Sidecars whose certificate is about to end; the first to end comes first. */
  expiring(): ExpiringCertificate[];
  /** This replica leads from now on: totals count from here. */
  beginTerm(): void;
}

export interface ControllerContext {
  api: ApiClient;
  events: EventRecorder;
  clock: Clock;
  logger: Logger;
  stores: Stores;
  /** The model's last view. */
  view: () => View;
  ca: CaSource;
  insight: MeshInsight;
}
