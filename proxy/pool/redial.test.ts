import { describe, expect, it } from '@jest/globals';
import { Redial } from './redial.ts';

const failure = { code: 'connect-failed', detail: '10.0.0.7 port 8080' } as const;

describe('an endpoint that could not be connected to', () => {
  it('is dialled again after a pause that doubles up to a fifth of a second', () => {
    const redial = new Redial();
    const pauses: number[] = [];
    let nowMs = 1_000;
    for (let i = 0; i < 8; i += 1) {
      redial.failed(failure, nowMs);
      const failedAtMs = nowMs;
      while (redial.refusal(nowMs) !== null) nowMs += 1;
      pauses.push(nowMs - failedAtMs);
    }
    expect(pauses).toEqual([10, 20, 40, 80, 160, 200, 200, 200]);
  });

  it('says meanwhile what was wrong', () => {
    const redial = new Redial();
    expect(redial.refusal(5)).toBeNull();
    redial.failed(failure, 5);
    expect(redial.refusal(6)).toEqual(failure);
  });

  it('is dialled at once after a connection was made, and begins anew with its pauses', () => {
    const redial = new Redial();
    redial.failed(failure, 5);
    redial.failed(failure, 15);
    expect(redial.isForgotten(16)).toBe(false);
    redial.succeeded();
    expect(redial.refusal(16)).toBeNull();
    expect(redial.isForgotten(16)).toBe(true);
    redial.failed(failure, 20);
    expect(redial.refusal(30)).toBeNull();
  });

  it('is forgotten where nobody asked for a while', () => {
    const redial = new Redial();
    redial.failed(failure, 0);
    redial.failed(failure, 10);
    expect(redial.isForgotten(2_009)).toBe(false);
    expect(redial.isForgotten(2_010)).toBe(true);
    redial.failed(failure, 2_010);
    expect(redial.refusal(2_020)).toBeNull();
  });
});
