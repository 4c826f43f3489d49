// How late the event loop of one thread is: a timer four times a second, and by how much it came too late. It shows what requests
// waited for beside their own work; it explains nothing.

import type { Clock } from '../net/clock.ts';

/** Upper bounds in milliseconds; a last bucket without bound follows. */
export const loopDelayBoundsMs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000] as const;

const everyMs = 250;
/** The last minute. */
const kept = 240;

export interface LoopDelay {
  /** Since the start, by bound. */
  counts: number[];
  sumMs: number;
  /** Of the last minute; null: nothing was measured yet. */
  recent: { p50Ms: number; p99Ms: number; maxMs: number } | null;
}

export class EventLoopWatch {
  private readonly clock: Clock;
  private readonly counts: number[] = Array.from({ length: loopDelayBoundsMs.length + 1 }, () => 0);
  private readonly last: number[] = [];
  private at = 0;
  private sumMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.next();
  }

  delay(): LoopDelay {
    return { counts: [...this.counts], sumMs: this.sumMs, recent: this.recent() };
  }

  private next(): void {
    const dueMs = this.clock.nowMs() + everyMs;
    this.clock.after(everyMs, () => {
      this.add(Math.max(0, this.clock.nowMs() - dueMs));
      this.next();
    });
  }

  private add(ms: number): void {
    const found = loopDelayBoundsMs.findIndex((bound) => ms <= bound);
    this.counts[found < 0 ? loopDelayBoundsMs.length : found]! += 1;
    this.sumMs += ms;
    this.last[this.at] = ms;
    this.at = (this.at + 1) % kept;
  }

  private recent(): LoopDelay['recent'] {
    const sorted = this.last.toSorted((a, b) => a - b);
    const share = (of: number): number => rounded(sorted[Math.ceil(of * sorted.length) - 1]!);
    if (sorted.length === 0) return null;
    return { p50Ms: share(0.5), p99Ms: share(0.99), maxMs: rounded(sorted.at(-1)!) };
  }
}

/** Of several threads. */
export function sumDelays(parts: readonly LoopDelay[]): Pick<LoopDelay, 'counts' | 'sumMs'> {
  const counts = loopDelayBoundsMs.map(() => 0).concat(0);
  for (const part of parts) part.counts.forEach((count, index) => (counts[index]! += count));
  return { counts, sumMs: parts.reduce((sum, { sumMs }) => sum + sumMs, 0) };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
