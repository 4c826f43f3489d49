// The clock and timers of the sidecar: the only place that asks the machine for the time. Injected,
// so that everything else can be run with a time of the test's own.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds, with fractions. */
  nowMs(): number;
  /** Unix milliseconds: for certificates and logs only. */
  wallTimeMs(): number;
  /** Runs once after the delay. Does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallTimeMs: () => Date.now(),
  after(delayMs, run) {
    const handle = setTimeout(run, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};
