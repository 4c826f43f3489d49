// Golden files: one scenario per file, what goes in beside what comes out. UPDATE_GOLDEN=1 rewrites them.

import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import {
  authorizationPolicy,
  mesh,
  peerAuthentication,
  pod,
  service,
  slice,
  trafficPolicy,
  viewOf,
} from '../model/test-objects.ts';
import type { Objects } from '../model/test-objects.ts';
import type { RouteSpec } from '../resources/tsmesh.ts';
import { translateDestination } from './destination.ts';
import { translateEndpoints } from './endpoints.ts';
import type { Translated } from './translated.ts';
import { translateWorkload } from './workload.ts';

function expectGolden(name: string, given: Objects, made: (Translated | null)[]): void {
  const file = new URL(`golden/${name}.json`, import.meta.url);
  const text = `${JSON.stringify({ given, made }, null, 2)}\n`;
  // eslint-disable-next-line -- tests may read the environment
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, 'utf8'));
}

const cartPods = [
  pod('shop/cart-1', {
    ip: '10.244.0.1',
    serviceAccount: 'cart',
    labels: { app: 'cart', version: 'v1' },
    ports: [{ name: 'web', containerPort: 8080 }],
  }),
  pod('shop/cart-2', {
    ip: '10.244.0.2',
    serviceAccount: 'cart',
    labels: { app: 'cart', version: 'v2' },
    ports: [{ name: 'web', containerPort: 8080 }],
  }),
];

const cart: Objects = {
  Mesh: [mesh({})],
  Pod: cartPods,
  Service: [
    service('shop/cart', '10.96.0.7', [
      { name: 'http', port: 80, targetPort: 'web' },
      { name: 'raw', port: 9000, appProtocol: 'tcp', targetPort: 9000 },
    ]),
    service('shop/spare', '10.96.0.8', [{ name: 'http', port: 80 }]),
  ],
  EndpointSlice: [
    slice(
      'shop/cart',
      [
        { address: '10.244.0.2', pod: 'cart-2', zone: 'b' },
        { address: '10.244.0.1', pod: 'cart-1', zone: 'a' },
      ],
      [
        { name: 'http', port: 8080 },
        { name: 'raw', port: 9000 },
      ],
    ),
  ],
};

describe('a workload', () => {
  it('with authorization of its namespace and of the mesh', () => {
    const given: Objects = {
      ...cart,
      Mesh: [mesh({ authorization: { ambiguousPaths: 'Refuse' } })],
      AuthorizationPolicy: [
        authorizationPolicy('tsmesh-system/no-strangers', {
          action: 'DENY',
          rules: [{ name: 'strangers', from: [{ notIdentities: ['*'] }] }],
        }),
        authorizationPolicy(
          'shop/cart',
          {
            selector: { matchLabels: { app: 'cart' } },
            rules: [
              {
                name: 'web',
                from: [{ serviceAccounts: ['web', 'other/web'] }],
                to: [{ methods: ['GET'], paths: [{ template: '/carts/{*}' }] }],
                when: [{ key: 'request.headers[x-tenant]', values: ['a*'] }],
              },
              {},
            ],
          },
          { generation: 3 },
        ),
        authorizationPolicy(
          'shop/rehearsal',
          {},
          { annotations: { 'tsmesh.dev/dry-run': 'true' } },
        ),
      ],
    };
    const view = viewOf(given);
    expectGolden('workload-authorization', given, [translateWorkload(view, 'shop/cart-1')]);
  });

  it('without any policy', () => {
    const given = { ...cart, Mesh: [] };
    const view = viewOf(given);
    expectGolden('workload-default', given, [translateWorkload(view, 'shop/cart-1')]);
  });

  it('without an access log where the Mesh wants none', () => {
    const view = viewOf({ ...cart, Mesh: [mesh({ accessLog: 'none' })] });
    expect(translateWorkload(view, 'shop/cart-1')?.resource.accessLog).toBe('off');
  });

  it('with modes of port, workload, namespace and mesh', () => {
    const given: Objects = {
      ...cart,
      Mesh: [
        mesh({
          trustDomain: 'prod.example',
          mtls: { mode: 'STRICT' },
          outboundPolicy: 'RegistryOnly',
          accessLog: 'all',
          proxy: { statisticsInterval: '1s' },
        }),
      ],
      PeerAuthentication: [
        peerAuthentication('shop/all', {
          mtls: { mode: 'PERMISSIVE' },
          portLevelMtls: { 9001: { mode: 'DISABLE' }, 8080: { mode: 'DISABLE' } },
        }),
        peerAuthentication('shop/cart', {
          selector: { matchLabels: { app: 'cart' } },
          mtls: { mode: 'UNSET' },
          portLevelMtls: { 8080: { mode: 'STRICT' }, 9000: { mode: 'UNSET' } },
        }),
      ],
    };
    const view = viewOf(given);
    expectGolden('workload-modes', given, [
      translateWorkload(view, 'shop/cart-1'),
      translateWorkload(view, 'shop/unknown'),
    ]);
  });
});

