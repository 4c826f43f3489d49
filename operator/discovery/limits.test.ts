import { connect } from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import { noTraffic } from '../../proxy/api/statistics.ts';
import { ManualClock, mesh, pod, service, trafficPolicy } from '../model/test-objects.ts';
import type { Objects } from '../model/test-objects.ts';
import { systemClock } from '../runtime/clock.ts';
import { Bench, changed, leaf } from './test-replica.ts';

const bench = new Bench();
const owner = { kind: 'ReplicaSet', name: 'web' };
const webPod = pod('shop/web-1', { ip: '127.0.0.1', serviceAccount: 'web', owner });
const shop: Objects = {
  Mesh: [mesh({})],
  Pod: [webPod],
  Service: [service('shop/cart', '10.96.0.7', [{ name: 'http', port: 80 }])],
};
const hello = {
  pod: { namespace: 'shop', name: 'web-1', uid: 'uid-pod-shop-web-1', ips: ['127.0.0.1'] },
  proxyVersion: 'test',
  held: {},
  subscribe: ['10.96.0.7:80'],
};

afterEach(() => bench.close());

/** A round trip, so that what was sent before has arrived. */
function roundTrip(port: number): Promise<void> {
  const one = bench.sidecar(port, { path: '/nothing' });
  return one.until(() => one.status !== null);
}

describe('a stream is ended', () => {
  it('when Hello does not come', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port } = await bench.replica(shop, { clock });
    const one = bench.sidecar(port);
    one.sendBytes(Buffer.from([0, 0]));
    await roundTrip(port);
    clock.advance(10_000);
    await one.until(() => one.status !== null);
    expect(one.status!.code).toBe(4);
  });

  it('when a push is not acknowledged', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port, metrics } = await bench.replica(shop, { clock });
    const one = bench.sidecar(port, { acknowledges: false });
    one.send({ hello });
    await one.until(() => one.pushes.length === 1);
    clock.advance(29_999);
    expect(one.status).toBeNull();
    clock.advance(1);
    await one.until(() => one.status !== null);
    expect(one.status).toMatchObject({ code: 4, message: 'push 1 was not acknowledged in time' });
    expect(metrics.streams).toBe(0);
    expect(metrics.streamsRefused.get('DEADLINE_EXCEEDED')).toBe(1);
  });

  it('when the certificate that opened it ends', async () => {
    const material = leaf(bench.ca, 'shop', 'web');
    const clock = new ManualClock(material.notAfterMs - 5000);
    const { port } = await bench.replica(shop, { clock });
    const one = bench.sidecar(port, { material });
    one.send({ hello });
    await one.until(() => one.held.size === 3);
    await roundTrip(port);
    clock.advance(4000);
    expect(one.status).toBeNull();
    clock.advance(1000);
    await one.until(() => one.status !== null);
    expect(one.status!.code).toBe(16);
  });

  it('when the sidecar speaks too often', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port } = await bench.replica(shop, { clock });
    const one = bench.sidecar(port);
    one.send({ hello });
    for (let i = 0; i < 2001; i += 1) one.send({ unsubscribe: [] });
    await one.until(() => one.status !== null);
    expect(one.status!.code).toBe(8);
  });

  it('when Hello comes twice', async () => {
    const { port } = await bench.replica(shop);
    const one = bench.sidecar(port);
    one.send({ hello });
    one.send({ hello });
    await one.until(() => one.status !== null);
    expect(one.status).toMatchObject({ code: 3, message: 'hello came a second time' });
  });

  it('when messages are compressed', async () => {
    const { port } = await bench.replica(shop);
    const one = bench.sidecar(port);
    one.sendBytes(Buffer.from([1, 0, 0, 0, 1, 0]));
    await one.until(() => one.status !== null);
    expect(one.status).toMatchObject({ code: 3 });
  });
});

describe('a stream that was refused', () => {
  it('is closed although its peer keeps it open', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port } = await bench.replica(shop, { clock });
    const one = bench.sidecar(port);
    one.sendText('{}');
    await one.until(() => one.status !== null);
    expect(one.closed).toBe(false);
    clock.advance(5000);
    await one.until(() => one.closed);
    expect(one.closed).toBe(true);
  });
});

