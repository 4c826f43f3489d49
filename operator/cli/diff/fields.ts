// Which fields of two objects differ, by path. Pure.

export interface FieldChange {
  /** `spec.routes[0].backends[1].weight`. */
  path: string;
  /** Undefined: not there. */
  before: unknown;
  after: unknown;
}

/** Leaves and what has no counterpart, in the order of the objects. */
export function fieldChanges(before: unknown, after: unknown, path = ''): FieldChange[] {
  if (Object.is(before, after)) return [];
  if (!isTree(before) || !isTree(after) || Array.isArray(before) !== Array.isArray(after)) {
    return [{ path, before, after }];
  }
  const [old, young] = [before as Record<string, unknown>, after as Record<string, unknown>];
  const keys = new Set([...Object.keys(old), ...Object.keys(young)]);
  return [...keys].flatMap((key) => {
    const inner = Array.isArray(after) ? `${path}[${key}]` : joined(path, key);
    return fieldChanges(old[key], young[key], inner);
  });
}

/** Whether all of the first is in the second, as an apply would leave it: what it does not name stays. */
export function isWithin(wanted: unknown, there: unknown): boolean {
  if (!isTree(wanted)) return wanted === there;
  if (!isTree(there) || Array.isArray(wanted) !== Array.isArray(there)) return false;
  const [some, all] = [wanted as Record<string, unknown>, there as Record<string, unknown>];
  if (Array.isArray(wanted) && Object.keys(some).length !== Object.keys(all).length) return false;
  return Object.keys(some).every((key) => isWithin(some[key], all[key]));
}

function isTree(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function joined(path: string, key: string): string {
  const name = /^[\w-]+$/.test(key) ? key : `["${key}"]`;
  if (path === '') return name;
  return name.startsWith('[') ? path + name : `${path}.${name}`;
}

const longest = 60;

/** `spec.timeout: "2s" → "5s"`. */
export function changeText({ path, before, after }: FieldChange): string {
  return `${path}: ${valueText(before)} → ${valueText(after)}`;
}

function valueText(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