describe('a destination', () => {
  it('that is a Service, and its endpoints', () => {
    const view = viewOf(cart);
    expectGolden('service-default', cart, [
      translateDestination(view, 'shop', '10.96.0.7', 80),
      translateDestination(view, 'bank', '10.96.0.7', 9000),
      translateEndpoints(view, 'shop/cart:80'),
      translateEndpoints(view, 'shop/cart:9000'),
    ]);
  });

  it('that is a pod, outside the mesh, or outside the cluster', () => {
    const given: Objects = {
      ...cart,
      Mesh: [mesh({ defaults: { timeout: '3s', retries: { attempts: 1 } } })],
      Pod: [...cartPods, pod('shop/bare', { ip: 'fd00:0:0::9', meshed: false })],
    };
    const view = viewOf(given);
    expectGolden('pod-and-external', given, [
      translateDestination(view, 'shop', '10.244.0.1', 8080),
      translateEndpoints(view, 'pod/10.244.0.1:8080'),
      translateDestination(view, 'shop', 'fd00::9', 9999),
      translateEndpoints(view, 'pod/[fd00::9]:9999'),
      translateDestination(view, 'shop', '192.0.2.1', 443),
      translateDestination(view, 'shop', '10.96.0.7', 8443),
    ]);
  });

  it('that is a pod of a headless Service, under the policy of that Service', () => {
    const spec = { selector: { app: 'db' } };
    const given: Objects = {
      Pod: [pod('shop/db-0', { ip: '10.244.0.9', labels: { app: 'db' } })],
      Service: [
        service('shop/clustered', '10.96.0.9', [{ port: 80, targetPort: 5432 }], spec),
        service('shop/db', 'None', [{ name: 'tcp', port: 5432 }], spec),
      ],
      TrafficPolicy: [
        trafficPolicy('shop/clustered', { service: { name: 'clustered' }, timeout: '9s' }),
        trafficPolicy('shop/db', {
          service: { name: 'db' },
          timeout: '1s',
          routes: [
            { matches: [{ methods: ['GET'] }], backends: [{ port: 5432 }] },
            { backends: [{ service: 'db' }] },
          ],
        }),
      ],
    };
    const view = viewOf(given);
    expectGolden('headless', given, [
      translateDestination(view, 'shop', '10.244.0.9', 5432),
      translateDestination(view, 'shop', '10.244.0.9', 5433),
    ]);
  });

  it('with every kind of route', () => {
    const given: Objects = {
      ...cart,
      TrafficPolicy: [
        trafficPolicy('shop/cart', {
          service: { name: 'cart' },
          subsets: [
            { name: 'v1', labels: { version: 'v1' } },
            { name: 'v2', labels: { version: 'v2', app: 'cart' } },
          ],
          outlierDetection: { consecutive5xx: 7, baseEjectionTime: '6m' },
          timeout: '10s',
          retries: {
            attempts: 2,
            retryOn: ['5xx', 'reset'],
            perTryTimeout: '500ms',
            backoff: { base: '100ms', max: '1s' },
            budget: { percent: 50, minConcurrent: 1 },
          },
          routes: [
            {
              name: 'beta',
              matches: [
                {
                  path: { exact: '/pay' },
                  methods: ['GET', 'POST'],
                  headers: [
                    { name: 'X-User', prefix: 'beta-' },
                    { name: 'X-Old', present: false },
                  ],
                  queryParams: [
                    { name: 'q', regex: 'a+' },
                    { name: 'r', exact: '1' },
                  ],
                },
                { path: { prefix: '/beta' } },
                { path: { regex: '/b[0-9]+' } },
              ],
              backends: [{ subset: 'v2' }],
              timeout: '1s',
              retries: { attempts: 0 },
              requestHeaders: {
                set: [{ name: 'X-Beta', value: '1' }],
                add: [{ name: 'Via', value: 'mesh' }],
                remove: ['Cookie'],
              },
              responseHeaders: {},
              rewrite: { path: { prefix: '/' }, host: 'beta.example' },
            },
            {
              matches: [{ path: { exact: '/full' } }],
              rewrite: { path: { full: '/new' } },
            },
            { matches: [{ path: { exact: '/host' } }], rewrite: { host: 'other.example' } },
            {
              matches: [{ path: { prefix: '/old' } }],
              redirect: {
                scheme: 'https',
                host: 'new.example',
                port: 8443,
                path: { full: '/' },
                status: 308,
              },
            },
            { matches: [{ methods: ['DELETE'] }], redirect: { status: 303 } },
            {
              matches: [{ path: { prefix: '/split' } }],
              backends: [
                { subset: 'v1', weight: 90 },
                { subset: 'v2', weight: 10 },
                { service: 'spare', weight: 0 },
                { service: 'missing', weight: 5 },
              ],
            },
            {
              matches: [{ path: { prefix: '/nowhere' } }],
              backends: [{ service: 'missing' }, { subset: 'v9' }, { service: 'spare', port: 81 }],
            },
          ],
        }),
      ],
    };
    const view = viewOf(given);
    expectGolden('routes', given, [
      translateDestination(view, 'shop', '10.96.0.7', 80),
      translateEndpoints(view, 'shop/cart:80/app=cart,version=v2'),
      translateEndpoints(view, 'shop/cart:80/version=v9'),
    ]);
  });

  it('under a policy that says all it can, for callers of two namespaces', () => {
    const routes: RouteSpec[] = [
      {
        name: 'calls',
        matches: [{ grpc: { service: 'shop.v1.Cart' }, source: { labels: { tier: 'front' } } }],
        backends: [{ weight: 9 }, { service: 'named', weight: 1 }],
        mirrors: [
          { service: 'spare', percent: 0.5 },
          { service: 'gone' },
          { port: 81, percent: 0 },
        ],
        fault: {
          delay: { duration: '200ms', percent: 10 },
          abort: { status: 503, grpcCode: 'UNAVAILABLE' },
        },
        idleTimeout: '5s',
        retries: { attempts: 1, retryStatuses: [429], retryGrpcCodes: ['ABORTED', 8] },
      },
      { name: 'web', matches: [{ source: { namespaces: ['web'] }, path: { exact: '/' } }] },
      {
        name: 'bank',
        matches: [{ source: { namespaces: ['bank'] } }],
        directResponse: { status: 403 },
      },
      {
        name: 'pages',
        matches: [{ path: { prefix: '/' } }],
        cors: { allowOrigins: ['https://*.example'], allowHeaders: ['X-User'], maxAge: '10m' },
      },
      { matches: [{ methods: ['PUT'] }], fault: { delay: { duration: '1s', percent: 0 } } },
    ];
    const named = { type: 'ExternalName', clusterIP: undefined, clusterIPs: [] };
    const given: Objects = {
      ...cart,
      Service: [...cart.Service!, service('shop/named', '', [], named)],
      TrafficPolicy: [
        trafficPolicy('shop/all', {
          service: { name: 'cart', port: 80 },
          timeout: '2s',
          idleTimeout: '10s',
          connectTimeout: '1s',
          tcpIdleTimeout: '1h',
          loadBalancing: {
            method: 'ConsistentHash',
            consistentHash: { by: [{ header: 'X-User' }] },
          },
          limits: { maxConnections: 10 },
          outlierDetection: {
            successRate: {},
            latency: { minimum: '10ms' },
            panicThresholdPercent: 30,
          },
          rateLimits: [{ name: 'all', requests: 100, interval: '10s' }],
          routes,
        }),
      ],
    };
    const view = viewOf(given);
    expectGolden('everything', given, [
      translateDestination(view, 'web', '10.96.0.7', 80),
      translateDestination(view, 'bank', '10.96.0.7', 80),
      translateWorkload(view, 'shop/cart-1'),
    ]);
  });

  it('whose last route takes all, also connections that are not HTTP', () => {
    const given: Objects = {
      ...cart,
      TrafficPolicy: [
        trafficPolicy('shop/split', {
          service: { name: 'cart', port: 9000 },
          routes: [
            { matches: [], redirect: { status: 303 } },
            { backends: [{ weight: 3 }, { service: 'spare', port: 80, weight: 1 }] },
            { matches: [{ methods: ['GET'] }], backends: [{}] },
          ],
        }),
      ],
    };
    const view = viewOf(given);
    expectGolden('catch-all', given, [
      translateDestination(view, 'shop', '10.96.0.7', 9000),
      translateDestination(view, 'shop', '10.96.0.7', 80),
    ]);
  });
});

