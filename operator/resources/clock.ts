// The time as the operator's parts ask for it. An interface only: app.ts gives the machine's, tests
// give their own.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Unix milliseconds: for certificates, statuses and logs. */
  wallTimeMs(): number;
  /** Runs once after the delay. */
  after(delayMs: number, run: () => void): Timer;
}
