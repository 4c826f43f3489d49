// A level-triggered queue of keys: a key waits at most once, is never handled by two workers at the
// same time, and comes back after a failure with growing pauses. It knows nothing of what keys mean.

import type { Clock, Timer } from '../resources/clock.ts';
import { errorText, type Logger } from '../resources/logger.ts';
import { backoffMs, type BackoffSettings } from './backoff.ts';

/** Wish of a successful run to be run again, whatever happens. */
export interface Again {
  afterMs: number;
}

export interface WorkQueueOptions {
  name: string;
  concurrency: number;
  backoff: BackoffSettings;
  clock: Clock;
  logger: Logger;
  random: () => number;
  run: (key: string) => Promise<Again | void>;
  /** For metrics. */
  onResult?: (outcome: 'done' | 'failed', durationMs: number) => void;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** In order of arrival. */
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  /** Added again while running: to be run once more afterwards. */
  readonly #dirty = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, Timer>();
  #stopped = false;
  #onIdle: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#waiting.size + this.#running.size;
  }

  /** Runs the key soon. A key that waits for its backoff is run now: something changed. */
  add(key: string): void {
    if (this.#stopped) return;
    this.#cancelTimer(key);
    if (this.#running.has(key)) {
      this.#dirty.add(key);
      return;
    }
    this.#waiting.add(key);
    this.#fill();
  }

  /** Runs the key after the delay, unless it is added before. Of two delays the last one holds. */
  addAfter(key: string, delayMs: number): void {
    if (this.#stopped) return;
    this.#cancelTimer(key);
    const timer = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(key);
      this.add(key);
    });
    this.#timers.set(key, timer);
  }

  /** Takes no more; resolves when what runs has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const key of this.#timers.keys()) this.#cancelTimer(key);
    this.#waiting.clear();
    this.#dirty.clear();
    await this.idle();
  }

  /** Resolves when nothing waits or runs (keys that wait for a delay do not count). */
  idle(): Promise<void> {
    if (this.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #cancelTimer(key: string): void {
    this.#timers.get(key)?.cancel();
    this.#timers.delete(key);
  }

  #fill(): void {
    while (this.#running.size < this.#options.concurrency) {
      const next = this.#waiting.values().next();
      if (next.done === true) break;
      this.#waiting.delete(next.value);
      this.#running.add(next.value);
      void this.#run(next.value);
    }
    if (this.length > 0) return;
    const waiters = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiters) resolve();
  }

  async #run(key: string): Promise<void> {
    const { clock, onResult } = this.#options;
    const startedMs = clock.nowMs();
    try {
      const again = await this.#options.run(key);
      this.#failures.delete(key);
      onResult?.('done', clock.nowMs() - startedMs);
      if (again !== undefined && !this.#dirty.has(key)) this.addAfter(key, again.afterMs);
    } catch (error) {
      onResult?.('failed', clock.nowMs() - startedMs);
      this.#retry(key, error);
    } finally {
      this.#running.delete(key);
      if (this.#dirty.delete(key) && !this.#stopped) this.#waiting.add(key);
      this.#fill();
    }
  }

  #retry(key: string, error: unknown): void {
    const { name, backoff, random, logger } = this.#options;
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const delayMs = Math.round(backoffMs(backoff, failures, random()));
    const stack = isDefect(error) ? error.stack : undefined;
    const fields = {
      queue: name,
      key,
      failures,
      retryInMs: delayMs,
      error: errorText(error),
      stack,
    };
    logger.warn('a reconciliation failed and will be tried again', fields);
    if (!this.#dirty.has(key)) this.addAfter(key, delayMs);
  }
}

/** Thrown by the language, not by us: the message alone does not say where. */
function isDefect(error: unknown): error is Error {
  const names = ['TypeError', 'ReferenceError', 'RangeError', 'SyntaxError'];
  return error instanceof Error && names.includes(error.name);
}
