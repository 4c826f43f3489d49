import { describe, expect, it } from '@jest/globals';
import type { EndpointSlice, Service } from '../resources/kubernetes.ts';
import { createModel } from './model.ts';
import {
  ManualClock,
  mesh,
  namespace,
  peerAuthentication,
  pod,
  service,
  slice,
  trafficPolicy,
} from './test-objects.ts';
import { emptyView, podAt, servicePortAt } from './view.ts';
import type { View } from './view.ts';

function setUp() {
  const clock = new ManualClock();
  const model = createModel({ clock, debounceMs: 15 });
  const changes: string[][] = [];
  const views: View[] = [];
  const stop = model.onView((view, change) => {
    views.push(view);
    changes.push([...change.keys].toSorted());
  });
  return { clock, model, changes, views, stop };
}

const cart = service('shop/cart', '10.96.0.7', [{ name: 'http', port: 80 }]);

describe('the model', () => {
  it('gathers changes that come close together into one view', () => {
    const { clock, model, changes } = setUp();
    model.upsert('Service', cart);
    clock.advance(10);
    model.upsert('Mesh', mesh());
    clock.advance(4);
    expect(model.view()).toBe(emptyView);
    clock.advance(1);
    expect(changes).toEqual([
      ['address:10.96.0.7', 'endpoints:shop/cart', 'mesh', 'service:shop/cart', 'services:shop'],
    ]);
  });

  it('publishes views further apart where changes never end, and at once after a quiet time', () => {
    const { clock, model, views } = setUp();
    const at: number[] = [];
    model.onView(() => at.push(clock.nowMs()));
    for (let turn = 0; turn < 20; turn += 1) {
      model.upsert('Pod', pod('shop/a', { ip: `10.0.0.${turn}` }));
      clock.advance(10);
    }
    const gaps = at.slice(1).map((time, index) => time - at[index]!);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(50);
    expect(views.length).toBeGreaterThanOrEqual(4);
    clock.advance(1000);
    const before = views.length;
    model.upsert('Pod', pod('shop/a', { ip: '10.0.1.1' }));
    clock.advance(15);
    expect(views).toHaveLength(before + 1);
  });

  it('publishes nothing for what changes nothing that matters', () => {
    const { clock, model, views } = setUp();
    const policy = trafficPolicy('shop/p', { service: { name: 'cart' } });
    model.upsert('TrafficPolicy', policy);
    model.upsert('Pod', pod('shop/a', { ip: '10.0.0.1' }));
    clock.advance(15);
    const conditions = [{ type: 'Accepted' }];
    model.upsert('TrafficPolicy', { ...policy, status: { conditions } } as typeof policy);
    const again = pod('shop/a', { ip: '10.0.0.1' });
    model.upsert('Pod', { ...again, metadata: { ...again.metadata, resourceVersion: '9' } });
    model.remove('Service', 'shop', 'unknown');
    model.upsert('Secret', { metadata: { name: 'x' } });
    clock.advance(1000);
    expect(views).toHaveLength(1);
  });

  it('leaves a published view as it was', () => {
    const { clock, model, views } = setUp();
    model.upsert('Service', cart);
    clock.advance(15);
    model.remove('Service', 'shop', 'cart');
    clock.advance(50);
    expect(views[0]!.services.has('shop/cart')).toBe(true);
    expect(servicePortAt(views[0]!, '10.96.0.7:80')?.service).toBe(cart);
    expect(views[1]!.services.has('shop/cart')).toBe(false);
    expect(servicePortAt(views[1]!, '10.96.0.7:80')).toBeNull();
  });

  it('shares with the next view what did not change', () => {
    const { clock, model, views } = setUp();
    model.upsert('Service', cart);
    clock.advance(15);
    model.upsert('Mesh', mesh());
    clock.advance(50);
    expect(views[1]!.servicePorts).toBe(views[0]!.servicePorts);
    expect(views[1]!.mesh).not.toBeNull();
  });

  it('tells nobody after it was closed, or to whom stopped listening', () => {
    const { clock, model, views, stop } = setUp();
    stop();
    model.upsert('Mesh', mesh());
    clock.advance(15);
    model.upsert('Service', cart);
    model.close();
    model.upsert('Namespace', namespace('shop'));
    model.flush();
    clock.advance(15);
    expect(views).toEqual([]);
    expect(model.view().services.size).toBe(0);
    expect(clock.waiting).toBe(0);
  });
});

