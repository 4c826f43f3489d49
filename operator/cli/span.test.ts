import { describe, expect, it } from '@jest/globals';
import { spanText } from './span.ts';

const second = 1_000;
const hour = 3_600 * second;

describe('a length of time', () => {
  it.each([
    [-1, 'ended'],
    [0, '0s'],
    [999, '0s'],
    [12 * second, '12s'],
    [70 * second, '1m10s'],
    [60 * second, '1m'],
    [11 * 60 * second + 5, '11m'],
    [23 * hour, '23h'],
    [76 * hour, '3d4h'],
    [24 * 400 * hour, '400d'],
  ])('%d ms is %s', (ms, text) => {
    expect(spanText(ms)).toBe(text);
  });
});
