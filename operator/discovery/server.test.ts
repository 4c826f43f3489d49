import { afterEach, describe, expect, it } from '@jest/globals';
import { noTraffic } from '../../proxy/api/statistics.ts';
import type { DestinationResource, EndpointsResource } from '../../proxy/api/resources.ts';
import { trustOf } from '../ca/trust.ts';
import { mesh, pod, service, slice, trafficPolicy } from '../model/test-objects.ts';
import type { Objects } from '../model/test-objects.ts';
import { Bench, changed, leaf, newAuthority } from './test-replica.ts';
import type { SidecarOptions } from './test-sidecar.ts';

const bench = new Bench();
const { ca } = bench;
const replica = (objects: Objects, name = 'operator-1') => bench.replica(objects, { name });
const sidecar = bench.sidecar.bind(bench);

afterEach(() => bench.close());

const webPod = pod('shop/web-1', {
  ip: '127.0.0.1',
  serviceAccount: 'web',
  labels: { app: 'web' },
});
const hello = {
  pod: { namespace: 'shop', name: 'web-1', uid: 'uid-pod-shop-web-1', ips: ['127.0.0.1'] },
  proxyVersion: 'test',
  held: {},
  subscribe: ['10.96.0.7:80'],
};

function shop(): Objects {
  return {
    Mesh: [mesh({})],
    Pod: [
      webPod,
      pod('shop/cart-1', { ip: '10.244.0.7', serviceAccount: 'cart', labels: { app: 'cart' } }),
    ],
    Service: [service('shop/cart', '10.96.0.7', [{ name: 'http', port: 80, targetPort: 8080 }])],
    EndpointSlice: [
      slice(
        'shop/cart',
        [{ address: '10.244.0.7', pod: 'cart-1' }],
        [{ name: 'http', port: 8080 }],
      ),
    ],
  };
}

describe('a sidecar that connects', () => {
  it('is sent its workload, the destinations it wants and the endpoints behind them', async () => {
    const { port } = await replica(shop());
    const one = sidecar(port);
    one.send({ hello });
    await one.until(() => one.held.size === 3);
    expect([...one.held.keys()].toSorted()).toEqual([
      'Destination/10.96.0.7:80',
      'Endpoints/shop/cart:80',
      'Workload/self',
    ]);
    const endpoints = one.held.get('Endpoints/shop/cart:80')!.resource as EndpointsResource;
    expect(endpoints.endpoints[0]).toMatchObject({
      address: '10.244.0.7',
      identity: 'spiffe://cluster.local/ns/shop/sa/cart',
    });
    expect(one.pushes).toHaveLength(1);
  });

  it('is sent only what it does not hold in the current version', async () => {
    const { port } = await replica(shop());
    const first = sidecar(port);
    first.send({ hello });
    await first.until(() => first.held.size === 3);
    const held = Object.fromEntries([...first.held].map(([key, { version }]) => [key, version]));
    const second = sidecar(port);
    second.send({ hello: { ...hello, held: { ...held, 'Workload/self': 'old' } } });
    await second.until(() => second.pushes.length === 1);
    expect([...second.held.keys()]).toEqual(['Workload/self']);
  });

  it('is told what another pod of its workload uses, unasked', async () => {
    const objects = shop();
    const owner = { kind: 'ReplicaSet', name: 'web' };
    objects.Pod = [
      pod('shop/web-1', { ip: '127.0.0.1', serviceAccount: 'web', owner }),
      pod('shop/web-2', { ip: '127.0.0.2', serviceAccount: 'web', owner }),
    ];
    const { port } = await replica(objects);
    const first = sidecar(port);
    first.send({ hello });
    await first.until(() => first.held.size === 3);
    const second = sidecar(port, { localAddress: '127.0.0.2' });
    const me = { namespace: 'shop', name: 'web-2', uid: 'uid-pod-shop-web-2', ips: ['127.0.0.2'] };
    second.send({ hello: { ...hello, pod: me, subscribe: [] } });
    await second.until(() => second.held.has('Destination/10.96.0.7:80'));
    expect(second.pushes).toHaveLength(1);
  });
});

