import { describe, expect, it } from '@jest/globals';
import type { Balancing, Resource } from '../api/resources.ts';
import { guarded, policy } from '../../test/support/authorization.ts';
import { destination, endpoints, route, workload } from '../../test/support/sidecar.ts';
import { createStore, type Store } from './store.ts';

function put(store: Store, resource: unknown, version = '1') {
  return store.apply([{ version, resource: resource as Resource }], []);
}

const app = { address: '10.0.0.7', port: 8080, family: 'IPv4' };
const spiffe = 'spiffe://cluster.local/ns/shop/sa/app';

describe('the store', () => {
  it('puts good resources in force in one swap and says which versions it holds', () => {
    const store = createStore();
    const swaps: number[] = [];
    store.onSwap(({ destinations, endpoints: sets }) => swaps.push(destinations.size + sets.size));
    const errors = store.apply(
      [
        { version: 'w1', resource: workload() },
        { version: 'd1', resource: destination() },
        { version: 'e1', resource: endpoints(app, spiffe) },
      ],
      [],
    );
    expect(errors).toEqual([]);
    expect(swaps).toEqual([2]);
    expect(store.held()).toEqual({
      'Workload/self': 'w1',
      'Destination/10.96.0.7:80': 'd1',
      'Endpoints/shop/app:80': 'e1',
    });
    expect(store.resources()).toHaveLength(3);
  });

  it('compiles policies once for each content, and keeps the last good ones', () => {
    const store = createStore();
    const authorizer = () => store.snapshot().workload!.authorizer;
    put(store, workload());
    expect(authorizer().active).toBe(false);
    const allow = policy('ALLOW', [{ from: [{ identities: ['*'] }] }]);
    put(store, guarded([allow]));
    const first = authorizer();
    expect(first.active).toBe(true);
    put(store, { ...guarded([allow], { mtls: 'PERMISSIVE' }), accessLog: 'off' });
    expect(authorizer()).toBe(first);
    expect(put(store, guarded([policy('DENY', [{ from: [{ ipBlocks: ['x'] }] }])]))).toHaveLength(
      1,
    );
    expect(authorizer()).toBe(first);
    put(store, guarded([allow, policy('DENY', [])]));
    expect(authorizer()).not.toBe(first);
  });

  it('refuses a bad resource alone and keeps its last good one', () => {
    const store = createStore();
    put(store, destination({ host: 'good' }), 'good');
    const errors = store.apply(
      [
        { version: 'bad', resource: destination({ protocol: 'udp' as never }) },
        { version: 'new', resource: endpoints(app, null) },
      ],
      [],
    );
    expect(errors).toEqual([
      {
        key: 'Destination/10.96.0.7:80',
        path: '/protocol',
        message: 'must be one of auto, http1, http2, tcp',
      },
    ]);
    expect(store.snapshot().destinations.get('10.96.0.7:80')?.host).toBe('good');
    expect(store.held()['Destination/10.96.0.7:80']).toBe('good');
    expect(store.snapshot().endpoints.has('shop/app:80')).toBe(true);
  });

  it.each<[string, unknown, string]>([
    ['no resource at all', null, ''],
    ['an unknown type', { type: 'Gateway', name: 'x' }, '/type'],
    [
      'a policy with an unknown action',
      guarded([{ ...policy('ALLOW', []), action: 'LOG' as never }]),
      '/authorization/policies/0/action',
    ],
    [
      'a policy that may or may not be on trial',
      guarded([{ ...policy('ALLOW', []), dryRun: 'yes' as never }]),
      '/authorization/policies/0/dryRun',
    ],
    [
      'an address block that is none',
      guarded([policy('DENY', [{ from: [{ ipBlocks: ['10.0.0.0/99'] }] }])]),
      '/authorization/policies/0/rules/0/from/0/ipBlocks/0',
    ],
    [
      'a port that is none',
      guarded([policy('DENY', [{ to: [{ ports: [80, 0] }] }])]),
      '/authorization/policies/0/rules/0/to/0/ports/1',
    ],
    [
      'a path of two kinds',
      guarded([policy('DENY', [{ to: [{ paths: [{ exact: '/', prefix: '/' } as never] }] }])]),
      '/authorization/policies/0/rules/0/to/0/paths/0',
    ],
    [
      'a restriction that this sidecar does not know',
      guarded([policy('ALLOW', [{ from: [{ weekdays: ['Monday'] } as never] }])]),
      '/authorization/policies/0/rules/0/from/0/weekdays',
    ],
    [
      'a condition on nothing',
      guarded([policy('ALLOW', [{ when: [{ key: 'source.mood', values: ['good'] }] }])]),
      '/authorization/policies/0/rules/0/when/0/key',
    ],
    [
      'unknown handling of paths',
      guarded([], {}, 'guess' as never),
      '/authorization/ambiguousPaths',
    ],
    [
      'a route without a name',
      destination({ routes: [{ ...route(), name: 5 as never }] }),
      '/routes/0/name',
    ],
    [
      'a prefix that is none',
      destination({ routes: [route({ matches: [{ path: { prefix: 'a' } }] })] }),
      '/routes/0/matches/0/path/prefix',
    ],
    [
      'a broken regular expression',
      destination({ routes: [route({ matches: [{ path: { regex: '(' } }] })] }),
      '/routes/0/matches/0/path/regex',
    ],
    [
      'a broken header pattern',
      destination({
        routes: [route({ matches: [{ headers: [{ name: 'a', value: { regex: '[' } }] }] })],
      }),
      '/routes/0/matches/0/headers/0/value/regex',
    ],
    ['a negative weight', destination({ tcp: [{ endpoints: 'a', weight: -1 }] }), '/tcp/0/weight'],
    [
      'a timeout of nothing',
      destination({ routes: [route({ timeoutMs: 0 })] }),
      '/routes/0/timeoutMs',
    ],
    [
      'a header that frames the message',
      destination({
        routes: [
          route({
            requestHeaders: { set: [{ name: 'Content-Length', value: '1' }], add: [], remove: [] },
          }),
        ],
      }),
      '/routes/0/requestHeaders/set/0',
    ],
    [
      'a header value with a line break',
      destination({
        routes: [
          route({
            requestHeaders: { set: [{ name: 'a', value: '1\r\nb: 2' }], add: [], remove: [] },
          }),
        ],
      }),
      '/routes/0/requestHeaders/set/0/value',
    ],
    [
      'a redirect with an odd status',
      destination({
        routes: [
          route({
            redirect: { scheme: null, host: null, port: null, path: null, status: 200 as never },
          }),
        ],
      }),
      '/routes/0/redirect/status',
    ],
    ['an endpoint that is not a SPIFFE id', endpoints(app, 'spiffe://x'), '/endpoints/0/identity'],
    ['a port out of range', endpoints({ ...app, port: 70_000 }, null), '/endpoints/0/port'],
    [
      'an inbound port with a name',
      {
        ...workload(),
        inbound: { ...workload().inbound, ports: { http: workload().inbound.other } },
      },
      '/inbound/ports/http',
    ],
    ['an unknown mode', workload({ mtls: 'MAYBE' as never }), '/inbound/other/mtls'],
  ])('names the place of %s', (_, resource, path) => {
    const errors = put(createStore(), resource);
    expect(errors.map((error) => error.path)).toEqual([path]);
  });

  it('removes what the operator takes away', () => {
    const store = createStore();
    put(store, workload());
    put(store, destination());
    put(store, endpoints(app, null));
    store.apply([], ['Destination/10.96.0.7:80', 'Endpoints/shop/app:80', 'Workload/self']);
    expect(store.held()).toEqual({});
    expect(store.snapshot().workload).toBeNull();
    expect(store.resources()).toEqual([]);
  });

  it('forgets destinations, not their endpoints: the operator may need them for another', () => {
    const store = createStore();
    put(store, destination());
    put(
      store,
      destination({
        name: '10.96.0.8:80',
        routes: [],
        tcp: [{ endpoints: 'shop/db:1', weight: 1 }],
      }),
    );
    put(store, endpoints(app, null));
    put(store, endpoints(app, null, 'shop/db:1'));
    store.forget(['10.96.0.8:80']);
    expect(Object.keys(store.held())).toEqual([
      'Destination/10.96.0.7:80',
      'Endpoints/shop/app:80',
      'Endpoints/shop/db:1',
    ]);
  });

  it('keeps the moving figures of an endpoint and the retry budget over replacements', () => {
    const store = createStore();
    put(store, destination());
    put(store, endpoints(app, spiffe));
    const before = store.snapshot();
    const handle = before.endpoints.get('shop/app:80')!.endpoints[0]!;
    put(store, destination({ host: 'renamed' }), '2');
    put(store, endpoints([app, { ...app, address: '10.0.0.8' }], spiffe), '2');
    const after = store.snapshot();
    expect(after.endpoints.get('shop/app:80')!.endpoints[0]).toBe(handle);
    expect(after.destinations.get('10.96.0.7:80')!.budget).toBe(
      before.destinations.get('10.96.0.7:80')!.budget,
    );
    expect(before.endpoints.get('shop/app:80')!.endpoints).toHaveLength(1);
  });

  it('takes a pod that got the address of another for another endpoint', () => {
    const store = createStore();
    put(store, endpoints(app, spiffe));
    const old = store.snapshot().endpoints.get('shop/app:80')!.endpoints[0];
    const other = endpoints(app, spiffe) as Extract<Resource, { type: 'Endpoints' }>;
    other.endpoints[0]!.podName = 'another';
    put(store, other, '2');
    expect(store.snapshot().endpoints.get('shop/app:80')!.endpoints[0]).not.toBe(old);
  });

  it('speaks plaintext to the own pod, whose app no sidecar stands before', () => {
    const store = createStore(new Set([app.address]));
    put(store, endpoints(app, spiffe));
    const handle = store.snapshot().endpoints.get('shop/app:80')!.endpoints[0]!;
    expect(handle.identity).toBeNull();
    expect(handle.key).toBe('10.0.0.7:8080|');
  });

  it('does not keep endpoints that come and go', () => {
    const store = createStore();
    for (let i = 0; i < 2000; i += 1)
      put(store, endpoints({ ...app, address: `10.1.${i >> 8}.${i & 255}` }, null), String(i));
    expect(store.snapshot().endpoints.get('shop/app:80')!.endpoints).toHaveLength(1);
  });
});

