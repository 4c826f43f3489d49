import { describe, expect, it } from '@jest/globals';
import type { TrafficFigures } from '../console/api.ts';
import { mtlsText, pathOf, summaryOf, toneOf } from './words.ts';

const figures: TrafficFigures = {
  requestsPerSecond: 123.4,
  success: 0.9987,
  p50Ms: 2,
  p99Ms: 1234,
  connectionsPerSecond: 0,
  mtls: 1,
  deniedPerSecond: 0,
};

describe('the words of the dashboard', () => {
  it('say in one line what happens', () => {
    expect(summaryOf(figures)).toBe('120/s · 99.87 % · p99 1.2s');
    const tcp = { ...figures, requestsPerSecond: 0, success: null, p99Ms: null };
    expect(summaryOf({ ...tcp, connectionsPerSecond: 2.5 })).toBe('2.5 TCP/s');
    expect(summaryOf(tcp)).toBe('0/s');
  });

  it('say where something is wrong', () => {
    const tones = [null, 1, 0.999, 0.99, 0.9].map((success) => toneOf({ success }));
    expect(tones).toEqual(['quiet', 'good', 'good', 'warn', 'bad']);
  });

  it('say whether everything is over mTLS', () => {
    const words = [null, 1, 0, 0.5].map((mtls) => mtlsText({ ...figures, mtls }));
    expect(words).toEqual(['-', 'yes', 'no', '50 %']);
  });

  it('keep names whole in paths', () => {
    expect(pathOf({ namespace: '', kind: 'Outside', name: 'a/b?c' })).toBe('/Outside/a%2Fb%3Fc');
  });
});
