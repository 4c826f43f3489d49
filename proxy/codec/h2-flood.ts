// A budget for frames that cost work and bring nothing: pings, resets, empty frames and the like. One bucket for all,
// so that mixing kinds gains an attacker nothing. Useful traffic and time fill it again; empty, it ends the connection.

/** What each kind takes. Resets cost most: each may have started and stopped a request upstream (CVE-2023-44487). */
export const COST = {
  ping: 1,
  settings: 2,
  priority: 1,
  windowUpdate: 1,
  unknownFrame: 1,
  emptyFrame: 4,
  continuation: 1,
  reset: 4,
  streamError: 4,
} as const;

/** What useful traffic gives back. Peers send at most about one WINDOW_UPDATE, on stream and connection, per DATA. */
export const GAIN = { streamDone: 4, dataSent: 2 } as const;

const CAPACITY = 4000;
const REFILL_PER_MS = 0.2;

export class FloodBudget {
  #left = CAPACITY;
  #sinceMs = 0;

  /** Called with each read. */
  refill(nowMs: number): void {
    if (nowMs > this.#sinceMs) this.gain((nowMs - this.#sinceMs) * REFILL_PER_MS);
    this.#sinceMs = nowMs;
  }

  gain(amount: number): void {
    this.#left = Math.min(CAPACITY, this.#left + amount);
  }

  /** False: used up. */
  spend(amount: number): boolean {
    this.#left -= amount;
    return this.#left >= 0;
  }
}