describe('a change of the cluster', () => {
  it('reaches the sidecars that it concerns as the changed resources only', async () => {
    const { port, model } = await replica(shop());
    const one = sidecar(port);
    one.send({ hello });
    await one.until(() => one.held.size === 3);
    model.upsert(
      'TrafficPolicy',
      trafficPolicy('shop/slow', { service: { name: 'cart' }, timeout: '2s' }),
    );
    await one.until(() => one.pushes.length === 2);
    expect(one.pushes[1]!.resources.map(({ resource }) => resource.type)).toEqual(['Destination']);
    const resource = one.pushes[1]!.resources[0]!.resource as DestinationResource;
    expect(resource.routes[0]!.timeoutMs).toBe(2000);
    expect(resource.policies).toContainEqual({
      kind: 'TrafficPolicy',
      namespace: 'shop',
      name: 'slow',
      generation: 1,
    });
  });

  it('waits for the acknowledgement of the push before, and is sent once in its last state', async () => {
    const { port, model } = await replica(shop());
    const one = sidecar(port, { acknowledges: false });
    one.send({ hello });
    await one.until(() => one.pushes.length === 1);
    const policy = (timeout: string, generation: number) =>
      trafficPolicy('shop/slow', { service: { name: 'cart' }, timeout }, { generation });
    model.upsert('TrafficPolicy', policy('1s', 1));
    model.flush();
    model.upsert('TrafficPolicy', policy('2s', 2));
    model.flush();
    one.ack(one.pushes[0]!.nonce);
    await one.until(() => one.pushes.length === 2);
    const resource = one.pushes[1]!.resources[0]!.resource as DestinationResource;
    expect(resource.routes[0]!.timeoutMs).toBe(2000);
  });

  it('removes the Endpoints that no Destination refers to any more, after the Destination', async () => {
    const { port, model } = await replica(shop());
    const one = sidecar(port);
    one.send({ hello });
    await one.until(() => one.held.size === 3);
    model.upsert('Service', service('shop/other', '10.96.0.8', [{ port: 80 }]));
    model.upsert(
      'TrafficPolicy',
      trafficPolicy('shop/move', {
        service: { name: 'cart' },
        routes: [{ backends: [{ service: 'other' }] }],
      }),
    );
    await one.until(() => !one.held.has('Endpoints/shop/cart:80'));
    const [, second, third] = one.pushes;
    expect(second!.removed).toEqual([]);
    expect(third!.removed).toEqual(['Endpoints/shop/cart:80']);
    expect(one.held.has('Endpoints/shop/other:80')).toBe(true);
  });

  it('leaves a refused resource alone until it changes again, and says who refused what', async () => {
    const { port, server, model } = await replica(shop());
    const one = sidecar(port, { acknowledges: false });
    one.send({ hello });
    await one.until(() => one.pushes.length === 1);
    const key = 'Destination/10.96.0.7:80' as const;
    one.ack(one.pushes[0]!.nonce, [{ key, path: '/routes/0', message: 'no' }]);
    await changed(server, () => server.streams()[0]?.resources.some((r) => r.rejected) === true);
    const held = server.streams()[0]!.resources.find((one) => one.key === key);
    expect(held).toMatchObject({ acked: null, rejected: { path: '/routes/0', message: 'no' } });
    model.upsert(
      'TrafficPolicy',
      trafficPolicy('shop/slow', { service: { name: 'cart' }, timeout: '2s' }),
    );
    await one.until(() => one.pushes.length === 2);
    expect(one.pushes[1]!.resources.map(({ resource }) => resource.name)).toEqual(['10.96.0.7:80']);
  });
});

