import { describe, expect, it } from '@jest/globals';
import { createTestClock } from '../net/test-clock.ts';
import type { AccessEntry } from './access-log.ts';
import { createTap, type TapFilter } from './tap.ts';
import { entryWith } from './test-entry.ts';

const everything: TapFilter = {
  direction: null,
  method: '',
  path: '',
  status: null,
  minDurationMs: 0,
  flag: '',
  from: '',
  to: '',
};
const outbound = { direction: 'outbound', destination: 'cart.shop:80', peer: '' } as const;

function watching(filter: Partial<TapFilter>, linesPerSecond = 100) {
  const clock = createTestClock();
  const tap = createTap(clock);
  const heard: [line: string, leftOut: number][] = [];
  const stop = tap.open({ filter: { ...everything, ...filter }, linesPerSecond }, (...said) =>
    heard.push(said),
  );
  return { clock, tap, heard, stop };
}

describe('a tap', () => {
  it.each<[string, Partial<TapFilter>, Partial<AccessEntry>, Partial<AccessEntry>]>([
    ['the direction', { direction: 'outbound' }, outbound, {}],
    ['the method', { method: 'POST' }, { method: 'POST' }, {}],
    ['how the path begins', { path: '/items' }, { path: '/items/7' }, { path: '/item' }],
    ['a range of statuses', { status: [500, 599] }, { status: 503 }, { status: 499 }],
    ['how long it took', { minDurationMs: 100 }, { durationMs: 100 }, { durationMs: 99 }],
    ['a flag', { flag: 'UF' }, { flag: 'UF' }, { flag: 'UT' }],
    ['any flag', { flag: '*' }, { flag: 'UF' }, { flag: '' }],
    [
      'the namespace of the caller',
      { from: 'shop' },
      {},
      { peer: 'spiffe://cluster.local/ns/shop-2/sa/web' },
    ],
    [
      'the service account of the caller',
      { from: 'shop/web' },
      {},
      { peer: 'spiffe://cluster.local/ns/shop/sa/web-2' },
    ],
    ['a caller that proved who it is', { from: 'shop' }, {}, { peer: '' }],
    [
      'what is called',
      { to: 'cart.shop' },
      outbound,
      { ...outbound, destination: 'cart.shop-2:80' },
    ],
    ['its port', { to: 'cart.shop:80' }, outbound, { ...outbound, destination: 'cart.shop:8080' }],
    [
      'a namespace that is called',
      { to: '*.shop' },
      outbound,
      { ...outbound, destination: 'cart.eshop:80' },
    ],
  ])('shows by %s', (_by, filter, shown, hidden) => {
    const { tap, heard } = watching(filter);
    tap.take(entryWith(hidden));
    expect(heard).toEqual([]);
    tap.take(entryWith(shown));
    expect(heard.map(([line]) => JSON.parse(line) as unknown)).toEqual([
      { time: '2027-01-15T08:00:00.000Z', ...entryWith(shown) },
    ]);
  });

  it('shows so many a second, and tells how many more there were with the next, or a second later', () => {
    const { tap, heard, clock } = watching({}, 2);
    for (let i = 0; i < 5; i += 1) tap.take(entryWith());
    expect(heard.map(([, leftOut]) => leftOut)).toEqual([0, 0]);
    clock.pass(1000);
    expect(heard.slice(2)).toEqual([['', 3]]);
    for (let i = 0; i < 3; i += 1) tap.take(entryWith());
    clock.pass(999);
    expect(heard).toHaveLength(5);
    clock.pass(1);
    tap.take(entryWith());
    expect(heard.slice(5).map(([line, leftOut]) => [line === '', leftOut])).toEqual([
      [true, 1],
      [false, 0],
    ]);
  });

  it('is active while somebody watches, and says nothing to who stopped', () => {
    const { tap, heard, stop, clock } = watching({}, 1);
    const other = tap.open({ filter: everything, linesPerSecond: 1 }, () => undefined);
    tap.take(entryWith());
    tap.take(entryWith());
    stop();
    expect(tap.active).toBe(true);
    tap.take(entryWith());
    clock.pass(5000);
    expect(heard.map(([, leftOut]) => leftOut)).toEqual([0, 1]);
    other();
    expect(tap.active).toBe(false);
  });
});
