import { describe, expect, it } from '@jest/globals';
import { createRateLimits, prepareLimits, prepareOutlier } from './prepare-protection.ts';
import { ShapeError } from './reader.ts';

const volume = { minimumEndpoints: 3, requestVolume: 100 };
const outlier = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 3,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 50,
};
const compared = { ...outlier, intervalMs: 10_000 };
const successRate = { stdevFactorPermille: 1_900, ...volume };
const latency = { factorPercent: 300, minimumMs: 50, ...volume };
const limit = {
  name: 'TrafficPolicy shop/cart, rate limit 0',
  unit: 'requests',
  perSecond: 10,
  burst: 20,
  maxBuckets: 1_000,
  ports: [],
  per: [],
  matches: [],
};

/** Where it is wrong. */
function faultOf(prepare: () => unknown): string {
  try {
    prepare();
    return 'none';
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    return error.path;
  }
}

describe('outlier detection', () => {
  it('is nothing where it is absent, and compares nothing unless it is asked to', () => {
    expect(prepareOutlier(undefined, '')).toBeNull();
    expect(prepareOutlier(null, '')).toBeNull();
    const prepared = { intervalMs: null, successRate: null, latency: null };
    expect(prepareOutlier(compared, '')).toEqual({
      ...outlier,
      ...prepared,
      panicThresholdPercent: 0,
    });
  });

  it('is taken over whole', () => {
    const whole = { ...compared, successRate, latency, panicThresholdPercent: 40 };
    expect(prepareOutlier(whole, '')).toEqual(whole);
  });

  it.each([
    [{ ...outlier, consecutive5xx: -1 }, '/consecutive5xx'],
    [{ ...outlier, consecutiveGatewayErrors: 'x' }, '/consecutiveGatewayErrors'],
    [{ ...outlier, baseEjectionMs: 0 }, '/baseEjectionMs'],
    [{ ...outlier, maxEjectionMs: 1.5 }, '/maxEjectionMs'],
    [{ ...outlier, maxEjectionPercent: 101 }, '/maxEjectionPercent'],
    [{ ...outlier, panicThresholdPercent: 101 }, '/panicThresholdPercent'],
    [{ ...outlier, intervalMs: 99 }, '/intervalMs'],
    [{ ...outlier, successRate }, '/intervalMs'],
    [{ ...outlier, latency }, '/intervalMs'],
    [{ ...compared, successRate: 7 }, '/successRate'],
    [
      { ...compared, successRate: { ...successRate, stdevFactorPermille: 0 } },
      '/successRate/stdevFactorPermille',
    ],
    [
      { ...compared, successRate: { ...successRate, minimumEndpoints: 1 } },
      '/successRate/minimumEndpoints',
    ],
    [
      { ...compared, successRate: { ...successRate, requestVolume: 0 } },
      '/successRate/requestVolume',
    ],
    [{ ...compared, latency: { ...latency, factorPercent: 100 } }, '/latency/factorPercent'],
    [{ ...compared, latency: { ...latency, minimumMs: -1 } }, '/latency/minimumMs'],
    [{ ...compared, latency: { ...latency, minimumEndpoints: 1 } }, '/latency/minimumEndpoints'],
    [{ ...compared, latency: { ...latency, requestVolume: 0 } }, '/latency/requestVolume'],
  ])('is refused with its place: %j', (value, path) => {
    expect(faultOf(() => prepareOutlier(value, '/outlierDetection'))).toBe(
      `/outlierDetection${path}`,
    );
  });
});

describe('limits of a destination', () => {
  const none = { maxConnections: null, maxPendingRequests: null, maxActiveRequests: null };

  it('are nothing where nothing is limited', () => {
    expect(prepareLimits(undefined, '', [])).toBeNull();
    expect(prepareLimits(none, '', [])).toBeNull();
  });

  it('name the TrafficPolicy that says so', () => {
    const policies = [
      { kind: 'TrafficPolicy' as const, namespace: 'shop', name: 'cart', generation: 1 },
    ];
    const limits = { ...none, maxPendingRequests: 0 };
    expect(prepareLimits(limits, '', policies)).toEqual({
      policy: 'TrafficPolicy shop/cart',
      ...limits,
    });
  });

  it.each([
    [{ ...none, maxConnections: 0 }, '/maxConnections'],
    [{ ...none, maxPendingRequests: -1 }, '/maxPendingRequests'],
    [{ ...none, maxActiveRequests: 0.5 }, '/maxActiveRequests'],
    ['few', ''],
  ])('are refused with their place: %j', (value, path) => {
    expect(faultOf(() => prepareLimits(value, '/limits', []))).toBe(`/limits${path}`);
  });
});

describe('rate limits of a pod', () => {
  it('keep what they counted while they say the same', () => {
    const prepare = createRateLimits(0, 1);
    const [before] = prepare({ rateLimits: [limit] }).requests!;
    const other = { ...limit, burst: 21 };
    const [same, changed] = prepare({ rateLimits: [{ ...limit }, other] }).requests!;
    expect(same).toBe(before);
    expect(changed).not.toBe(before);
    expect(same).toMatchObject({ policy: 'TrafficPolicy shop/cart', rule: 'rate limit 0' });
  });

  it('may be as few as one in an hour', () => {
    const prepare = createRateLimits(0, 1);
    const [prepared] = prepare({ rateLimits: [{ ...limit, perSecond: 1 / 3600 }] }).requests!;
    expect(prepared!.rule).toBe('rate limit 0');
  });

  it.each([
    [{ ...limit, unit: 'bytes' }, '/unit'],
    [{ ...limit, perSecond: 0 }, '/perSecond'],
    [{ ...limit, perSecond: 5e-324 }, '/perSecond'],
    [{ ...limit, perSecond: 9e-5 }, '/perSecond'],
    [{ ...limit, perSecond: 2e9 }, '/perSecond'],
    [{ ...limit, burst: 0 }, '/burst'],
    [{ ...limit, maxBuckets: 0 }, '/maxBuckets'],
    [{ ...limit, ports: [0] }, '/ports/0'],
    [{ ...limit, per: [{}] }, '/per/0'],
    [{ ...limit, unit: 'connections', per: [{ header: 'x' }] }, '/per/0'],
    [{ ...limit, name: 7 }, '/name'],
  ])('are refused with their place: %j', (value, path) => {
    const prepare = createRateLimits(0, 1);
    expect(faultOf(() => prepare({ rateLimits: [value] }))).toContain(path);
  });
});
