// Admission of the mesh's own kinds, for what CEL in the CRDs cannot say: patterns that are no
// regular expressions, times that are set in different places, memory a sidecar cannot start with. Pure but for the
// handler's form; every message begins with the field's path.

import type { AuthorizationPath } from '../../proxy/api/authorization.ts';
import { newRootAcceptedAt } from '../ca/acceptance.ts';
import {
  defaultTrustDomain,
  newRootAnnotation,
  renewAnnotation,
  rotateRootAnnotation,
} from '../ca/types.ts';
import { dryRunAnnotation } from '../resources/dry-run.ts';
import { parseDuration } from '../resources/duration.ts';
import { meshWideNamespace } from '../translate/authorization.ts';
import { authorizationFaults } from '../translate/authorization-validity.ts';
import { routesOutOfReach } from '../translate/route-order.ts';
import { trafficPolicyFaults } from '../translate/validity.ts';
import type {
  AuthorizationPolicy,
  AuthorizationRuleSpec,
  Mesh,
  RouteSpec,
  TrafficPolicy,
} from '../resources/tsmesh.ts';
import type { AdmissionHandler, HandlerDeps } from './admission.ts';
import { parseQuantity } from './quantity.ts';
import { minimumMemoryBytes } from './settings.ts';

export interface Findings {
  faults: string[];
  warnings: string[];
}

export function createValidateHandler(deps: Pick<HandlerDeps, 'ca' | 'clock'>): AdmissionHandler {
  return async (request) => {
    const { faults, warnings } = validateResource(request.kind.kind, request.object);
    if (request.kind.kind === 'Mesh' && request.operation === 'CREATE') {
      const nowMs = deps.clock.wallTimeMs();
      const made = deps.ca.current(nowMs)?.trustDomain ?? null;
      faults.push(...trustDomainFaults(request.object as Mesh, made, nowMs));
    }
    if (faults.length === 0) return { allowed: true, patch: [], warnings };
    return { allowed: false, message: faults.join('; '), warnings };
  };
}

export function validateResource(kind: string, object: unknown): Findings {
  if (kind === 'AuthorizationPolicy') {
    return validateAuthorizationPolicy(object as AuthorizationPolicy);
  }
  if (kind === 'TrafficPolicy') return validateTrafficPolicy(object as TrafficPolicy);
  if (kind === 'Mesh')
    return {
      faults: [...memoryFaults(object as Mesh), ...timeAnnotationFaults(object as Mesh)],
      warnings: [],
    };
  return { faults: [], warnings: [] };
}

function validateAuthorizationPolicy(policy: AuthorizationPolicy): Findings {
  const faults = authorizationFaults(policy).map(({ path, message }) => `${path}: ${message}`);
  return { faults, warnings: faults.length === 0 ? authorizationWarnings(policy) : [] };
}

/** What is valid and seldom what is meant. */
function authorizationWarnings({ metadata, spec }: AuthorizationPolicy): string[] {
  const { action = 'ALLOW', rules = [] } = spec;
  const warnings = [...unknownAnnotations(metadata.annotations ?? {}), ...starsInPaths(rules)];
  if (metadata.namespace === meshWideNamespace) {
    warnings.push(
      `in namespace ${meshWideNamespace} it holds for selected pods of every namespace`,
    );
  }
  if (action === 'ALLOW' && rules.length === 0) {
    warnings.push(
      'an ALLOW policy without rules matches nothing: whatever no other ALLOW policy matches is refused',
    );
  }
  if (action === 'DENY' && rules.some((rule) => Object.keys(rule).every((key) => key === 'name'))) {
    warnings.push('a DENY rule without from, to and when refuses everything');
  }
  if (rules.some((rule) => (rule.from ?? []).some((one) => one.ipBlocks ?? one.notIpBlocks))) {
    warnings.push(
      'ipBlocks look at the peer address of the connection: where a node or a load balancer stands between, it is theirs',
    );
  }
  return warnings;
}

