// What is wrong in authorization policies beyond the shape of their JSON: values that could not be judged, or that
// would silently never match. A sidecar refuses them by the place; the operator asks the same of single values. Pure.

import type {
  Authorization,
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPath,
  AuthorizationRule,
  AuthorizationSource,
} from './authorization.ts';
import { parseIpBlock } from './ip-block.ts';

export interface AuthorizationFault {
  /** JSON pointer from the Authorization on: `/policies/0/rules/1/from/0/ipBlocks/2`. */
  readonly path: string;
  readonly message: string;
}

/** Null: right. Else what the value must be. */
type Check<T> = (value: T) => string | null;

export const conditionKeys = [
  'source.ip',
  'source.identity',
  'source.namespace',
  'source.serviceAccount',
  'destination.ip',
  'destination.port',
] as const;

/** They frame a message or concern one connection only (RFC 9110 §7.6.1): rules do not get to see them. */
const unseenHeaders = [
  'connection',
  'content-length',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];
/** RFC 9110 §5.6.2. */
const headerKey = /^request\.headers\[([-0-9A-Za-z!#$%&'*+.^_`|~]+)\]$/;

export function authorizationFaults(authorization: Authorization): AuthorizationFault[] {
  return authorization.policies.flatMap((policy, i) =>
    policy.rules.flatMap((rule, j) => ruleFaults(rule, `/policies/${i}/rules/${j}`)),
  );
}

export function ipBlockFault(block: string): string | null {
  return parseIpBlock(block) === null
    ? 'must be an IP address or a CIDR block, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8'
    : null;
}

export function conditionKeyFault(key: string): string | null {
  if ((conditionKeys as readonly string[]).includes(key)) return null;
  const header = headerKey.exec(key)?.[1]?.toLowerCase();
  if (header === undefined) {
    return `must be request.headers[name], or one of ${conditionKeys.join(', ')}`;
  }
  return unseenHeaders.includes(header)
    ? `names ${header}, which frames a message or concerns one connection only: rules do not see it`
    : null;
}

/** What a value of a condition with a right key must be. */
export function conditionValueFault(key: string, value: string): string | null {
  if (key.endsWith('.ip')) return ipBlockFault(value);
  if (key === 'destination.port') {
    const right = /^[1-9][0-9]{0,4}$/.test(value) && Number(value) <= 65_535;
    return right ? null : 'must be a port, such as "8080"';
  }
  if (key === 'source.serviceAccount' && !/[/*]/.test(value)) {
    return 'must be namespace/name of a service account';
  }
  // A header's value may hold a star; an identity or a name does not.
  return headerKey.test(key) ? bothEndsFault(value) : starFault(value);
}

function bothEndsFault(value: string): string | null {
  return value.length > 1 && value.startsWith('*') && value.endsWith('*')
    ? "must have '*' at its begin or at its end, not at both"
    : null;
}

function starFault(value: string): string | null {
  const rest = value.startsWith('*') ? value.slice(1) : value.replace(/\*$/, '');
  return rest.includes('*') ? "must have '*' only at its begin or only at its end" : null;
}

function ruleFaults(rule: AuthorizationRule, at: string): AuthorizationFault[] {
  return [
    ...rule.from.flatMap((source, i) => sourceFaults(source, `${at}/from/${i}`)),
    ...rule.to.flatMap((operation, i) => operationFaults(operation, `${at}/to/${i}`)),
    ...rule.when.flatMap((condition, i) => conditionFaults(condition, `${at}/when/${i}`)),
  ];
}

function sourceFaults(source: AuthorizationSource, at: string): AuthorizationFault[] {
  const { identities, notIdentities, namespaces, notNamespaces } = source;
  return [
    ...emptyFault(source, at),
    ...listFaults(identities, `${at}/identities`, identityFault),
    ...listFaults(notIdentities, `${at}/notIdentities`, identityFault),
    ...listFaults(namespaces, `${at}/namespaces`, nameFault),
    ...listFaults(notNamespaces, `${at}/notNamespaces`, nameFault),
    ...listFaults(source.serviceAccounts, `${at}/serviceAccounts`, accountFault),
    ...listFaults(source.notServiceAccounts, `${at}/notServiceAccounts`, accountFault),
    ...listFaults(source.ipBlocks, `${at}/ipBlocks`, ipBlockFault),
    ...listFaults(source.notIpBlocks, `${at}/notIpBlocks`, ipBlockFault),
  ];
}

function operationFaults(operation: AuthorizationOperation, at: string): AuthorizationFault[] {
  const { hosts, notHosts, ports, notPorts, methods, notMethods, paths, notPaths } = operation;
  return [
    ...emptyFault(operation, at),
    ...listFaults(hosts, `${at}/hosts`, hostFault),
    ...listFaults(notHosts, `${at}/notHosts`, hostFault),
    ...listFaults(ports, `${at}/ports`, portFault),
    ...listFaults(notPorts, `${at}/notPorts`, portFault),
    ...listFaults(methods, `${at}/methods`, methodFault),
    ...listFaults(notMethods, `${at}/notMethods`, methodFault),
    ...listFaults(paths, `${at}/paths`, pathFault),
    ...listFaults(notPaths, `${at}/notPaths`, pathFault),
  ];
}

function conditionFaults(condition: AuthorizationCondition, at: string): AuthorizationFault[] {
  const { key, values, notValues } = condition;
  const wrong = conditionKeyFault(key);
  if (wrong !== null) return [{ path: `${at}/key`, message: wrong }];
  if (values === undefined && notValues === undefined) {
    return [{ path: at, message: 'must have values or notValues' }];
  }
  const check = (value: string): string | null => conditionValueFault(key, value);
  return [
    ...listFaults(values, `${at}/values`, check),
    ...listFaults(notValues, `${at}/notValues`, check),
  ];
}

/** An entry without fields would hold for everything: what is meant is said by leaving the list empty. */
function emptyFault(entry: object, at: string): AuthorizationFault[] {
  return Object.values(entry).every((value) => value === undefined)
    ? [{ path: at, message: 'must say something' }]
    : [];
}

/** An empty list would hold never or always, as one reads it: it must be left out. */
function listFaults<T>(
  values: readonly T[] | undefined,
  at: string,
  check: Check<T>,
): AuthorizationFault[] {
  if (values === undefined) return [];
  if (values.length === 0) return [{ path: at, message: 'must not be empty' }];
  return values.flatMap((value, i) => {
    const message = check(value);
    return message === null ? [] : [{ path: `${at}/${i}`, message }];
  });
}

function identityFault(value: string): string | null {
  if (value === '') return 'must not be empty';
  if (value.includes('://')) return 'must be without spiffe://';
  return starFault(value);
}

function nameFault(value: string): string | null {
  return value === '' ? 'must not be empty' : starFault(value);
}

function accountFault(value: string): string | null {
  return /[/*]/.test(value) ? starFault(value) : 'must be namespace/name of a service account';
}

function hostFault(value: string): string | null {
  if (value === '') return 'must not be empty';
  if (!/^[-0-9A-Za-z._*:[\]]+$/.test(value)) return 'has a character that no host has';
  return starFault(value);
}

function portFault(value: number): string | null {
  return Number.isInteger(value) && value > 0 && value <= 65_535
    ? null
    : 'must be a port from 1 to 65535';
}

function methodFault(value: string): string | null {
  return /^[-0-9A-Za-z!#$%&'*+.^_`|~]+$/.test(value) ? null : 'must be an HTTP method';
}

function pathFault(path: AuthorizationPath): string | null {
  const kinds = Object.keys(path);
  const [kind] = kinds;
  const value: unknown = Object.values(path)[0];
  if (kinds.length !== 1 || typeof value !== 'string') {
    return 'must have exactly one of exact, prefix, suffix, template';
  }
  if (value === '') return 'must not be empty';
  if (/[?#]/.test(value)) return 'must have no query';
  if (kind !== 'suffix' && !value.startsWith('/')) return "must begin with '/'";
  return kind === 'template' ? templateFault(value) : null;
}

function templateFault(template: string): string | null {
  return template.split('/').every((part) => /^(\{\*\*?\}|[^{}*]*)$/.test(part))
    ? null
    : 'must have {*} and {**} as whole segments only';
}
