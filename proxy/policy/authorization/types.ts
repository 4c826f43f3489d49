// What authorization is asked and what it answers. Types only.

import type { Fields } from '../../codec/session.ts';

/** Who is at the other end of a connection; made once per connection. */
export interface Caller {
  /** `spiffe://…` from a verified certificate; empty without one. */
  readonly identity: string;
  /** Parts of the identity; empty without one. */
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The connection's peer address, IPv4 without an `::ffff:` prefix. */
  readonly address: string;
}

/** Where the connection arrived. */
export interface Target {
  readonly address: string;
  readonly port: number;
}

/** The parts of a request that rules look at. */
export interface HttpRequest {
  readonly method: string;
  /** `Host` or `:authority` as sent. */
  readonly authority: string;
  /** The request target as sent, with its query. */
  readonly path: string;
  readonly fields: Fields;
}

/** Which rule spoke, in words for refusals, logs and metrics. */
export interface RuleRef {
  /** `AuthorizationPolicy shop/cart`. */
  readonly policy: string;
  /** `rule 0` or its name; empty where no rule matched (an ALLOW policy is in force, and none allows it). */
  readonly rule: string;
}

/** What a dry run would have done, or what an AUDIT policy asks to log. */
export interface Remark extends RuleRef {
  readonly kind: 'audit' | 'would-deny';
}

export interface Decision {
  readonly allowed: boolean;
  /** `ambiguous-path` stands for a path that the Mesh refuses. */
  readonly reason: 'no-policy' | 'allow-rule' | 'deny-rule' | 'no-allow-rule' | 'ambiguous-path';
  /** Who decided; null where nothing had to. */
  readonly by: RuleRef | null;
  readonly remarks: readonly Remark[];
}

/** Compiled policies: immutable, shared by all connections, without cost where there are no policies. */
export interface Authorizer {
  /** Whether there is anything to decide at all. */
  readonly active: boolean;
  /**
   * `request` null: opaque TCP. Rules that need HTTP then read safely: DENY ignores the HTTP part (so denies
   * more), ALLOW never matches, AUDIT never matches.
   */
  decide(caller: Caller, target: Target, request: HttpRequest | null): Decision;
}
