// The minute that figures speak of. It ends where all sidecars have reported, so that it holds nobody's traffic in part, and
// its ends are whole seconds. Pure but for its own memory; time comes in.

import type { StreamState } from '../discovery/stream-state.ts';

export interface Window {
  /** Unix milliseconds. */
  startMs: number;
  endMs: number;
}

export const windowMs = 60_000;
/** Rates over less than this would jump. */
const minimumMs = 5_000;
/** Nobody waits longer for a report: a sidecar that hangs does not stop the picture of all. */
export const maxLagMs = 30_000;
const lagMs = 10_000;
/** Sidecars that were there before have come to this observer by then. */
const beginningMs = 20_000;

export class ObservedWindow {
  readonly #beganMs: number;
  #sinceMs: number;
  #endMs: number;

  constructor(nowMs: number) {
    this.#beganMs = nowMs;
    this.#sinceMs = nowMs;
    this.#endMs = nowMs;
  }

  /** `intervalMs`: sidecars report this often. */
  observe(streams: readonly StreamState[], intervalMs: number, nowMs: number): void {
    const oldestMs = nowMs - Math.min(maxLagMs, Math.max(lagMs, 1.5 * intervalMs));
    let endMs = nowMs;
    for (const { statistics, statisticsAtMs } of streams) {
      if (statistics !== null && statisticsAtMs > oldestMs) endMs = Math.min(endMs, statisticsAtMs);
    }
    this.#endMs = endMs;
  }

  /** The first report of a process that had begun before: what it counted so far is of no known time. */
  noteFirstReport(atMs: number): void {
    if (atMs < this.#beganMs + beginningMs) this.#sinceMs = Math.max(this.#sinceMs, atMs);
  }

  current(): Window {
    const endMs = Math.floor(this.#endMs / 1000) * 1000;
    const sinceMs = Math.ceil(this.#sinceMs / 1000) * 1000;
    const startMs = Math.max(endMs - windowMs, Math.min(sinceMs, endMs - minimumMs));
    return { startMs, endMs };
  }
}
