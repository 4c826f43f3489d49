// A clock of the test's own: time stands until it is told to pass. For tests only.

import type { Clock, Timer } from './clock.ts';

export interface TestClock extends Clock {
  /** Lets time pass and runs what becomes due, in order. */
  pass(ms: number): void;
  /** Delays of the timers that wait, soonest first. */
  waiting(): number[];
}

interface Entry {
  dueMs: number;
  order: number;
  run: () => void;
}

/** `wallStartMs`: Unix milliseconds at monotonic time 0. */
export function createTestClock(wallStartMs = 1_800_000_000_000): TestClock {
  let nowMs = 0;
  let order = 0;
  const entries = new Set<Entry>();

  function next(limitMs: number): Entry | undefined {
    const due = [...entries].filter((entry) => entry.dueMs <= limitMs);
    return due.sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0];
  }

  return {
    nowMs: () => nowMs,
    wallTimeMs: () => wallStartMs + nowMs,
    after(delayMs, run): Timer {
      const entry = { dueMs: nowMs + delayMs, order: (order += 1), run };
      entries.add(entry);
      return { cancel: () => void entries.delete(entry) };
    },
    pass(ms) {
      const endMs = nowMs + ms;
      for (let entry = next(endMs); entry !== undefined; entry = next(endMs)) {
        entries.delete(entry);
        nowMs = Math.max(nowMs, entry.dueMs);
        entry.run();
      }
      nowMs = endMs;
    },
    waiting: () => [...entries].map((entry) => entry.dueMs - nowMs).sort((a, b) => a - b),
  };
}
