// Patches: what they turn a value into, for any two values.

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { applyPatch, diff } from './json-patch.ts';

// Object keys that RFC 6901 has to escape; prototypes are not keys of Kubernetes objects.
const key = fc.constantFrom('a', 'b', 'tsmesh.dev/inject', '~1', '0');
const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.integer(),
    fc.constant(null),
    fc.string(),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

describe('a patch', () => {
  it('turns the one value into the other', () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(applyPatch({ root: a }, diff({ root: a }, { root: b }))).toEqual({ root: b });
      }),
    );
  });

  it('between equal values is empty', () => {
    fc.assert(fc.property(value, (a) => expect(diff(a, structuredClone(a))).toEqual([])));
  });

  it('escapes what a pointer cannot hold', () => {
    expect(diff({}, { 'a/b~c': 1 })).toEqual([{ op: 'add', path: '/a~1b~0c', value: 1 }]);
  });
});
