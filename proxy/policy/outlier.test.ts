import { describe, expect, it } from '@jest/globals';
import type { EndpointHandle, PreparedOutlier } from '../state/prepared.ts';
import { chooseEndpoint, newLoad, observe } from './load.ts';
import { beginProbe, endProbe, isDue, isOut, recordResult, resultOf } from './outlier.ts';
import type { Judgement } from './outlier.ts';

const policy: PreparedOutlier = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 3,
  baseEjectionMs: 1_000,
  maxEjectionMs: 5_000,
  maxEjectionPercent: 50,
  intervalMs: null,
  successRate: null,
  latency: null,
  panicThresholdPercent: 0,
};

function endpointsOf(count: number): EndpointHandle[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `pod-${i}`;
    const place = { address: name, port: 80, identity: null, podName: name, zone: '' };
    return { key: name, ...place, load: newLoad() };
  });
}

function isEjection(change: Judgement): boolean {
  return change !== null && change !== 'returned';
}

/** `count` times the same result; whether the last one ejected it. */
function answer(
  endpoint: EndpointHandle,
  result: 'good' | 'server-error' | 'gateway-error',
  more: { endpoints: EndpointHandle[]; count?: number; atMs?: number; policy?: PreparedOutlier },
): boolean {
  const { endpoints, count = 1, atMs = 0 } = more;
  let ejected = false;
  for (let i = 0; i < count; i += 1)
    ejected = isEjection(
      recordResult(endpoint, result, { policy: more.policy ?? policy, endpoints }, atMs),
    );
  return ejected;
}

describe('an endpoint', () => {
  it('is left out after bad answers in a row, of either kind', () => {
    const endpoints = endpointsOf(4);
    const [a, b] = endpoints as [EndpointHandle, EndpointHandle];
    expect(answer(a, 'server-error', { endpoints, count: 4 })).toBe(false);
    expect(isOut(a.load, 0)).toBe(false);
    expect(answer(a, 'server-error', { endpoints })).toBe(true);
    expect(isOut(a.load, 0)).toBe(true);
    expect(answer(b, 'gateway-error', { endpoints, count: 3 })).toBe(true);
  });

  it('is not left out for bad answers between good ones', () => {
    const endpoints = endpointsOf(2);
    const [a] = endpoints as [EndpointHandle];
    for (let i = 0; i < 100; i += 1) {
      answer(a, 'server-error', { endpoints, count: 4 });
      answer(a, 'good', { endpoints });
    }
    expect(a.load.health).toBeNull();
  });

  it('counts gateway errors among the errors of 5xx, but not the other way round', () => {
    const endpoints = endpointsOf(2);
    const [a] = endpoints as [EndpointHandle];
    for (const result of [
      'gateway-error',
      'gateway-error',
      'server-error',
      'gateway-error',
    ] as const)
      expect(answer(a, result, { endpoints })).toBe(false);
    expect(answer(a, 'gateway-error', { endpoints })).toBe(true);
  });

  it('is never left out by a count of 0', () => {
    const endpoints = endpointsOf(2);
    const [a] = endpoints as [EndpointHandle];
    const none = { ...policy, consecutive5xx: 0, consecutiveGatewayErrors: 0 };
    expect(answer(a, 'gateway-error', { endpoints, count: 1_000, policy: none })).toBe(false);
  });

  it('is tried by one request when its time is over, and comes back with a clean slate', () => {
    const endpoints = endpointsOf(3);
    const [a] = endpoints as [EndpointHandle];
    observe(a.load, 5_000, 0);
    answer(a, 'gateway-error', { endpoints, count: 3 });
    expect(isOut(a.load, 999)).toBe(true);
    expect(isDue(a.load, 1_000)).toBe(true);
    expect(beginProbe(a.load, 1_000)).toBe(true);
    expect(isOut(a.load, 1_000)).toBe(true);
    expect(beginProbe(a.load, 1_000)).toBe(false);
    answer(a, 'good', { endpoints, atMs: 1_010 });
    expect(isOut(a.load, 1_010)).toBe(false);
    expect(a.load).toMatchObject({ health: null, ewmaMs: 0 });
  });

  it('stays out twice as long each time that it is found bad, up to the most', () => {
    const endpoints = endpointsOf(3);
    const [a] = endpoints as [EndpointHandle];
    let nowMs = 0;
    answer(a, 'gateway-error', { endpoints, count: 3 });
    for (const expected of [1_000, 2_000, 4_000, 5_000, 5_000]) {
      expect(a.load.health!.outUntilMs - nowMs).toBe(expected);
      nowMs = a.load.health!.outUntilMs;
      expect(beginProbe(a.load, nowMs)).toBe(true);
      expect(answer(a, 'server-error', { endpoints, atMs: nowMs })).toBe(true);
    }
  });

  it('can be tried by another request when the one that tried it had no end', () => {
    const endpoints = endpointsOf(3);
    const [a] = endpoints as [EndpointHandle];
    answer(a, 'gateway-error', { endpoints, count: 3 });
    beginProbe(a.load, 1_000);
    endProbe(a.load);
    expect(beginProbe(a.load, 1_001)).toBe(true);
  });

  it('hears nothing from answers to requests of before', () => {
    const endpoints = endpointsOf(3);
    const [a] = endpoints as [EndpointHandle];
    answer(a, 'gateway-error', { endpoints, count: 3 });
    expect(answer(a, 'gateway-error', { endpoints, count: 50, atMs: 500 })).toBe(false);
    answer(a, 'good', { endpoints, atMs: 500 });
    expect(a.load.health).toMatchObject({ outUntilMs: 1_000, ejections: 1 });
  });
});

