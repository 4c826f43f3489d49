// Whether manifests are what they say they are: by schema first, then by what the operator itself checks.
// Pure, but that defaults are filled in, as the API server does.

import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { apiGroup } from '../../../proxy/api/constants.ts';
import { validateResource } from '../../inject/validate-handler.ts';
import type { KubeObject } from '../../resources/kubernetes.ts';
import { authorizationFaults } from '../../translate/authorization-validity.ts';
import type { MeshSpec, TrafficPolicySpec } from '../../resources/tsmesh.ts';
import { meshFaults, trafficPolicyFaults } from '../../translate/validity.ts';
import { celFaults, type CelSchema } from '../cel/rules.ts';
import { originText, type FileObject } from '../objects.ts';
import { kindSchemas, type KindSchema } from './schemas.ts';

export interface Checked {
  /** Of kinds that the mesh decides by. */
  objects: FileObject[];
  /** `policies/cart.yaml:2: AuthorizationPolicy cart: spec.action: must be one of: ALLOW, DENY, AUDIT`. */
  faults: string[];
  warnings: string[];
  /** Objects that the mesh does not decide by: `2 ConfigMap`. */
  ignored: string[];
}

export function checkObjects(found: readonly FileObject[]): Checked {
  const checked: Checked = { objects: [], faults: [], warnings: [], ignored: [] };
  const ignored = new Map<string, number>();
  const validators = new Map<string, ValidateFunction>();
  for (const one of found) {
    const known = kindSchemas.get(one.kind);
    if (known === undefined || !isOfGroup(one, known)) {
      if (groupOf(one.object.apiVersion) === apiGroup) checked.faults.push(unknownKind(one));
      else ignored.set(one.kind, (ignored.get(one.kind) ?? 0) + 1);
      continue;
    }
    const validate = validators.get(one.kind) ?? compile(known);
    validators.set(one.kind, validate);
    const { faults, warnings } = faultsOf(one, known, validate);
    const head = `${originText(one.origin)}: ${one.kind} ${one.object.metadata.name}: `;
    checked.faults.push(...faults.map((fault) => head + fault));
    checked.warnings.push(...warnings.map((warning) => head + warning));
    checked.objects.push(one);
  }
  checked.ignored = [...ignored].map(([kind, count]) => `${count} ${kind}`);
  return checked;
}

function unknownKind({ kind, object, origin }: FileObject): string {
  const known = [...kindSchemas].filter(([, one]) => groupOf(one.apiVersion) === apiGroup);
  const names = known.map(([name]) => name).join(', ');
  return `${originText(origin)}: ${kind} ${object.metadata.name}: kind: ${apiGroup} has no such kind; it has: ${names}`;
}

/** Kinds of other groups can have the same names (Istio's PeerAuthentication, Knative's Service). */
function isOfGroup({ object }: FileObject, known: KindSchema): boolean {
  return groupOf(object.apiVersion) === groupOf(known.apiVersion);
}

function groupOf(version = ''): string {
  return version.includes('/') ? version.split('/')[0]! : '';
}

/** Each runs a few times: optimising its code would take longer than it saves. */
function compile({ schema }: KindSchema): ValidateFunction {
  const code = { optimize: false };
  return new Ajv({ allErrors: true, strict: false, useDefaults: true, code }).compile(schema);
}

function faultsOf(
  { kind, object }: FileObject,
  known: KindSchema,
  validate: ValidateFunction,
): { faults: string[]; warnings: string[] } {
  if (object.apiVersion !== known.apiVersion) {
    const fault = `apiVersion: must be ${known.apiVersion}, not ${object.apiVersion}`;
    return { faults: [fault], warnings: [] };
  }
  if (!validate(object)) {
    const faults = (validate.errors ?? []).filter(isOwn).map(schemaFault);
    return { faults: [...new Set(faults)], warnings: [] };
  }
  return deepFaults(kind, object, known.schema);
}

/** What the API server checks beyond the schema, the operator on admission, and before it uses a policy. */
function deepFaults(
  kind: string,
  object: KubeObject,
  schema: object,
): { faults: string[]; warnings: string[] } {
  const { faults, warnings } = validateResource(kind, object);
  const worded = ({ path, message }: { path: string; message: string }) =>
    `${path === '' ? 'the object' : path}: ${message}`;
  const rules = celFaults(schema as CelSchema, object).map(worded);
  const ofOperator = [...faults, ...specFaults(kind, object).map(worded)];
  return { faults: withoutSamePlace(rules, ofOperator), warnings };
}

/** Several checks find the same: what a later one says of a place that is named already is left out. */
function withoutSamePlace(first: readonly string[], later: readonly string[]): string[] {
  const placeOf = (fault: string) => fault.split(': ')[0]!;
  const named = new Set(first.map(placeOf));
  const further = later.filter((fault) => {
    const isNew = !named.has(placeOf(fault));
    named.add(placeOf(fault));
    return isNew;
  });
  return [...first, ...further];
}

function specFaults(kind: string, object: KubeObject): { path: string; message: string }[] {
  const { spec } = object as KubeObject & { spec: unknown };
  switch (kind) {
    case 'Mesh':
      return meshFaults(spec as MeshSpec);
    case 'AuthorizationPolicy':
      return authorizationFaults(object);
    case 'TrafficPolicy':
      return trafficPolicyFaults(spec as TrafficPolicySpec);
    default:
      return [];
  }
}

/** An anyOf reports each branch too, which says less than the whole. */
function isOwn({ keyword, schemaPath }: ErrorObject): boolean {
  return keyword === 'anyOf' || keyword === 'oneOf' || !/\/(anyOf|oneOf)\//.test(schemaPath);
}

function schemaFault({ instancePath, params, message, keyword }: ErrorObject): string {
  const path = fieldPath(instancePath);
  const { allowedValues, additionalProperty, missingProperty, type } = params as Params;
  if (additionalProperty !== undefined)
    return `${join(path, additionalProperty)}: there is no such field`;
  if (missingProperty !== undefined) return `${join(path, missingProperty)}: is missing`;
  if (allowedValues !== undefined) return `${path}: must be one of: ${allowedValues.join(', ')}`;
  if (type !== undefined) return `${path}: must be ${article(type)}`;
  return `${path === '' ? 'the object' : path}: ${message ?? `fails ${keyword}`}`;
}

interface Params {
  allowedValues?: unknown[];
  additionalProperty?: string;
  missingProperty?: string;
  type?: string;
}

/** From `/spec/rules/0/from` to `spec.rules[0].from`. */
function fieldPath(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : join(path, part)), '');
}

function join(path: string, field: string): string {
  return path === '' ? field : `${path}.${field}`;
}

function article(type: string): string {
  return /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`;
}
