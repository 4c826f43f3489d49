// When an endpoint that could not be connected to is dialled again. Without it each request of an outage is a connection
// attempt, or several: more load than was ever offered, on what is just coming back. Pure; the time is an argument.

import type { ProxyErrorCode } from '../errors.ts';

export interface DialFailure {
  code: ProxyErrorCode;
  detail: string;
}

/** A pod that is replaced is found again at once; one that is down is asked five times a second, and so found soon. */
const firstPauseMs = 10;
const longestPauseMs = 200;
/** A failure from before that says nothing any more. */
const forgottenAfterMs = 2_000;

export class Redial {
  private pauseMs = 0;
  private failedAtMs = 0;
  private last: DialFailure | null = null;

  failed(failure: DialFailure, nowMs: number): void {
    const doubled = this.isForgotten(nowMs) ? firstPauseMs : this.pauseMs * 2;
    this.pauseMs = Math.min(doubled, longestPauseMs);
    this.failedAtMs = nowMs;
    this.last = failure;
  }

  succeeded(): void {
    this.last = null;
  }

  /** Why it is not dialled now; null: it may be. */
  refusal(nowMs: number): DialFailure | null {
    return nowMs < this.failedAtMs + this.pauseMs ? this.last : null;
  }

  /** Nothing has to be remembered. */
  isForgotten(nowMs: number): boolean {
    return this.last === null || nowMs >= this.failedAtMs + forgottenAfterMs;
  }
}
