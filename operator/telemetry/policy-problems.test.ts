import { describe, expect, it } from '@jest/globals';
import { policyProblems } from './policy-problems.ts';

function policy(name: string, conditions: Record<string, [string, string]>) {
  const list = Object.entries(conditions).map(([type, [status, reason]]) => {
    const words = {
      message: `${type} is ${status}`,
      lastTransitionTime: '',
      observedGeneration: 1,
    };
    return { type, status: status as 'True', reason, ...words };
  });
  return { metadata: { namespace: 'shop', name }, status: { conditions: list } };
}

describe('policies with problems', () => {
  it('are those that are refused, lack something or are not obeyed; not those on their way', () => {
    const found = policyProblems({
      TrafficPolicy: [
        policy('fine', { Accepted: ['True', 'Accepted'], Programmed: ['True', 'Programmed'] }),
        policy('refused', { Accepted: ['False', 'Invalid'], Programmed: ['False', 'Invalid'] }),
        policy('on-its-way', { Accepted: ['True', 'A'], Programmed: ['False', 'Pending'] }),
        { metadata: { namespace: 'shop', name: 'new' } },
      ],
      AuthorizationPolicy: [
        policy('dry', { Accepted: ['True', 'Accepted'], DryRun: ['False', 'Enforced'] }),
        policy('cut-off', { Programmed: ['Unknown', 'SidecarsDisconnected'] }),
      ],
    });
    expect(found).toEqual([
      {
        kind: 'AuthorizationPolicy',
        policy: 'shop/cut-off',
        reason: 'SidecarsDisconnected',
        message: 'Programmed is Unknown',
      },
      {
        kind: 'TrafficPolicy',
        policy: 'shop/refused',
        reason: 'Invalid',
        message: 'Accepted is False',
      },
    ]);
  });
});