describe('a push of one endpoint', () => {
  const set = (name: string, address: string) => endpoints({ ...app, address }, spiffe, name);
  const versioned = (...resources: Resource[]) =>
    resources.map((resource) => ({ version: '1', resource }));
  const hashed: Balancing = {
    method: 'consistent-hash',
    hash: { by: [{ header: 'x-user' }], loadPercent: 125 },
  };
  const to = (name: string, backend: string) =>
    destination({
      name,
      routes: [route({ backends: [{ endpoints: backend, weight: 1 }] })],
      tcp: [{ endpoints: backend, weight: 1 }],
      balancing: hashed,
    });

  function filled() {
    const store = createStore();
    const resources = [
      to('10.96.0.7:80', 'shop/a:80'),
      to('10.96.0.8:80', 'shop/b:80'),
      set('shop/a:80', '10.0.0.7'),
      set('shop/b:80', '10.0.0.8'),
    ];
    expect(store.apply(versioned(workload(), ...resources), [])).toEqual([]);
    return store;
  }

  it('leaves everything else the same objects, and the snapshot before as it was', () => {
    const store = filled();
    const before = store.snapshot();
    const old = before.endpoints.get('shop/a:80');
    expect(store.apply(versioned(set('shop/a:80', '10.0.0.9')), [])).toEqual([]);
    const after = store.snapshot();
    expect(after.workload).toBe(before.workload);
    expect(after.destinations).toBe(before.destinations);
    expect(after.endpoints.get('shop/b:80')).toBe(before.endpoints.get('shop/b:80'));
    expect(before.endpoints.get('shop/a:80')).toBe(old);
    expect(after.endpoints.get('shop/a:80')).not.toBe(old);
  });

  it('makes ready what chooses among its set, and keeps what chooses among others', () => {
    const store = filled();
    const balancerOf = (name: string, backend: string) => {
      const { destinations, endpoints: sets } = store.snapshot();
      return destinations.get(name)!.balancing!.of(sets.get(backend)!, '');
    };
    const [a, b] = [
      balancerOf('10.96.0.7:80', 'shop/a:80'),
      balancerOf('10.96.0.8:80', 'shop/b:80'),
    ];
    store.apply(versioned(set('shop/a:80', '10.0.0.9')), []);
    expect(balancerOf('10.96.0.7:80', 'shop/a:80')).not.toBe(a);
    expect(balancerOf('10.96.0.8:80', 'shop/b:80')).toBe(b);
  });

  it('copies nothing where it says nothing of destinations or endpoints', () => {
    const store = filled();
    const before = store.snapshot();
    store.apply(versioned(workload()), ['Endpoints/shop/unknown:80']);
    expect(store.snapshot().endpoints).toBe(before.endpoints);
    expect(store.snapshot().destinations).toBe(before.destinations);
  });
});
