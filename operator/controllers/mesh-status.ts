// Writes the MeshStatus rows: creates what is missing, writes what changed, deletes rows of namespaces
// that are gone. What the rows say is computed in operator/telemetry.

import { canonicalJson } from '../model/order.ts';
import { ApiError } from '../resources/api-client.ts';
import { pause } from '../runtime/clock.ts';
import type { MeshStatus, MeshStatusStatus } from '../resources/tsmesh.ts';
import type { MeshStatusRow } from '../telemetry/types.ts';
import { mergeConditions } from './conditions.ts';
import type { ControllerContext } from './context.ts';

export type RowChange =
  | { action: 'create'; name: string; status: MeshStatusStatus }
  | { action: 'update'; name: string; patch: object }
  | { action: 'delete'; name: string };

/** An object is written at most this often: each write goes to everyone who watches. */
const rowMs = 10_000;
/** Of all rows together so many at once, and then a pause: 200 namespaces are no reason to load the API server. */
const burst = 10;
const burstPauseMs = 1_000;

export class MeshStatusWriter {
  readonly #context: ControllerContext;
  readonly #writtenMs = new Map<string, number>();
  readonly #ended = new AbortController();

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  /** Writes what is due. */
  async reconcile(): Promise<void> {
    const { stores, insight, clock } = this.#context;
    const rows = insight.statusRows();
    const changes = decideRows(stores.meshStatuses.list(), rows, clock.wallTimeMs());
    const due = changes.filter(({ name }) => clock.nowMs() - this.#lastMs(name) >= rowMs);
    for (const [i, change] of due.entries()) {
      if (i > 0 && i % burst === 0) await pause(clock, burstPauseMs, this.#ended.signal);
      if (this.#ended.signal.aborted) return;
      await apply(this.#context, change);
      if (change.action === 'delete') this.#writtenMs.delete(change.name);
      else this.#writtenMs.set(change.name, clock.nowMs());
    }
  }

  stop(): void {
    this.#ended.abort();
  }

  #lastMs(name: string): number {
    return this.#writtenMs.get(name) ?? -Infinity;
  }
}

/** Pure. */
export function decideRows(
  existing: readonly MeshStatus[],
  wanted: readonly MeshStatusRow[],
  nowMs: number,
): RowChange[] {
  const known = new Map(existing.map((object) => [object.metadata.name, object]));
  const changes: RowChange[] = [];
  for (const { name, status, verdicts } of wanted) {
    const before = known.get(name)?.status;
    // `kubectl wait` believes no condition of an older generation; a new object begins with 1.
    const generation = known.get(name)?.metadata.generation ?? 1;
    const conditions =
      mergeConditions(before?.conditions, verdicts, generation, nowMs) ?? before?.conditions ?? [];
    const next = { ...status, conditions };
    const patch = difference(before ?? {}, next);
    if (!known.has(name)) changes.push({ action: 'create', name, status: next });
    else if (patch !== null) changes.push({ action: 'update', name, patch });
    known.delete(name);
  }
  for (const name of known.keys()) changes.push({ action: 'delete', name });
  return changes;
}

/** RFC 7386: fields that differ, null for those that go. */
function difference(before: object, after: object): object | null {
  const patch: Record<string, unknown> = {};
  const old = new Map(Object.entries(before));
  for (const [field, value] of Object.entries(after)) {
    if (value !== undefined && !equal(old.get(field), value)) {
      patch[field] = value;
    }
    if (value !== undefined) old.delete(field);
  }
  for (const field of old.keys()) patch[field] = null;
  return Object.keys(patch).length === 0 ? null : patch;
}

function equal(a: unknown, b: unknown): boolean {
  return a !== undefined && canonicalJson(a) === canonicalJson(b);
}

async function apply(context: ControllerContext, change: RowChange): Promise<void> {
  const { api } = context;
  if (change.action === 'delete') return api.delete('MeshStatus', '', change.name);
  const { name } = change;
  const target = { kind: 'MeshStatus', namespace: '', name, subresource: 'status' } as const;
  if (change.action === 'create') {
    try {
      await api.create<MeshStatus>('MeshStatus', { metadata: { name } });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'AlreadyExists')) throw error;
    }
  }
  await api.patch(target, { status: change.action === 'update' ? change.patch : change.status });
}
