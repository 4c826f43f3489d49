// Readiness as named tasks: the sidecar is ready when every one of them is done, and says which are not.

export interface Readiness {
  /** `pending` gives why the task is not done, or null; asked at each look, so that it can come undone. */
  add(name: string, pending: () => string | null): void;
  ready(): boolean;
  /** What is not done yet, with the reason. */
  pending(): Record<string, string>;
}

export function createReadiness(): Readiness {
  const tasks = new Map<string, () => string | null>();
  function pending(): Record<string, string> {
    const open: Record<string, string> = {};
    for (const [name, reasonOf] of tasks) {
      const reason = reasonOf();
      if (reason !== null) open[name] = reason;
    }
    return open;
  }
  return {
    add: (name, reasonOf) => void tasks.set(name, reasonOf),
    ready: () => Object.keys(pending()).length === 0,
    pending,
  };
}
