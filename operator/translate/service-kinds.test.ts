// Each kind of Service as sidecars are told of it: which endpoints, with which identity, under which name.

import { describe, expect, it } from '@jest/globals';
import type { EndpointsResource } from '../../proxy/api/resources.ts';
import { createModel } from '../model/model.ts';
import { fill, ManualClock, pod, service, slice, viewOf } from '../model/test-objects.ts';
import type { EndpointOptions, Objects } from '../model/test-objects.ts';
import type { View } from '../model/view.ts';
import type { EndpointSlice, Service } from '../resources/kubernetes.ts';
import { translateDestination } from './destination.ts';
import { translateEndpoints } from './endpoints.ts';
import { translateWorkload } from './workload.ts';

const app = { app: 'cart' };
const cart = (name: string, ip: string, ports: { name?: string; containerPort: number }[] = []) =>
  pod(`shop/${name}`, { ip, labels: app, serviceAccount: 'cart', ports });
const callerId = 'spiffe://cluster.local/ns/shop/sa/cart';

/** `address:port`, with a `+` where mTLS is spoken. */
function endpointsOf(view: View, name: string): string[] {
  const { endpoints }: EndpointsResource = translateEndpoints(view, name).resource;
  return endpoints.map(({ address, port, identity }) => {
    expect(identity === null || identity === callerId).toBe(true);
    return `${address}:${port}${identity === null ? '' : '+'}`;
  });
}

function destinationAt(view: View, address: string, port: number) {
  return translateDestination(view, 'shop', address, port).resource;
}

/** Names of the Endpoints that requests to it go to. */
function backendsAt(view: View, address: string, port: number): string[] {
  const { routes, tcp } = destinationAt(view, address, port);
  const names = (list: { endpoints: string }[]) => list.map(({ endpoints }) => endpoints);
  const http = routes.flatMap(({ backends }) => names(backends));
  expect(names(tcp)).toEqual(http);
  return http;
}

/** Several slices of one Service have names of their own. */
function furtherSlice(one: EndpointSlice, name: string): EndpointSlice {
  return { ...one, metadata: { ...one.metadata, name, uid: name } };
}

describe('ports', () => {
  it('of a Service lead to other ones of its pods, each to its own', () => {
    const ports = [
      { name: 'web', port: 80, targetPort: 8080 },
      { name: 'grpc-api', port: 81, targetPort: 9090 },
    ];
    const slices = slice(
      'shop/cart',
      [{ address: '10.0.0.1', pod: 'cart-1' }],
      [
        { name: 'web', port: 8080 },
        { name: 'grpc-api', port: 9090 },
      ],
    );
    const view = viewOf({
      Pod: [cart('cart-1', '10.0.0.1')],
      Service: [service('shop/cart', '10.96.0.7', ports)],
      EndpointSlice: [slices],
    });
    expect(backendsAt(view, '10.96.0.7', 80)).toEqual(['shop/cart:80']);
    expect(endpointsOf(view, 'shop/cart:80')).toEqual(['10.0.0.1:8080+']);
    expect(destinationAt(view, '10.96.0.7', 81)).toMatchObject({ protocol: 'http2' });
    expect(endpointsOf(view, 'shop/cart:81')).toEqual(['10.0.0.1:9090+']);
    // Not a port of it: kube-proxy carries nothing there either.
    expect(destinationAt(view, '10.96.0.7', 82)).toMatchObject({ kind: 'external' });
  });

  it('that are named may be another number in each pod', () => {
    const ports = [{ name: 'http', port: 80, targetPort: 'web' }];
    const old = slice('shop/cart', [{ address: '10.0.0.1' }], [{ name: 'http', port: 8080 }]);
    const late = slice('shop/cart', [{ address: '10.0.0.2' }], [{ name: 'http', port: 9080 }]);
    const view = viewOf({
      Pod: [
        cart('cart-1', '10.0.0.1', [{ name: 'web', containerPort: 8080 }]),
        cart('cart-2', '10.0.0.2', [{ name: 'web', containerPort: 9080 }]),
      ],
      Service: [service('shop/cart', '10.96.0.7', ports, { selector: app })],
      EndpointSlice: [old, furtherSlice(late, 'cart-late')],
    });
    expect(endpointsOf(view, 'shop/cart:80')).toEqual(['10.0.0.1:8080+', '10.0.0.2:9080+']);
    // What the Service declares holds for the pod's own port, too.
    expect(destinationAt(view, '10.0.0.2', 9080)).toMatchObject({ protocol: 'http1' });
    expect(destinationAt(view, '10.0.0.2', 8080)).toMatchObject({ protocol: 'auto' });
  });

  it('of UDP and TCP with one number are not taken for each other', () => {
    const ports = [
      { name: 'dns', port: 53, protocol: 'UDP' },
      { name: 'dns-tcp', port: 53, targetPort: 1053 },
    ];
    const view = viewOf({
      Service: [service('shop/cart', '10.96.0.7', ports)],
      EndpointSlice: [
        slice(
          'shop/cart',
          [{ address: '10.0.0.1' }],
          [
            { name: 'dns', port: 53, protocol: 'UDP' },
            { name: 'dns-tcp', port: 1053 },
          ],
        ),
      ],
    });
    expect(endpointsOf(view, 'shop/cart:53')).toEqual(['10.0.0.1:1053']);
  });
});

