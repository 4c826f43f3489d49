// What an AuthorizationPolicy names and what of it exists: callers may come later, so nothing of this is
// a fault; but a name that was misspelt lets nobody in, or keeps nobody out. Pure.

import { parseSpiffeId } from '../../proxy/api/spiffe.ts';
import { namespaceOf, type View } from '../model/view.ts';
import type { AuthorizationPolicy, AuthorizationRuleSpec } from '../resources/tsmesh.ts';
import { trustDomainOf } from '../translate/mesh-settings.ts';
import type { Verdict } from './conditions.ts';

interface Reference {
  path: string;
  kind: 'identity' | 'namespace' | 'serviceAccount';
  value: string;
}

interface Finding {
  reason: 'NamespaceNotFound' | 'OtherTrustDomain' | 'NoSuchCaller';
  message: string;
}

const addressNote =
  'ipBlocks and source.ip look at the peer address of the connection, which is that of a node or a load balancer where one stands between';

/** False where nobody can ever be meant as things are; service accounts that no pod uses now are only told. */
export function authorizationReferences(view: View, policy: AuthorizationPolicy): Verdict {
  const rules = Array.isArray(policy.spec.rules) ? policy.spec.rules : [];
  const references = rules.flatMap((rule, i) => referencesOf(rule, `spec.rules[${i}]`));
  const known = { view, callers: onDemand(() => callersOf(view)), own: namespaceOf(policy) };
  const findings = references.flatMap((one) =>
    findingsOf(known, one).map((found) => ({ ...found, message: `${one.path}: ${found.message}` })),
  );
  const problems = findings.filter(({ reason }) => reason !== 'NoSuchCaller');
  const notes = [...new Set(findings.map(({ message }) => message))];
  if (JSON.stringify(rules).match(/"(ipBlocks|notIpBlocks|source\.ip)"/)) notes.push(addressNote);
  const reason = problems[0]?.reason ?? 'ResolvedRefs';
  const status = problems.length === 0 ? 'True' : 'False';
  const message = notes.length === 0 ? 'everything that is named exists' : notes.join('; ');
  return { type: 'ResolvedRefs', status, reason, message };
}

const kinds: Readonly<Record<string, Reference['kind']>> = {
  'source.identity': 'identity',
  'source.namespace': 'namespace',
  'source.serviceAccount': 'serviceAccount',
};

/** Null-proof, for policies with faults have a status too. */
function referencesOf(rule: AuthorizationRuleSpec | null, at: string): Reference[] {
  const sources = listOf(rule?.from).flatMap((source, i) => {
    const path = `${at}.from[${i}]`;
    return [
      ...named(`${path}.identities`, 'identity', source?.identities),
      ...named(`${path}.notIdentities`, 'identity', source?.notIdentities),
      ...named(`${path}.namespaces`, 'namespace', source?.namespaces),
      ...named(`${path}.notNamespaces`, 'namespace', source?.notNamespaces),
      ...named(`${path}.serviceAccounts`, 'serviceAccount', source?.serviceAccounts),
      ...named(`${path}.notServiceAccounts`, 'serviceAccount', source?.notServiceAccounts),
    ];
  });
  const conditions = listOf(rule?.when).flatMap((one, i) => {
    const kind = kinds[one?.key ?? ''];
    if (kind === undefined) return [];
    const path = `${at}.when[${i}]`;
    return [
      ...named(`${path}.values`, kind, one.values),
      ...named(`${path}.notValues`, kind, one.notValues),
    ];
  });
  return [...sources, ...conditions];
}

function named(path: string, kind: Reference['kind'], values: unknown): Reference[] {
  return listOf(values).flatMap((value, i) =>
    typeof value === 'string' ? [{ path: `${path}[${i}]`, kind, value }] : [],
  );
}

function listOf<T>(value: readonly T[] | undefined): readonly T[];
function listOf(value: unknown): readonly unknown[];
function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

interface Known {
  view: View;
  /** `namespace/name` of the service accounts that pods run as. */
  callers: () => ReadonlySet<string>;
  /** The policy's namespace. */
  own: string;
}

function callersOf(view: View): Set<string> {
  const pods = [...view.pods.values()].filter((pod) => pod.alive);
  return new Set(pods.map((pod) => `${pod.namespace}/${pod.serviceAccount}`));
}

/** Most policies name no service account: pods are not looked through for them. */
function onDemand<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

function findingsOf(known: Known, { kind, value }: Reference): Finding[] {
  if (kind === 'identity') return identityFindings(known, value);
  if (kind === 'namespace') return value.includes('*') ? [] : namespaceFindings(known, value);
  if (value.includes('*')) return [];
  return callerFindings(known, value.includes('/') ? value : `${known.own}/${value}`);
}

function identityFindings(known: Known, value: string): Finding[] {
  const domain = value.startsWith('*') || !value.includes('/') ? null : value.split('/')[0]!;
  const own = trustDomainOf(known.view);
  if (domain !== null && domain !== own) {
    const message = `${value} is of trust domain ${domain}; this mesh is ${own}, and no caller has it`;
    return [{ reason: 'OtherTrustDomain', message }];
  }
  const parts = parseSpiffeId(`spiffe://${value}`);
  return parts === null ? [] : callerFindings(known, `${parts.namespace}/${parts.serviceAccount}`);
}

function namespaceFindings({ view }: Known, name: string): Finding[] {
  if (view.namespaces.has(name)) return [];
  return [{ reason: 'NamespaceNotFound', message: `there is no namespace ${name}` }];
}

function callerFindings(known: Known, caller: string): Finding[] {
  const missing = namespaceFindings(known, caller.split('/')[0]!);
  if (missing.length > 0 || known.callers().has(caller)) return missing;
  const message = `no pod runs as service account ${caller} at this time`;
  return [{ reason: 'NoSuchCaller', message }];
}
