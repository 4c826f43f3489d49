// Layout of answers.

import { describe, expect, it } from '@jest/globals';
import { cut, hanging, styleOf, table, wrap } from './style.ts';

describe('layout', () => {
  it('breaks at spaces, and leaves a long word alone', () => {
    expect(wrap('a bb ccc', 4)).toEqual(['a bb', 'ccc']);
    expect(wrap('abcdefgh i', 4)).toEqual(['abcdefgh', 'i']);
    expect(wrap('', 4)).toEqual(['']);
  });

  it('puts further lines below the first', () => {
    const lines = hanging('Head', `${'x'.repeat(60)} ${'y'.repeat(60)}`, 8);
    expect(lines).toEqual([`Head    ${'x'.repeat(60)}`, `        ${'y'.repeat(60)}`]);
  });

  it('cuts what a screen would break, and keeps colours', () => {
    const { red } = styleOf(true);
    expect(cut('abc', 5)).toBe('abc');
    expect(cut('abcdef', 4)).toBe('abcd');
    expect(cut(`ab${red('cdef')}gh`, 4)).toBe(`ab${red('cd')}`);
  });

  it('aligns columns, but for the last', () => {
    expect(
      table([
        ['a', 'bbb', 'c'],
        ['aa', 'b', ''],
      ]),
    ).toEqual(['a   bbb  c', 'aa  b']);
    expect(table([])).toEqual([]);
  });

  it('is the same text with and without colour', () => {
    expect(styleOf(false).red('no')).toBe('no');
    expect(styleOf(true).red('no')).toBe('\u001b[31mno\u001b[0m');
  });
});
