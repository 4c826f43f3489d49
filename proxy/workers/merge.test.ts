// Counters of several threads as one: sums of totals, histograms and errors.

import { describe, expect, it } from '@jest/globals';
import { createCounters, type Counters } from '../telemetry/counters.ts';
import { requestSample } from '../telemetry/test-sample.ts';
import { bothDirections, mergeCounters, statisticsOf } from './merge.ts';

function countersWith(count: (counters: Counters) => void): Counters {
  const counters = createCounters();
  count(counters);
  return counters;
}

function request(counters: Counters, name: string, latencyMs: number, status = 200): void {
  counters.series('outbound', name).request(requestSample({ status, latencyMs, mtls: true }));
}

function merge(...all: Counters[]) {
  // As they come from a thread.
  return mergeCounters(all.map((one) => structuredClone(bothDirections(one))));
}

describe('merged counters', () => {
  it('are what one thread had counted that did all of it', () => {
    const parts: ((counters: Counters) => void)[] = [
      (counters) => {
        request(counters, 'cart', 1.5);
        request(counters, 'cart', 70_000, 503);
        counters.series('outbound', 'cart').bytes(10, 20);
        counters.series('inbound', '8080').error('policy-denied');
        counters.series('inbound', '8080').decision('denied', 'p', 'r', 'deny-rule');
        counters.series('inbound', '8080').decision('audit', 'q', '', '');
      },
      (counters) => {
        request(counters, 'cart', 1.7);
        request(counters, 'shop', 40);
        counters.series('outbound', 'cart').bytes(1, 2);
        counters.series('outbound', 'cart').retry();
        counters.series('outbound', 'db').connection(true);
        counters.series('inbound', '8080').error('policy-denied');
        counters.series('inbound', '8080').error('overload');
        counters.series('inbound', '8080').decision('denied', 'p', 'r', 'deny-rule');
      },
    ];
    const whole = countersWith((counters) => parts.forEach((part) => part(counters)));
    const merged = merge(...parts.map(countersWith));
    expect(merged.totals('outbound')).toEqual(whole.totals('outbound'));
    expect(merged.totals('inbound')).toEqual(whole.totals('inbound'));
    const expected = bothDirections(whole);
    expect(merged.snapshot('outbound')).toEqual(expected.outbound);
    expect(merged.snapshot('inbound')).toEqual(expected.inbound);
    expect(merged.totals('outbound').requests).toBe(4);
    expect(merged.snapshot('inbound')[0]!.errors.size).toBe(2);
  });

  it('leave those of the threads as they were', () => {
    const a = countersWith((counters) => request(counters, 'cart', 1));
    const b = countersWith((counters) => request(counters, 'cart', 1));
    const before = structuredClone(bothDirections(a));
    mergeCounters([bothDirections(a), bothDirections(b)]);
    merge(a, b);
    expect(bothDirections(a)).toEqual(before);
  });

  it('become the statistics of one sidecar', () => {
    const a = countersWith((counters) => request(counters, 'cart', 1));
    const b = countersWith((counters) => request(counters, 'cart', 1));
    const identity = { serial: 'AB', notBeforeMs: 1, notAfterMs: 9 };
    const roots = { underRoot: 'CD', trustedRoots: ['CD', 'EF'] };
    expect(statisticsOf(merge(a, b), 5, { ...identity, ...roots })).toMatchObject({
      startedAtMs: 5,
      outbound: { requests: 2, mtlsRequests: 2 },
      inbound: { requests: 0 },
      certificate: { ...identity, ...roots },
    });
  });
});
