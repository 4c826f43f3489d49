// What was asked and what came of it: every request has an id of its own, the apps note which they saw, the
// clients what they got back. Whatever does not fit is a problem, counted by kind and kept in words.

const maxWords = 50;

export class Ledger {
  /** Finished as they should, by kind of load. */
  readonly done = new Map<string, number>();
  /** By kind of load. */
  readonly problems = new Map<string, number>();
  readonly words: string[] = [];
  private readonly seen = new Map<string, number>();
  private next = 0;

  id(kind: string): string {
    this.next += 1;
    return `${kind}-${this.next}`;
  }

  /** An app got it. */
  arrived(id: string): void {
    const times = (this.seen.get(id) ?? 0) + 1;
    this.seen.set(id, times);
    if (times > 1) this.problem(id, `reached the app ${times} times`);
  }

  /** The client got its whole answer. */
  answered(id: string): void {
    if (this.seen.get(id) === undefined) this.problem(id, 'was answered by nobody');
    else add(this.done, kindOf(id));
    this.forget(id);
  }

  /** The client left before the answer: the app may have seen it or not. */
  left(id: string): void {
    add(this.done, kindOf(id));
    this.forget(id);
  }

  problem(id: string, what: string): void {
    add(this.problems, kindOf(id));
    if (this.words.length < maxWords) this.words.push(`${id}: ${what}`);
  }

  total(): number {
    return [...this.done.values()].reduce((sum, count) => sum + count, 0);
  }

  private forget(id: string): void {
    this.seen.delete(id);
  }
}

function kindOf(id: string): string {
  return id.slice(0, id.lastIndexOf('-'));
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** The body that belongs to an id: nobody else's bytes look like it. */
export function bodyOf(id: string, bytes: number): Buffer {
  return Buffer.alloc(bytes, `${id}|`);
}
