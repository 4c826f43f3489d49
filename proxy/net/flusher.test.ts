import { describe, expect, it } from '@jest/globals';
import { Flusher, type Flushable } from './flusher.ts';

function setup() {
  const turns: (() => void)[] = [];
  const flusher = new Flusher((run) => void turns.push(run));
  const endTurn = () => {
    for (const run of turns.splice(0)) run();
  };
  return { flusher, turns, endTurn };
}

class Probe implements Flushable {
  marked = false;
  count = 0;
  action: (() => void) | null = null;

  flush(): void {
    this.count += 1;
    this.action?.();
  }
}

describe('the flusher', () => {
  it('serves each marked one once at the end of the turn', () => {
    const { flusher, turns, endTurn } = setup();
    const [a, b] = [new Probe(), new Probe()];
    for (const probe of [a, b, a, a]) flusher.mark(probe);
    expect([turns.length, a.count]).toEqual([1, 0]);
    endTurn();
    expect([a.count, b.count]).toEqual([1, 1]);
    endTurn();
    expect(a.count).toBe(1);
  });

  it('serves what serving marked in the same turn', () => {
    const { flusher, endTurn } = setup();
    const [a, b] = [new Probe(), new Probe()];
    a.action = () => flusher.mark(b);
    flusher.mark(a);
    endTurn();
    expect(b.count).toBe(1);
  });

  it('lets the event loop go on between two that keep marking each other', () => {
    const { flusher, turns, endTurn } = setup();
    const [a, b] = [new Probe(), new Probe()];
    a.action = () => flusher.mark(b);
    b.action = () => flusher.mark(a);
    flusher.mark(a);
    endTurn();
    expect(a.count + b.count).toBeLessThan(10);
    expect(turns).toHaveLength(1);
    const before = a.count;
    endTurn();
    expect(a.count).toBeGreaterThan(before);
  });
});
