// Which destinations the workers of a sidecar hold. Every push goes to all of them, so a worker holds
// what was pushed until it says that it forgot it; the sidecar lets go when the last one has. Pure.

export interface Holdings {
  /** A worker is given one that it forgot. */
  give(worker: number, name: string): void;
  /** A worker asks for what nobody holds. */
  ask(name: string): void;
  /** A worker forgot these; returns those that no worker holds any more. */
  drop(worker: number, names: readonly string[]): string[];
  /** Of these, what no worker holds. */
  unheld(names: readonly string[]): string[];
  /** Pushed to all workers. */
  pushed(name: string): void;
  /** Gone from all of them. */
  gone(name: string): void;
  /** Asked for by workers and not answered yet. */
  asked(): string[];
}

/** `maxAsked`: unanswered questions that are remembered; the oldest go first. */
export function createHoldings(workerCount: number, maxAsked: number): Holdings {
  /** Who forgot it. Only names that some worker forgot and another holds are in here. */
  const droppedBy = new Map<string, Set<number>>();
  const asked = new Set<string>();

  function isUnheld(name: string): boolean {
    return droppedBy.get(name)?.size === workerCount;
  }

  return {
    give: (worker, name) => void droppedBy.get(name)?.delete(worker),
    ask(name) {
      asked.delete(name);
      asked.add(name);
      if (asked.size <= maxAsked) return;
      const [oldest] = asked;
      asked.delete(oldest!);
    },
    drop(worker, names) {
      for (const name of names) {
        const workers = droppedBy.get(name);
        if (workers === undefined) droppedBy.set(name, new Set([worker]));
        else workers.add(worker);
      }
      return names.filter(isUnheld);
    },
    unheld: (names) => names.filter(isUnheld),
    pushed(name) {
      droppedBy.delete(name);
      asked.delete(name);
    },
    gone(name) {
      droppedBy.delete(name);
    },
    asked: () => [...asked],
  };
}
