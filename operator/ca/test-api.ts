// For tests only: an ApiClient that keeps objects in memory with the API server's rules about names,
// resource versions and immutable Secrets; an EventRecorder that remembers; a clock that stands still.

import {
  ApiError,
  type ApiClient,
  type EventRecorder,
  type EventTarget,
  type Kind,
  type PatchTarget,
} from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import type { KubeObject, Secret } from '../resources/kubernetes.ts';

export class MemoryApi implements ApiClient {
  readonly objects = new Map<string, KubeObject>();
  /** Called before each write; may throw, or change the world as another client would. */
  beforeWrite: (verb: 'create' | 'replace' | 'delete', object: KubeObject) => void = () =>
    undefined;
  writes = 0;
  #version = 0;

  put(kind: Kind, object: KubeObject): void {
    const stored = structuredClone(object);
    stored.metadata.resourceVersion = String(++this.#version);
    this.objects.set(keyOf(kind, object.metadata.namespace, object.metadata.name), stored);
  }

  async get<T extends KubeObject>(kind: Kind, namespace: string, name: string): Promise<T | null> {
    const found = this.objects.get(keyOf(kind, namespace, name));
    return found === undefined ? null : (structuredClone(found) as T);
  }

  async list<T extends KubeObject>(kind: Kind, namespace: string): Promise<T[]> {
    const prefix = `${kind}/${namespace}/`;
    const found = [...this.objects].filter(([key]) => key.startsWith(prefix));
    return found.map(([, object]) => structuredClone(object) as T);
  }

  async create<T extends KubeObject>(kind: Kind, object: T): Promise<T> {
    this.beforeWrite('create', object);
    const { namespace, name } = object.metadata;
    if (this.objects.has(keyOf(kind, namespace, name))) {
      throw new ApiError('AlreadyExists', 409, `${name} already exists`);
    }
    return this.#store(kind, object);
  }

  async replace<T extends KubeObject>(kind: Kind, object: T): Promise<T> {
    this.beforeWrite('replace', object);
    const { namespace, name, resourceVersion } = object.metadata;
    const held = this.objects.get(keyOf(kind, namespace, name));
    if (held === undefined) throw new ApiError('NotFound', 404, `${name} not found`);
    if (resourceVersion !== undefined && resourceVersion !== held.metadata.resourceVersion) {
      throw new ApiError('Conflict', 409, `${name} has been modified`);
    }
    const { type, immutable } = held as Secret & { immutable?: boolean };
    if (immutable === true || type !== (object as Secret).type) {
      throw new ApiError('Invalid', 422, `${name}: field is immutable`);
    }
    return this.#store(kind, object);
  }

  async patch<T extends KubeObject>(target: PatchTarget): Promise<T> {
    throw new ApiError('Forbidden', 403, `patch of ${target.kind} is not part of this test`);
  }

  async delete(kind: Kind, namespace: string, name: string): Promise<void> {
    this.beforeWrite('delete', { metadata: { namespace, name } });
    this.objects.delete(keyOf(kind, namespace, name));
  }

  #store<T extends KubeObject>(kind: Kind, object: T): T {
    this.writes += 1;
    this.put(kind, object);
    const { namespace, name } = object.metadata;
    return structuredClone(this.objects.get(keyOf(kind, namespace, name))) as T;
  }
}

export interface SeenEvent {
  target: EventTarget;
  type: string;
  reason: string;
  message: string;
}

export class MemoryEvents implements EventRecorder {
  readonly seen: SeenEvent[] = [];
  event(target: EventTarget, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.seen.push({ target, type, reason, message });
  }
  reasons(): string[] {
    return this.seen.map((event) => event.reason);
  }
}

/** Delays are over at once, and the time moves by them. */
export class TestClock implements Clock {
  timeMs: number;
  constructor(timeMs: number) {
    this.timeMs = timeMs;
  }
  nowMs(): number {
    return this.timeMs;
  }
  wallTimeMs(): number {
    return this.timeMs;
  }
  after(delayMs: number, run: () => void) {
    let cancelled = false;
    queueMicrotask(() => {
      if (cancelled) return;
      this.timeMs += delayMs;
      run();
    });
    return { cancel: () => (cancelled = true) };
  }
}

export function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function keyOf(kind: Kind, namespace: string | undefined, name: string): string {
  return `${kind}/${namespace ?? ''}/${name}`;
}
