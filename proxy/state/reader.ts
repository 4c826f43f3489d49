// Reads values of unknown shape at a JSON pointer: the border where resources become types. It knows
// JSON's types and bounds, nothing of any resource.

/** A value that is not what it must be; caught once per resource. */
export class ShapeError extends Error {
  readonly path: string;

  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** Names and texts beyond this are nobody's intent (a path or a regular expression among them). */
const maxTextChars = 4096;
/** Items of one list: far above what the operator makes (endpoints of the largest Services). */
const maxItems = 20_000;

/** RFC 6901 §3. */
export function pointer(path: string, key: string | number): string {
  return `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

export function fail(path: string, message: string): never {
  throw new ShapeError(path, message);
}

export function object(value: unknown, path: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    fail(path, 'must be an object');
  return value as JsonObject;
}

export function text(from: JsonObject, key: string, path: string): string {
  const value = from[key];
  if (typeof value !== 'string') fail(pointer(path, key), 'must be a string');
  if (value.length > maxTextChars)
    fail(pointer(path, key), `longer than ${maxTextChars} characters`);
  return value;
}

export function textOrNull(from: JsonObject, key: string, path: string): string | null {
  return from[key] === null || from[key] === undefined ? null : text(from, key, path);
}

export interface Range {
  min: number;
  max: number;
}

export function integer(from: JsonObject, key: string, path: string, range: Range): number {
  const value = from[key];
  if (typeof value !== 'number' || !Number.isInteger(value))
    fail(pointer(path, key), 'must be an integer');
  if (value < range.min || value > range.max)
    fail(pointer(path, key), `must be from ${range.min} to ${range.max}`);
  return value;
}

export function integerOrNull(
  from: JsonObject,
  key: string,
  path: string,
  range: Range,
): number | null {
  return from[key] === null || from[key] === undefined ? null : integer(from, key, path, range);
}

export function oneOf<T extends string>(
  from: JsonObject,
  key: string,
  path: string,
  values: readonly T[],
): T {
  const value = from[key];
  const found = values.find((one) => one === value);
  if (found === undefined) fail(pointer(path, key), `must be one of ${values.join(', ')}`);
  return found;
}

/** A missing list is an empty one. */
export function list<T>(
  from: JsonObject,
  key: string,
  path: string,
  item: (value: unknown, path: string) => T,
): T[] {
  const value = from[key] ?? [];
  const at = pointer(path, key);
  if (!Array.isArray(value)) fail(at, 'must be a list');
  if (value.length > maxItems) fail(at, `more than ${maxItems} items`);
  return value.map((one, index) => item(one, pointer(at, index)));
}

export function stringItem(value: unknown, path: string): string {
  if (typeof value !== 'string') fail(path, 'must be a string');
  return value;
}

export function percent(from: JsonObject, key: string, path: string): number {
  const value = from[key];
  if (typeof value !== 'number' || !(value >= 0 && value <= 100))
    fail(pointer(path, key), 'must be from 0 to 100');
  return value;
}

export function port(from: JsonObject, key: string, path: string): number {
  return integer(from, key, path, { min: 1, max: 65535 });
}