describe('of several TrafficPolicies for one Service port', () => {
  const policy = (name: string, day: string, timeout: string, port?: number) =>
    trafficPolicy(
      `shop/${name}`,
      { service: { name: 'cart', ...(port === undefined ? {} : { port }) }, timeout },
      { creationTimestamp: `2026-01-0${day}T00:00:00Z` },
    );
  const timeoutAt = (policies: ReturnType<typeof policy>[], port: number) => {
    const view = viewOf({ ...cart, TrafficPolicy: policies });
    return translateDestination(view, 'shop', '10.96.0.7', port).resource.routes[0]!.timeoutMs;
  };

  it('the oldest speaks, and of equally old ones the first by name', () => {
    expect(timeoutAt([policy('a', '2', '2s'), policy('b', '1', '1s')], 80)).toBe(1000);
    expect(timeoutAt([policy('b', '1', '2s'), policy('a', '1', '1s')], 80)).toBe(1000);
  });

  it('one that names the port goes before an older one that does not', () => {
    const both = [policy('all', '1', '1s'), policy('one', '2', '2s', 80)];
    expect(timeoutAt(both, 80)).toBe(2000);
    expect(timeoutAt(both, 9000)).toBe(1000);
  });

  it('an invalid one does not speak', () => {
    expect(timeoutAt([policy('bad', '1', 'soon'), policy('good', '2', '2s')], 80)).toBe(2000);
    expect(timeoutAt([policy('bad', '1', 'soon')], 80)).toBeNull();
  });
});

