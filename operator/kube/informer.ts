// A local copy of one kind (of one namespace, or of all): list, then watch, for ever. After a gap it
// lists again and reports what vanished meanwhile as removed, so nobody downstream misses a deletion.
// It never ends by itself: every failure is a pause and another try.

import { ApiError, type Kind } from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { errorText, type Logger } from '../resources/logger.ts';
import { backoffMs } from '../runtime/backoff.ts';
import { pause } from '../runtime/clock.ts';
import { apiError, listAll } from './api.ts';
import { collectionPath } from './kinds.ts';
import type { KubeRequest, KubeTransport } from './transport.ts';

export interface InformerHandler<T> {
  upsert(object: T, previous: T | undefined): void;
  remove(object: T): void;
}

export interface InformerScope {
  kind: Kind;
  /** Empty or absent: all. */
  namespace?: string;
  fieldSelector?: string;
  labelSelector?: string;
  /** Mends what the API leaves out, before anybody sees the object. */
  prepare?: (object: KubeObject) => void;
}

export interface InformerDeps {
  transport: KubeTransport;
  clock: Clock;
  logger: Logger;
  random: () => number;
}

const backoff = { baseMs: 200, maxMs: 15_000 };
/** The server ends a watch after this time; between 5 and 10 minutes, as client-go does. */
const watchSeconds = { min: 300, spread: 300 };

const relistAfterFailures = 4;
/** A watch that was open so long was a good one: what breaks it is the first failure, not one more. */
const goodWatchMs = 1_000;

type WatchEnd = 'continue' | 'relist';

export class Informer<T extends KubeObject> {
  readonly #scope: InformerScope;
  readonly #deps: InformerDeps;
  readonly #handler: InformerHandler<T>;
  readonly #objects = new Map<string, T>();
  readonly #abort = new AbortController();
  #resourceVersion = '';
  /** Of the watch that is open or was the last one; null before the server took it. */
  #openedAtMs: number | null = null;
  #synced: () => void = () => {};
  #done: Promise<void> = Promise.resolve();
  /** Resolves after the first complete list. */
  readonly synced: Promise<void>;

  constructor(scope: InformerScope, deps: InformerDeps, handler: InformerHandler<T>) {
    this.#scope = scope;
    this.#deps = deps;
    this.#handler = handler;
    this.synced = new Promise((resolve) => (this.#synced = resolve));
  }

  start(): void {
    this.#done = this.#loop();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#objects.get(`${namespace}/${name}`);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  async #loop(): Promise<void> {
    const { clock, random, logger } = this.#deps;
    let failures = 0;
    while (!this.#abort.signal.aborted) {
      try {
        this.#openedAtMs = null;
        if (this.#resourceVersion === '') await this.#relist();
        const end = await this.#watch();
        if (end === 'relist') this.#resourceVersion = '';
        // A watch that ends as soon as it began would otherwise be a busy loop.
        failures = this.#wasGood() ? 0 : failures + 1;
      } catch (error) {
        failures = this.#wasGood() ? 1 : failures + 1;
        if (this.#abort.signal.aborted) break;
        // It may be the version that the server does not accept, such as one of a future it lost.
        if (failures >= relistAfterFailures) this.#resourceVersion = '';
        const fields = { kind: this.#scope.kind, namespace: this.#scope.namespace, failures };
        logger.warn('a watch broke and will be taken up again', {
          ...fields,
          error: errorText(error),
          ...(isMissingKind(error)
            ? { hint: 'are the CRDs installed? kubectl apply -k crds' }
            : {}),
        });
      }
      if (failures > 0) {
        await pause(clock, backoffMs(backoff, failures, random()), this.#abort.signal);
      }
    }
  }

  #wasGood(): boolean {
    return this.#openedAtMs !== null && this.#deps.clock.nowMs() - this.#openedAtMs > goodWatchMs;
  }

  async #relist(): Promise<void> {
    const { kind, namespace = '' } = this.#scope;
    const path = collectionPath(kind, namespace);
    const call = (request: KubeRequest) => this.#get(request);
    const { items, resourceVersion } = await listAll<T>(call, path, this.#selectors());
    const seen = new Set<string>();
    for (const item of items) {
      seen.add(keyOf(item));
      this.#upsert(item);
    }
    for (const [key, object] of this.#objects) {
      if (!seen.has(key)) this.#remove(object);
    }
    this.#resourceVersion = resourceVersion;
    this.#synced();
  }

  async #get(request: KubeRequest): Promise<unknown> {
    const response = await this.#deps.transport.send(request);
    if (response.status !== 200) throw apiError(request, response);
    return JSON.parse(response.body) as unknown;
  }

  #selectors(): Record<string, string> {
    const { fieldSelector, labelSelector } = this.#scope;
    return {
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
    };
  }

  async #watch(): Promise<WatchEnd> {
    const { kind, namespace = '' } = this.#scope;
    const seconds = Math.round(watchSeconds.min + watchSeconds.spread * this.#deps.random());
    const query = new URLSearchParams({
      ...this.#selectors(),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#resourceVersion,
      timeoutSeconds: String(seconds),
    });
    const path = `${collectionPath(kind, namespace)}?${query.toString()}`;
    let failure: ApiError | null = null;
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, stop.signal]);
    const onLine = (line: string): void => {
      if (failure !== null || line === '') return;
      failure = this.#receive(line);
      // Nothing that follows may be applied: it could lie behind a gap.
      if (failure !== null) stop.abort();
    };
    const onOpen = (): void => void (this.#openedAtMs = this.#deps.clock.nowMs());
    const listener = { onOpen, onLine };
    const response = await this.#deps.transport.stream(path, listener, signal).catch((error) => {
      if (failure === null) throw error;
      return { status: 200, body: '', retryAfterMs: 0 };
    });
    if (response.status !== 200) failure = apiError({ method: 'GET', path }, response);
    return failure === null ? 'continue' : this.#judge(failure);
  }

