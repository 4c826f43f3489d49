import { describe, expect, it } from '@jest/globals';
import { durationHint, parseDuration } from './duration.ts';

describe('a duration', () => {
  it.each([
    ['500ms', 500],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['+2s', 2000],
    ['0', 0],
    ['0s', 0],
    ['100us', 0.1],
    ['1m0.5s', 60_500],
  ])('%s is %d ms', (text, expected) => {
    expect(parseDuration(text)).toBeCloseTo(expected);
  });

  it.each(['', '5', 's', '-1s', '1s ', '1 s', '1d', '1sx', 'x1s', '1e3s'])('%s is none', (text) => {
    expect(parseDuration(text)).toBeNull();
  });

  it('is asked for with an example', () => {
    expect(durationHint('5')).toBe('"5" is not a duration: write it like 500ms, 10s or 1m30s');
  });
});
