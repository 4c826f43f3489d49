// RFC 6902 patches between two JSON values. Pure. Arrays of different length are replaced as a whole.

import type { PatchOperation } from './admission.ts';

/** Operations that turn `before` into `after`; none where they are equal. */
export function diff(before: unknown, after: unknown, path = ''): PatchOperation[] {
  if (before === after) return [];
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return before.flatMap((item, index) => diff(item, after[index], `${path}/${index}`));
  }
  if (isObject(before) && isObject(after)) return diffObjects(before, after, path);
  return [{ op: 'replace', path, value: after }];
}

function diffObjects(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  path: string,
): PatchOperation[] {
  const operations: PatchOperation[] = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const at = `${path}/${escapePointer(key)}`;
    // JSON has no `undefined`: such a member is absent.
    const was = before[key];
    const is = after[key];
    if (was === undefined && is !== undefined) operations.push({ op: 'add', path: at, value: is });
    else if (is === undefined && was !== undefined) operations.push({ op: 'remove', path: at });
    else operations.push(...diff(was, is, at));
  }
  return operations;
}

/** Applies operations of the form that `diff` makes; for tests and for the dry run of tools. */
export function applyPatch<T>(document: T, operations: PatchOperation[]): T {
  const holder = { root: structuredClone(document) as unknown };
  for (const operation of operations) {
    const keys = ['root', ...operation.path.split('/').slice(1).map(unescapePointer)];
    const last = keys.pop()!;
    const parent = keys.reduce<unknown>(
      (value, key) => (value as Record<string, unknown>)[key],
      holder,
    ) as Record<string, unknown>;
    if (operation.op === 'remove') delete parent[last];
    else parent[last] = structuredClone(operation.value);
  }
  return holder.root as T;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 6901 §3. */
function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

function unescapePointer(key: string): string {
  return key.replaceAll('~1', '/').replaceAll('~0', '~');
}