/** A rehearsal whose annotation is misspelt would be enforced without a word. */
function unknownAnnotations(annotations: Record<string, string>): string[] {
  return Object.keys(annotations)
    .filter((name) => name !== dryRunAnnotation && /^tsmesh\.dev\/|dry-?run$/i.test(name))
    .map((name) => `metadata.annotations[${name.slice(0, 64)}] says nothing to the mesh`)
    .map((words) => `${words}; the one for a dry run is ${dryRunAnnotation}: "true"`);
}

/** As others write them, `/admin/*` for all below `/admin`; here it is a path with a star in it. */
function starsInPaths(rules: readonly AuthorizationRuleSpec[]): string[] {
  const hint = 'for all below /admin write prefix: /admin, for one segment template: /admin/{*}';
  return rules.flatMap((rule, r) =>
    (rule.to ?? []).flatMap((operation, o) =>
      (['paths', 'notPaths'] as const)
        .filter((list) => (operation[list] ?? []).some(hasStar))
        .map((list) => `spec.rules[${r}].to[${o}].${list}: * is an ordinary character; ${hint}`),
    ),
  );
}

function hasStar(path: AuthorizationPath): boolean {
  return !('template' in path) && Object.values(path).some((text) => text.includes('*'));
}

function validateTrafficPolicy(policy: TrafficPolicy): Findings {
  const routes = policy.spec?.routes ?? [];
  const faults = [
    ...trafficPolicyFaults(policy.spec).map(({ path, message }) => `${path}: ${message}`),
    ...routes.flatMap((route, index) => timeFaults(route, policy, `spec.routes[${index}]`)),
  ];
  return { faults, warnings: faults.length === 0 ? routesOutOfReach(routes) : [] };
}

/** Within one object the CRD compares; here a route with what it inherits from the policy. */
function timeFaults(route: RouteSpec, policy: TrafficPolicy, path: string): string[] {
  const timeout = route.timeout ?? policy.spec.timeout;
  const perTry = route.retries?.perTryTimeout ?? policy.spec.retries?.perTryTimeout;
  const [timeoutMs, perTryMs] = [parseDuration(timeout ?? ''), parseDuration(perTry ?? '')];
  // 0s: no timeout.
  if (timeoutMs === null || perTryMs === null || timeoutMs === 0 || perTryMs <= timeoutMs)
    return [];
  const field = route.retries?.perTryTimeout === undefined ? 'spec' : path;
  const other = route.timeout === undefined ? 'spec' : path;
  return [
    `${field}.retries.perTryTimeout: ${perTry} must not be longer than ${other}.timeout ${timeout}, which spans all attempts`,
  ];
}

/** Deleting the Mesh and creating another would get round the field being immutable. */
export function trustDomainFaults(mesh: Mesh, made: string | null, nowMs: number): string[] {
  const wanted = mesh.spec?.trustDomain ?? defaultTrustDomain;
  if (made === null || wanted === made || newRootAcceptedAt(mesh, nowMs) !== null) return [];
  return [
    `spec.trustDomain: the CA of this mesh was made for ${made}, and every identity contains it; another one is a new mesh: delete Secret tsmesh-system/tsmesh-ca, and create this Mesh with annotation ${newRootAnnotation} (the time now)`,
  ];
}

function memoryFaults(mesh: Mesh): string[] {
  const text = mesh.spec?.proxy?.resources?.limits?.memory;
  const bytes = text === undefined ? null : parseQuantity(text);
  if (bytes === null || bytes >= minimumMemoryBytes) return [];
  return [
    `spec.proxy.resources.limits.memory: ${text} is less than a sidecar needs; give it at least 96Mi`,
  ];
}

function timeAnnotationFaults(mesh: Mesh): string[] {
  return [renewAnnotation, rotateRootAnnotation, newRootAnnotation].flatMap((name) => {
    const text = mesh.metadata.annotations?.[name];
    if (text === undefined || !Number.isNaN(Date.parse(text))) return [];
    return [
      `metadata.annotations[${name}]: "${text}" is not a time; write it like 2026-11-22T12:00:00Z`,
    ];
  });
}
