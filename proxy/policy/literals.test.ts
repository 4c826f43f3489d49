import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compilePattern } from '../api/pattern.ts';
import { LiteralIndex, requiredLiterals, tellingLiterals } from './literals.ts';

function foundIn(index: LiteralIndex, texts: readonly string[], text: string): string[] {
  index.search(text);
  const found = texts.filter((_, i) => (index.found[i >> 5]! >>> (i & 31)) & 1);
  index.found.fill(0);
  return found;
}

describe('what stands in everything that an expression matches', () => {
  it.each<[string, string[]]>([
    ['/api/v[0-9]+/resource-1/.*', ['/api/v', '/resource-1/']],
    ['/a\\.b/c+d?e{2,3}f', ['/a.b/', 'f']],
    ['/a(b|c)*/d(?P<id>[)]x)(?:\\))?/e', ['/a', '/d', '/e']],
    ['[]a]/b[^]a]/c[[:alpha:]]]/d', ['/b', '/c', '/d']],
    ['/\\d+/x\\w*y', ['/', '/x', 'y']],
    ['/é*x', ['/', 'x']],
    ['/a|/b', []],
    ['(?i)/abc', []],
    ['(?i:/a)bc', []],
    ['/\\x41b', []],
    ['/\\Qa+\\E', []],
    ['/(\\Q)\\E)a', []],
    ['/\\pLa', []],
    ['/a{,3}b', []],
    ['.*', []],
  ])('of %s', (regex, literals) => {
    expect(() => compilePattern(regex)).not.toThrow();
    expect(requiredLiterals(regex)).toEqual(literals);
  });

  it('is never a text too much', () => {
    const list =
      '/ a b ab 1 . .* [ab] [^a] (a|b) (?:ab)* a* b? a+ a{2} b{0,1} b{0} \\. \\d \\w+ (a?) (/(a)b)+ ^ $ a+?';
    const part = fc.constantFrom(...list.split(' '));
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '1', '.'), maxLength: 8 });
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), fc.array(text), (parts, texts) => {
        const regex = parts.join('');
        const matches = compilePattern(regex);
        const literals = requiredLiterals(regex);
        for (const one of texts.filter(matches))
          for (const literal of literals)
            expect([regex, one]).toEqual([regex, expect.stringContaining(literal)]);
      }),
      { numRuns: 500 },
    );
  });
});

it('goes by what tells expressions apart', () => {
  const lists = [['/api/version', '/a'], ['/api/version', '/b', '/bc'], ['/api/version']];
  expect(tellingLiterals(lists)).toEqual(['/a', '/bc', '/api/version']);
});

describe('the index of texts', () => {
  it('finds those that stand in another', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/'), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        fc.uniqueArray(text, { minLength: 1, maxLength: 70 }),
        fc.array(text),
        (texts, parts) => {
          const whole = parts.join('');
          const index = new LiteralIndex(texts);
          expect(foundIn(index, texts, whole)).toEqual(texts.filter((one) => whole.includes(one)));
        },
      ),
    );
  });

  it('begins anew behind a character that is in none of them', () => {
    const index = new LiteralIndex(['ab']);
    expect(foundIn(index, ['ab'], 'aéb')).toEqual([]);
    expect(foundIn(index, ['ab'], 'é\u{1f600}axab')).toEqual(['ab']);
  });

  it('is not made of more than a table of some megabytes holds', () => {
    expect(LiteralIndex.canHold(['/a', '/b'])).toBe(true);
    const long = Array.from({ length: 300 }, (_, i) => `/${i}`.repeat(1000));
    expect(LiteralIndex.canHold(long)).toBe(false);
  });
});