describe('an address and port mean', () => {
  it('a Service by its cluster, external and load-balancer addresses, TCP only', () => {
    const { model } = setUp();
    const ports = [
      { name: 'http', port: 80 },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ];
    const everywhere: Service = {
      ...service('shop/cart', '10.96.0.7', ports, {
        clusterIPs: ['10.96.0.7', 'FD00::07'],
        externalIPs: ['192.0.2.1'],
      }),
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.2' }, { hostname: 'lb.example' }] } },
    };
    model.upsert('Service', everywhere);
    model.flush();
    const known = [...model.view().servicePorts.keys()];
    expect(known).toEqual(['10.96.0.7:80', '[fd00::7]:80', '192.0.2.1:80', '192.0.2.2:80']);
  });

  it('nothing for a headless Service', () => {
    const { model } = setUp();
    model.upsert('Service', service('shop/db', 'None', [{ port: 5432 }]));
    const { spec, ...rest } = service('shop/alias', '', []);
    model.upsert('Service', { ...rest, spec: { ...spec, clusterIPs: undefined } } as typeof cart);
    model.flush();
    expect(model.view().servicePorts.size).toBe(0);
  });

  it('the oldest of two Services that claim the same', () => {
    const { model } = setUp();
    const claim = (name: string, creationTimestamp: string) => {
      const one = service(`shop/${name}`, 'None', [{ port: 80 }], { externalIPs: ['192.0.2.1'] });
      return { ...one, metadata: { ...one.metadata, creationTimestamp } };
    };
    model.upsert('Service', claim('a', '2026-01-02T00:00:00Z'));
    model.upsert('Service', claim('b', '2026-01-01T00:00:00Z'));
    model.flush();
    const found = servicePortAt(model.view(), '192.0.2.1:80');
    expect(found?.service.metadata.name).toBe('b');
  });

  it('the pod that has the address now', () => {
    const { model } = setUp();
    model.upsert('Pod', pod('shop/done', { ip: '10.0.0.1', phase: 'Succeeded' }));
    model.upsert('Pod', pod('shop/a-going', { ip: '10.0.0.1', deleted: true }));
    model.upsert('Pod', pod('shop/node', { ip: '10.0.0.1', hostNetwork: true }));
    model.upsert('Pod', pod('shop/here', { ip: '10.0.0.1' }));
    model.flush();
    expect(podAt(model.view(), '10.0.0.1')?.name).toBe('here');
    expect(podAt(model.view(), '10.0.0.2')).toBeNull();
  });
});

