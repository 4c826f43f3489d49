// Writes the MeshStatus rows: creates what is missing, writes what changed, deletes rows of namespaces
// that are gone. What the rows say is computed in operator/telemetry.

import { canonicalJson } from '../model/order.ts';
import { ApiError } from '../resources/api-client.ts';
import { pause } from '../runtime/clock.ts';
import type { MeshStatus, MeshStatusStatus } from '../resources/tsmesh.ts';
import { errorText } from '../resources/logger.ts';
import { policyProblems } from '../telemetry/policy-problems.ts';
import { differenceOf, type RowDifference } from '../telemetry/row-change.ts';
import type { MeshStatusRow, MeshStatusTable } from '../telemetry/types.ts';
import { mergeConditions } from './conditions.ts';
import type { ControllerContext } from './context.ts';

export type RowChange =
  | { action: 'create'; name: string; status: MeshStatusStatus }
  | { action: 'update'; name: string; patch: object }
  | { action: 'delete'; name: string };

/** How often rows are looked at, where none waits. */
const tickMs = 500;
/** Of all rows together: 200 namespaces are no reason to load the API server. A row that is made takes two. */
const betweenWritesMs = 100;
/** Rows written in one call, half a second of writes: then all is looked at again. */
const rowsPerCall = 5;
/** An object is written at most this often: each write goes to everyone who watches. */
const rowMs = 10_000;
/** A row that may be written and that nobody changed is looked at this often. */
const lookMs = 2_000;
/** Totals are exact this long after the last change, at the latest. */
const trifleMs = 30_000;
/** What people see at once goes before exact figures that have waited this much longer. */
const firstMs = 20_000;
/** What waits as exact figures is looked at this often: meanwhile people may see it. */
const waitingLookMs = 5_000;

interface RowState {
  writtenMs: number;
  lookedMs: number;
  /** When there was first something to write; moved back for what goes first. Null: nothing is. */
  waitingMs: number | null;
  first: boolean;
}

export class MeshStatusWriter {
  readonly #context: ControllerContext;
  readonly #rows = new Map<string, RowState>();
  /** When the next write may be. */
  #nextWriteMs = -Infinity;
  readonly #ended = new AbortController();
  #begun = false;

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  /** Looks at what may be written, and writes the most urgent of what is to be. When to be called again, in milliseconds. */
  async reconcile(): Promise<number> {
    const table = this.#context.insight.meshStatus();
    const problems = problemsIn(this.#context);
    const existing = new Map(
      this.#context.stores.meshStatuses.list().map((object) => [object.metadata.name, object]),
    );
    if (!this.#begun) this.#begin(existing.values());
    const changes = new Map<string, RowChange>();
    for (const name of this.#toLookAt(table)) {
      const change = this.#look(existing.get(name), table.row(name, problems));
      if (change !== null) changes.set(name, change);
    }
    const gone = [...existing.keys()].filter((name) => !table.names.includes(name));
    for (const name of this.#rows.keys()) if (!table.names.includes(name)) this.#rows.delete(name);
    const due = gone.slice(0, rowsPerCall).map((name): RowChange => ({ action: 'delete', name }));
    for (const name of this.#waiting(table)) {
      const fresh = changes.get(name) ?? this.#look(existing.get(name), table.row(name, problems));
      if (fresh !== null) due.push(fresh);
    }
    await this.#write(due);
    const leftMs = this.#nextWriteMs - this.#context.clock.nowMs();
    return this.#waiting(table).length === 0 ? tickMs : Math.max(1, leftMs);
  }

  stop(): void {
    this.#ended.abort();
  }

  /**
   * Rows of the leader before count as written just now: it may have, and before sidecars have connected and reported twice
   * nothing better is known.
   */
  #begin(existing: Iterable<MeshStatus>): void {
    this.#begun = true;
    for (const { metadata, status } of existing) {
      if (status !== undefined) this.#state(metadata.name).writtenMs = this.#context.clock.nowMs();
    }
  }

  /** Rows that could be written now, where it is not known yet whether there is anything to write, or to see. */
  #toLookAt({ names }: MeshStatusTable): string[] {
    const nowMs = this.#context.clock.nowMs();
    return names.filter((name) => {
      const { writtenMs, lookedMs, waitingMs, first } = this.#state(name);
      const pauseMs = waitingMs === null ? lookMs : first ? Infinity : waitingLookMs;
      return nowMs - writtenMs >= rowMs && nowMs - lookedMs >= pauseMs;
    });
  }

  /** The longest first. */
  #waiting({ names }: MeshStatusTable): string[] {
    const since = (name: string) => this.#state(name).waitingMs;
    return names
      .filter((name) => since(name) !== null)
      .toSorted((a, b) => since(a)! - since(b)!)
      .slice(0, rowsPerCall);
  }

