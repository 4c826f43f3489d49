// For tests only: a cluster in memory behind the real interfaces. What is written through the API is what
// stores and view show, and every change wakes the controllers, as informers do.

import { createRoot, loadAuthority } from '../ca/authority.ts';
import type { Follower } from '../ca/rotation.ts';
import type { CaSource } from '../ca/types.ts';
import { createModel, type Model } from '../model/model.ts';
import { ApiError, type ApiClient, type Kind, type PatchTarget } from '../resources/api-client.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { ManualClock } from '../runtime/test-clock.ts';
import type { ExpiringCertificate } from '../telemetry/expiring.ts';
import type { MeshStatusRow, ProgrammedResult } from '../telemetry/types.ts';
import type { ControllerContext, Store, Stores } from './context.ts';

export class TestCluster implements ApiClient {
  readonly clock = new ManualClock(Date.UTC(2026, 5, 1));
  readonly model: Model = createModel({ clock: this.clock, debounceMs: 0 });
  readonly writes: string[] = [];
  readonly events: string[] = [];
  /** What the control plane says of every policy. */
  programmed: ProgrammedResult = { status: 'True', reason: 'Programmed', message: 'in force' };
  rows: MeshStatusRow[] = [];
  followers: Follower[] = [];
  expiring: ExpiringCertificate[] = [];
  onChange: (kind: Kind, object: KubeObject) => void = () => undefined;
  readonly #objects = new Map<string, KubeObject>();
  #version = 0;

  /** As a user or another controller would: not counted as a write. */
  put(kind: Kind, object: KubeObject): void {
    const { namespace = '', name } = object.metadata;
    const known = this.#objects.get(keyOf(kind, namespace, name));
    const metadata = {
      uid: `${kind}-${name}`,
      generation: 1,
      ...known?.metadata,
      ...object.metadata,
      resourceVersion: String((this.#version += 1)),
    };
    const stored = { ...structuredClone(object), metadata };
    this.#objects.set(keyOf(kind, namespace, name), stored);
    this.model.upsert(kind, stored);
    this.onChange(kind, stored);
  }

  remove(kind: Kind, namespace: string, name: string): void {
    const key = keyOf(kind, namespace, name);
    const known = this.#objects.get(key);
    if (known === undefined) return;
    this.#objects.delete(key);
    this.model.remove(kind, namespace, name);
    this.onChange(kind, known);
  }

  find<T extends KubeObject>(kind: Kind, namespace: string, name: string): T | undefined {
    return this.#objects.get(keyOf(kind, namespace, name)) as T | undefined;
  }

  async get<T extends KubeObject>(kind: Kind, namespace: string, name: string): Promise<T | null> {
    return this.find<T>(kind, namespace, name) ?? null;
  }

  async list<T extends KubeObject>(kind: Kind, namespace: string): Promise<T[]> {
    return this.#all<T>(kind, namespace);
  }

  async create<T extends KubeObject>(kind: Kind, object: T): Promise<T> {
    const { namespace = '', name } = object.metadata;
    if (this.find(kind, namespace, name) !== undefined) {
      throw new ApiError('AlreadyExists', 409, `${name} already exists`);
    }
    return this.#write('create', kind, object);
  }

  async replace<T extends KubeObject>(kind: Kind, object: T): Promise<T> {
    return this.#write('replace', kind, object);
  }

  async patch<T extends KubeObject>(target: PatchTarget, mergePatch: object): Promise<T> {
    const { kind, namespace, name } = target;
    const known = this.find<T>(kind, namespace, name);
    if (known === undefined) throw new ApiError('NotFound', 404, `${name} not found`);
    return this.#write('patch', kind, merge(known, mergePatch) as T);
  }

  async delete(kind: Kind, namespace: string, name: string): Promise<void> {
    this.writes.push(`delete ${kind} ${name}`);
    this.remove(kind, namespace, name);
  }

  context(): ControllerContext {
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    return {
      api: this,
      events: { event: (target, _type, reason) => this.events.push(`${reason} ${target.name}`) },
      clock: this.clock,
      logger: silent,
      stores: this.#stores(),
      view: () => this.model.view(),
      ca: this.#ca(),
      insight: {
        programmed: () => this.programmed,
        meshStatus: () => ({
          names: this.rows.map(({ name }) => name),
          row: (name) => this.rows.find((row) => row.name === name)!,
        }),
        followers: () => this.followers,
        expiring: () => this.expiring,
        beginTerm: () => undefined,
      },
    };
  }

  #write<T extends KubeObject>(verb: string, kind: Kind, object: T): T {
    const { namespace = '', name } = object.metadata;
    this.writes.push(`${verb} ${kind} ${name}`);
    this.put(kind, object);
    return this.find<T>(kind, namespace, name)!;
  }

  #all<T extends KubeObject>(kind: Kind, namespace = ''): T[] {
    const prefix = namespace === '' ? `${kind}/` : `${kind}/${namespace}/`;
    return [...this.#objects].filter(([key]) => key.startsWith(prefix)).map(([, one]) => one as T);
  }

  #stores(): Stores {
    const store = <T extends KubeObject>(kind: Kind): Store<T> => ({
      get: (namespace, name) => this.find<T>(kind, namespace, name),
      list: () => this.#all<T>(kind),
    });
    return {
      meshes: store('Mesh'),
      peerAuthentications: store('PeerAuthentication'),
      trafficPolicies: store('TrafficPolicy'),
      authorizationPolicies: store('AuthorizationPolicy'),
      meshStatuses: store('MeshStatus'),
      namespaces: store('Namespace'),
      roleBindings: store('RoleBinding'),
      mutatingWebhooks: store('MutatingWebhookConfiguration'),
      validatingWebhooks: store('ValidatingWebhookConfiguration'),
    };
  }

  #ca(): CaSource {
    const nowMs = this.clock.wallTimeMs();
    const loaded = loadAuthority(createRoot('cluster.local', 86_400_000 * 30, nowMs), nowMs);
    if (!loaded.ok) throw new Error(loaded.problem.message);
    return {
      current: () => loaded.authority,
      condition: () => ({ status: 'True', reason: 'CAReady', message: 'it is' }),
    };
  }
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function keyOf(kind: Kind, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}
