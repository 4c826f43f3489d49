// Rounds: over when every worker has answered, and not before.

import { describe, expect, it } from '@jest/globals';
import { createRounds } from './rounds.ts';

describe('a round', () => {
  it('is over when the last worker has answered, with answers in the order of the workers', () => {
    const rounds = createRounds<string>([1, 2, 3]);
    const done: string[][] = [];
    const round = rounds.open(0, (answers) => done.push(answers));
    rounds.answer(3, round, 'c');
    rounds.answer(1, round, 'a');
    expect(done).toEqual([]);
    rounds.answer(2, round, 'b');
    expect(done).toEqual([['a', 'b', 'c']]);
  });

  it('counts a worker once, and nobody who was not asked', () => {
    const rounds = createRounds<string>([1, 2]);
    let done = 0;
    const round = rounds.open(0, () => (done += 1));
    rounds.answer(1, round, 'a');
    rounds.answer(1, round, 'again');
    rounds.answer(7, round, 'stranger');
    expect(done).toBe(0);
    rounds.answer(2, round, 'b');
    rounds.answer(2, round, 'late');
    expect(done).toBe(1);
  });

  it('stands by itself: the next may be over before it', () => {
    const rounds = createRounds<string>([1, 2]);
    const done: string[] = [];
    const first = rounds.open(0, () => done.push('first'));
    const second = rounds.open(0, () => done.push('second'));
    rounds.answer(1, first, '');
    rounds.answer(1, second, '');
    rounds.answer(2, second, '');
    rounds.answer(2, first, '');
    expect(done).toEqual(['second', 'first']);
  });

  it('may be for one worker alone', () => {
    const rounds = createRounds<string>([1, 2]);
    const done: string[] = [];
    const round = rounds.openFor(2, 0, (answer) => done.push(answer));
    rounds.answer(1, round, 'wrong one');
    rounds.answer(2, round, 'right one');
    expect(done).toEqual(['right one']);
  });

  it('tells since when a worker owes an answer', () => {
    const rounds = createRounds<string>([1, 2]);
    const first = rounds.open(100, () => {});
    rounds.open(200, () => {});
    expect([rounds.owesSinceMs(1), rounds.owesSinceMs(2)]).toEqual([100, 100]);
    rounds.answer(1, first, '');
    expect([rounds.owesSinceMs(1), rounds.owesSinceMs(2)]).toEqual([200, 100]);
  });

  it('is over at once without workers', () => {
    const done: string[][] = [];
    createRounds<string>([]).open(0, (answers) => done.push(answers));
    expect(done).toEqual([[]]);
  });
});
