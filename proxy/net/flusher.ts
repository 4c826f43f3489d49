// Serves connections once at the end of each turn of the event loop, so that all a connection owes
// leaves in one write (FACTS §4: the largest gain there is). It writes nothing itself.

export interface Flushable {
  /** Set while it waits to be served; written by the flusher alone. */
  marked: boolean;
  flush(): void;
}

/** Serving one connection may mark another (a freed queue lets its source go on): some rounds follow at once. */
const maxRounds = 4;

export class Flusher {
  private readonly afterTurn: (run: () => void) => void;
  private marked: Flushable[] = [];
  private spare: Flushable[] = [];
  private scheduled = false;
  private readonly serve = (): void => this.run();

  constructor(afterTurn: (run: () => void) => void = (run) => void setImmediate(run)) {
    this.afterTurn = afterTurn;
  }

  mark(one: Flushable): void {
    if (one.marked) return;
    one.marked = true;
    this.marked.push(one);
    if (this.scheduled) return;
    this.scheduled = true;
    this.afterTurn(this.serve);
  }

  private run(): void {
    for (let round = 0; round < maxRounds && this.marked.length > 0; round += 1) {
      const batch = this.marked;
      this.marked = this.spare;
      for (const one of batch) {
        one.marked = false;
        one.flush();
      }
      batch.length = 0;
      this.spare = batch;
    }
    this.scheduled = this.marked.length > 0;
    if (this.scheduled) this.afterTurn(this.serve);
  }
}
