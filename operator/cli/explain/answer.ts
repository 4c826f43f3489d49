// What explain answers: plain data, which is also what `-o json` prints. Types only.

import type { MtlsMode } from '../../../proxy/api/resources.ts';
import type { PolicyExplanation } from '../../../proxy/policy/authorization/explain.ts';
import type { Decision } from '../../../proxy/policy/authorization/types.ts';

/** Why a call does not arrive, in the codes of proxy/errors.ts; `unreachable` is said of no pod at all. */
export interface Refusal {
  code: string;
  /** Who refuses: `PeerAuthentication shop/strict`, `AuthorizationPolicy shop/cart, rule 0`. */
  by: string;
  /** HTTP status that the caller gets; 0 where it gets a reset. */
  status: number;
  message: string;
}

/** What holds at pods that decide alike. */
export interface PlaceAnswer {
  /** `Deployment shop/cart`. */
  workload: string;
  pods: string[];
  /** Of the pod. */
  port: number;
  allowed: boolean;
  transport: 'mtls' | 'plaintext';
  /** Null where no sidecar stands in front of the port. */
  mtls: { mode: MtlsMode; decidedBy: string } | null;
  /** Why no sidecar decides; empty where one does. */
  unguarded: string;
  refusal: Refusal | null;
  /** A policy at this port looks at the caller's address. */
  readsAddress: boolean;
  /** Rate limits that count the call here: `TrafficPolicy shop/cart, rate limit all`. */
  rateLimits: string[];
  /** Null where it was not asked: refused before, or no sidecar. */
  authorization: AuthorizationAnswer | null;
}

export interface AuthorizationAnswer extends Decision {
  /** Every policy that selects the pod, and what its rules said. */
  policies: readonly PolicyExplanation[];
  /** What apps may take the path for; null: more readings than are looked at, or no path. */
  readings: readonly (string | null)[];
}

export interface BackendAnswer {
  /** `shop/cart:80`, `shop/cart:80/version=v2`. */
  endpoints: string;
  /** Percent. */
  share: number;
  /** It does not exist: its share is answered with 500. */
  missing: boolean;
  places: PlaceAnswer[];
}

export interface RouteAnswer {
  /** `TrafficPolicy shop/cart, route 0`; empty where the caller has no sidecar. */
  name: string;
  protocol: 'http' | 'tcp';
  timeoutMs: number | null;
  retries: number;
  /** What the route changes of the request, in words. */
  changes: string[];
  redirect: { status: number; location: string } | null;
  /** The caller's own sidecar answers: a direct response, or a preflight. */
  answered: { status: number } | null;
  backends: BackendAnswer[];
}

export type Verdict = 'allowed' | 'denied' | 'mixed';

export interface Answer {
  verdict: Verdict;
  from: { label: string; identity: string | null; address: string };
  to: { label: string; address: string; port: number };
  request: { method: string; path: string; host: string } | null;
  /** Of the caller's own sidecar, or for want of anybody to call. */
  refusal: Refusal | null;
  route: RouteAnswer | null;
  notes: string[];
}
