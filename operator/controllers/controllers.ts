// The work that only the leader does: which keys there are, what wakes each, and the queues that run
// them. Events only enqueue; every reconciliation reads the state of the world anew.

import { systemNamespace } from '../../proxy/api/constants.ts';
import { serviceAccountOf } from '../ca/identity-secrets.ts';
import { caSecretName, renewAnnotation, rotateRootAnnotation } from '../ca/types.ts';
import type { Change } from '../model/view.ts';
import type { Kind } from '../resources/api-client.ts';
import type { Timer } from '../resources/clock.ts';
import type { KubeObject, Secret } from '../resources/kubernetes.ts';
import type { ConditionsStatus } from '../resources/tsmesh.ts';
import { WorkQueue, type Again } from '../runtime/work-queue.ts';
import type { ControllerContext } from './context.ts';
import { reconcileAuthorizationPolicy } from './authorization-policy.ts';
import { identityKey, reconcileIdentity, usedServiceAccounts } from './identity.ts';
import { meshName, reconcileMesh } from './mesh.ts';
import { MeshStatusWriter } from './mesh-status.ts';
import { namespacesWithMeshedPods, reconcileNamespace } from './namespace.ts';
import { reconcilePeerAuthentication } from './peer-authentication.ts';
import { announceProblem, reconcileRootRotation, type RotationOutcome } from './root-rotation.ts';
import { reconcileTrafficPolicy } from './traffic-policy.ts';
import { isProgrammed, notAccepted } from './verdicts.ts';
import {
  reconcileWebhookConfiguration,
  webhookKinds,
  type WebhookKind,
} from './webhook-configuration.ts';

export interface ControllerHooks {
  random: () => number;
  /** Roots for the webhooks' caBundle; null before there is a CA. */
  rootsPem: () => string | null;
  /** Namespaces whose identity Secrets are to be watched. */
  watchSecrets: (namespaces: ReadonlySet<string>) => Promise<void>;
  onResult: (queue: string, outcome: 'done' | 'failed', durationMs: number) => void;
}

const backoff = { baseMs: 200, maxMs: 60_000 };
/** Everything is looked at again this often, whatever events said. */
const resyncMs = 60_000;
/** Statuses depend on nearly everything: after changes elsewhere all are looked at, this late. */
const sweepMs = 250;
const separator = '/';
const rotationKey = 'root-rotation';
const policyKinds: readonly Kind[] = [
  'Mesh',
  'PeerAuthentication',
  'TrafficPolicy',
  'AuthorizationPolicy',
];

type QueueName =
  'policies' | 'namespaces' | 'identities' | 'webhooks' | 'mesh-status' | 'authority';

export class Controllers {
  readonly #context: ControllerContext;
  readonly #hooks: ControllerHooks;
  readonly #queues: Record<QueueName, WorkQueue>;
  readonly #rows: MeshStatusWriter;
  /** Service accounts that have their own timers by now. */
  readonly #knownIdentities = new Set<string>();
  #meshedNamespaces = new Set<string>();
  /** What of the Mesh concerns every certificate, as last seen. */
  #meshState = '';
  /** What Mesh status says of issuer and root rotation; null: not looked at yet. */
  #roots: RotationOutcome | null = null;
  #sweep: Timer | null = null;
  #resync: Timer | null = null;
  #stopped = false;

