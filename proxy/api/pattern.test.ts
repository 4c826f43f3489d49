import { describe, expect, it } from '@jest/globals';
import { compilePattern, patternFault } from './pattern.ts';

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

  it.each(['a(?=b)', 'a(?!b)', '(?<=a)b', '(?<!a)b', '(a)\\1'])(
    'says why %s cannot be',
    (regex) => {
      expect(patternFault(regex)).toContain('RE2 has no lookaround and no back-references');
    },
  );
});
