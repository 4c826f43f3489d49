// Who may do what, by the rules of an AuthorizationPolicy as a sidecar gets them, in words. Pure.

import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPath,
  AuthorizationRule,
  AuthorizationSource,
} from '../../../proxy/api/authorization.ts';
import { anyOf } from './units.ts';

/** `readers: service account shop/web → GET, path /items/…, port 8080; when source.ip is 10.0.0.0/8`. */
export function ruleWords({ name, from, to, when }: AuthorizationRule): string {
  const who = from.length === 0 ? 'anyone' : from.map(sourceWords).join('; or ');
  const what = to.length === 0 ? 'anything' : to.map(operationWords).join('; or ');
  const conditions = when.map(conditionWords).join(', and ');
  return `${name}: ${who} → ${what}${conditions === '' ? '' : `; when ${conditions}`}`;
}

/** `namespace shop or admin, not identity x`; nothing for what is not given. */
function listed(
  what: string,
  some: readonly (string | number)[] | undefined,
  not: readonly (string | number)[] | undefined,
): string[] {
  return [
    ...(some === undefined ? [] : [`${what}${anyOf(some)}`]),
    ...(not === undefined ? [] : [`not ${what}${anyOf(not)}`]),
  ];
}

function sourceWords(source: AuthorizationSource): string {
  const parts = [
    ...listed('identity ', source.identities, source.notIdentities),
    ...listed('namespace ', source.namespaces, source.notNamespaces),
    ...listed('service account ', source.serviceAccounts, source.notServiceAccounts),
    ...listed('address ', source.ipBlocks, source.notIpBlocks),
  ];
  return parts.length === 0 ? 'anyone' : parts.join(', ');
}

function operationWords(operation: AuthorizationOperation): string {
  const { paths, notPaths } = operation;
  const parts = [
    ...listed('', operation.methods, operation.notMethods),
    ...listed('path ', paths?.map(pathWords), notPaths?.map(pathWords)),
    ...listed('host ', operation.hosts, operation.notHosts),
    ...listed('port ', operation.ports, operation.notPorts),
  ];
  return parts.length === 0 ? 'anything' : parts.join(', ');
}

function pathWords(path: AuthorizationPath): string {
  if ('exact' in path) return path.exact;
  if ('prefix' in path) return `${path.prefix}…`;
  return 'suffix' in path ? `…${path.suffix}` : path.template;
}

function conditionWords({ key, values, notValues }: AuthorizationCondition): string {
  return [
    ...(values === undefined ? [] : [`${key} is ${anyOf(values)}`]),
    ...(notValues === undefined ? [] : [`${key} is not ${anyOf(notValues)}`]),
  ].join(', and ');
}
