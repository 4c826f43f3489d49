import { describe, expect, it } from '@jest/globals';
import { selfTimes, type CpuProfile } from './profile.ts';

const node = (id: number, functionName: string, lineNumber = 0): CpuProfile['nodes'][number] => ({
  id,
  callFrame: { functionName, lineNumber },
});

describe('the self times of a profile', () => {
  const profile: CpuProfile = {
    nodes: [
      node(1, '(idle)'),
      node(2, 'parse'),
      node(3, 'write'),
      node(4, 'parse'),
      node(5, '', 41),
    ],
    samples: [1, 2, 3, 4, 5],
    timeDeltas: [1000, 30, 20, 40, 10],
  };

  it('are shares of the time that was not idle, one function at several places added', () => {
    expect(selfTimes(profile, 10)).toEqual([
      { name: 'parse', share: 0.7 },
      { name: 'write', share: 0.2 },
      { name: '(anonymous, line 42)', share: 0.1 },
    ]);
  });

  it('are no more than wanted', () => {
    expect(selfTimes(profile, 1)).toHaveLength(1);
  });
});
