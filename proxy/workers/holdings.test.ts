// Who holds which destination: the sidecar lets go of it when the last worker has forgotten it.

import { describe, expect, it } from '@jest/globals';
import { createHoldings } from './holdings.ts';

describe('a destination', () => {
  it('is held until the last worker has forgotten it', () => {
    const holdings = createHoldings(2, 10);
    expect(holdings.drop(1, ['a', 'b'])).toEqual([]);
    expect(holdings.drop(1, ['a'])).toEqual([]);
    expect(holdings.drop(2, ['a'])).toEqual(['a']);
    expect(holdings.unheld(['a', 'b', 'c'])).toEqual(['a']);
  });

  it('is held again by the worker that it was given to', () => {
    const holdings = createHoldings(2, 10);
    holdings.drop(1, ['a']);
    holdings.give(1, 'a');
    expect(holdings.drop(2, ['a'])).toEqual([]);
  });

  it('is held by all again once it was pushed', () => {
    const holdings = createHoldings(2, 10);
    holdings.drop(1, ['a']);
    holdings.pushed('a');
    expect(holdings.drop(2, ['a'])).toEqual([]);
    expect(holdings.drop(1, ['a'])).toEqual(['a']);
  });

  it('that is gone from all is forgotten here, too', () => {
    const holdings = createHoldings(1, 10);
    holdings.drop(1, ['a']);
    holdings.gone('a');
    expect(holdings.unheld(['a'])).toEqual([]);
  });
});

describe('a question', () => {
  it('is open until its destination is pushed', () => {
    const holdings = createHoldings(2, 10);
    holdings.ask('a');
    holdings.ask('b');
    holdings.pushed('a');
    expect(holdings.asked()).toEqual(['b']);
  });

  it('is forgotten above the bound, the oldest first; asked again it is young', () => {
    const holdings = createHoldings(2, 2);
    for (const name of ['a', 'b', 'a', 'c']) holdings.ask(name);
    expect(holdings.asked()).toEqual(['a', 'c']);
  });
});
