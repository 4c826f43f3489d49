import { describe, expect, it } from '@jest/globals';
import type { EndpointHandle, PreparedOutlier } from '../state/prepared.ts';
import { chooseEndpoint, newLoad, observeFailure } from './load.ts';
import { beginProbe, isDue, isInUse, recordResult } from './outlier.ts';

const policy: PreparedOutlier = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 3,
  baseEjectionMs: 10_000,
  maxEjectionMs: 300_000,
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

const outageMs = 300_000;

/** Requests of five minutes, ten a second, chosen as in a sidecar; all of them fail. */
function passOutage(endpoints: EndpointHandle[]): void {
  for (let nowMs = 1; nowMs < outageMs; nowMs += 100) {
    const endpoint = chooseEndpoint(endpoints, [], Math.random, nowMs)!;
    beginProbe(endpoint.load, nowMs);
    observeFailure(endpoint.load, 1, nowMs, false);
    recordResult(endpoint, 'gateway-error', { policy, endpoints }, nowMs);
  }
}

const longestWaitMs = (endpoints: EndpointHandle[], nowMs: number): number =>
  Math.max(0, ...endpoints.map(({ load }) => (load.health?.outUntilMs ?? 0) - nowMs));

describe('after a long outage of all endpoints', () => {
  it('those that are out are asked as soon as one of the others answers well', () => {
    const endpoints = endpointsOf(5);
    passOutage(endpoints);
    const out = endpoints.filter(({ load }) => !isInUse(load));
    expect(out).toHaveLength(2);
    expect(longestWaitMs(endpoints, outageMs)).toBeGreaterThan(10_000);
    const [well] = endpoints.filter(({ load }) => isInUse(load)) as [EndpointHandle];
    recordResult(well, 'good', { policy, endpoints }, outageMs);
    for (const { load } of out) expect(isDue(load, outageMs)).toBe(true);
    for (const one of out) {
      expect(beginProbe(one.load, outageMs)).toBe(true);
      expect(recordResult(one, 'good', { policy, endpoints }, outageMs + 1)).toBe('returned');
    }
    expect(endpoints.every(({ load }) => isInUse(load))).toBe(true);
  });

  it('all of them get requests again, not only the first that was well', () => {
    const endpoints = endpointsOf(5);
    passOutage(endpoints);
    const asked = new Map<EndpointHandle, number>();
    for (let nowMs = outageMs; nowMs < outageMs + 1_000; nowMs += 10) {
      const endpoint = chooseEndpoint(endpoints, [], Math.random, nowMs)!;
      beginProbe(endpoint.load, nowMs);
      endpoint.load.chosenAtMs = nowMs;
      recordResult(endpoint, 'good', { policy, endpoints }, nowMs);
      asked.set(endpoint, (asked.get(endpoint) ?? 0) + 1);
    }
    for (const endpoint of endpoints) expect(asked.get(endpoint)).toBeGreaterThanOrEqual(10);
  });

  it('one that is out for its own faults stays out while the others answer well', () => {
    const endpoints = endpointsOf(5);
    const [bad, good] = endpoints as [EndpointHandle, EndpointHandle];
    for (let i = 0; i < 3; i += 1) recordResult(bad, 'gateway-error', { policy, endpoints }, 0);
    recordResult(good, 'gateway-error', { policy, endpoints }, 1);
    recordResult(good, 'good', { policy, endpoints }, 2);
    expect(isInUse(bad.load)).toBe(false);
    expect(isDue(bad.load, 3)).toBe(false);
  });
});
