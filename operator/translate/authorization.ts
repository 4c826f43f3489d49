// Which AuthorizationPolicies hold for a pod, and as what they are sent to its sidecar. Pure.
//
// A policy that cannot be understood never lets more in than it says: of a DENY rule the field that is
// wrong is left out, so that it denies more; an ALLOW or AUDIT rule with a fault matches nothing, while
// its policy stays in force; a policy whose action is unknown is an ALLOW policy without rules.

import { systemNamespace } from '../../proxy/api/constants.ts';
import type {
  Authorization,
  AuthorizationAction,
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPolicyRules,
  AuthorizationRule,
  AuthorizationSource,
} from '../../proxy/api/authorization.ts';
import { oldestFirst } from '../model/order.ts';
import { namespaceOf } from '../model/view.ts';
import type { PodEntry, View } from '../model/view.ts';
import { isDryRun } from '../resources/dry-run.ts';
import type { AuthorizationPolicy, AuthorizationRuleSpec } from '../resources/tsmesh.ts';
import { authorizationActions, authorizationFaults } from './authorization-validity.ts';
import { matchesLabels } from './protocol.ts';
import type { Fault } from './field-checks.ts';

/** Policies of this namespace hold for pods of every namespace. */
export const meshWideNamespace = systemNamespace;

/** Of one kind of decision the oldest first, so that all replicas name the same rule. */
const order: Readonly<Record<AuthorizationAction, number>> = { DENY: 0, ALLOW: 1, AUDIT: 2 };

export function selectsForAuthorization(policy: AuthorizationPolicy, pod: PodEntry): boolean {
  const namespace = namespaceOf(policy);
  if (namespace !== pod.namespace && namespace !== meshWideNamespace) return false;
  const labels: unknown = policy.spec.selector?.matchLabels ?? {};
  // What cannot be read as a selector selects everything: the policy restricts more, not less.
  if (typeof labels !== 'object' || labels === null) return true;
  return matchesLabels(labels as Record<string, string>, pod.labels);
}

/** DENY, then ALLOW, then AUDIT; of one action the oldest first, then by namespace and name. */
export function authorizationPoliciesFor(view: View, pod: PodEntry): AuthorizationPolicy[] {
  const own = view.authorizationPolicies.get(pod.namespace) ?? [];
  const meshWide =
    pod.namespace === meshWideNamespace
      ? []
      : (view.authorizationPolicies.get(meshWideNamespace) ?? []);
  return [...own, ...meshWide]
    .filter((policy) => selectsForAuthorization(policy, pod))
    .toSorted((a, b) => order[actionOf(a)] - order[actionOf(b)] || oldestFirst(a, b));
}

/** What a policy is sent as. It depends on nothing but the object, so that it can be kept with it. */
export type RulesOf = (policy: AuthorizationPolicy) => AuthorizationPolicyRules;

/** Remembers: a policy for the whole mesh is checked and read once, not once for every pod. */
export function rememberRules(): RulesOf {
  const known = new WeakMap<AuthorizationPolicy, AuthorizationPolicyRules>();
  return (policy) => {
    const rules = known.get(policy) ?? translateAuthorizationPolicy(policy);
    known.set(policy, rules);
    return rules;
  };
}

/** Undefined where no policy selects the pod: everything is allowed. */
export function authorizationFor(
  view: View,
  pod: PodEntry,
  rulesOf: RulesOf = translateAuthorizationPolicy,
): Authorization | undefined {
  const policies = authorizationPoliciesFor(view, pod);
  if (policies.length === 0) return undefined;
  const refuse = view.mesh?.spec.authorization?.ambiguousPaths === 'Refuse';
  return {
    policies: policies.map(rulesOf),
    ambiguousPaths: refuse ? 'refuse' : 'allReadings',
  };
}

export function actionOf(policy: AuthorizationPolicy): AuthorizationAction {
  const said = policy.spec.action ?? 'ALLOW';
  return authorizationActions.includes(said) ? said : 'ALLOW';
}

