import { describe, expect, it } from '@jest/globals';
import { compilePattern, patternFault } from './pattern.ts';
import { patternSteps } from './pattern-steps.ts';

describe('a regular expression of a policy', () => {
  it('has to match the whole text', () => {
    const matches = compilePattern('/(items|carts)/[0-9]+|/health');
    for (const path of ['/items/7', '/carts/19', '/health']) expect(matches(path)).toBe(true);
    for (const path of ['/items/', '/items/7/', 'x/items/7', '/health\n', '']) {
      expect(matches(path)).toBe(false);
    }
  });

  it('takes time linear to the text, whatever the pattern', () => {
    // JavaScript's own takes 2^n steps for this; the test would never end.
    expect(compilePattern('(a+)+b')('a'.repeat(20_000))).toBe(false);
    expect(compilePattern('(a|a|aa)*c')('a'.repeat(20_000))).toBe(false);
  });

  it('reads Unicode by code point', () => {
    expect(compilePattern('caf.')('café')).toBe(true);
    expect(compilePattern('.')('😀')).toBe(true);
    expect(compilePattern('\\p{L}+')('größe')).toBe(true);
    expect(compilePattern('(?i)TOKEN')('token')).toBe(true);
  });

  it('is refused in words when it is none', () => {
    expect(patternFault('/items/[0-9]+')).toBeNull();
    expect(patternFault('(a')).toBe(
      '"(a" is not a regular expression of RE2: missing closing ): `(a`',
    );
    expect(patternFault('a{2000}')).toContain('invalid repeat count');
    expect(() => compilePattern('[z-a]')).toThrow('invalid character class range');
  });

  it('is refused before it is compiled where it would repeat too much', () => {
    const many = Array.from({ length: 20 }, () => '(\\pL{0,30}){0,30}').join('|');
    expect(patternFault(`(${many})*`)).toContain('more than 1000');
    expect(patternFault('[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|[a-z0-9-]{1,63}')).toBeNull();
  });

  it.each([
    ['/items/[0-9]+', 9],
    ['a{3}b', 4],
    ['(ab){10}', 30],
    ['((a{10}){10}|b)*', 114],
    ['[^]{9}a]{2,5}', 5],
    ['[[:alpha:]{3}]{2,}', 2],
    ['\\pL{7}\\x{41}{2}\\p{Greek}', 10],
    ['\\Q{5}\\E{2}', 6],
    ['(?i:a)(?P<name>b){3}', 8],
    ['a{b}\\', 4],
    [')', 1],
    ['x{1000}', 1000],
    ['x{2000}', 1],
  ])('%s takes %i steps', (regex, steps) => {
    expect(patternSteps(regex)).toBe(steps);
  });

  it.each(['a(?=b)', 'a(?!b)', '(?<=a)b', '(?<!a)b', '(a)\\1'])(
    'says why %s cannot be',
    (regex) => {
      expect(patternFault(regex)).toContain('RE2 has no lookaround and no back-references');
    },
  );
});