describe('subscriptions', () => {
  it('that come again after being dropped are answered again', async () => {
    const { port } = await replica(shop());
    const one = sidecar(port);
    one.send({ hello });
    await one.until(() => one.held.size === 3);
    one.held.delete('Destination/10.96.0.7:80');
    one.send({ unsubscribe: ['10.96.0.7:80'] });
    one.send({ subscribe: ['10.96.0.7:80'] });
    await one.until(() => one.held.has('Destination/10.96.0.7:80'));
    expect(one.held.has('Endpoints/shop/cart:80')).toBe(true);
  });

  it('to an unknown address are answered: not in the mesh', async () => {
    const { port } = await replica(shop());
    const one = sidecar(port);
    one.send({ hello: { ...hello, subscribe: ['192.0.2.1:443'] } });
    await one.until(() => one.held.has('Destination/192.0.2.1:443'));
    expect(one.held.get('Destination/192.0.2.1:443')!.resource).toMatchObject({ kind: 'external' });
  });
});

describe('a peer is refused in words', () => {
  it.each([
    [
      'whose certificate is of another service account',
      { material: ['shop', 'other'] },
      7,
      /other/,
    ],
    ['whose certificate is of another namespace', { material: ['bank', 'web'] }, 7, /bank/],
    ['that calls another method', { path: '/other' }, 12, /other/],
    [
      'that relays without being the operator',
      { path: '/tsmesh.discovery.v1.Relay/Stream' },
      7,
      /relay/,
    ],
  ])('%s', async (_name, how, code, words) => {
    const { port } = await replica(shop());
    const { material, ...rest } = how as { material?: [string, string] } & Partial<SidecarOptions>;
    const certificate =
      material === undefined ? {} : { material: leaf(ca, material[0], material[1]) };
    const one = sidecar(port, { ...rest, ...certificate });
    one.send({ hello });
    await one.until(() => one.status !== null);
    expect(one.status!.code).toBe(code);
    expect(one.status!.message).toMatch(words);
    expect(one.held.size).toBe(0);
  });

  it('that comes with a certificate of another authority', async () => {
    const { port } = await replica(shop());
    const foreign = { ...leaf(newAuthority(), 'shop', 'web'), rootsPem: ca.rootsPem };
    const one = sidecar(port, { material: foreign });
    one.send({ hello });
    await one.until(() => one.error !== null || one.closed);
    expect(one.accepted).toBe(false);
  });

  it.each([
    ['is not JSON', '{', /not JSON/],
    ['does not begin with hello', '{"subscribe":[]}', /hello/],
    ['has an unknown field', '{"wrong":1}', /unknown field/],
    ['has two fields', '{"subscribe":[],"draining":true}', /exactly one/],
    ['subscribes to a name', '{"hello":{}}', /hello\.pod/],
  ])('whose message %s', async (_name, text, words) => {
    const { port } = await replica(shop());
    const one = sidecar(port);
    one.sendText(text);
    await one.until(() => one.status !== null);
    expect(one.status!.code).toBe(3);
    expect(one.status!.message).toMatch(words);
  });

  it('whose message is too large, before it is there', async () => {
    const { port } = await replica(shop());
    const one = sidecar(port);
    one.sendBytes(Buffer.from([0, 0x40, 0, 0, 0]));
    await one.until(() => one.status !== null);
    expect(one.status!.code).toBe(8);
  });

  it('that subscribes to more than a sidecar can use', async () => {
    const { port } = await replica(shop());
    const one = sidecar(port);
    one.send({ hello });
    const names = Array.from({ length: 8192 }, (_, i) => `192.0.2.1:${i + 1}`);
    one.send({ subscribe: names });
    await one.until(() => one.status !== null);
    expect(one.status!.code).toBe(8);
  });
});

