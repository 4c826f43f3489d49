// Writes Events (events.k8s.io/v1). A repeated event becomes a series on the first one, written at most
// once in a while; writing never holds up or fails the caller.

import {
  ApiError,
  type ApiClient,
  type EventRecorder,
  type EventTarget,
} from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { errorText, type Logger } from '../resources/logger.ts';

export interface EventDeps {
  api: ApiClient;
  clock: Clock;
  logger: Logger;
  /** Pod name of this replica. */
  instance: string;
  /** Lower-case hexadecimal, for the names of events. */
  uniqueSuffix: () => string;
}

export interface EventObject extends KubeObject {
  eventTime: string;
  reportingController: string;
  reportingInstance: string;
  action: string;
  reason: string;
  regarding: { apiVersion: string; kind: string; namespace?: string; name: string; uid?: string };
  note: string;
  type: string;
  series?: { count: number; lastObservedTime: string };
}

/** As long as client-go keeps a series open. */
const seriesMs = 6 * 60_000;
/** A repeated event is written this often at most. */
const seriesWriteMs = 30_000;
/** Different events remembered; the oldest is forgotten, and would then be written anew. */
const maxRemembered = 2_000;
/** events.k8s.io: longest note. */
const maxNoteLength = 1024;

interface Remembered {
  namespace: string;
  name: string;
  count: number;
  lastSeenMs: number;
  writtenMs: number;
  /** Writes of one event follow each other. */
  tail: Promise<void>;
}

export function createEventRecorder(deps: EventDeps): EventRecorder {
  return new Recorder(deps);
}

class Recorder implements EventRecorder {
  readonly #deps: EventDeps;
  readonly #remembered = new Map<string, Remembered>();

  constructor(deps: EventDeps) {
    this.#deps = deps;
  }

  event(target: EventTarget, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const nowMs = this.#deps.clock.nowMs();
    const id = [target.kind, target.namespace, target.name, target.uid, type, reason, message];
    const key = id.join('\u0000');
    const known = this.#remembered.get(key);
    if (known !== undefined && nowMs - known.lastSeenMs < seriesMs) {
      this.#repeat(known, nowMs);
      return;
    }
    const name = `${target.name.slice(0, 200)}.${this.#deps.uniqueSuffix()}`;
    // Events on cluster-scoped objects live in `default`, as the API demands.
    const namespace = target.namespace === '' ? 'default' : target.namespace;
    const fresh = { namespace, name, count: 1, lastSeenMs: nowMs, writtenMs: nowMs };
    const event = this.#first(target, fresh, { type, reason, message });
    const tail = this.#attempt(() => this.#deps.api.create<EventObject>('Event', event));
    this.#remember(key, { ...fresh, tail });
  }

  #first(
    target: EventTarget,
    place: { namespace: string; name: string },
    said: { type: string; reason: string; message: string },
  ): EventObject {
    return {
      metadata: { namespace: place.namespace, name: place.name },
      eventTime: this.#now(),
      reportingController: 'tsmesh.dev/operator',
      reportingInstance: this.#deps.instance,
      action: said.reason,
      reason: said.reason,
      regarding: {
        apiVersion: target.apiVersion,
        kind: target.kind,
        name: target.name,
        ...(target.namespace === '' ? {} : { namespace: target.namespace }),
        ...(target.uid === undefined ? {} : { uid: target.uid }),
      },
      note: shorten(said.message),
      type: said.type,
    };
  }

  #repeat(known: Remembered, nowMs: number): void {
    known.count += 1;
    known.lastSeenMs = nowMs;
    // The second one is written at once, so that a series can be seen; then now and then.
    if (known.count > 2 && nowMs - known.writtenMs < seriesWriteMs) return;
    known.writtenMs = nowMs;
    const series = { count: known.count, lastObservedTime: this.#now() };
    const target = { kind: 'Event' as const, namespace: known.namespace, name: known.name };
    known.tail = known.tail.then(() =>
      this.#attempt(() => this.#deps.api.patch<EventObject>(target, { series })),
    );
  }

  #remember(key: string, event: Remembered): void {
    this.#remembered.delete(key);
    this.#remembered.set(key, event);
    if (this.#remembered.size <= maxRemembered) return;
    const oldest = this.#remembered.keys().next();
    if (oldest.done !== true) this.#remembered.delete(oldest.value);
  }

  async #attempt(write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
    } catch (error) {
      // The namespace ends, or the event was pruned: not worth another word.
      if (error instanceof ApiError && error.code === 'NotFound') return;
      this.#deps.logger.warn('an event was not written', { error: errorText(error) });
    }
  }

  #now(): string {
    return new Date(this.#deps.clock.wallTimeMs()).toISOString().replace('Z', '000Z');
  }
}

function shorten(message: string): string {
  return message.length <= maxNoteLength ? message : `${message.slice(0, maxNoteLength - 1)}…`;
}
