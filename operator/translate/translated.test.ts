import { describe, expect, it } from '@jest/globals';
import { distinctPolicies, shapedBy } from './translated.ts';

describe('the policies of a resource', () => {
  it('are sorted and stand once', () => {
    const mesh = shapedBy('Mesh', { metadata: { name: 'default', generation: 2, uid: 'u' } });
    const policy = shapedBy('TrafficPolicy', { metadata: { name: 'a', namespace: 'shop' } });
    expect(distinctPolicies([policy, mesh, policy])).toEqual([
      { kind: 'Mesh', namespace: '', name: 'default', generation: 2, uid: 'u' },
      { kind: 'TrafficPolicy', namespace: 'shop', name: 'a', generation: 0, uid: '' },
    ]);
  });
});
