// Chooses endpoints of a set as the policy of a destination says: method, zone, affinity. Made when it is pushed, for one
// set and one destination; the policy-less way is chooseEndpoint in load.ts, which knows nothing of this. Pure.

import { createHash } from 'node:crypto';
import type { HashSource, BalancingMethod } from '../api/resources.ts';
import type { EndpointHandle, EndpointSet } from '../state/prepared.ts';
import { createChooser, isFree, type Asked, type Chooser, type Turns } from './choosers.ts';
import { ringName } from './hash-ring.ts';
import { chooseEndpoint, isDearer } from './load.ts';
import { Roster } from './roster.ts';

export interface CookieOptions {
  readonly cookie: string;
  readonly path: string;
  /** 0: until the browser closes. */
  readonly ttlMs: number;
}

export interface PreparedBalancing {
  readonly method: BalancingMethod;
  /** Empty but for consistent hashing. */
  readonly by: readonly HashSource[];
  readonly loadPercent: number;
  /** 0: none. */
  readonly slowStartMs: number;
  readonly affinity: CookieOptions | null;
  readonly zones: boolean;
}

/** A zone is left where one endpoint of it has so many requests of this caller's in flight … */
const busyInFlight = 8;
/** … and one request more costs so many times what it does elsewhere. */
const busyFactor = 4;

/** One way to choose from one list. */
interface Region {
  readonly roster: Roster;
  readonly chooser: Chooser;
}

/** What outlives the set: a set that changes in one endpoint is not made ready from nothing. */
interface Kept {
  readonly turns: Turns;
  readonly nearTurns: Turns;
  readonly tokens: WeakMap<EndpointHandle, string>;
}

function newKept(): Kept {
  const newTurns = (): Turns => ({ last: null, ring: null });
  return { turns: newTurns(), nearTurns: newTurns(), tokens: new WeakMap() };
}

export class Balancer {
  readonly set: EndpointSet;
  readonly zone: string;
  private readonly all: Region;
  /** Null: zones are not looked at, or the hints say nothing of this one. */
  private readonly near: Region | null;
  private readonly nearOnes: ReadonlySet<EndpointHandle>;
  private readonly tokens: ReadonlyMap<string, EndpointHandle> | null;
  private readonly slowStart: boolean;

  constructor(policy: PreparedBalancing, set: EndpointSet, zone: string, kept: Kept) {
    const { turns, nearTurns, tokens } = kept;
    this.set = set;
    this.zone = zone;
    this.slowStart = policy.slowStartMs > 0;
    const region = (endpoints: readonly EndpointHandle[], ownTurns: Turns): Region => {
      const roster = new Roster(endpoints, policy.slowStartMs);
      return { roster, chooser: createChooser(roster, policy, ownTurns) };
    };
    this.all = region(set.endpoints, turns);
    const near = policy.zones ? inZone(set, zone) : null;
    this.near = near === null ? null : region(near, nearTurns);
    this.nearOnes = new Set(near);
    this.tokens = policy.affinity === null ? null : tokensOf(set.endpoints, tokens);
  }

  /** Null: the set is empty. */
  choose(
    asked: Asked,
    tried: readonly EndpointHandle[],
    random: () => number,
    nowMs: number,
  ): EndpointHandle | null {
    if (this.slowStart) this.all.roster.welcome(nowMs);
    if (this.tokens !== null && asked.token !== '') {
      const kept = this.tokens.get(asked.token);
      if (kept !== undefined && isFree(kept, tried, nowMs)) return kept;
    }
    if (this.near !== null && this.takes(this.near, nowMs)) {
      const one = this.near.chooser.choose(asked, tried, random, nowMs);
      if (one !== null && isFree(one, tried, nowMs) && !this.isBusy(one, random, nowMs)) return one;
    }
    return this.all.chooser.choose(asked, tried, random, nowMs);
  }

  /** It was chosen although the caller's zone has endpoints of its own. */
  isSpilled(one: EndpointHandle): boolean {
    return this.near !== null && !this.nearOnes.has(one);
  }

  /** The endpoint that an affinity cookie names, if it is in the set. */
  named(token: string): EndpointHandle | undefined {
    return this.tokens?.get(token);
  }

  /** More than half of the zone out is too much for the rest of it. */
  private takes({ roster }: Region, nowMs: number): boolean {
    roster.look(nowMs);
    return 2 * roster.out <= roster.endpoints.length;
  }

  private isBusy(one: EndpointHandle, random: () => number, nowMs: number): boolean {
    if (one.load.inFlight < busyInFlight) return false;
    const other = chooseEndpoint(this.set.endpoints, [], random, nowMs);
    return other !== null && isDearer(one.load, other.load, busyFactor, nowMs);
  }
}

/**
 * As kube-proxy reads hints: where one endpoint has none, or none is for this zone, they are not followed. Null then, and
 * where all endpoints are for it.
 */
export function inZone({ endpoints, hints }: EndpointSet, zone: string): EndpointHandle[] | null {
  if (hints == null || zone === '') return null;
  const near = endpoints.filter((_, index) => hints[index]!.includes(zone));
  return near.length === 0 || near.length === endpoints.length ? null : near;
}

function tokensOf(
  endpoints: readonly EndpointHandle[],
  known: WeakMap<EndpointHandle, string>,
): Map<string, EndpointHandle> {
  const tokens = new Map<string, EndpointHandle>();
  for (const one of endpoints) {
    const token = known.get(one) ?? tokenOf(one);
    known.set(one, token);
    tokens.set(token, one);
  }
  return tokens;
}

/** Names an endpoint to whoever has the set, and says no address to others. The same in every sidecar. */
export function tokenOf(one: EndpointHandle): string {
  return createHash('sha256')
    .update(`endpoint ${ringName(one)}`)
    .digest('base64url')
    .slice(0, 16);
}

/** The balancers of one destination, by set. Outlives replacements of the sets, and of the destination if it says the same. */
export class Balancers {
  readonly policy: PreparedBalancing;
  /** For requests that bring nothing to the choice. */
  readonly plain: BalanceAsk;
  private readonly made = new Map<string, { balancer: Balancer; kept: Kept }>();

  constructor(policy: PreparedBalancing) {
    this.policy = policy;
    this.plain = { balancers: this, hash: -1, token: '', setCookie: null };
  }

  of(set: EndpointSet, zone: string): Balancer {
    const held = this.made.get(set.name);
    if (held !== undefined && held.balancer.set === set && held.balancer.zone === zone)
      return held.balancer;
    const kept = held?.kept ?? newKept();
    const balancer = new Balancer(this.policy, set, zone, kept);
    this.made.set(set.name, { balancer, kept });
    return balancer;
  }

  /** Makes those of these sets, and forgets all others. */
  prepare(sets: readonly EndpointSet[], zone: string): void {
    for (const set of sets) this.of(set, zone);
    if (this.made.size === sets.length) return;
    const names = new Set(sets.map(({ name }) => name));
    for (const name of this.made.keys()) if (!names.has(name)) this.made.delete(name);
  }
}

/** What a request brings to the choice, and what is said with its answer. */
export interface BalanceAsk extends Asked {
  readonly balancers: Balancers;
  /** A cookie for a caller that is hashed by one and has none. */
  readonly setCookie: string | null;
}
