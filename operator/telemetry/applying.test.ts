import { describe, expect, it } from '@jest/globals';
import { pod, service, slice, trafficPolicy, viewOf } from '../model/test-objects.ts';
import { policiesApplying } from './applying.ts';

describe('what applies to a workload', () => {
  it('is what shaped its sidecars, and the TrafficPolicies of the Services before it', () => {
    const ports = [{ name: 'http', port: 80 }];
    const view = viewOf({
      Pod: [pod('shop/cart', { ip: '10.0.0.8' }), pod('shop/bank', { ip: '10.0.0.9' })],
      Service: [service('shop/cart', '10.1.0.1', ports), service('shop/bank', '10.1.0.2', ports)],
      EndpointSlice: [
        slice('shop/cart', [{ address: '10.0.0.8' }], ports),
        slice('shop/bank', [{ address: '10.0.0.9' }], ports),
      ],
      TrafficPolicy: [
        trafficPolicy('shop/slow', { service: { name: 'cart' }, timeout: '1s' }),
        trafficPolicy('shop/other', { service: { name: 'bank' }, timeout: '1s' }),
      ],
    });
    const strict = { kind: 'PeerAuthentication', namespace: 'shop', name: 'strict' } as const;
    const shaping = (key: string) => (key === 'shop/cart' ? [{ ...strict, generation: 1 }] : []);
    expect(policiesApplying(view, 'shop/Pod/cart', shaping)).toEqual([
      strict,
      { kind: 'TrafficPolicy', namespace: 'shop', name: 'slow' },
    ]);
    expect(policiesApplying(view, 'shop/Pod/nobody', shaping)).toEqual([]);
  });
});
