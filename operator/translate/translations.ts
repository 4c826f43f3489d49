// Translations of the current view, each made once however many sidecars hold it, with version and
// text. A change discards only what was made from what changed.

import { createHash } from 'node:crypto';
import type { Resource, ResourceKey } from '../../proxy/api/resources.ts';
import { resourceKey } from '../../proxy/api/resources.ts';
import { parseDestinationName } from '../model/addresses.ts';
import { canonicalJson } from '../model/order.ts';
import { emptyView } from '../model/view.ts';
import type { Change, DependencyKey, ObjectKey, View } from '../model/view.ts';
import { rememberRules } from './authorization.ts';
import { translateDestination } from './destination.ts';
import { translateEndpoints } from './endpoints.ts';
import type { ShapedBy, Translated } from './translated.ts';
import { translateWorkload } from './workload.ts';

export interface Versioned<R extends Resource = Resource> {
  readonly key: ResourceKey;
  readonly resource: R;
  /** Hash of the content, equal on all replicas. */
  readonly version: string;
  /** The resource as JSON. */
  readonly text: string;
  readonly shapedBy: readonly ShapedBy[];
  /** Names of the Endpoints that a Destination refers to. */
  readonly endpoints: readonly string[];
}

/** Names one translation: what it is of and, where that matters, for whom. */
export type TranslationKey = string;

export interface Translations {
  readonly view: View;
  /** To the next view. Answers which translations may now be different. */
  advance(view: View, change: Change): ReadonlySet<TranslationKey>;
  /** Whether, since last asked, any were dropped for want of room: no later `advance` names these. */
  takeForgotten(): boolean;
  /** Null for a pod that the view does not have. */
  workload(pod: ObjectKey): Versioned | null;
  /** `name` as in parseDestinationName; null where it is none. */
  destination(clientNamespace: string, name: string): Versioned | null;
  endpoints(name: string): Versioned;
}

const defaultMaxKept = 100_000;
/** A third of the heap that the operator's manifest gives it, whoever asks for the largest ones. */
const maxKeptBytes = 128 << 20;
/** Of a small translation beside its text; and an object costs some times its text (measured: 1.2 KB, 3). */
const overheadBytes = 1000;
const bytesPerCharacter = 4;

export const translationKeys = {
  workload: (pod: ObjectKey): TranslationKey => `Workload|${pod}`,
  destination: (namespace: string, name: string): TranslationKey =>
    `Destination|${namespace}|${name}`,
  endpoints: (name: string): TranslationKey => `Endpoints|${name}`,
};

interface Kept {
  versioned: Versioned;
  dependsOn: readonly DependencyKey[];
}

/** `maxKept`: above it the oldest half is dropped: it is made again when asked for. */
export function createTranslations(maxKept = defaultMaxKept): Translations {
  return new TranslationCache(maxKept);
}

class TranslationCache implements Translations {
  view: View = emptyView;
  readonly #maxKept: number;
  readonly #rulesOf = rememberRules();
  readonly #kept = new Map<TranslationKey, Kept>();
  readonly #dependents = new Map<DependencyKey, Set<TranslationKey>>();
  #bytes = 0;
  #forgotten = false;

  constructor(maxKept: number) {
    this.#maxKept = maxKept;
  }

  advance(view: View, change: Change): ReadonlySet<TranslationKey> {
    const touched = new Set<TranslationKey>();
    if (view === this.view) return touched;
    this.view = view;
    for (const key of change.keys) {
      for (const translation of this.#dependents.get(key) ?? []) touched.add(translation);
    }
    for (const translation of touched) this.#drop(translation);
    return touched;
  }

  takeForgotten(): boolean {
    const forgotten = this.#forgotten;
    this.#forgotten = false;
    return forgotten;
  }

  workload(pod: ObjectKey): Versioned | null {
    return this.#get(translationKeys.workload(pod), () =>
      translateWorkload(this.view, pod, this.#rulesOf),
    );
  }

  destination(clientNamespace: string, name: string): Versioned | null {
    return this.#get(translationKeys.destination(clientNamespace, name), () => {
      const place = parseDestinationName(name);
      if (place === null) return null;
      return translateDestination(this.view, clientNamespace, place.address, place.port);
    });
  }

  endpoints(name: string): Versioned {
    const make = () => translateEndpoints(this.view, name);
    return this.#get(translationKeys.endpoints(name), make)!;
  }

  #get(key: TranslationKey, make: () => Translated | null): Versioned | null {
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept.versioned;
    const made = make();
    if (made === null) return null;
    const versioned = version(made);
    this.#keep(key, { versioned, dependsOn: made.dependsOn });
    return versioned;
  }

  #keep(key: TranslationKey, kept: Kept): void {
    const full = this.#kept.size >= this.#maxKept || this.#bytes > maxKeptBytes;
    if (full) this.#dropOldestHalf();
    this.#kept.set(key, kept);
    this.#bytes += bytesOf(kept);
    for (const dependency of kept.dependsOn) {
      const dependents = this.#dependents.get(dependency);
      if (dependents === undefined) this.#dependents.set(dependency, new Set([key]));
      else dependents.add(key);
    }
  }

  #dropOldestHalf(): void {
    this.#forgotten = true;
    for (const key of [...this.#kept.keys()].slice(0, Math.ceil(this.#kept.size / 2))) {
      this.#drop(key);
    }
  }

  #drop(key: TranslationKey): void {
    const kept = this.#kept.get(key)!;
    this.#bytes -= bytesOf(kept);
    for (const dependency of kept.dependsOn) {
      const dependents = this.#dependents.get(dependency);
      dependents?.delete(key);
      if (dependents?.size === 0) this.#dependents.delete(dependency);
    }
    this.#kept.delete(key);
  }
}

function bytesOf({ versioned }: Kept): number {
  return overheadBytes + versioned.text.length * bytesPerCharacter;
}

function version(made: Translated): Versioned {
  const text = canonicalJson(made.resource);
  return {
    key: resourceKey(made.resource),
    resource: made.resource,
    version: createHash('sha256').update(text).digest('base64url').slice(0, 16),
    text,
    shapedBy: made.shapedBy,
    endpoints: made.resource.type === 'Destination' ? referredEndpoints(made.resource) : [],
  };
}

function referredEndpoints(resource: Extract<Resource, { type: 'Destination' }>): string[] {
  const ofRoutes = resource.routes.flatMap((route) => [
    ...route.backends,
    ...(route.mirrors ?? []),
  ]);
  const backends = [...ofRoutes, ...resource.tcp];
  return [...new Set(backends.map((backend) => backend.endpoints))];
}
