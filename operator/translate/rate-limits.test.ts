import { describe, expect, it } from '@jest/globals';
import { pod, service, trafficPolicy, viewOf } from '../model/test-objects.ts';
import type { KubeObject, Service } from '../resources/kubernetes.ts';
import type { RateLimitSpec, TrafficPolicySpec } from '../resources/tsmesh.ts';
import { rateLimitsOf } from './rate-limits.ts';
import { translateWorkload } from './workload.ts';

const ports = [
  { name: 'http', port: 80, targetPort: 'web' },
  { name: 'more', port: 81, targetPort: 8081 },
];
const cart = service('shop/cart', '10.96.0.7', ports);
const cartPod = pod('shop/cart-1', {
  ip: '10.244.0.1',
  labels: { app: 'cart' },
  ports: [{ name: 'web', containerPort: 8080 }],
});

function limitsOf(policies: KubeObject[], services: Service[] = [cart]) {
  const view = viewOf({ Pod: [cartPod], Service: services, TrafficPolicy: policies });
  return rateLimitsOf(view, view.pods.get('shop/cart-1')!).limits;
}

function policy(name: string, rateLimits: RateLimitSpec[], more: Partial<TrafficPolicySpec> = {}) {
  return trafficPolicy(`shop/${name}`, { service: { name: 'cart' }, rateLimits, ...more });
}

describe('rate limits of a pod', () => {
  it('stand at its own ports, with what the CRD promises filled in', () => {
    expect(limitsOf([policy('p', [{ name: 'all', requests: 100 }])])).toEqual([
      {
        name: 'TrafficPolicy shop/p, rate limit all',
        ports: [8080, 8081],
        unit: 'requests',
        perSecond: 100,
        burst: 100,
        matches: [],
        per: [],
        maxBuckets: 10_000,
      },
    ]);
  });

  it('count as they are told', () => {
    const [requests, connections] = limitsOf([
      policy('p', [
        {
          name: 'writes',
          port: 80,
          requests: 30,
          interval: '1m',
          burst: 5,
          matches: [{ methods: ['POST'] }],
          per: [{ identity: true }, { header: 'X-User' }, { sourceAddress: true }],
        },
        { name: 'open', connections: 10, per: [{ identity: true }] },
      ]),
    ]);
    expect(requests).toMatchObject({
      ports: [8080],
      perSecond: 0.5,
      burst: 5,
      matches: [{ methods: ['POST'] }],
      per: [{ identity: true }, { header: 'x-user' }, { sourceAddress: true }],
    });
    expect(connections).toMatchObject({ unit: 'connections', perSecond: 10, burst: 10 });
  });

  it('hold only where their policy speaks, and never for ports that nobody named', () => {
    const all = policy('all', [{ name: 'a', requests: 1 }]);
    const one = trafficPolicy('shop/one', {
      service: { name: 'cart', port: 81 },
      rateLimits: [{ name: 'b', requests: 2 }],
    });
    expect(limitsOf([all, one]).map((limit) => [limit.name.at(-1), limit.ports])).toEqual([
      ['a', [8080]],
      ['b', [8081]],
    ]);
    // The pod has no port of that name; the Service has no such port.
    const unnamed = service('shop/cart', '10.96.0.7', [{ port: 80, targetPort: 'gone' }]);
    expect(limitsOf([all], [unnamed])).toEqual([]);
    expect(limitsOf([policy('p', [{ name: 'a', requests: 1, port: 99 }])])).toEqual([]);
    expect(limitsOf([policy('p', [{ name: 'a', requests: 0 }])])).toEqual([]);
  });

  it('name their policy in what the sidecar gets, so that its status waits for the pods', () => {
    const objects = { Pod: [cartPod], Service: [cart] };
    const limiting = viewOf({
      ...objects,
      TrafficPolicy: [policy('p', [{ name: 'a', requests: 1 }])],
    });
    const made = translateWorkload(limiting, 'shop/cart-1')!;
    const ref = { kind: 'TrafficPolicy', namespace: 'shop', name: 'p', generation: 1 };
    expect(made.resource.policies).toEqual([ref]);
    expect(made.shapedBy).toMatchObject([ref]);
    expect(made.dependsOn).toContain('traffic:shop/cart');
    const without = viewOf({ ...objects, TrafficPolicy: [policy('p', [])] });
    expect(translateWorkload(without, 'shop/cart-1')!.resource.policies).toEqual([]);
  });
});