  #judge(failure: ApiError): WatchEnd {
    // Gone: the version is too old. NotFound: the kind itself went, and may come back as another.
    if (failure.status === 410 || failure.status === 404) return 'relist';
    throw failure;
  }

  /** Applies one watch event; returns what the server reports as an error. */
  #receive(line: string): ApiError | null {
    let event: { type: string; object: T & { code?: number; message?: string } };
    try {
      event = JSON.parse(line) as typeof event;
    } catch {
      // A line cut off by the end of the connection. What it said comes again.
      return new ApiError('Unavailable', 0, 'a watch event was not JSON');
    }
    if (event.type === 'ERROR') {
      return new ApiError('Other', event.object.code ?? 0, event.object.message ?? 'watch error');
    }
    const version = event.object.metadata.resourceVersion;
    if (event.type === 'DELETED') this.#remove(event.object);
    else if (event.type !== 'BOOKMARK') this.#upsert(event.object);
    if (version !== undefined) this.#resourceVersion = version;
    return null;
  }

  #upsert(object: T): void {
    const key = keyOf(object);
    const previous = this.#objects.get(key);
    if (previous?.metadata.resourceVersion === object.metadata.resourceVersion) return;
    // Nobody reads it, and it is half of an object's size.
    delete (object.metadata as { managedFields?: unknown }).managedFields;
    this.#scope.prepare?.(object);
    // Deleted and made again within a gap: two objects, told apart by uid.
    if (previous !== undefined && previous.metadata.uid !== object.metadata.uid) {
      this.#remove(previous);
      this.#objects.set(key, object);
      this.#tell(() => this.#handler.upsert(object, undefined));
      return;
    }
    this.#objects.set(key, object);
    this.#tell(() => this.#handler.upsert(object, previous));
  }

  #remove(object: T): void {
    if (this.#objects.delete(keyOf(object))) this.#tell(() => this.#handler.remove(object));
  }

  /** A defect downstream must neither break the watch nor hide. */
  #tell(run: () => void): void {
    try {
      run();
    } catch (error) {
      const stack = error instanceof Error ? error.stack : undefined;
      const fields = { kind: this.#scope.kind, error: errorText(error), stack };
      this.#deps.logger.error('a change of an object was not taken in', fields);
    }
  }
}

function isMissingKind(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'NotFound';
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}
