import { describe, expect, it } from '@jest/globals';
import { maxCallers } from '../api/statistics.ts';
import { readCallerName, silentReports } from './callers.ts';
import { createCounters } from './counters.ts';
import { requestSample } from './test-sample.ts';

const one = requestSample({ latencyMs: 3, mtls: true });

function callersOf(counters: ReturnType<typeof createCounters>): [string, string, number][] {
  return counters.callers().map(({ name, totals }) => {
    const { identity, address } = readCallerName(name);
    return [identity, address, totals.requests];
  });
}

describe('callers', () => {
  it('are counted apart, and in the series of the port together', () => {
    const counters = createCounters();
    counters.seriesFrom('80', 'spiffe://a', '10.0.0.1').request(one);
    counters.seriesFrom('80', 'spiffe://a', '10.0.0.1').request(one);
    counters.seriesFrom('81', 'spiffe://b', '10.0.0.2').connection(true);
    counters.seriesFrom('80', '', '10.0.0.3').error('mtls-required');
    expect(callersOf(counters)).toEqual([
      ['spiffe://a', '10.0.0.1', 2],
      ['spiffe://b', '10.0.0.2', 0],
      ['', '10.0.0.3', 0],
    ]);
    expect(counters.totals('inbound')).toMatchObject({ requests: 2, connections: 1, denied: 1 });
    expect(counters.callers()[2]!.totals.denied).toBe(1);
  });

  it('that said nothing are not told', () => {
    const counters = createCounters();
    counters.seriesFrom('80', 'spiffe://a', '10.0.0.1');
    expect(counters.callers()).toEqual([]);
  });

  it('beyond the bound share one edge: nothing is lost, and nothing grows', () => {
    const counters = createCounters();
    const many = 10 * maxCallers;
    for (let at = 0; at < many; at += 1) counters.seriesFrom('80', '', `10.0.0.${at}`).request(one);
    const told = callersOf(counters);
    expect(told.length).toBe(maxCallers);
    expect(told.find(([, address]) => address === '')).toEqual(['', '', many - maxCallers + 1]);
    expect(counters.totals('inbound').requests).toBe(many);
  });

  it('make room when they were silent for long, and are counted from nothing when they come back', () => {
    const counters = createCounters();
    const first = counters.seriesFrom('80', '', 'first');
    for (let at = 0; at < maxCallers - 2; at += 1)
      counters.seriesFrom('80', '', `10.0.0.${at}`).request(one);
    first.request(one);
    for (let at = 0; at <= silentReports; at += 1) counters.callers();
    counters.seriesFrom('80', '', 'new').request(one);
    expect(callersOf(counters)).toContainEqual(['', 'new', 1]);
    first.request(one);
    const again = callersOf(counters).find(([, address]) => address === 'first');
    expect(again?.[2]).toBeGreaterThanOrEqual(1);
    expect(counters.totals('inbound').requests).toBe(maxCallers + 1);
  });
});
