// What a verification counts as good.
import { describe, expect, it, jest } from '@jest/globals';
import { Tally } from './tally.ts';

describe('a tally', () => {
  it('is not good when nothing ran', () => {
    expect(new Tally().good).toBe(false);
  });

  it('is good when something passed and nothing failed', () => {
    const tally = new Tally();
    tally.add('unit tests', { passed: 3, failed: 0 });
    expect(tally.good).toBe(true);
    tally.add('netns tests', { passed: 3, failed: 1 });
    expect(tally.good).toBe(false);
  });

  it('counts an action that throws as one failure and goes on', async () => {
    const error = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    const tally = new Tally();
    expect(await tally.action('breaks', () => Promise.reject(new Error('because')))).toBe(false);
    expect(await tally.action('works', () => Promise.resolve())).toBe(true);
    expect(tally.good).toBe(false);
    expect(error).toHaveBeenCalledWith('because');
    error.mockRestore();
  });

  it('ends with one line of counts', () => {
    const lines: unknown[] = [];
    const log = jest.spyOn(console, 'log').mockImplementation((line) => void lines.push(line));
    const tally = new Tally();
    tally.add('a', { passed: 2, failed: 1 });
    tally.print();
    log.mockRestore();
    expect(lines.at(-1)).toBe('2 passed, 1 failed');
  });
});