export function authorizationPolicyName(policy: AuthorizationPolicy): string {
  return `AuthorizationPolicy ${namespaceOf(policy)}/${policy.metadata.name}`;
}

export function translateAuthorizationPolicy(
  policy: AuthorizationPolicy,
): AuthorizationPolicyRules {
  const action = actionOf(policy);
  const unknownAction = policy.spec.action !== undefined && policy.spec.action !== action;
  const rules: unknown = policy.spec.rules ?? [];
  const list = Array.isArray(rules) && !unknownAction ? (rules as AuthorizationRuleSpec[]) : [];
  const reading: Reading = {
    denies: action === 'DENY',
    namespace: namespaceOf(policy),
    faults: authorizationFaults(policy),
  };
  return {
    name: authorizationPolicyName(policy),
    action,
    dryRun: isDryRun(policy),
    rules: list.flatMap((rule, i) => readRule(reading, rule, i)),
  };
}

/** How the rules of one policy are read. */
interface Reading {
  denies: boolean;
  namespace: string;
  faults: readonly Fault[];
}

function readRule(reading: Reading, rule: AuthorizationRuleSpec, i: number): AuthorizationRule[] {
  const at = `spec.rules[${i}]`;
  const faulty = isFaulty(reading, at);
  if (faulty && !reading.denies) return [];
  const name = nameOf(rule, i);
  if (!faulty) {
    const { from = [], to = [], when = [] } = rule;
    return [{ name, ...completed(from, when, reading.namespace), to }];
  }
  const from = readEntries<AuthorizationSource>(reading, `${at}.from`, rule?.from);
  const to = readEntries<AuthorizationOperation>(reading, `${at}.to`, rule?.to);
  const given = Array.isArray(rule?.when) ? rule.when : [];
  const when = given.filter((_, j) => !isFaulty(reading, `${at}.when[${j}]`));
  return [{ name, ...completed(from, when, reading.namespace), to }];
}

function nameOf(rule: AuthorizationRuleSpec | null, i: number): string {
  return typeof rule?.name === 'string' ? rule.name : `rule ${i}`;
}

/** A list with an entry of which nothing is understood holds always, as it does when it is empty. */
function readEntries<T extends object>(reading: Reading, at: string, list: unknown): T[] {
  if (!Array.isArray(list)) return [];
  const entries = list.map((entry: unknown, i) => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return {};
    const fields = Object.entries(entry);
    return Object.fromEntries(
      fields.filter(([field]) => !isFaulty(reading, `${at}[${i}].${field}`)),
    );
  });
  return entries.some((entry) => Object.keys(entry).length === 0) ? [] : (entries as T[]);
}

function isFaulty({ faults }: Reading, at: string): boolean {
  return faults.some(
    ({ path }) => path === at || path.startsWith(`${at}.`) || path.startsWith(`${at}[`),
  );
}

/** Names of service accounts that stand alone are of the policy's namespace. */
function completed(
  from: readonly AuthorizationSource[],
  when: readonly AuthorizationCondition[],
  namespace: string,
): Pick<AuthorizationRule, 'from' | 'when'> {
  const complete = (names: string[]) =>
    names.map((name) => (/[/*]/.test(name) ? name : `${namespace}/${name}`));
  return {
    from: from.map((one) => mapped(one, ['serviceAccounts', 'notServiceAccounts'], complete)),
    when: when.map((one) =>
      one.key === 'source.serviceAccount' ? mapped(one, ['values', 'notValues'], complete) : one,
    ),
  };
}

function mapped<K extends string, T extends Partial<Record<K, string[]>>>(
  object: T,
  fields: readonly K[],
  change: (values: string[]) => string[],
): T {
  const changed = fields.flatMap((field) => {
    const values = object[field];
    return values === undefined ? [] : [[field, change(values)] as const];
  });
  return { ...object, ...Object.fromEntries(changed) };
}
