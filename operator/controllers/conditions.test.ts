import { describe, expect, it } from '@jest/globals';
import { mergeConditions, type Verdict } from './conditions.ts';
import { trafficPolicyOf } from './test-world.ts';
import { accepted, keepWhileConnecting, programmedVerdict, refused } from './verdicts.ts';

const nowMs = Date.UTC(2026, 5, 1, 12);
const laterMs = nowMs + 3_600_000;
const good: Verdict = accepted('holds');
const bad: Verdict = refused('Conflicted', 'another one is older');

describe('conditions', () => {
  it('are written where there are none, with generation and time', () => {
    expect(mergeConditions(undefined, [good], 3, nowMs)).toEqual([
      { ...good, observedGeneration: 3, lastTransitionTime: '2026-06-01T12:00:00Z' },
    ]);
  });

  it('are left alone where they say the same already', () => {
    const first = mergeConditions(undefined, [good], 3, nowMs)!;
    expect(mergeConditions(first, [good], 3, laterMs)).toBeNull();
  });

  it('keep the time of the last change of status when only generation or message differ', () => {
    const first = mergeConditions(undefined, [good], 3, nowMs)!;
    const next = mergeConditions(first, [{ ...good, message: 'holds still' }], 4, laterMs);
    expect(next).toEqual([{ ...first[0], message: 'holds still', observedGeneration: 4 }]);
  });

  it('take the time of the change when the status differs', () => {
    const first = mergeConditions(undefined, [good], 3, nowMs)!;
    const next = mergeConditions(first, [bad], 3, laterMs);
    expect(next?.[0]?.lastTransitionTime).toBe('2026-06-01T13:00:00Z');
  });

  it('drop what is no longer said', () => {
    const first = mergeConditions(undefined, [good, { ...good, type: 'Old' }], 3, nowMs)!;
    expect(mergeConditions(first, [good], 3, laterMs)?.map((one) => one.type)).toEqual([
      'Accepted',
    ]);
  });
});

describe('Programmed', () => {
  const everywhere = { status: 'True', reason: 'Programmed', message: 'in force' } as const;

  it('is never true of a policy that was not accepted, whatever sidecars acknowledged', () => {
    expect(programmedVerdict(bad, () => everywhere)).toEqual({
      type: 'Programmed',
      status: 'False',
      reason: 'NotAccepted',
      message: 'not in force: another one is older',
    });
  });

  it('is what the sidecars say otherwise', () => {
    expect(programmedVerdict(good, () => everywhere)).toEqual({
      type: 'Programmed',
      ...everywhere,
    });
  });
});

describe('Programmed of a policy whose dry run began or ended', () => {
  const gone = { status: 'Unknown', reason: 'Pending', message: 'cart-1' } as const;
  const after = (said: 'True' | 'False', annotation: string) => {
    const policy = trafficPolicyOf('p', 1, { service: { name: 'cart' } });
    policy.metadata.annotations = { 'tsmesh.dev/dry-run': annotation };
    const verdicts = ['Programmed', 'DryRun'].map((type) => {
      const status = type === 'DryRun' ? said : 'True';
      return { type, status, reason: 'x', message: 'was' } as const;
    });
    const conditions = mergeConditions(undefined, verdicts, 1, nowMs)!;
    return { ...policy, status: { conditions } };
  };

  it('is not kept by a new leader, although the generation is the same', () => {
    expect(keepWhileConnecting(after('True', 'false'), gone)).toBe(gone);
    expect(keepWhileConnecting(after('False', 'true'), gone)).toBe(gone);
    expect(keepWhileConnecting(after('True', 'true'), gone).status).toBe('True');
    expect(keepWhileConnecting(after('False', 'false'), gone).status).toBe('True');
  });
});

describe('Programmed while sidecars connect to a new leader', () => {
  const gone = { status: 'Unknown', reason: 'SidecarsDisconnected', message: 'cart-1' } as const;
  const found = (status: 'True' | 'False', generation: number) => {
    const policy = trafficPolicyOf('p', 1, { service: { name: 'cart' } });
    const verdict: Verdict = { type: 'Programmed', status, reason: 'Programmed', message: 'was' };
    const conditions = mergeConditions(undefined, [verdict], generation, nowMs)!;
    return { ...policy, status: { conditions } };
  };

  it('stays what the leader before it found of this generation', () => {
    expect(keepWhileConnecting(found('True', 1), gone)).toEqual({
      status: 'True',
      reason: 'Programmed',
      message: 'was',
    });
  });

  it.each([
    ['it was found of an older generation', found('True', 0), gone],
    ['it was not true', found('False', 1), gone],
    ['nothing was found', trafficPolicyOf('p', 1, { service: { name: 'cart' } }), gone],
    [
      'a sidecar refuses it',
      found('True', 1),
      { status: 'False', reason: 'Rejected', message: 'x' } as const,
    ],
  ])('is what sidecars say where %s', (_, policy, result) => {
    expect(keepWhileConnecting(policy, result)).toBe(result);
  });
});