describe('endpoints', () => {
  const endpointsOf = (objects: Objects, name = 'shop/cart:80') =>
    translateEndpoints(viewOf({ ...cart, ...objects }), name);

  it('leave out a pod that is being deleted before its slice says so', () => {
    const list = ['1', '2'].map((n) => ({ address: `10.244.0.${n}`, pod: `cart-${n}` }));
    const EndpointSlice = [slice('shop/cart', list, [{ name: 'http', port: 8080 }])];
    const Pod = [
      pod('shop/cart-1', { ip: '10.244.0.1', deleted: true }),
      pod('shop/cart-2', { ip: '10.244.0.2' }),
    ];
    const { resource } = endpointsOf({ EndpointSlice, Pod });
    expect(resource.endpoints.map(({ podName }) => podName)).toEqual(['cart-2']);
  });

  it('are the ready ones that are not going', () => {
    const list = [
      { address: '10.244.0.1', pod: 'cart-1', ready: false },
      { address: '10.244.0.2', pod: 'cart-2', terminating: true },
      { address: '10.244.0.3', pod: 'cart-3' },
    ];
    const EndpointSlice = [slice('shop/cart', list, [{ name: 'http', port: 8080 }])];
    const { resource } = endpointsOf({ EndpointSlice });
    expect(resource.endpoints.map(({ podName }) => podName)).toEqual(['cart-3']);
    const Service = [
      service('shop/cart', '10.96.0.7', [{ name: 'http', port: 80 }], {
        publishNotReadyAddresses: true,
      }),
    ];
    const unready = endpointsOf({ EndpointSlice, Service }).resource.endpoints;
    expect(unready.map(({ podName }) => podName)).toEqual(['cart-1', 'cart-3']);
  });

  it('without conditions count as ready', () => {
    const plain = slice('shop/cart', [{ address: '10.244.0.1' }], [{ name: 'http', port: 8080 }]);
    const bare = { ...plain, endpoints: [{ addresses: ['10.244.0.1'] }] };
    expect(endpointsOf({ EndpointSlice: [bare] }).resource.endpoints).toHaveLength(1);
  });

  it('of a port without a name are those of the slice port without one, of TCP', () => {
    const Service = [service('shop/cart', '10.96.0.7', [{ port: 80 }])];
    const ports = [
      { name: '', port: 53, protocol: 'UDP' },
      { name: '', port: 8080 },
    ];
    const EndpointSlice = [slice('shop/cart', [{ address: '10.244.0.1' }], ports)];
    expect(endpointsOf({ Service, EndpointSlice }).resource.endpoints[0]!.port).toBe(8080);
  });

  it('have addresses of the family that the client called', () => {
    const ports = [{ name: 'http', port: 8080 }];
    const six = slice('shop/cart', [{ address: 'fd00::1', pod: 'cart-1' }], ports);
    const given: Objects = {
      ...cart,
      Pod: [pod('shop/cart-1', { ip: 'fd00::1', labels: { version: 'v1' } })],
      Service: [
        service('shop/cart', '10.96.0.7', [{ name: 'http', port: 80 }], {
          clusterIPs: ['10.96.0.7', 'fd00:96::7'],
        }),
      ],
      EndpointSlice: [
        ...cart.EndpointSlice!,
        { ...six, metadata: { ...six.metadata, name: 'cart-6' } },
      ],
    };
    const view = viewOf(given);
    const backend = (address: string) =>
      translateDestination(view, 'shop', address, 80).resource.tcp[0]!.endpoints;
    const addresses = (name: string) =>
      translateEndpoints(view, name).resource.endpoints.map(({ address }) => address);
    expect(backend('fd00:96::7')).toBe('shop/cart:80@ipv6');
    expect(addresses(backend('fd00:96::7'))).toEqual(['fd00::1']);
    expect(addresses('shop/cart:80@ipv6/version=v1')).toEqual(['fd00::1']);
    expect(addresses(backend('10.96.0.7'))).toEqual(['10.244.0.1', '10.244.0.2']);
  });

  it('stand once when two slices list them', () => {
    const [first] = cart.EndpointSlice! as [ReturnType<typeof slice>];
    const second = { ...first, metadata: { ...first.metadata, name: 'cart-2' } };
    const { resource } = endpointsOf({ EndpointSlice: [first, second] });
    expect(resource.endpoints.map(({ address }) => address)).toEqual(['10.244.0.1', '10.244.0.2']);
  });

  it.each([
    ['a port that the Service does not have', 'shop/cart:81'],
    ['a Service that does not exist', 'shop/none:80'],
    ['a Service of which only slices are there', 'shop/late:80'],
    ['a subset that the policy does not define', 'shop/cart:80/?v9'],
    ['a name that is none', 'nonsense'],
    ['an address that no pod has', 'pod/10.244.9.9:80'],
    ['a pod name without a port', 'pod/10.244.0.1'],
  ])('of %s are none', (_what, name) => {
    const late = slice('shop/late', [{ address: '10.244.0.1' }], [{ port: 80 }]);
    const given = { EndpointSlice: [...cart.EndpointSlice!, late] };
    expect(endpointsOf(given, name).resource).toEqual({ type: 'Endpoints', name, endpoints: [] });
  });

  it('of a slice that is empty, which the API server writes as null, are none', () => {
    const empty = { ...slice('shop/cart', [], [{ name: 'http', port: 8080 }]), endpoints: null };
    const EndpointSlice = [empty as unknown as ReturnType<typeof slice>];
    expect(endpointsOf({ EndpointSlice }).resource.endpoints).toEqual([]);
  });

  it('of a port that no slice has are none', () => {
    const EndpointSlice = [
      slice('shop/cart', [{ address: '10.244.0.1' }], [{ name: 'other', port: 1 }]),
    ];
    expect(endpointsOf({ EndpointSlice }).resource.endpoints).toEqual([]);
    const bare = { ...EndpointSlice[0]! };
    delete bare.ports;
    expect(endpointsOf({ EndpointSlice: [bare] }).resource.endpoints).toEqual([]);
  });

  it('without a pod are spoken to in plaintext', () => {
    const EndpointSlice = [
      slice('shop/cart', [{ address: '192.0.2.9' }], [{ name: 'http', port: 8080 }]),
    ];
    const { resource } = endpointsOf({ EndpointSlice });
    expect(resource.endpoints).toEqual([
      { address: '192.0.2.9', port: 8080, identity: null, podName: '', zone: '' },
    ]);
    expect(endpointsOf({ EndpointSlice }, 'shop/cart:80/version=v1').resource.endpoints).toEqual(
      [],
    );
  });

  it('on the network of the node have the labels of their pod, and no identity', () => {
    const Pod = [
      pod('shop/node', { ip: '192.0.2.5', hostNetwork: true, labels: { version: 'v1' } }),
    ];
    const list = [
      { address: '192.0.2.5', pod: 'node' },
      { address: '192.0.2.6', pod: 'gone' },
    ];
    const EndpointSlice = [slice('shop/cart', list, [{ name: 'http', port: 8080 }])];
    const { resource } = endpointsOf({ Pod, EndpointSlice }, 'shop/cart:80/version=v1');
    expect(resource.endpoints).toMatchObject([{ podName: 'node', identity: null }]);
  });

  it('whose port is not captured are spoken to in plaintext', () => {
    const annotations = { 'tsmesh.dev/exclude-inbound-ports': '8080' };
    const Pod = [pod('shop/cart-1', { ip: '10.244.0.1', annotations })];
    const at = (port: number) =>
      endpointsOf({ Pod }, `pod/10.244.0.1:${port}`).resource.endpoints[0]!.identity;
    expect([at(8080), at(15020), at(8081)]).toEqual([
      null,
      null,
      'spiffe://cluster.local/ns/shop/sa/default',
    ]);
  });

  it('where mTLS is off are spoken to in plaintext, and name who turned it off', () => {
    const PeerAuthentication = [
      peerAuthentication('shop/cart', {
        selector: { matchLabels: { version: 'v1' } },
        portLevelMtls: { 8080: { mode: 'DISABLE' } },
      }),
    ];
    const made = endpointsOf({ PeerAuthentication });
    expect(made.resource.endpoints.map(({ identity }) => identity)).toEqual([
      null,
      'spiffe://cluster.local/ns/shop/sa/cart',
    ]);
    expect(made.shapedBy.map(({ name }) => name)).toEqual(['cart']);
    const byMesh = endpointsOf({ Mesh: [mesh({ mtls: { mode: 'DISABLE' } })] });
    expect(byMesh.shapedBy.map(({ kind }) => kind)).toEqual(['Mesh']);
  });
});