describe('two Services over the same pods', () => {
  it('are two destinations with their own names, ports and protocols', () => {
    const endpoints = [{ address: '10.0.0.1', pod: 'cart-1' }];
    const view = viewOf({
      Pod: [cart('cart-1', '10.0.0.1')],
      Service: [
        service('shop/cart', '10.96.0.7', [{ port: 80, targetPort: 8080 }], { selector: app }),
        service('shop/raw', '10.96.0.8', [{ port: 90, targetPort: 8080, appProtocol: 'tcp' }], {
          selector: app,
        }),
      ],
      EndpointSlice: [
        slice('shop/cart', endpoints, [{ port: 8080 }]),
        slice('shop/raw', endpoints, [{ port: 8080 }]),
      ],
    });
    expect(destinationAt(view, '10.96.0.7', 80)).toMatchObject({
      host: 'cart.shop:80',
      protocol: 'auto',
    });
    expect(destinationAt(view, '10.96.0.8', 90)).toMatchObject({
      host: 'raw.shop:90',
      protocol: 'tcp',
    });
    expect(endpointsOf(view, 'shop/cart:80')).toEqual(['10.0.0.1:8080+']);
    expect(endpointsOf(view, 'shop/raw:90')).toEqual(['10.0.0.1:8080+']);
  });
});

describe('a Service whose selector changes', () => {
  it('leads to the new pods as soon as its slices do, and no more to the old ones', () => {
    const model = createModel({ clock: new ManualClock() });
    const at = (version: string, address: string): Objects => ({
      Service: [
        service('shop/cart', '10.96.0.7', [{ port: 80 }], { selector: { ...app, version } }),
      ],
      EndpointSlice: [slice('shop/cart', [{ address, pod: `cart-${version}` }], [{ port: 80 }])],
    });
    fill(model, { Pod: [cart('cart-v1', '10.0.0.1'), cart('cart-v2', '10.0.0.2')] });
    fill(model, at('v1', '10.0.0.1'));
    model.flush();
    expect(endpointsOf(model.view(), 'shop/cart:80')).toEqual(['10.0.0.1:80+']);
    fill(model, at('v2', '10.0.0.2'));
    model.flush();
    expect(endpointsOf(model.view(), 'shop/cart:80')).toEqual(['10.0.0.2:80+']);
  });
});

describe('a Service without selector', () => {
  it('leads where its slices say: to places outside, and to pods of the mesh with their identity', () => {
    const view = viewOf({
      Pod: [cart('cart-1', '10.0.0.1')],
      Service: [service('shop/db', '10.96.0.9', [{ port: 5432 }], { selector: undefined })],
      EndpointSlice: [
        slice('shop/db', [{ address: '192.0.2.9' }, { address: '10.0.0.1' }], [{ port: 5432 }]),
      ],
    });
    expect(destinationAt(view, '10.96.0.9', 5432)).toMatchObject({ kind: 'service' });
    expect(endpointsOf(view, 'shop/db:5432')).toEqual(['10.0.0.1:5432+', '192.0.2.9:5432']);
  });
});

