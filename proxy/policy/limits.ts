// How much of a destination is in use, and whether there may be more: connections, requests that wait for one, requests
// under way. Pure; whoever takes a place gives it back.

import type { PreparedLimits } from '../state/prepared.ts';

export type LimitName = 'maxConnections' | 'maxPendingRequests' | 'maxActiveRequests';

/** Of one destination, over all of its endpoints. It outlives every replacement of the destination's configuration. */
export class DestinationUse {
  /** Of the destination. */
  readonly name: string;
  /** Those in force; null: none. Counted is always: a limit that comes later finds what is there. */
  limits: PreparedLimits | null = null;
  connections = 0;
  pending = 0;
  /** Runs while endpoints of it are compared with each other (exchange/outlier-watch.ts). */
  watch: { readonly running: boolean } | null = null;

  constructor(name: string) {
    this.name = name;
  }

  /** No further connection may be opened. */
  get isFull(): boolean {
    return isReached(this.limits?.maxConnections, this.connections);
  }

  /** False: the limit is reached, and nothing was taken. */
  takeConnection(): boolean {
    if (this.isFull) return false;
    this.connections += 1;
    return true;
  }

  endConnection(): void {
    this.connections -= 1;
  }

  /** False: the limit is reached, and nothing was taken. */
  takePending(): boolean {
    if (isReached(this.limits?.maxPendingRequests, this.pending)) return false;
    this.pending += 1;
    return true;
  }

  endPending(): void {
    this.pending -= 1;
  }
}

function isReached(limit: number | null | undefined, count: number): boolean {
  return limit !== null && limit !== undefined && count >= limit;
}

/** Whether there is no place for one more request; `active` are those under way. */
export function isBusy({ limits }: DestinationUse, active: number): boolean {
  return isReached(limits?.maxActiveRequests, active);
}
