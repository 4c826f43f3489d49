// Writes the MeshStatus rows: creates what is missing, writes what changed, deletes rows of namespaces
// that are gone. What the rows say is computed in operator/telemetry.

import { canonicalJson } from '../model/order.ts';
import { ApiError } from '../resources/api-client.ts';
import type { MeshStatus } from '../resources/tsmesh.ts';
import type { MeshStatusRow } from '../telemetry/types.ts';
import type { ControllerContext } from './context.ts';

export type RowChange =
  | { action: 'create'; row: MeshStatusRow }
  | { action: 'update'; row: MeshStatusRow; patch: object }
  | { action: 'delete'; name: string };

export async function reconcileMeshStatuses(context: ControllerContext): Promise<void> {
  const changes = decideRows(context.stores.meshStatuses.list(), context.insight.statusRows());
  for (const change of changes) await apply(context, change);
}

/** Pure. */
export function decideRows(existing: MeshStatus[], wanted: MeshStatusRow[]): RowChange[] {
  const known = new Map(existing.map((object) => [object.metadata.name, object]));
  const changes: RowChange[] = [];
  for (const row of wanted) {
    const object = known.get(row.name);
    known.delete(row.name);
    if (object === undefined) changes.push({ action: 'create', row });
    else {
      const patch = difference(object.status ?? {}, row.status);
      if (patch !== null) changes.push({ action: 'update', row, patch });
    }
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
  const { name, status } = change.row;
  const target = { kind: 'MeshStatus', namespace: '', name, subresource: 'status' } as const;
  if (change.action === 'create') {
    try {
      await api.create<MeshStatus>('MeshStatus', { metadata: { name } });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'AlreadyExists')) throw error;
    }
  }
  await api.patch(target, { status: change.action === 'update' ? change.patch : status });
}