describe('a headless Service', () => {
  const headless = service('shop/db', 'None', [{ port: 5432 }], { selector: app });

  it('has no address of its own: each pod is called by its own, and is that pod exactly', () => {
    const view = viewOf({
      Pod: [cart('db-0', '10.0.0.1'), cart('db-1', '10.0.0.2')],
      Service: [headless],
      EndpointSlice: [
        slice('shop/db', [{ address: '10.0.0.1' }, { address: '10.0.0.2' }], [{ port: 5432 }]),
      ],
    });
    expect(view.servicePorts.size).toBe(0);
    expect(backendsAt(view, '10.0.0.2', 5432)).toEqual(['pod/10.0.0.2:5432']);
    expect(endpointsOf(view, 'pod/10.0.0.2:5432')).toEqual(['10.0.0.2:5432+']);
    expect(destinationAt(view, '10.0.0.2', 5432)).toMatchObject({
      kind: 'pod',
      host: 'db-1.shop:5432',
    });
  });

  it('lets its pods find each other before they are ready', () => {
    const view = viewOf({
      Pod: [
        pod('shop/db-0', { ip: '10.0.0.1', labels: app, serviceAccount: 'cart', ready: false }),
      ],
      Service: [headless],
    });
    expect(endpointsOf(view, 'pod/10.0.0.1:5432')).toEqual(['10.0.0.1:5432+']);
  });
});

describe('endpoints that are not ready', () => {
  const gone = { ready: false, serving: false, terminating: true };
  const going = { ready: false, serving: true, terminating: true };

  function usedOf(endpoints: EndpointOptions[], spec: Partial<Service['spec']> = {}): string[] {
    const view = viewOf({
      Pod: endpoints.map(({ address }, i) => cart(`cart-${i}`, address)),
      Service: [service('shop/cart', '10.96.0.7', [{ port: 80 }], spec)],
      EndpointSlice: [slice('shop/cart', endpoints, [{ port: 80 }])],
    });
    return endpointsOf(view, 'shop/cart:80');
  }

  const one = { address: '10.0.0.1' };
  const two = { address: '10.0.0.2' };

  it('are not used, and none is where all are so', () => {
    expect(usedOf([one, { ...two, ready: false }])).toEqual(['10.0.0.1:80+']);
    expect(usedOf([{ ...one, ready: false }])).toEqual([]);
    expect(usedOf([])).toEqual([]);
  });

  it('are used where the Service publishes them', () => {
    const spec = { publishNotReadyAddresses: true };
    expect(usedOf([one, { ...two, ready: false }], spec)).toEqual(['10.0.0.1:80+', '10.0.0.2:80+']);
    expect(usedOf([one, { ...two, ready: true, terminating: true }], spec)).toEqual([
      '10.0.0.1:80+',
    ]);
    expect(usedOf([{ ...two, ...gone }], spec)).toEqual(['10.0.0.2:80+']);
  });

  it('are used while they go and still serve, where nothing else is left (KEP-1669)', () => {
    expect(usedOf([one, { ...two, ...going }])).toEqual(['10.0.0.1:80+']);
    expect(
      usedOf([
        { ...one, ready: false },
        { ...two, ...going },
      ]),
    ).toEqual(['10.0.0.2:80+']);
    expect(
      usedOf([
        { ...one, ...gone },
        { ...two, ...going },
      ]),
    ).toEqual(['10.0.0.2:80+']);
    expect(usedOf([{ ...one, ...gone }])).toEqual([]);
  });

  it('are known to go by their pods before their slice says it', () => {
    const endpoints = [one, two];
    const used = (...deleted: boolean[]): string[] => {
      const pods = endpoints.map(({ address }, i) => {
        const options = { ip: address, labels: app, serviceAccount: 'cart' };
        return pod(`shop/cart-${i}`, { ...options, deleted: deleted[i] ?? false });
      });
      const view = viewOf({
        Pod: pods,
        Service: [service('shop/cart', '10.96.0.7', [{ port: 80 }])],
        EndpointSlice: [slice('shop/cart', endpoints, [{ port: 80 }])],
      });
      return endpointsOf(view, 'shop/cart:80');
    };
    expect(used(true, false)).toEqual(['10.0.0.2:80+']);
    expect(used(true, true)).toEqual(['10.0.0.1:80+', '10.0.0.2:80+']);
  });
});

