import { describe, expect, it } from '@jest/globals';
import type { EndpointsResource, Resource } from '../api/resources.ts';
import { workload } from '../../test/support/sidecar.ts';
import { createStore } from './store.ts';

const at = (address: string, onlyNode?: string) => {
  const rest = { port: 80, identity: null, podName: '', zone: '' };
  return { address, ...rest, ...(onlyNode === undefined ? {} : { onlyNode }) };
};

const local: EndpointsResource = {
  type: 'Endpoints',
  name: 'shop/agent:80',
  endpoints: [at('10.0.0.1', 'n1'), at('10.0.0.2', 'n2'), at('10.0.0.3', 'n1'), at('10.0.0.4')],
};
const self = { ...workload(), node: 'n1' };

/** Addresses in force after these were applied one after the other, or all at once. */
function usedAfter(...pushes: Resource[][]): string[] {
  const store = createStore();
  for (const push of pushes) {
    const versioned = push.map((resource) => ({ version: '1', resource }));
    expect(store.apply(versioned, [])).toEqual([]);
  }
  const set = store.snapshot().endpoints.get('shop/agent:80');
  return set!.endpoints.map(({ address }) => address);
}

describe('endpoints for callers of one node', () => {
  const own = ['10.0.0.1', '10.0.0.3', '10.0.0.4'];

  it('are used by those only, in whatever order they hear of it', () => {
    expect(usedAfter([self], [local])).toEqual(own);
    expect(usedAfter([self, local])).toEqual(own);
    expect(usedAfter([local, self])).toEqual(own);
    expect(usedAfter([local], [self])).toEqual(own);
    expect(usedAfter([self, local], [self])).toEqual(own);
  });

  it('are used by nobody whose node is not known, or has none of them', () => {
    expect(usedAfter([workload(), local])).toEqual(['10.0.0.4']);
    expect(usedAfter([{ ...self, node: 'n3' }, local])).toEqual(['10.0.0.4']);
  });

  it('are all used again when their Service is for callers everywhere', () => {
    const open = { ...local, endpoints: local.endpoints.map(({ address }) => at(address)) };
    expect(usedAfter([self, local], [open])).toHaveLength(4);
  });
});
