// Sums over a list of endpoints that a choice goes by: how much is in flight, how many are out, how new they are. Looked
// up anew only every few choices where the list is long, so that a choice costs the same for any length.

import type { EndpointHandle } from '../state/prepared.ts';
import { shareOf } from './load.ts';
import { isOut } from './outlier.ts';

export class Roster {
  readonly endpoints: readonly EndpointHandle[];
  inFlight = 0;
  out = 0;
  private share = 1;
  private warmUntilMs = -1;
  /** Choices until the next look. */
  private left = 0;
  private readonly every: number;
  private readonly slowStartMs: number;
  private welcomed = false;

  constructor(endpoints: readonly EndpointHandle[], slowStartMs: number) {
    this.endpoints = endpoints;
    this.slowStartMs = slowStartMs;
    this.every = Math.max(1, endpoints.length >> 3);
  }

  /** Before each choice that reads the sums. */
  look(nowMs: number): void {
    this.left -= 1;
    if (this.left > 0) return;
    this.left = this.every;
    this.inFlight = 0;
    this.out = 0;
    this.share = 0;
    this.warmUntilMs = -1;
    for (let i = 0; i < this.endpoints.length; i += 1) {
      const { load } = this.endpoints[i]!;
      this.inFlight += load.inFlight;
      if (load.health !== null && isOut(load, nowMs)) this.out += 1;
      if (load.warmUntilMs > this.warmUntilMs) this.warmUntilMs = load.warmUntilMs;
      const share = shareOf(load, nowMs);
      if (share > this.share) this.share = share;
    }
  }

  /** One more is in flight than at the last look. */
  took(): void {
    this.inFlight += 1;
  }

  isWarming(nowMs: number): boolean {
    return nowMs < this.warmUntilMs;
  }

  /** Of the oldest: the others' shares are parts of it. */
  mostShare(nowMs: number): number {
    this.look(nowMs);
    return this.share;
  }

  /** Endpoints that were never seen are new from the first choice among them on. */
  welcome(nowMs: number): void {
    if (this.welcomed) return;
    this.welcomed = true;
    for (const { load } of this.endpoints) {
      if (load.warmFromMs >= 0) continue;
      load.warmFromMs = nowMs;
      load.warmUntilMs = nowMs + this.slowStartMs;
    }
    this.left = 0;
    this.look(nowMs);
  }
}