describe('a change touches', () => {
  it('for a pod: itself, its addresses, and the Services that it stands behind', () => {
    const { model, changes } = setUp();
    model.upsert(
      'EndpointSlice',
      slice('shop/cart', [{ address: '10.0.0.1', pod: 'a' }], [{ name: 'http', port: 80 }]),
    );
    model.upsert('EndpointSlice', slice('bank/copy', [{ address: '10.0.0.1' }], [{ port: 80 }]));
    model.flush();
    model.upsert('Pod', pod('shop/a', { ip: '10.0.0.1' }));
    model.flush();
    expect(changes[1]).toEqual([
      'address:10.0.0.1',
      'endpoints:bank/copy',
      'endpoints:shop/cart',
      'pod:shop/a',
    ]);
    model.remove('EndpointSlice', 'bank', 'copy-1');
    model.flush();
    model.remove('Pod', 'shop', 'a');
    model.flush();
    expect(changes[3]).toEqual(['address:10.0.0.1', 'endpoints:shop/cart', 'pod:shop/a']);
  });

  it('for a policy: the Service it was for and the one it is for', () => {
    const { model, changes } = setUp();
    model.upsert('TrafficPolicy', trafficPolicy('shop/p', { service: { name: 'a' } }));
    model.flush();
    model.upsert('TrafficPolicy', trafficPolicy('shop/p', { service: { name: 'b' } }));
    model.upsert('PeerAuthentication', peerAuthentication('bank/q', {}));
    model.upsert('Namespace', namespace('bank'));
    model.flush();
    expect(changes[1]).toEqual([
      'namespace:bank',
      'peerauth:bank',
      'traffic:shop/a',
      'traffic:shop/b',
    ]);
    model.remove('TrafficPolicy', 'shop', 'p');
    model.remove('PeerAuthentication', 'bank', 'q');
    model.remove('Mesh', '', 'default');
    model.flush();
    expect(changes[2]).toEqual(['peerauth:bank', 'traffic:shop/b']);
  });

  it('nothing for a slice that belongs to no Service or lists names', () => {
    const { model, views } = setUp();
    const names: EndpointSlice = { ...slice('shop/cart', [], []), addressType: 'FQDN' };
    model.upsert('EndpointSlice', names);
    const orphan = slice('shop/x', [], []);
    model.upsert('EndpointSlice', { ...orphan, metadata: { ...orphan.metadata, labels: {} } });
    model.flush();
    expect(views).toEqual([]);
  });
});

describe('a pod', () => {
  function entry(...args: Parameters<typeof pod>) {
    const { model } = setUp();
    model.upsert('Pod', pod(...args));
    model.flush();
    return [...model.view().pods.values()][0]!;
  }

  it('is meshed by the label of injection, not on the network of the node', () => {
    expect(entry('shop/a', { meshed: true }).meshed).toBe(true);
    expect(entry('shop/a', { meshed: false }).meshed).toBe(false);
    expect(entry('shop/a', { meshed: true, hostNetwork: true }).meshed).toBe(false);
  });

  it('has no address once it has ended', () => {
    expect(entry('shop/a', { ip: '10.0.0.1', phase: 'Failed' })).toMatchObject({
      alive: false,
      ips: [],
    });
  });

  it('is a copy of its owner, all rollouts of a Deployment together', () => {
    const labels = { 'pod-template-hash': '5f7' };
    const owner = { kind: 'ReplicaSet', name: 'cart-5f7' };
    expect(entry('shop/a', { owner, labels }).workload).toBe('Deployment/cart');
    expect(entry('shop/a', { owner: { kind: 'StatefulSet', name: 'db' } }).workload).toBe(
      'StatefulSet/db',
    );
    expect(entry('shop/a').workload).toBe('Pod/a');
  });

  it('says which of its ports are not captured', () => {
    const annotations = { 'tsmesh.dev/exclude-inbound-ports': '9090, 9091,x' };
    expect(entry('shop/a', { annotations }).excludedInboundPorts).toEqual([9090, 9091]);
  });

  it('knows the TCP ports of its containers and of its own sidecars, not of the mesh’s', () => {
    const { model } = setUp();
    const base = pod('shop/a', {
      ports: [
        { name: 'http', containerPort: 80 },
        { containerPort: 53, protocol: 'UDP' },
      ],
    });
    const sidecar = (name: string, containerPort: number) => ({
      name,
      restartPolicy: 'Always',
      ports: [{ containerPort }],
    });
    const initContainers = [sidecar('tsmesh-proxy', 15020), sidecar('agent', 9000)];
    model.upsert('Pod', { ...base, spec: { ...base.spec, initContainers } } as typeof base);
    model.flush();
    expect(model.view().pods.get('shop/a')!.containerPorts).toEqual([
      { name: 'http', port: 80 },
      { name: '', port: 9000 },
    ]);
  });
});
