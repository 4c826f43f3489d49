// The deadlines of an HTTP/2 connection: silence while streams are open, idleness, the grace of a drain. Times only;
// what follows from them is the session's.
import type { H2Options } from './h2-options.ts';

export type Due = 'none' | 'ping' | 'lost' | 'idle' | 'drained';

export class H2Timers {
  readonly #options: H2Options;
  #heardMs: number | null = null;
  #pingedMs: number | null = null;
  #idleSinceMs: number | null = null;
  #drainMs: number | null = null;
  /** A drain began, but when is not known before the next call that has the time. */
  #drainStarted = false;

  constructor(options: H2Options) {
    this.#options = options;
  }

  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    this.#pingedMs = null;
  }

  busy(open: boolean, nowMs: number): void {
    if (open) this.#idleSinceMs = null;
    else this.#idleSinceMs ??= nowMs;
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
    let next = this.#drainMs;
    const candidate = open ? this.#silenceMs() : this.#idleMs();
    if (candidate !== null && (next === null || candidate < next)) next = candidate;
    return next;
  }

  due(nowMs: number, open: boolean): Due {
    this.#heardMs ??= nowMs;
    if (this.#drainStarted && this.#drainMs !== null && nowMs >= this.#drainMs) return 'drained';
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
