import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { layoutOf } from './layout.ts';

describe('the layout of the graph', () => {
  it('puts who calls left of who is called', () => {
    const { places, columns } = layoutOf(
      ['db', 'web', 'cart'],
      [
        { from: 'web', to: 'cart' },
        { from: 'cart', to: 'db' },
        { from: 'web', to: 'db' },
      ],
    );
    expect(columns).toBe(3);
    expect(['web', 'cart', 'db'].map((id) => places.get(id)?.column)).toEqual([0, 1, 2]);
  });

  it('untangles links that would cross', () => {
    const { places } = layoutOf(
      ['a', 'b', 'x', 'y'],
      [
        { from: 'a', to: 'y' },
        { from: 'b', to: 'x' },
      ],
    );
    const above = (one: string, other: string) => places.get(one)!.row < places.get(other)!.row;
    expect(above('a', 'b')).toBe(above('y', 'x'));
  });

  it('places all boxes of any graph, circles included, each in a place of its own', () => {
    const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
    const links = fc.array(fc.record({ from: id, to: id }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.uniqueArray(id), links, (ids, between) => {
        const { places, columns, rows } = layoutOf(ids, between);
        const taken = new Set([...places.values()].map(({ column, row }) => `${column} ${row}`));
        expect(taken.size).toBe(ids.length);
        for (const { column, row } of places.values()) {
          expect(column).toBeLessThan(columns);
          expect(row).toBeLessThanOrEqual(rows - 1);
        }
      }),
    );
  });

  it('gives the same graph the same places, in whatever order it is told', () => {
    const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    const links = fc.array(fc.record({ from: id, to: id }), { maxLength: 20 });
    fc.assert(
      fc.property(fc.uniqueArray(id), links, (ids, between) => {
        const told = layoutOf(ids, between);
        const reversed = layoutOf(ids.toReversed(), between.toReversed());
        expect(reversed.places).toEqual(told.places);
      }),
    );
  });
});
