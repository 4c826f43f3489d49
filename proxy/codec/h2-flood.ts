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
  /** Of a stream that is younger than RAPID_MS. */
  rapidReset: 4,
  reset: 1,
  streamError: 4,
  /** A header list above the limit costs one for each so many octets. */
  bytesOfLargeList: 16384,
} as const;

/** What useful traffic gives back. Peers send at most about one WINDOW_UPDATE, on stream and connection, per DATA. */
export const GAIN = { streamDone: 4, dataSent: 2 } as const;

/** A request that ran this long did useful work, or was given up by a timeout, not by an attacker. */
export const RAPID_MS = 1000;

const CAPACITY = 4000;
const REFILL_PER_MS = 0.2;

export class FloodBudget {
  readonly #capacity: number;
  readonly #refillPerMs: number;
  #left: number;
  #sinceMs = 0;

  /** `factor`: above 1 for peers that are trusted not to attack, but may be in trouble. */
  constructor(factor: number) {
    this.#capacity = CAPACITY * factor;
    this.#refillPerMs = REFILL_PER_MS * factor;
    this.#left = this.#capacity;
  }

  /** Called with each read. */
  refill(nowMs: number): void {
    if (nowMs <= this.#sinceMs) return;
    this.gain((nowMs - this.#sinceMs) * this.#refillPerMs);
    this.#sinceMs = nowMs;
  }

  gain(amount: number): void {
    this.#left = Math.min(this.#capacity, this.#left + amount);
  }

  /** False: used up. */
  spend(amount: number): boolean {
    this.#left -= amount;
    return this.#left >= 0;
  }
}