  constructor(context: ControllerContext, hooks: ControllerHooks) {
    this.#context = context;
    this.#hooks = hooks;
    this.#rows = new MeshStatusWriter(context);
    this.#queues = {
      policies: this.#queue('policies', 4, (key) => this.#policy(key)),
      namespaces: this.#queue('namespaces', 2, (key) => this.#namespace(key)),
      identities: this.#queue('identities', 4, (key) => this.#identity(key)),
      webhooks: this.#queue('webhooks', 1, (key) => this.#webhook(key as WebhookKind)),
      'mesh-status': this.#queue('mesh-status', 1, () => this.#meshStatus()),
      authority: this.#queue('authority', 1, () => this.#rotation()),
    };
  }

  start(): void {
    this.#context.insight.beginTerm();
    this.#all();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#rows.stop();
    this.#sweep?.cancel();
    this.#resync?.cancel();
    await Promise.all(Object.values(this.#queues).map((queue) => queue.stop()));
    await this.#hooks.watchSecrets(new Set());
  }

  /** Keys that wait or run, by queue: for metrics. */
  depths(): Record<QueueName, number> {
    const entries = Object.entries(this.#queues).map(([name, queue]) => [name, queue.length]);
    return Object.fromEntries(entries) as Record<QueueName, number>;
  }

  onObject(kind: Kind, object: KubeObject): void {
    const { namespace = '', name } = object.metadata;
    this.onKey(kind, namespace, name);
    if (kind === 'Secret' && namespace === systemNamespace && name === caSecretName) {
      this.#queues.authority.add(rotationKey);
    }
    if (kind === 'Secret') {
      const serviceAccount = serviceAccountOf(object as Secret);
      if (serviceAccount !== null) {
        this.#queues.identities.add(identityKey({ namespace, serviceAccount }));
      }
    }
    if (kind === 'Mesh' && this.#meshState !== meshState(object)) {
      this.#meshState = meshState(object);
      this.#queues.authority.add(rotationKey);
      this.#allIdentities();
    }
  }

  onKey(kind: Kind, namespace: string, name: string): void {
    if (kind === 'Namespace') this.#queues.namespaces.add(name);
    if (kind === 'RoleBinding') this.#queues.namespaces.add(namespace);
    if (policyKinds.includes(kind)) {
      this.#queues.policies.add([kind, namespace, name].join(separator));
    }
    if (webhookKinds.includes(kind as WebhookKind)) this.#queues.webhooks.add(kind);
  }

  onView(change: Change): void {
    let pods = false;
    for (const key of change.keys) {
      if (!key.startsWith('pod:')) continue;
      pods = true;
      this.#warnOfAccessLog(key.slice('pod:'.length));
    }
    if (pods) {
      this.#newIdentities();
      this.#namespacesWithPods();
    }
    this.#waitingPolicies();
    this.#scheduleSweep();
  }

  /** Sidecars connected, left or acknowledged: what waits for that is looked at now, the rest soon. */
  onStreamsChanged(): void {
    this.#waitingPolicies();
    this.#scheduleSweep();
  }

  /** The CA, or what it says of itself, has changed. */
  onCaChanged(): void {
    this.#queues.authority.add(rotationKey);
    for (const kind of webhookKinds) this.#queues.webhooks.add(kind);
    this.#queues.policies.add(['Mesh', '', meshName].join(separator));
    this.#allIdentities();
  }

  #queue(
    name: QueueName,
    concurrency: number,
    run: (key: string) => Promise<Again | undefined | void>,
  ): WorkQueue {
    const { clock, logger } = this.#context;
    const { random, onResult } = this.#hooks;
    return new WorkQueue({
      name,
      concurrency,
      backoff,
      clock,
      logger,
      random,
      run: async (key) => (await run(key)) ?? undefined,
      onResult: (outcome, durationMs) => onResult(name, outcome, durationMs),
    });
  }

  #all(): void {
    for (const key of this.#policyKeys()) this.#queues.policies.add(key);
    for (const namespace of this.#context.stores.namespaces.list()) {
      this.#queues.namespaces.add(namespace.metadata.name);
    }
    for (const kind of webhookKinds) this.#queues.webhooks.add(kind);
    this.#newIdentities();
    this.#queues['mesh-status'].add('rows');
    this.#queues.authority.add(rotationKey);
    this.#namespacesWithPods();
    this.#resync = this.#context.clock.after(resyncMs, () => this.#all());
  }

  #allIdentities(): void {
    this.#knownIdentities.clear();
    this.#newIdentities();
  }

  /** Admission does not see what is written to a running pod. */
  #warnOfAccessLog(key: string): void {
    const { view, events } = this.#context;
    const pod = view().pods.get(key);
    if (pod?.accessLog === undefined || !pod.meshed) return;
    const { namespace, name, uid } = pod;
    const target = { apiVersion: 'v1', kind: 'Pod', namespace, name, uid };
    for (const fault of pod.accessLog.faults) {
      events.event(target, 'Warning', 'InvalidAnnotation', fault);
    }
  }

  /** Those known already are woken by their Secret's events and their own timers. */
  #newIdentities(): void {
    const used = usedServiceAccounts(this.#context.view());
    for (const key of this.#knownIdentities) if (!used.has(key)) this.#knownIdentities.delete(key);
    for (const key of used) {
      if (this.#knownIdentities.has(key)) continue;
      this.#knownIdentities.add(key);
      this.#queues.identities.add(key);
    }
  }

  /** Namespaces that got their first meshed pod, or lost their last. */
  #namespacesWithPods(): void {
    const now = namespacesWithMeshedPods(this.#context.view());
    const changed = now.symmetricDifference(this.#meshedNamespaces);
    if (changed.size === 0) return;
    this.#meshedNamespaces = now;
    for (const namespace of changed) this.#queues.namespaces.add(namespace);
    this.#watchSecrets();
  }

  #watchSecrets(): void {
    this.#hooks
      .watchSecrets(this.#meshedNamespaces)
      .catch((error: unknown) =>
        this.#context.logger.error('watching Secrets failed', { error: String(error) }),
      );
  }

  #waitingPolicies(): void {
    for (const key of this.#policyKeys(isWaiting)) this.#queues.policies.add(key);
  }

  #scheduleSweep(): void {
    if (this.#stopped || this.#sweep !== null) return;
    this.#sweep = this.#context.clock.after(sweepMs, () => {
      this.#sweep = null;
      for (const key of this.#policyKeys()) this.#queues.policies.add(key);
    });
  }

  /** The Mesh is always among them, for it has to be made where there is none. */
  #policyKeys(filter: (object: Policy) => boolean = () => true): string[] {
    const { meshes, peerAuthentications, trafficPolicies, authorizationPolicies } =
      this.#context.stores;
    const mesh = meshes.get('', meshName);
    const keys =
      mesh === undefined || filter(mesh) ? [`Mesh${separator}${separator}${meshName}`] : [];
    const add = (kind: Kind, objects: Policy[]): void => {
      for (const object of objects.filter(filter)) {
        keys.push([kind, object.metadata.namespace ?? '', object.metadata.name].join(separator));
      }
    };
    add('PeerAuthentication', peerAuthentications.list());
    add('TrafficPolicy', trafficPolicies.list());
    add('AuthorizationPolicy', authorizationPolicies.list());
    return keys;
  }

  #policy(key: string): Promise<void> {
    const [kind, namespace = '', name = ''] = key.split(separator);
    if (kind === 'TrafficPolicy') return reconcileTrafficPolicy(this.#context, namespace, name);
    if (kind === 'AuthorizationPolicy') {
      return reconcileAuthorizationPolicy(this.#context, namespace, name);
    }
    if (kind === 'PeerAuthentication') {
      return reconcilePeerAuthentication(this.#context, namespace, name);
    }
    return name === meshName ? reconcileMesh(this.#context, this.#roots) : Promise.resolve();
  }

  async #namespace(name: string): Promise<void> {
    await reconcileNamespace(this.#context, name);
  }

  #identity(key: string): Promise<Again | undefined> {
    const [namespace = '', serviceAccount = ''] = key.split(separator);
    return reconcileIdentity(this.#context, namespace, serviceAccount);
  }

  #webhook(kind: WebhookKind): Promise<void> {
    return reconcileWebhookConfiguration(this.#context, kind, this.#hooks.rootsPem());
  }

  async #rotation(): Promise<Again> {
    const outcome = await reconcileRootRotation(this.#context);
    if (outcome === null) return { afterMs: resyncMs };
    const before = this.#roots;
    this.#roots = outcome;
    if (before === null || !isSameOutcome(before, outcome)) {
      this.#queues.policies.add(['Mesh', '', meshName].join(separator));
      announceProblem(this.#context, outcome.problem);
    }
    return outcome.again;
  }

  async #meshStatus(): Promise<Again> {
    return { afterMs: await this.#rows.reconcile() };
  }
}

function isSameOutcome(a: RotationOutcome, b: RotationOutcome): boolean {
  return a.verdict?.message === b.verdict?.message && a.problem?.message === b.problem?.message;
}

/** Status changes of the Mesh concern no certificate. */
function meshState(mesh: KubeObject): string {
  const { generation, annotations = {} } = mesh.metadata;
  return [generation, annotations[renewAnnotation], annotations[rotateRootAnnotation]].join('/');
}

type Policy = KubeObject & { status?: ConditionsStatus };

/**
 * Not programmed at the generation that is. One that was refused waits for no sidecar: a thousand that stand behind the oldest of a
 * Service would all be looked at with each acknowledgement. The sweep finds it when what refused it has gone.
 */
function isWaiting(policy: Policy): boolean {
  const programmed = policy.status?.conditions?.find(isProgrammed);
  if (programmed?.observedGeneration !== (policy.metadata.generation ?? 0)) return true;
  return programmed.status !== 'True' && programmed.reason !== notAccepted;
}