describe('a connection is ended', () => {
  it('when it opens no stream', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port } = await bench.replica(shop, { clock });
    const material = leaf(bench.ca, 'shop', 'web');
    const session = connect(`https://127.0.0.1:${port}`, {
      cert: material.chainPem,
      key: material.keyPem,
      ca: material.rootsPem,
      checkServerIdentity: () => undefined,
    });
    session.on('error', () => undefined);
    const closed = new Promise<void>((resolve) => session.once('close', () => resolve()));
    await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
    clock.advance(15_000);
    await closed;
    expect(session.destroyed).toBe(true);
  });

  it('not while its peer answers pings', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port } = await bench.replica(shop, { clock });
    const one = bench.sidecar(port);
    one.send({ hello });
    await one.until(() => one.held.size === 3);
    for (let i = 0; i < 5; i += 1) {
      clock.advance(20_000);
      await roundTrip(port);
    }
    expect(one.closed).toBe(false);
  });
});

describe('more connections than the operator takes', () => {
  it('are closed, and those there are go on', async () => {
    const { port, model } = await bench.replica(shop, { connections: { total: 1 } });
    const one = bench.sidecar(port);
    one.send({ hello });
    await one.until(() => one.held.size === 3);
    const two = bench.sidecar(port);
    await two.until(() => two.closed);
    expect(two.accepted).toBe(false);
    model.upsert('TrafficPolicy', trafficPolicy('shop/p', { service: { name: 'cart' } }));
    await one.until(() => one.pushes.length === 2);
  });
});

describe('a pod that the operator does not know yet', () => {
  it('is waited for, and then served with all it asked for meanwhile', async () => {
    const { port, model } = await bench.replica({ ...shop, Pod: [] });
    const one = bench.sidecar(port);
    one.send({ hello });
    one.send({ subscribe: ['192.0.2.1:1', '192.0.2.2:1'] });
    one.send({ unsubscribe: ['192.0.2.2:1'] });
    await roundTrip(port);
    model.upsert('Pod', webPod);
    await one.until(() => one.held.size >= 4);
    expect([...one.held.keys()].toSorted()).toEqual([
      'Destination/10.96.0.7:80',
      'Destination/192.0.2.1:1',
      'Endpoints/shop/cart:80',
      'Workload/self',
    ]);
  });
});

describe('a pod that stays unknown', () => {
  it.each([
    ['does not exist', { name: 'ghost' }, '127.0.0.1', { code: 5, words: /shop\/ghost/ }],
    ['has another address', {}, '127.0.0.3', { code: 7, words: /127\.0\.0\.3/ }],
  ])('since it %s, is refused after a wait', async (_why, claim, localAddress, expected) => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port } = await bench.replica(shop, { clock });
    const one = bench.sidecar(port, { localAddress });
    one.send({ hello: { ...hello, pod: { ...hello.pod, ...claim } } });
    await roundTrip(port);
    await roundTrip(port);
    clock.advance(3000);
    await one.until(() => one.status !== null);
    expect(one.status!.code).toBe(expected.code);
    expect(one.status!.message).toMatch(expected.words);
    expect(one.held.size).toBe(0);
  });
});

describe('a pod that is going', () => {
  it('is sent no more', async () => {
    const { port, model, server } = await bench.replica(shop);
    const one = bench.sidecar(port);
    one.send({ hello });
    await one.until(() => one.held.size === 3);
    one.send({ draining: true });
    await changed(server, () => server.streams()[0]?.draining === true);
    model.upsert('TrafficPolicy', trafficPolicy('shop/p', { service: { name: 'cart' } }));
    model.flush();
    await roundTrip(port);
    expect(one.pushes).toHaveLength(1);
  });
});

