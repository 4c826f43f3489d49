import { describe, expect, it } from '@jest/globals';
import type { TrafficPolicy, TrafficPolicySpec } from '../resources/tsmesh.ts';
import { serviceOf, trafficPolicyOf, viewOf } from './test-world.ts';
import { acceptTrafficPolicy } from './traffic-policy.ts';
import { resolveReferences } from './traffic-references.ts';

const cart = { service: { name: 'cart' } };

describe('acceptance of a TrafficPolicy', () => {
  it('goes to the oldest for a Service; the other is told which one that is', () => {
    const old = trafficPolicyOf('old', 9, cart);
    const young = trafficPolicyOf('young', 1, cart);
    const view = viewOf([
      ['TrafficPolicy', young],
      ['TrafficPolicy', old],
      serviceOf('cart', [80, 81]),
    ]);
    expect(acceptTrafficPolicy(view, old)).toMatchObject({ status: 'True', reason: 'Accepted' });
    const verdict = acceptTrafficPolicy(view, young);
    expect(verdict).toMatchObject({ status: 'False', reason: 'Conflicted' });
    expect(verdict.message).toContain('TrafficPolicy old ');
  });

  it('is partial for one that names no port where a younger one names one', () => {
    const all = trafficPolicyOf('all', 9, cart);
    const one = trafficPolicyOf('one', 1, { service: { name: 'cart', port: 81 } });
    const view = viewOf([
      ['TrafficPolicy', all],
      ['TrafficPolicy', one],
      serviceOf('cart', [80, 81]),
    ]);
    expect(acceptTrafficPolicy(view, one).reason).toBe('Accepted');
    const verdict = acceptTrafficPolicy(view, all);
    expect(verdict).toMatchObject({ status: 'True', reason: 'PartlyOverridden' });
    expect(verdict.message).toContain('holds for port 80; TrafficPolicy one ');
  });

  it('says which routes nobody ever takes', () => {
    const policy = trafficPolicyOf('p', 1, { ...cart, routes: [{}, { timeout: '1s' }] });
    const view = viewOf([['TrafficPolicy', policy], serviceOf('cart', [80])]);
    expect(acceptTrafficPolicy(view, policy)).toMatchObject({
      status: 'True',
      message:
        'holds for Service shop/cart; spec.routes[1] is never used: spec.routes[0] takes every request before',
    });
  });

  it('is refused for what the schema lets past, with the path of the field', () => {
    const spec = { ...cart, routes: [{ timeout: 'soon' }] };
    const policy = trafficPolicyOf('p', 1, spec);
    const view = viewOf([['TrafficPolicy', policy], serviceOf('cart', [80])]);
    expect(acceptTrafficPolicy(view, policy)).toMatchObject({
      status: 'False',
      reason: 'Invalid',
      message: expect.stringMatching(/^spec\.routes\[0\]\.timeout: .*500ms/),
    });
  });
});

describe('of many TrafficPolicies for one Service', () => {
  it('only whoever could speak is judged, and each once', () => {
    let judged = 0;
    const counted = (name: string, order: number): TrafficPolicy => {
      const policy = trafficPolicyOf(name, order, cart);
      const spec = policy.spec;
      return {
        ...policy,
        // Each look for faults reads the time.
        spec: Object.defineProperty({ ...spec }, 'timeout', {
          get: () => void (judged += 1),
        }),
      };
    };
    const all = Array.from({ length: 20 }, (_, i) => counted(`p${i}`, 20 - i));
    const view = viewOf([
      ...all.map((policy) => ['TrafficPolicy', policy] as const),
      serviceOf('cart', [80, 90, 100]),
    ] as never);
    const once = acceptTrafficPolicy(view, all[19]!);
    expect(once).toMatchObject({ status: 'False', reason: 'Conflicted' });
    expect(judged).toBe(2);
    for (const policy of all) acceptTrafficPolicy(view, policy);
    expect(judged).toBe(20);
  });
});

describe('references of a TrafficPolicy', () => {
  const resolve = (spec: TrafficPolicySpec) => {
    const policy = trafficPolicyOf('p', 1, spec);
    const view = viewOf([
      ['TrafficPolicy', policy],
      serviceOf('cart', [80]),
      serviceOf('other', [90]),
    ]);
    return resolveReferences(view, policy);
  };

  it('are resolved where all that is named exists', () => {
    const subsets = [{ name: 'v1', labels: { version: 'v1' } }];
    const backends = [{ subset: 'v1' }, { service: 'other', port: 90 }];
    const verdict = resolve({
      service: { name: 'cart', port: 80 },
      subsets,
      routes: [{ backends }],
    });
    expect(verdict).toMatchObject({ type: 'ResolvedRefs', status: 'True' });
  });

  it.each([
    [
      'a Service',
      { service: { name: 'gone' } },
      'ServiceNotFound',
      'spec.service: there is no Service shop/gone',
    ],
    [
      'a port',
      { service: { name: 'cart', port: 81 } },
      'PortNotFound',
      'spec.service.port: Service shop/cart has no port 81, but 80',
    ],
    [
      'a backend',
      { ...cart, routes: [{ backends: [{}, { service: 'gone' }] }] },
      'BackendNotFound',
      'spec.routes[0].backends[1].service: there is no Service shop/gone',
    ],
    [
      'a port of a backend',
      { ...cart, routes: [{ backends: [{ service: 'other', port: 80 }] }] },
      'BackendNotFound',
      'spec.routes[0].backends[0].port: Service shop/other has no port 80, but 90',
    ],
    [
      'the called port of a backend that names none',
      { ...cart, routes: [{ mirrors: [{ service: 'other' }] }] },
      'BackendNotFound',
      'spec.routes[0].mirrors[0].service: Service shop/other has no port 80, by which it is called where none is named here, but 90',
    ],
    [
      'a subset',
      { ...cart, routes: [{ backends: [{ subset: 'v3' }] }] },
      'SubsetNotFound',
      'spec.routes[0].backends[0].subset: "v3" is not in spec.subsets ()',
    ],
  ])('say which is missing: %s', (_, spec, reason, message) => {
    expect(resolve(spec)).toMatchObject({ status: 'False', reason, message });
  });

  it('are said, and hold, where a backend lacks only some of the ports that callers come by', () => {
    const policy = trafficPolicyOf('p', 1, { ...cart, routes: [{ backends: [{ service: 'b' }] }] });
    const view = viewOf([
      ['TrafficPolicy', policy],
      serviceOf('cart', [80, 90]),
      serviceOf('b', [80]),
    ]);
    const { status, message } = resolveReferences(view, policy);
    expect(status).toBe('True');
    expect(message).toContain('Service shop/b has no port 90, by which it is called');
  });

  it('say all that is missing at once', () => {
    const backends = [{ service: 'gone' }, { subset: 'v3' }];
    const { message } = resolve({ ...cart, routes: [{ backends }] });
    expect(message).toContain('backends[0].service');
    expect(message).toContain('backends[1].subset');
  });
});
