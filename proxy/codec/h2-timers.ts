// The deadlines of an HTTP/2 connection: settings that nobody acknowledges, frames that are never finished, silence while
// streams are open, streams that do not move, idleness, the grace of a drain. Times only; what follows is the session's.
import type { H2Options } from './h2-options.ts';

export type Due =
  'none' | 'ping' | 'lost' | 'idle' | 'drained' | 'settings' | 'unfinished' | 'sweep';

/** A stream that was not moved in so many sweeps has stalled; so many are made within the stall timeout. */
export const SWEEPS = 4;

export class H2Timers {
  readonly #options: H2Options;
  #heardMs: number | null = null;
  #pingedMs: number | null = null;
  #idleSinceMs: number | null = null;
  #drainMs: number | null = null;
  /** A drain began, but when is not known before the next call that has the time. */
  #drainStarted = false;
  /** This side's SETTINGS went out, as far as is known; null: not known yet, or acknowledged. */
  #greetedMs: number | null = null;
  #acknowledged = false;
  /** Since when the same block or frame is unfinished, and how many were whole before it. */
  #unfinishedMs: number | null = null;
  #unitsBefore = 0;
  #sweepMs: number | null = null;

  constructor(options: H2Options) {
    this.#options = options;
  }

  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    this.#pingedMs = null;
    if (!this.#acknowledged) this.#greetedMs ??= nowMs;
  }

  /** The peer took this side's SETTINGS. */
  acknowledged(): void {
    this.#acknowledged = true;
  }

  /** After each read: whether it ended within a block or frame, and how many were whole so far. */
  unfinished(amid: boolean, units: number, nowMs: number): void {
    if (!amid) this.#unfinishedMs = null;
    else if (this.#unfinishedMs === null || units !== this.#unitsBefore) {
      this.#unfinishedMs = nowMs;
      this.#unitsBefore = units;
    }
  }

  busy(open: boolean, nowMs: number): void {
    if (open) {
      this.#idleSinceMs = null;
      this.#sweepMs ??= nowMs + this.#options.stallTimeoutMs / SWEEPS;
    } else {
      this.#idleSinceMs ??= nowMs;
      this.#sweepMs = null;
    }
  }

  startDrain(nowMs: number): void {
    this.#drainStarted = true;
    this.#drainMs = nowMs + this.#options.drainGraceMs;
  }

  endDrain(): void {
    this.#drainStarted = false;
    this.#drainMs = null;
  }

  next(open: boolean): number | null {
    let next = earlier(this.#drainMs, open ? this.#silenceMs() : this.#idleMs());
    if (open) next = earlier(next, this.#sweepMs);
    if (this.#unfinishedMs !== null) next = earlier(next, this.#unfinishedMs + this.#headMs);
    return this.#acknowledged ? next : earlier(next, this.#settingsMs());
  }

  due(nowMs: number, open: boolean): Due {
    this.#heardMs ??= nowMs;
    if (this.#drainStarted && this.#drainMs !== null && nowMs >= this.#drainMs) return 'drained';
    const broken = this.#broken(nowMs);
    if (broken !== 'none') return broken;
    if (open && this.#sweepMs !== null && nowMs >= this.#sweepMs) {
      this.#sweepMs = nowMs + this.#options.stallTimeoutMs / SWEEPS;
      return 'sweep';
    }
    if (!open) {
      // When the last stream ended between two reads, nobody said when: the idle time begins now.
      this.#idleSinceMs ??= nowMs;
      const idle = this.#idleMs();
      return idle !== null && nowMs >= idle ? 'idle' : 'none';
    }
    const silence = this.#silenceMs();
    if (silence === null || nowMs < silence) return 'none';
    if (this.#pingedMs !== null) return 'lost';
    this.#pingedMs = nowMs;
    return 'ping';
  }

  #broken(nowMs: number): Due {
    if (!this.#acknowledged) {
      this.#greetedMs ??= nowMs;
      if (nowMs >= this.#settingsMs()) return 'settings';
    }
    const since = this.#unfinishedMs;
    return since !== null && nowMs >= since + this.#headMs ? 'unfinished' : 'none';
  }

  get #headMs(): number {
    return this.#options.headTimeoutMs;
  }

  /** At once where the time of the greeting is not known: the call will say it. */
  #settingsMs(): number {
    return this.#greetedMs === null ? 0 : this.#greetedMs + this.#options.settingsTimeoutMs;
  }

  #silenceMs(): number | null {
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#options;
    if (keepaliveIntervalMs === null || this.#heardMs === null) return null;
    if (this.#pingedMs !== null) return this.#pingedMs + keepaliveTimeoutMs;
    return this.#heardMs + keepaliveIntervalMs;
  }

  #idleMs(): number | null {
    const { idleTimeoutMs } = this.#options;
    if (idleTimeoutMs === null) return null;
    // Silent from the start: the first call with the time says since when.
    return (this.#idleSinceMs ?? this.#heardMs ?? -idleTimeoutMs) + idleTimeoutMs;
  }
}

function earlier(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