describe('a relay', () => {
  it('carries counters, refusals and what its replica has seen, as they change', async () => {
    const other = pod('shop/web-2', { ip: '127.0.0.2', serviceAccount: 'web' });
    const both = { ...shop, Pod: [webPod, other] };
    const leader = await bench.replica(both, { name: 'leader' });
    const follower = await bench.replica(both, { name: 'follower' });
    follower.server.setLeader({ self: false, address: `127.0.0.1:${leader.port}` });
    const one = bench.sidecar(follower.port);
    one.send({ hello });
    await changed(leader.server, () => leader.server.streams().length === 1);
    const policy = trafficPolicy('shop/p', { service: { name: 'cart' } }, { generation: 4 });
    follower.model.upsert('TrafficPolicy', policy);
    const seen = () => leader.server.observed().get('follower')?.get('TrafficPolicy/shop/p');
    await changed(leader.server, () => seen() === `${policy.metadata.uid}@4`);
    const none = { ...noTraffic(), requests: 5 };
    one.send({
      statistics: { startedAtMs: 1, inbound: none, outbound: none, certificate: null },
    });
    await roundTrip(follower.port);
    // Statistics alone make no noise; what comes after them on the relay does.
    const two = bench.sidecar(follower.port, { localAddress: '127.0.0.2' });
    const me = { namespace: 'shop', name: 'web-2', uid: 'uid-pod-shop-web-2', ips: ['127.0.0.2'] };
    two.send({ hello: { ...hello, pod: me } });
    await changed(leader.server, () => leader.server.streams().length === 2);
    const state = leader.server.streams().find((stream) => stream.pod.name === 'web-1')!;
    expect(state.statistics!.inbound.requests).toBe(5);
    const held = state.resources.map(({ key }) => key);
    expect(held.toSorted()).toEqual([
      'Destination/10.96.0.7:80',
      'Endpoints/shop/cart:80',
      'Workload/self',
    ]);
  });

  it('begins again with a leader that came back, and ends when this replica leads', async () => {
    const first = await bench.replica(shop, { name: 'leader' });
    const follower = await bench.replica(shop, { name: 'follower' });
    follower.server.setLeader({ self: false, address: `127.0.0.1:${first.port}` });
    const one = bench.sidecar(follower.port);
    one.send({ hello });
    await changed(first.server, () => first.server.streams().length === 1);
    await first.server.close();
    const second = await bench.replica(shop, { name: 'leader', port: first.port });
    await changed(second.server, () => second.server.streams().length === 1);
    expect(second.server.streams()[0]!.replica).toBe('follower');
    follower.server.setLeader({ self: true });
    await changed(second.server, () => second.server.streams().length === 0);
    expect(follower.server.streams()).toHaveLength(1);
  });

  it('counts a pod that moved between replicas once, where it is now', async () => {
    const leader = await bench.replica(shop, { name: 'leader' });
    const follower = await bench.replica(shop, { name: 'follower' });
    follower.server.setLeader({ self: false, address: `127.0.0.1:${leader.port}` });
    const before = bench.sidecar(follower.port);
    before.send({ hello });
    await changed(leader.server, () => leader.server.streams().length === 1);
    const after = bench.sidecar(leader.port);
    after.send({ hello });
    await changed(leader.server, () => leader.server.streams()[0]?.replica === 'leader');
    expect(leader.server.streams()).toHaveLength(1);
  });

  it('to an address that makes no sense is tried again, not fatal', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const follower = await bench.replica(shop, { clock });
    follower.server.setLeader({ self: false, address: ':::' });
    clock.advance(60_000);
    follower.server.setLeader(null);
    const one = bench.sidecar(follower.port);
    one.send({ hello });
    await one.until(() => one.held.size === 3);
    expect(follower.server.streams()).toHaveLength(1);
  });

  it('is refused to begin without a name', async () => {
    const { port } = await bench.replica(shop);
    const material = leaf(bench.ca, 'tsmesh-system', 'tsmesh-operator');
    const path = '/tsmesh.discovery.v1.Relay/Stream';
    for (const text of ['{"gone":[]}', 'x']) {
      const one = bench.sidecar(port, { path, material });
      one.sendText(text);
      await one.until(() => one.status !== null);
      expect(one.status!.code).toBe(3);
    }
  });
});
