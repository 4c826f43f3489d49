// The ways to choose an endpoint of a list that a policy may name. Each is made for one list when it is pushed; what moves
// (whose turn it is, how much is in flight) is in the figures that it is given. None allocates when it chooses.

import type { BalancingMethod } from '../api/resources.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { buildRing, pointOf, type HashRing } from './hash-ring.ts';
import { bestThatIsLeft, chooseEndpoint, shareOf } from './load.ts';
import { isDue, isOut } from './outlier.ts';
import type { Roster } from './roster.ts';

/** What a request brings to the choice. */
export interface Asked {
  /** 32 bits; -1: nothing to hash. */
  readonly hash: number;
  /** What its affinity cookie holds; empty: nothing. */
  readonly token: string;
}

export interface Chooser {
  /** Null: the list is empty. `tried` are avoided while there are others. */
  choose(
    asked: Asked,
    tried: readonly EndpointHandle[],
    random: () => number,
    nowMs: number,
  ): EndpointHandle | null;
}

/** What outlives the list. */
export interface Turns {
  /** Of round robin: who was last. */
  last: EndpointHandle | null;
  /** Of consistent hashing: what the next ring is made from. */
  ring: HashRing | null;
}

/** May be chosen: nothing is against it. */
export function isFree(
  one: EndpointHandle,
  tried: readonly EndpointHandle[],
  nowMs: number,
): boolean {
  if (tried.length > 0 && tried.includes(one)) return false;
  return one.load.health === null || !isOut(one.load, nowMs);
}

function isProbe({ load }: EndpointHandle, nowMs: number): boolean {
  return load.health !== null && isDue(load, nowMs);
}

class LeastRequest implements Chooser {
  private readonly roster: Roster;

  constructor(roster: Roster) {
    this.roster = roster;
  }

  choose(_: Asked, tried: readonly EndpointHandle[], random: () => number, nowMs: number) {
    return chooseEndpoint(this.roster.endpoints, tried, random, nowMs);
  }
}

class RoundRobin implements Chooser {
  private readonly roster: Roster;
  private readonly turns: Turns;
  private position: number;

  constructor(roster: Roster, turns: Turns) {
    this.roster = roster;
    this.turns = turns;
    this.position = turns.last === null ? -1 : roster.endpoints.indexOf(turns.last);
  }

  choose(_: Asked, tried: readonly EndpointHandle[], random: () => number, nowMs: number) {
    const { endpoints } = this.roster;
    const count = endpoints.length;
    if (count <= 1) return endpoints[0] ?? null;
    // Callers do not begin at the same place.
    if (this.position < 0) this.position = Math.trunc(random() * count);
    const begin = this.position;
    // New endpoints are passed over until they have earned their turn: at a tenth of a share each tenth time.
    for (let i = 1; i <= 10 * count; i += 1) {
      const at = (begin + i) % count;
      const one = endpoints[at]!;
      if (!isFree(one, tried, nowMs)) {
        if (i > count && !this.roster.isWarming(nowMs)) break;
        continue;
      }
      if (!isProbe(one, nowMs) && !this.hasTurn(one, nowMs)) continue;
      this.position = at;
      this.turns.last = one;
      return one;
    }
    return bestThatIsLeft(endpoints, begin, tried, nowMs);
  }

  private hasTurn({ load }: EndpointHandle, nowMs: number): boolean {
    if (nowMs >= load.warmUntilMs) return true;
    load.credit += shareOf(load, nowMs) / this.roster.mostShare(nowMs);
    if (load.credit < 1) return false;
    load.credit = Math.min(1, load.credit - 1);
    return true;
  }
}

/** Draws before it takes what it has: with a tenth of a share each, less than one in a thousand gets so far. */
const mostDraws = 64;

class RandomChoice implements Chooser {
  private readonly roster: Roster;

  constructor(roster: Roster) {
    this.roster = roster;
  }

  choose(_: Asked, tried: readonly EndpointHandle[], random: () => number, nowMs: number) {
    const { endpoints } = this.roster;
    const count = endpoints.length;
    if (count <= 1) return endpoints[0] ?? null;
    let first = 0;
    for (let i = 0; i < mostDraws; i += 1) {
      first = Math.trunc(random() * count);
      const one = endpoints[first]!;
      if (!isFree(one, tried, nowMs)) continue;
      if (isProbe(one, nowMs) || nowMs >= one.load.warmUntilMs) return one;
      if (random() * this.roster.mostShare(nowMs) < shareOf(one.load, nowMs)) return one;
    }
    return bestThatIsLeft(endpoints, first, tried, nowMs);
  }
}

/** By the key of the request, and where that endpoint has more than its bound, by the next on the ring. */
class ConsistentHash implements Chooser {
  private readonly roster: Roster;
  private readonly ring: HashRing;
  private readonly loadShare: number;

  constructor(roster: Roster, ring: HashRing, loadPercent: number) {
    this.roster = roster;
    this.ring = ring;
    this.loadShare = loadPercent / 100;
  }

  choose(
    { hash }: Asked,
    tried: readonly EndpointHandle[],
    random: () => number,
    nowMs: number,
  ): EndpointHandle | null {
    const { ring, roster } = this;
    const count = ring.endpoints.length;
    if (count <= 1) return ring.endpoints[0] ?? null;
    if (hash < 0) return chooseEndpoint(roster.endpoints, tried, random, nowMs);
    const most = this.mostInFlight(nowMs);
    const { owners, endpoints } = ring;
    let at = pointOf(ring, hash);
    for (let i = 0; i < owners.length; i += 1) {
      const one = endpoints[owners[at]!]!;
      if (one.load.inFlight < most && isFree(one, tried, nowMs)) {
        roster.took();
        return one;
      }
      at = at + 1 === owners.length ? 0 : at + 1;
    }
    return chooseEndpoint(roster.endpoints, tried, random, nowMs);
  }

  /** Of one endpoint, with this request. Rounded up: one may always have one. */
  private mostInFlight(nowMs: number): number {
    const { roster } = this;
    roster.look(nowMs);
    const taking = Math.max(1, roster.endpoints.length - roster.out);
    return Math.ceil(((roster.inFlight + 1) * this.loadShare) / taking);
  }
}

export interface ChooserOptions {
  method: BalancingMethod;
  loadPercent: number;
}

export function createChooser(
  roster: Roster,
  { method, loadPercent }: ChooserOptions,
  turns: Turns,
): Chooser {
  switch (method) {
    case 'least-request':
      return new LeastRequest(roster);
    case 'round-robin':
      return new RoundRobin(roster, turns);
    case 'random':
      return new RandomChoice(roster);
    case 'consistent-hash':
      turns.ring = buildRing(roster.endpoints, turns.ring);
      return new ConsistentHash(roster, turns.ring, loadPercent);
  }
}
