// Which pods an AuthorizationPolicy holds for, and at which of their ports its rules are read without
// HTTP, in words for its status. Pure.

import type { AuthorizationOperation } from '../../proxy/api/authorization.ts';
import type { PodEntry, View } from '../model/view.ts';
import type { AuthorizationPolicy, AuthorizationRuleSpec } from '../resources/tsmesh.ts';
import {
  actionOf,
  meshWideNamespace,
  selectsForAuthorization,
} from '../translate/authorization.ts';
import { podPortProtocols } from '../translate/protocol.ts';
import { countOf, listNames } from './verdicts.ts';

export interface Reach {
  /** `holds for 2 pods`. */
  holdsFor: string;
  /** Selected pods that have no sidecar, if any: nothing is enforced there. */
  unmeshed: string[];
}

export function authorizationReach(view: View, policy: AuthorizationPolicy): Reach {
  const selected = selectedPods(view, policy);
  const meshed = selected.filter((pod) => pod.meshed);
  const holdsFor =
    meshed.length === 0
      ? 'selects no pod with a sidecar at this time'
      : `holds for ${countOf(meshed.length, 'pod')}`;
  const bare = selected.filter((pod) => !pod.meshed).map((pod) => pod.name);
  const isMeshWide = policy.metadata.namespace === meshWideNamespace;
  if (bare.length === 0 || isMeshWide) return { holdsFor, unmeshed: [] };
  const have = bare.length === 1 ? 'pod has' : 'pods have';
  return {
    holdsFor,
    unmeshed: [
      `${bare.length} selected ${have} no sidecar, and nothing is enforced there: ${listNames(bare)}`,
    ],
  };
}

function selectedPods(view: View, policy: AuthorizationPolicy): PodEntry[] {
  return [...view.pods.values()].filter((pod) => pod.alive && selectsForAuthorization(policy, pod));
}

const reading = {
  DENY: 'refuses whatever the rest of it matches',
  ALLOW: 'lets nothing in',
  AUDIT: 'never matches',
} as const;

/** One sentence, or none: which rules meet which ports that are declared as TCP. */
export function withoutHttp(view: View, policy: AuthorizationPolicy): string[] {
  const rules = (policy.spec.rules ?? []).map((rule, i) => ({
    name: `"${rule.name ?? `rule ${i}`}"`,
    meets: httpAt(rule),
  }));
  if (!rules.some(({ meets }) => meets !== null)) return [];
  const places = tcpPlaces(
    selectedPods(view, policy).filter((pod) => pod.meshed),
    view,
  );
  const met = rules.flatMap(({ name, meets }) => {
    const at = meets === null ? [] : places.filter(({ port }) => meets(port));
    return at.map(({ place }) => ({ name, place }));
  });
  if (met.length === 0) return [];
  const names = listNames([...new Set(met.map(({ name }) => name))]);
  const ports = listNames([...new Set(met.map(({ place }) => place))]);
  return [
    `at ports declared as TCP (${ports}) there is no HTTP to look at: rule ${names} ${reading[actionOf(policy)]} there`,
  ];
}

/** At which ports a rule looks at HTTP; null: at none. */
function httpAt(rule: AuthorizationRuleSpec): ((port: number) => boolean) | null {
  const operations = rule.to ?? [];
  const byHeader = (rule.when ?? []).some(({ key }) => key.startsWith('request.headers['));
  const looking = byHeader && operations.length === 0 ? [{}] : operations;
  const seeing = looking.filter((one) => byHeader || needsHttp(one));
  return seeing.length === 0 ? null : (port) => seeing.some((one) => isAt(one, port));
}

function needsHttp(operation: AuthorizationOperation): boolean {
  return Object.keys(operation).some((field) => field !== 'ports' && field !== 'notPorts');
}

function isAt({ ports, notPorts }: AuthorizationOperation, port: number): boolean {
  return (ports?.includes(port) ?? true) && notPorts?.includes(port) !== true;
}

interface Place {
  port: number;
  /** `5432 of shop StatefulSet/db`. */
  place: string;
}

/** One pod speaks for its workload. */
function tcpPlaces(pods: PodEntry[], view: View): Place[] {
  const workloads = new Map(pods.map((pod) => [`${pod.namespace} ${pod.workload}`, pod]));
  return [...workloads].flatMap(([name, pod]) =>
    [...podPortProtocols(view, pod)]
      .filter(([, protocol]) => protocol === 'tcp')
      .map(([port]) => ({ port, place: `${port} of ${name}` })),
  );
}
