// Readiness as named tasks: ready when all are done and no drain has begun; otherwise it says what is
// missing.

export class Readiness {
  readonly #pending: Set<string>;
  #draining = false;

  constructor(tasks: readonly string[]) {
    this.#pending = new Set(tasks);
  }

  done(task: string): void {
    this.#pending.delete(task);
  }

  drain(): void {
    this.#draining = true;
  }

  /** Empty: ready. */
  missing(): string[] {
    return this.#draining ? ['draining'] : [...this.#pending];
  }
}