  #look(existing: MeshStatus | undefined, row: MeshStatusRow): RowChange | null {
    const { clock } = this.#context;
    const state = this.#state(row.name);
    state.lookedMs = clock.nowMs();
    const sinceMs = state.lookedMs - state.writtenMs;
    const found = decideRow(existing, row, { wallTimeMs: clock.wallTimeMs(), sinceMs });
    state.first = found?.difference === 'shown';
    const sinceLookMs = state.lookedMs - (state.first ? firstMs : 0);
    state.waitingMs = found === null ? null : Math.min(state.waitingMs ?? Infinity, sinceLookMs);
    return found?.change ?? null;
  }

  /** Throws where nothing could be written: then all wait. A row that is refused does not keep the others. */
  async #write(due: readonly RowChange[]): Promise<void> {
    const { clock, logger } = this.#context;
    const failures: unknown[] = [];
    let written = 0;
    for (const change of due) {
      await this.#turn(requestsOf(change));
      if (this.#ended.signal.aborted) return;
      try {
        await apply(this.#context, change);
        written += 1;
      } catch (error) {
        failures.push(error);
        logger.warn('a row of MeshStatus was not written', {
          name: change.name,
          error: errorText(error),
        });
      }
      // Also where it failed: it is not tried again at once.
      Object.assign(this.#state(change.name), { writtenMs: clock.nowMs(), waitingMs: null });
    }
    if (written === 0 && failures.length > 0) throw failures[0];
  }

  /** Waits until that many requests may be made. */
  async #turn(requests: number): Promise<void> {
    const { clock } = this.#context;
    const leftMs = this.#nextWriteMs - clock.nowMs();
    if (leftMs > 0) await pause(clock, leftMs, this.#ended.signal);
    this.#nextWriteMs = clock.nowMs() + requests * betweenWritesMs;
  }

  #state(name: string): RowState {
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    const made = { writtenMs: -Infinity, lookedMs: -Infinity, waitingMs: null, first: false };
    this.#rows.set(name, made);
    return made;
  }
}

function requestsOf({ action }: RowChange): number {
  return action === 'create' ? 2 : 1;
}

function problemsIn({ stores }: ControllerContext) {
  return policyProblems({
    PeerAuthentication: stores.peerAuthentications.list(),
    TrafficPolicy: stores.trafficPolicies.list(),
    AuthorizationPolicy: stores.authorizationPolicies.list(),
  });
}

/** `sinceMs`: the row was written so long ago. Pure. */
export function decideRow(
  existing: MeshStatus | undefined,
  { name, status, verdicts }: MeshStatusRow,
  { wallTimeMs, sinceMs }: { wallTimeMs: number; sinceMs: number },
): { change: RowChange; difference: RowDifference } | null {
  const before = existing?.status;
  // `kubectl wait` believes no condition of an older generation; a new object begins with 1.
  const generation = existing?.metadata.generation ?? 1;
  const conditions =
    mergeConditions(before?.conditions, verdicts, generation, wallTimeMs) ??
    before?.conditions ??
    [];
  const next = { ...status, conditions };
  if (existing === undefined) {
    return { change: { action: 'create', name, status: next }, difference: 'shown' };
  }
  const difference = before === undefined ? 'shown' : differenceOf(before, next);
  if (difference === 'none' || (difference === 'trifle' && sinceMs < trifleMs)) return null;
  return { change: { action: 'update', name, patch: patchOf(before ?? {}, next) }, difference };
}

/** RFC 7386: fields that differ, null for those that go. */
function patchOf(before: object, after: object): object {
  const patch: Record<string, unknown> = {};
  const old = new Map(Object.entries(before));
  for (const [field, value] of Object.entries(after)) {
    if (value === undefined) continue;
    if (!equal(old.get(field), value)) patch[field] = wholly(old.get(field), value);
    old.delete(field);
  }
  for (const field of old.keys()) patch[field] = null;
  return patch;
}

/** A merge patch keeps members of an object that it does not name. */
function wholly(before: unknown, after: unknown): unknown {
  if (!isObject(before) || !isObject(after)) return after;
  const gone = Object.keys(before).filter((name) => !(name in after));
  return { ...Object.fromEntries(gone.map((name) => [name, null])), ...after };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
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