describe('both families of addresses', () => {
  it('are two destinations of a dual-stack Service, each with the endpoints of its own', () => {
    const dual = service('shop/cart', '10.96.0.7', [{ port: 80 }], {
      clusterIPs: ['10.96.0.7', 'fd00:96::7'],
    });
    const both = pod('shop/cart-1', { ip: '10.0.0.1', labels: app, serviceAccount: 'cart' });
    both.status!.podIPs = [{ ip: '10.0.0.1' }, { ip: 'fd00:0:0::1' }];
    const six = slice('shop/cart', [{ address: 'fd00::1' }], [{ port: 80 }]);
    const view = viewOf({
      Pod: [both],
      Service: [dual],
      EndpointSlice: [
        slice('shop/cart', [{ address: '10.0.0.1' }], [{ port: 80 }]),
        furtherSlice(six, 'cart-6'),
      ],
    });
    expect(backendsAt(view, '10.96.0.7', 80)).toEqual(['shop/cart:80']);
    expect(backendsAt(view, 'fd00:96:0::7', 80)).toEqual(['shop/cart:80@ipv6']);
    expect(endpointsOf(view, 'shop/cart:80')).toEqual(['10.0.0.1:80+']);
    expect(endpointsOf(view, 'shop/cart:80@ipv6')).toEqual(['fd00::1:80+']);
    expect(endpointsOf(view, 'pod/[fd00::1]:80')).toEqual(['fd00::1:80+']);
    expect(destinationAt(view, 'fd00::1', 80)).toMatchObject({
      kind: 'pod',
      host: 'cart-1.shop:80',
    });
  });
});

describe('an ExternalName', () => {
  it('has no address: what its name leads to is what is called, in the mesh or outside', () => {
    const view = viewOf({
      Pod: [cart('cart-1', '10.0.0.1')],
      Service: [
        service('shop/alias', '', [{ port: 80 }], {
          type: 'ExternalName',
          externalName: 'cart.shop.svc.cluster.local',
          clusterIP: undefined,
          clusterIPs: undefined,
          selector: undefined,
        }),
        service('shop/cart', '10.96.0.7', [{ port: 80 }]),
      ],
      EndpointSlice: [slice('shop/cart', [{ address: '10.0.0.1' }], [{ port: 80 }])],
    });
    expect(view.servicePorts.size).toBe(1);
    expect(destinationAt(view, '10.96.0.7', 80)).toMatchObject({ host: 'cart.shop:80' });
    expect(destinationAt(view, '192.0.2.1', 80)).toMatchObject({ kind: 'external', routes: [] });
  });
});

describe('a Service for callers of the same node only', () => {
  it('says of each endpoint which node that is, and of each pod its own', () => {
    const spec = { internalTrafficPolicy: 'Local' };
    const going = { ready: false, serving: true, terminating: true };
    const view = viewOf({
      Pod: [pod('shop/web', { nodeName: 'n1' })],
      Service: [service('shop/cart', '10.96.0.7', [{ port: 80 }], spec)],
      EndpointSlice: [
        slice(
          'shop/cart',
          [
            { address: '10.0.0.1', node: 'n1' },
            { address: '10.0.0.2', node: 'n1', ...going },
            { address: '10.0.0.3', node: 'n2', ...going },
            { address: '10.0.0.4' },
          ],
          [{ port: 80 }],
        ),
      ],
    });
    const { endpoints } = translateEndpoints(view, 'shop/cart:80').resource;
    expect(endpoints.map(({ address, onlyNode }) => [address, onlyNode])).toEqual([
      ['10.0.0.1', 'n1'],
      ['10.0.0.3', 'n2'],
      ['10.0.0.4', 'none'],
    ]);
    expect(translateWorkload(view, 'shop/web')?.resource.node).toBe('n1');
  });
});

describe('a Service that keeps its callers where they were', () => {
  const balancingOf = (spec: Partial<Service['spec']>) =>
    destinationAt(
      viewOf({ Service: [service('shop/cart', '10.96.0.7', [{ port: 80 }], spec)] }),
      '10.96.0.7',
      80,
    ).balancing;

  it('does so by the address of the caller', () => {
    expect(balancingOf({ sessionAffinity: 'ClientIP' })).toMatchObject({
      method: 'consistent-hash',
      hash: { by: [{ sourceAddress: true }] },
    });
    expect(balancingOf({ sessionAffinity: 'None' })).toBeUndefined();
  });
});
