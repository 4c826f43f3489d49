// AuthorizationPolicies as a sidecar gets them: those that select its pod, checked and resolved by the
// operator. The shape follows the resource, so that what decides in the proxy can also explain itself in
// the words of the policy's author. Types only; proxy/policy/authorization compiles and evaluates them.

export type AuthorizationAction = 'ALLOW' | 'DENY' | 'AUDIT';

/**
 * Who calls. All given fields must hold, of each list any one; `not…` lists hold when none does.
 * A caller without a verified identity has none: no identity, namespace or service account matches it,
 * and every negation of them does.
 */
export interface AuthorizationSource {
  /** SPIFFE ids without `spiffe://`, or with a leading or trailing `*`; `*` alone: any verified identity. */
  identities?: string[];
  notIdentities?: string[];
  /** Exact, or with a leading or trailing `*`. */
  namespaces?: string[];
  notNamespaces?: string[];
  /** `namespace/name`; a name alone was completed with the policy's namespace. */
  serviceAccounts?: string[];
  notServiceAccounts?: string[];
  /** CIDR blocks (or single addresses) that hold the connection's peer address. */
  ipBlocks?: string[];
  notIpBlocks?: string[];
}

/** Exactly one field. `template`: `{*}` one segment, `{**}` any number of segments, at the end or within. */
export type AuthorizationPath =
  { exact: string } | { prefix: string } | { suffix: string } | { template: string };

/** What is called. All given fields must hold, of each list any one. Everything but ports needs HTTP. */
export interface AuthorizationOperation {
  /** Exact, or with a leading or trailing `*`; case does not matter; without a port in the pattern any port. */
  hosts?: string[];
  notHosts?: string[];
  /** Ports of the pod. */
  ports?: number[];
  notPorts?: number[];
  /** Exact, as methods are case-sensitive (RFC 9110 §9.1). */
  methods?: string[];
  notMethods?: string[];
  paths?: AuthorizationPath[];
  notPaths?: AuthorizationPath[];
}

/**
 * `key`: `request.headers[name]` (needs HTTP), `source.ip`, `source.identity`, `source.namespace`,
 * `source.serviceAccount`, `destination.ip`, `destination.port`. Values: exact, or with a leading or trailing
 * `*` (`*` alone: present); for the addresses CIDR blocks.
 */
export interface AuthorizationCondition {
  key: string;
  values?: string[];
  notValues?: string[];
}

/** Holds when any of `from`, any of `to` and all of `when` hold; an empty list holds always. */
export interface AuthorizationRule {
  /** The author's name for it, or `rule 0`. */
  name: string;
  from: AuthorizationSource[];
  to: AuthorizationOperation[];
  when: AuthorizationCondition[];
}

export interface AuthorizationPolicyRules {
  /** `AuthorizationPolicy shop/cart`: stands in refusals, logs and metrics. */
  name: string;
  action: AuthorizationAction;
  /** Only logged and counted, never enforced. */
  dryRun: boolean;
  /** Empty: matches nothing (so that an ALLOW policy without rules denies all). */
  rules: AuthorizationRule[];
}

/**
 * DENY before ALLOW; where any ALLOW policy is in force, what none of them matches is refused.
 * Absent or without policies: everything is allowed.
 */
export interface Authorization {
  policies: AuthorizationPolicyRules[];
  /**
   * A path that apps may read differently (percent-encoded separators, dot segments, merged slashes):
   * `allReadings` judges each reading (DENY if any matches, ALLOW only if all do), `refuse` answers 400.
   */
  ambiguousPaths: 'allReadings' | 'refuse';
}
