// What a CRD asks beyond JSON Schema: its rules in CEL, and lists without doubles. Asked of an object as the API
// server does after the schema itself held. Pure.

import { compileCel, type Expression } from './compile.ts';

export interface CelSchema {
  properties?: Record<string, CelSchema>;
  items?: CelSchema;
  additionalProperties?: CelSchema | boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-validations'?: { rule: string; message?: string; fieldPath?: string }[];
}

export interface CelFault {
  /** `spec.rules[0].to[0].paths[0]`; empty for the object as a whole. */
  path: string;
  message: string;
}

/** `path`: of the value. Throws a SyntaxError for a rule that is not understood. */
export function celFaults(schema: CelSchema, value: unknown, path = ''): CelFault[] {
  const own = (schema['x-kubernetes-validations'] ?? []).flatMap(
    ({ rule, message, fieldPath = '' }) => {
      if (isOfUpdates(rule) || holds(compileCel(rule), value)) return [];
      return [
        { path: `${path}${fieldPath}`.replace(/^\./, ''), message: message ?? `fails: ${rule}` },
      ];
    },
  );
  return [...own, ...innerFaults(schema, value, path)];
}

function innerFaults(schema: CelSchema, value: unknown, path: string): CelFault[] {
  const { items, properties = {}, additionalProperties } = schema;
  if (Array.isArray(value)) {
    if (items === undefined) return [];
    return [
      ...doubles(schema, value, path),
      ...value.flatMap((one: unknown, i) => celFaults(items, one, `${path}[${i}]`)),
    ];
  }
  if (typeof value !== 'object' || value === null) return [];
  const rest = typeof additionalProperties === 'object' ? additionalProperties : undefined;
  return Object.entries(value).flatMap(([name, one]) => {
    const inner = properties[name] ?? rest;
    if (inner === undefined) return [];
    return celFaults(inner, one, path === '' ? name : `${path}.${name}`);
  });
}

/** Entries of a set, and keys of a list that is a map, stand once. */
function doubles(schema: CelSchema, list: readonly unknown[], path: string): CelFault[] {
  const { 'x-kubernetes-list-type': type, 'x-kubernetes-list-map-keys': keys = [] } = schema;
  if (type !== 'set' && type !== 'map') return [];
  const keyOf = (one: unknown) =>
    type === 'set' ? one : keys.map((key) => (one as Record<string, unknown>)[key]);
  const seen = list.map((one) => JSON.stringify(keyOf(one)));
  return seen.flatMap((key, i) =>
    seen.indexOf(key) === i
      ? []
      : [{ path: `${path}[${i}]`, message: `${key} stands there already` }],
  );
}

/** Compares with the object before: there is none. */
function isOfUpdates(rule: string): boolean {
  return /\boldSelf\b/.test(rule);
}

/** A rule that cannot be evaluated does not hold. */
function holds(rule: Expression, self: unknown): boolean {
  try {
    return rule({ self }) === true;
  } catch {
    return false;
  }
}