describe('what the operator knows of its streams', () => {
  it('are acknowledged versions, the policies behind them, and counters', async () => {
    const { port, server } = await replica(shop());
    const one = sidecar(port);
    one.send({ hello });
    const counters = { ...noTraffic(), requests: 3, failures: 1, mtlsRequests: 3 };
    one.send({
      statistics: { startedAtMs: 1, inbound: counters, outbound: counters, certificate: null },
    });
    await changed(server, () => {
      const [state] = server.streams();
      return state?.statistics != null && state.resources.every((held) => held.acked !== null);
    });
    const [state] = server.streams();
    expect(state!.statistics!.inbound.requests).toBe(3);
    const held = state!.resources.find(({ key }) => key === 'Workload/self');
    expect(held!.ackedBy).toEqual([
      { kind: 'Mesh', namespace: '', name: 'default', generation: 1, uid: 'uid-mesh' },
    ]);
  });

  it('reaches the leader through a relay, and goes when the sidecar goes', async () => {
    const leader = await replica(shop(), 'operator-1');
    const follower = await replica(shop(), 'operator-2');
    follower.server.setLeader({ self: false, address: `127.0.0.1:${leader.port}` });
    const one = sidecar(follower.port);
    one.send({ hello });
    await changed(leader.server, () => {
      const [state] = leader.server.streams();
      return state?.resources.every((held) => held.acked !== null) === true;
    });
    expect(leader.server.streams()[0]).toMatchObject({
      replica: 'operator-2',
      pod: { name: 'web-1' },
      subscriptions: ['10.96.0.7:80'],
    });
    expect(leader.server.observed().get('operator-2')?.get('Mesh//default')).toBe('uid-mesh@1');
    const root = trustOf(leaf(ca, 'shop', 'web')).underRoot;
    const trust = { underRoot: root, trustedRoots: [root] };
    expect(leader.server.replicaTrust().get('operator-2')).toEqual(trust);
    one.close();
    await changed(leader.server, () => leader.server.streams().length === 0);
  });
});

describe('a replica', () => {
  it('tells the leader when it trusts another root', async () => {
    const leader = await replica(shop(), 'operator-1');
    const follower = await replica(shop(), 'operator-2');
    follower.server.setLeader({ self: false, address: `127.0.0.1:${leader.port}` });
    const trusted = () => leader.server.replicaTrust().get('operator-2')?.trustedRoots.length;
    await changed(leader.server, () => trusted() === 1);
    const own = leaf(ca, 'tsmesh-system', 'tsmesh-operator');
    follower.setIdentity({ ...own, rootsPem: own.rootsPem + newAuthority().rootsPem });
    await changed(leader.server, () => trusted() === 2);
    expect(leader.server.replicaTrust().get('operator-2')?.underRoot).toBe(trustOf(own).underRoot);
  });
});

describe('the server', () => {
  it('uses a renewed certificate without a restart', async () => {
    const { port, setIdentity } = await replica(shop());
    const next = leaf(ca, 'tsmesh-system', 'tsmesh-operator');
    setIdentity(next);
    let serial = '';
    const one = sidecar(port, {
      tls: {
        checkServerIdentity: (_host, certificate) => {
          serial = certificate.serialNumber;
          return undefined;
        },
      },
    });
    one.send({ hello });
    await one.until(() => one.accepted);
    expect(serial).toBe(next.serial);
  });

  it('asks sidecars to reconnect before it ends', async () => {
    const { port, server } = await replica(shop());
    const one = sidecar(port);
    one.send({ hello });
    await one.until(() => one.held.size === 3);
    const closed = server.close();
    await one.until(() => one.reconnectAsked);
    one.close();
    await closed;
    expect(server.streams()).toEqual([]);
  });

  it('replaces the older stream of a pod by the newer one', async () => {
    const { port, server } = await replica(shop());
    const first = sidecar(port);
    first.send({ hello });
    await first.until(() => first.held.size === 3);
    const second = sidecar(port);
    second.send({ hello });
    await second.until(() => second.held.size === 3);
    first.close();
    await changed(server, () => server.streams().length === 1);
    second.send({ subscribe: ['192.0.2.1:443'] });
    await second.until(() => second.held.has('Destination/192.0.2.1:443'));
  });
});
