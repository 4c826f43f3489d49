// The index of the cluster: takes objects as informers report them and publishes a view when something
// that matters changed. Changes that come close together make one view. No Kubernetes client in here.

import type { Kind } from '../resources/api-client.ts';
import type { Clock, Timer } from '../resources/clock.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { createTables, takeView, update } from './tables.ts';
import { emptyView, keyOf, objectKey } from './view.ts';
import type { Change, DependencyKey, View } from './view.ts';

/** Kinds that the model keeps. Others may be passed in and are ignored. */
export const modelKinds = [
  'Mesh',
  'PeerAuthentication',
  'TrafficPolicy',
  'AuthorizationPolicy',
  'Namespace',
  'Pod',
  'Service',
  'EndpointSlice',
] as const satisfies readonly Kind[];
export type ModelKind = (typeof modelKinds)[number];

export type ViewListener = (view: View, change: Change) => void;

export interface Model {
  /** Added or changed. The object is kept and must not be changed afterwards. */
  upsert(kind: Kind, object: KubeObject): void;
  /** Deleted; unknown names are fine. */
  remove(kind: Kind, namespace: string, name: string): void;
  /** The last published view. */
  view(): View;
  /** Called after each publication, in order of registration. Returns the way to stop. */
  onView(listener: ViewListener): () => void;
  /** Publishes now what is waiting; after the first lists, and in tests. */
  flush(): void;
  close(): void;
}

export interface ModelDeps {
  clock: Clock;
  /** Wait from a change after a quiet time to its view, default 15 ms: enough to gather what one apply changes. */
  debounceMs?: number;
}

const defaultDebounceMs = 15;
/**
 * Where changes never end (rollouts, churn of endpoints), views come this far apart, and further where one costs much: each
 * is a push to many sidecars.
 */
const spacing = { leastMs: 50, perCost: 10, mostMs: 250 };

export function createModel(deps: ModelDeps): Model {
  const { debounceMs = defaultDebounceMs } = deps;
  const tables = createTables();
  const listeners = new Set<ViewListener>();
  let view = emptyView;
  let pending = new Set<DependencyKey>();
  let timer: Timer | null = null;
  let closed = false;
  /** Before this time the next view does not come. */
  let notBeforeMs = 0;

  const flush = () => {
    timer?.cancel();
    timer = null;
    if (closed || pending.size === 0) return;
    const change: Change = { keys: pending };
    pending = new Set();
    const startedMs = deps.clock.nowMs();
    view = takeView(tables, view.revision + 1);
    for (const listener of listeners) listener(view, change);
    space(startedMs);
  };
  const space = (startedMs: number) => {
    const endedMs = deps.clock.nowMs();
    const { leastMs, perCost, mostMs } = spacing;
    const costMs = (endedMs - startedMs) * perCost;
    notBeforeMs = debounceMs === 0 ? 0 : endedMs + Math.min(mostMs, Math.max(leastMs, costMs));
  };
  const delayMs = () => Math.max(debounceMs, notBeforeMs - deps.clock.nowMs());
  const apply = (kind: Kind, key: string, object: KubeObject | null) => {
    if (closed || !isModelKind(kind)) return;
    for (const touched of update(tables, kind, key, object)) pending.add(touched);
    if (pending.size > 0) timer ??= deps.clock.after(delayMs(), flush);
  };
  return {
    upsert: (kind, object) => apply(kind, keyOf(object), object),
    remove: (kind, namespace, name) => apply(kind, objectKey(namespace, name), null),
    view: () => view,
    onView(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    flush,
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}

function isModelKind(kind: Kind): kind is ModelKind {
  return (modelKinds as readonly Kind[]).includes(kind);
}