describe('the endpoints of a set', () => {
  const outOf = (endpoints: EndpointHandle[]): number =>
    endpoints.filter(({ load }) => isOut(load, 0)).length;

  it.each([
    [1, 50, 0],
    [2, 50, 1],
    [5, 50, 2],
    [10, 50, 5],
    [10, 0, 1],
    [4, 100, 3],
  ])('of %i, with at most %i %% out, lose %i', (count, maxEjectionPercent, lost) => {
    const endpoints = endpointsOf(count);
    const strict = { ...policy, maxEjectionPercent };
    for (const one of endpoints)
      answer(one, 'gateway-error', { endpoints, count: 20, policy: strict });
    expect(outOf(endpoints)).toBe(lost);
  });

  it('are chosen from without those that are out', () => {
    const endpoints = endpointsOf(5);
    for (const one of endpoints.slice(0, 2)) answer(one, 'gateway-error', { endpoints, count: 3 });
    for (let i = 0; i < 2_000; i += 1)
      expect(endpoints.indexOf(chooseEndpoint(endpoints, [], Math.random, 500)!)).toBeGreaterThan(
        1,
      );
  });

  it('lose none to a choice when all that is left was tried', () => {
    const endpoints = endpointsOf(3);
    answer(endpoints[0]!, 'gateway-error', { endpoints, count: 3 });
    const tried = endpoints.slice(1);
    expect(tried).toContain(chooseEndpoint(endpoints, tried, Math.random, 500));
  });

  it('give one that is due the next request, although it was slow', () => {
    const endpoints = endpointsOf(2);
    observe(endpoints[0]!.load, 5_000, 0);
    answer(endpoints[0]!, 'gateway-error', { endpoints, count: 3 });
    expect(chooseEndpoint(endpoints, [], Math.random, 1_000)).toBe(endpoints[0]);
  });
});

describe('an answer', () => {
  it.each([
    [200, -1, 'good'],
    [499, -1, 'good'],
    [500, -1, 'server-error'],
    [501, -1, 'server-error'],
    [502, -1, 'gateway-error'],
    [504, -1, 'gateway-error'],
    [505, -1, 'server-error'],
    [200, 0, 'good'],
    [200, 7, 'good'],
    [200, 14, 'gateway-error'],
    [200, 4, 'gateway-error'],
    [200, 13, 'server-error'],
  ])('of status %i and gRPC status %i is %s', (status, grpcStatus, result) => {
    expect(resultOf(status, grpcStatus)).toBe(result);
  });
});
