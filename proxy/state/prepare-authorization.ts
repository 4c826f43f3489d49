// AuthorizationPolicies of a Workload as they came, checked field by field: what passes has the shape that
// the compiler of policies expects. What the rules mean is not its business.

import type {
  Authorization,
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPath,
  AuthorizationPolicyRules,
  AuthorizationRule,
  AuthorizationSource,
} from '../api/authorization.ts';
import { authorizationFaults } from '../api/authorization-faults.ts';
import { fail, list, object, oneOf, pointer, stringItem, text, type JsonObject } from './reader.ts';

const actions = ['ALLOW', 'DENY', 'AUDIT'] as const;
const pathKinds = ['exact', 'prefix', 'suffix', 'template'] as const;
const sourceLists = [
  'identities',
  'notIdentities',
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
  'ipBlocks',
  'notIpBlocks',
] as const satisfies readonly (keyof AuthorizationSource)[];
const operationLists = [
  'hosts',
  'notHosts',
  'methods',
  'notMethods',
] as const satisfies readonly (keyof AuthorizationOperation)[];

/** Null where the Workload says nothing of it. Throws a ShapeError. */
export function readAuthorization(workload: JsonObject): Authorization | null {
  if (workload['authorization'] === undefined || workload['authorization'] === null) return null;
  const at = '/authorization';
  const from = object(workload['authorization'], at);
  const read: Authorization = {
    policies: list(from, 'policies', at, readPolicy),
    ambiguousPaths: oneOf(from, 'ambiguousPaths', at, ['allReadings', 'refuse']),
  };
  const [fault] = authorizationFaults(read);
  if (fault !== undefined) fail(`${at}${fault.path}`, fault.message);
  return read;
}

function readPolicy(value: unknown, path: string): AuthorizationPolicyRules {
  const from = object(value, path);
  const dryRun = from['dryRun'];
  if (typeof dryRun !== 'boolean') fail(pointer(path, 'dryRun'), 'must be true or false');
  return {
    name: text(from, 'name', path),
    action: oneOf(from, 'action', path, actions),
    dryRun,
    rules: list(from, 'rules', path, readRule),
  };
}

function readRule(value: unknown, path: string): AuthorizationRule {
  const from = object(value, path);
  return {
    name: text(from, 'name', path),
    from: list(from, 'from', path, readSource),
    to: list(from, 'to', path, readOperation),
    when: list(from, 'when', path, readCondition),
  };
}

function readSource(value: unknown, path: string): AuthorizationSource {
  const from = object(value, path);
  knowAll(from, path, sourceLists);
  return texts(from, path, sourceLists);
}

function readOperation(value: unknown, path: string): AuthorizationOperation {
  const from = object(value, path);
  knowAll(from, path, [...operationLists, 'ports', 'notPorts', 'paths', 'notPaths']);
  const read: AuthorizationOperation = texts(from, path, operationLists);
  for (const key of ['ports', 'notPorts'] as const)
    if (from[key] !== undefined) read[key] = list(from, key, path, portItem);
  for (const key of ['paths', 'notPaths'] as const)
    if (from[key] !== undefined) read[key] = list(from, key, path, readPath);
  return read;
}

function readPath(value: unknown, path: string): AuthorizationPath {
  const from = object(value, path);
  knowAll(from, path, pathKinds);
  const [kind, ...more] = pathKinds.filter((one) => from[one] !== undefined);
  if (kind === undefined || more.length > 0)
    fail(path, `must have exactly one of ${pathKinds.join(', ')}`);
  return { [kind]: text(from, kind, path) } as AuthorizationPath;
}

function readCondition(value: unknown, path: string): AuthorizationCondition {
  const from = object(value, path);
  const lists = ['values', 'notValues'] as const;
  knowAll(from, path, ['key', ...lists]);
  return { key: text(from, 'key', path), ...texts(from, path, lists) };
}

/** Absent lists stay absent: an absent one says nothing, an empty one would hold never. */
function texts<K extends string>(
  from: JsonObject,
  path: string,
  keys: readonly K[],
): Partial<Record<K, string[]>> {
  const read: Partial<Record<K, string[]>> = {};
  for (const key of keys)
    if (from[key] !== undefined) read[key] = list(from, key, path, stringItem);
  return read;
}

/** A field of a later version would restrict what this one lets in: it is refused, not passed over. */
function knowAll(from: JsonObject, path: string, keys: readonly string[]): void {
  for (const key of Object.keys(from))
    if (!keys.includes(key)) fail(pointer(path, key), 'is not known to this sidecar');
}

function portItem(value: unknown, path: string): number {
  const isPort = typeof value === 'number' && Number.isInteger(value) && value > 0;
  if (!isPort || value > 65_535) fail(path, 'must be a port, from 1 to 65535');
  return value;
}
