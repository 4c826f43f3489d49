// Questions to all workers at once: a round is over when every worker has answered, and not before. It
// sends nothing and knows no time but what it is told.

export interface Rounds<Answer> {
  /** Begins a round; `onDone` gets the answers in the order of the workers. At once without workers. */
  open(nowMs: number, onDone: (answers: Answer[]) => void): number;
  /** A round for one worker alone. */
  openFor(worker: number, nowMs: number, onDone: (answer: Answer) => void): number;
  /** What belongs to no open round, or comes twice, changes nothing. */
  answer(worker: number, round: number, answer: Answer): void;
  /** Since when the worker owes an answer; null: it owes none. */
  owesSinceMs(worker: number): number | null;
}

interface Round<Answer> {
  startedAtMs: number;
  missing: Set<number>;
  answers: Map<number, Answer>;
  onDone: (answers: Answer[]) => void;
}

export function createRounds<Answer>(workers: readonly number[]): Rounds<Answer> {
  const open = new Map<number, Round<Answer>>();
  let last = 0;

  function begin(
    asked: readonly number[],
    nowMs: number,
    onDone: (answers: Answer[]) => void,
  ): number {
    last += 1;
    const round = { startedAtMs: nowMs, missing: new Set(asked), answers: new Map(), onDone };
    if (asked.length === 0) onDone([]);
    else open.set(last, round);
    return last;
  }

  return {
    open: (nowMs, onDone) => begin(workers, nowMs, onDone),
    openFor: (worker, nowMs, onDone) => begin([worker], nowMs, ([answer]) => onDone(answer!)),
    answer(worker, number, answer) {
      const round = open.get(number);
      if (round === undefined || !round.missing.delete(worker)) return;
      round.answers.set(worker, answer);
      if (round.missing.size > 0) return;
      open.delete(number);
      round.onDone([...round.answers].toSorted(([a], [b]) => a - b).map(([, one]) => one));
    },
    owesSinceMs(worker) {
      // Rounds stand in the order of their beginning.
      for (const round of open.values()) {
        if (round.missing.has(worker)) return round.startedAtMs;
      }
      return null;
    },
  };
}
