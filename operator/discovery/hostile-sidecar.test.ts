// What a peer with a valid certificate gets that it should not have: other pods' configuration, other
// pods' numbers, the place of another replica, more of the operator than its share. Real TLS.

import { afterEach, describe, expect, it } from '@jest/globals';
import { latencyBoundsMs } from '../../proxy/api/statistics.ts';
import {
  ManualClock,
  authorizationPolicy,
  mesh,
  peerAuthentication,
  pod,
  service,
  slice,
  trafficPolicy,
} from '../model/test-objects.ts';
import type { Objects } from '../model/test-objects.ts';
import { systemClock } from '../runtime/clock.ts';
import { GraphObserver } from '../telemetry/graph.ts';
import { meshStatusTable } from '../telemetry/mesh-status.ts';
import { TrafficObserver } from '../telemetry/traffic.ts';
import { Bench, changed, leaf } from './test-replica.ts';

const bench = new Bench();
afterEach(() => bench.close());

/** The attacker holds the certificate of shop/web and listens at 127.0.0.1; the bank is the victim. */
const attacker = { namespace: 'shop', name: 'web-1', uid: 'uid-pod-shop-web-1' };
const objects: Objects = {
  Mesh: [mesh({})],
  Pod: [
    pod('shop/web-1', { ip: '127.0.0.1', serviceAccount: 'web' }),
    pod('shop/web-2', { ip: '127.0.0.2', serviceAccount: 'web' }),
    pod('shop/admin-1', { ip: '127.0.0.3', serviceAccount: 'admin' }),
    pod('shop/web-done', { ip: '127.0.0.1', serviceAccount: 'web', phase: 'Succeeded' }),
    pod('bank/vault-1', { ip: '127.0.0.9', serviceAccount: 'web', labels: { app: 'vault' } }),
  ],
  Service: [service('bank/vault', '10.96.0.9', [{ name: 'http', port: 80, targetPort: 8080 }])],
  EndpointSlice: [
    slice('bank/vault', [{ address: '127.0.0.9', pod: 'vault-1' }], [{ name: 'http', port: 8080 }]),
  ],
  PeerAuthentication: [
    peerAuthentication('bank/secret-policy', {
      mtls: { mode: 'STRICT' },
      portLevelMtls: { '8443': { mode: 'DISABLE' } },
    }),
  ],
};

objects.AuthorizationPolicy = [
  authorizationPolicy('bank/vault-rules', {
    action: 'ALLOW',
    rules: [{ name: 'tellers', from: [{ serviceAccounts: ['teller'] }] }],
  }),
  authorizationPolicy('shop/own-rules', {
    action: 'ALLOW',
    rules: [{ name: 'customers', from: [{ serviceAccounts: ['customer'] }] }],
  }),
];

function helloAs(claim: object, ips = ['127.0.0.1'], subscribe: string[] = []) {
  const me = { ...attacker, ips, ...claim };
  return { hello: { pod: me, proxyVersion: 'x', held: {}, subscribe } };
}

describe('a stolen certificate of shop/web is refused', () => {
  it.each([
    ['a pod of another namespace', { namespace: 'bank', name: 'vault-1' }, ['127.0.0.9'], 7],
    [
      'a pod of another namespace by name and uid',
      { namespace: 'bank', name: 'vault-1', uid: 'uid-pod-bank-vault-1' },
      ['127.0.0.1'],
      7,
    ],
    [
      'a pod of another service account',
      { name: 'admin-1', uid: 'uid-pod-shop-admin-1' },
      ['127.0.0.3'],
      7,
    ],
    [
      'another pod of the same service account',
      { name: 'web-2', uid: 'uid-pod-shop-web-2' },
      ['127.0.0.2'],
      7,
    ],
    [
      'another pod of the same service account, leaving its address out',
      { name: 'web-2', uid: 'uid-pod-shop-web-2' },
      [],
      7,
    ],
    ['its own pod with the address of another', {}, ['127.0.0.1', '127.0.0.9'], 7],
    ['its own pod under another uid', { uid: 'uid-pod-shop-web-2' }, ['127.0.0.1'], 5],
    [
      'an ended pod whose address it has now',
      { name: 'web-done', uid: 'uid-pod-shop-web-done' },
      ['127.0.0.1'],
      7,
    ],
    ['a pod by a name that is a path', { name: '../bank/vault-1' }, ['127.0.0.1'], 5],
  ])('where it claims %s', async (_what, claim, ips, code) => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port, server } = await bench.replica(objects, { clock });
    const one = bench.sidecar(port);
    one.send(helloAs(claim, ips));
    const trip = bench.sidecar(port, { path: '/nothing' });
    await trip.until(() => trip.status !== null);
    clock.advance(3000);
    await one.until(() => one.status !== null);
    expect(one.status!.code).toBe(code);
    expect(one.held.size).toBe(0);
    expect(server.streams()).toEqual([]);
  });

  it('from the address of another pod, whose place it does not take', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port, server } = await bench.replica(objects, { clock });
    const real = bench.sidecar(port, { localAddress: '127.0.0.2' });
    real.send(helloAs({ name: 'web-2', uid: 'uid-pod-shop-web-2' }, ['127.0.0.2']));
    await real.until(() => real.held.size === 1);
    const thief = bench.sidecar(port);
    thief.send(helloAs({ name: 'web-2', uid: 'uid-pod-shop-web-2' }, ['127.0.0.2']));
    const trip = bench.sidecar(port, { path: '/nothing' });
    await trip.until(() => trip.status !== null);
    clock.advance(3000);
    await thief.until(() => thief.status !== null);
    expect(server.streams().map(({ pod: { name } }) => name)).toEqual(['web-2']);
    expect(real.status).toBeNull();
  });
});

describe('what a sidecar may see', () => {
  it('is its own workload, and of others only where they are and who must answer there', async () => {
    const { port } = await bench.replica(objects);
    const one = bench.sidecar(port);
    const names = ['10.96.0.9:80', '127.0.0.9:8080'];
    const hello = helloAs({}, ['127.0.0.1'], names).hello;
    const held = { 'Workload/bank/vault-1': 'x', 'Endpoints/bank/vault:80': 'x' };
    one.send({ hello: { ...hello, held } });
    await one.until(() => one.held.size >= 4);
    const workloads = [...one.held.keys()].filter((key) => key.startsWith('Workload/'));
    expect(workloads).toEqual(['Workload/self']);
    const all = JSON.stringify([...one.held.values()]);
    expect(all).toContain('spiffe://cluster.local/ns/bank/sa/web');
    // Its own rules are there, so that this would see others.
    expect(all).toContain('own-rules');
    const others = ['secret-policy', '8443', 'STRICT', '"app":"vault"', 'vault-rules', 'teller'];
    for (const secret of others) {
      expect(all).not.toContain(secret);
    }
  });
});

describe('numbers', () => {
  it('of one sidecar go to its own namespace, whatever it says', async () => {
    const { port, server, model } = await bench.replica(objects);
    const one = bench.sidecar(port);
    one.send(helloAs({}));
    const most = 1e12;
    const lie = {
      requests: most,
      grpcRequests: most,
      failures: most,
      mtlsRequests: most,
      connections: most,
      mtlsConnections: most,
      denied: most,
      latency: Array.from({ length: latencyBoundsMs.length + 1 }, () => most),
    };
    const certificate = { serial: 'x', notAfterMs: 8.64e15 };
    one.send({ statistics: { startedAtMs: 8.64e15, inbound: lie, outbound: lie, certificate } });
    one.send({ subscribe: ['192.0.2.1:1'] });
    await changed(server, () => server.streams()[0]?.statistics != null);
    const traffic = new TrafficObserver(0);
    const graph = new GraphObserver(0);
    traffic.observe(model.view(), server.streams(), 10_000);
    graph.observe(model.view(), server.streams(), 10_000);
    const streams = server.streams();
    const inputs = { view: model.view(), streams, traffic, graph, nowMs: 10_000 };
    const table = meshStatusTable({ ...inputs, inSync: new Set(), inboundOf: () => null });
    const rows = table.names.map((name) => table.row(name, []));
    const requests = Object.fromEntries(rows.map(({ name, status }) => [name, status.requests]));
    expect(requests).toEqual({
      'mesh.default': most,
      'namespace.bank': 0,
      'namespace.shop': most,
    });
  });
});

describe('a relay', () => {
  it('that is no operator changes nothing, however fast it speaks', async () => {
    const { port, server } = await bench.replica(objects);
    const path = '/tsmesh.discovery.v1.Relay/Stream';
    for (const [namespace, account] of [
      ['shop', 'tsmesh-operator'],
      ['tsmesh-system', 'default'],
      ['shop', 'web'],
    ] as const) {
      const one = bench.sidecar(port, { path, material: leaf(bench.ca, namespace, account) });
      one.sendText('{"hello":{"replica":"operator-2"}}');
      one.sendText('{"streams":[{"pod":{"namespace":"bank","name":"vault-1","uid":"u"}}]}');
      await one.until(() => one.status !== null);
      expect(one.status).toMatchObject({ code: 7, message: expect.stringContaining('relay') });
    }
    expect(server.streams()).toEqual([]);
    expect(server.observed().size).toBe(0);
  });
});

describe('a sidecar that asks for so much that others’ translations are forgotten', () => {
  it('does not keep changes from the others', async () => {
    const { port, model } = await bench.replica(objects, { maxKept: 50 });
    const victim = bench.sidecar(port, { localAddress: '127.0.0.2' });
    const me = helloAs(
      { name: 'web-2', uid: 'uid-pod-shop-web-2' },
      ['127.0.0.2'],
      ['10.96.0.9:80'],
    );
    victim.send(me);
    await victim.until(() => victim.held.size === 3);
    const hostile = bench.sidecar(port);
    const names = Array.from({ length: 200 }, (_, i) => `192.0.2.${i}:80`);
    hostile.send(helloAs({}, ['127.0.0.1'], names));
    await hostile.until(() => hostile.held.size > 200);
    model.upsert('TrafficPolicy', trafficPolicy('bank/p', { service: { name: 'vault' } }));
    await victim.until(() => victim.pushes.length === 2);
    const pushed = victim.pushes[1]!.resources.map(({ resource }) => resource.name);
    expect(pushed).toEqual(['10.96.0.9:80']);
  });
});

describe('a sidecar that wants too much is ended', () => {
  it.each([
    [
      'asking for ever new destinations',
      (round: number) => ({
        subscribe: Array.from({ length: 4096 }, (_, i) => `10.${round}.0.${i & 255}:80`),
      }),
      /names per second/,
      24,
    ],
    [
      'sending ever new megabytes',
      () => ({
        ack: {
          nonce: 'x',
          errors: Array.from({ length: 1000 }, () => ({
            key: 'Workload/self' as const,
            path: '',
            message: 'x'.repeat(3000),
          })),
        },
      }),
      /bytes per second/,
      8,
    ],
  ])('by %s', async (_what, make, words, rounds) => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port } = await bench.replica(objects, { clock });
    const one = bench.sidecar(port);
    one.send(helloAs({}));
    await one.until(() => one.held.size === 1);
    for (let round = 0; round < rounds; round += 1) {
      const message = make(round);
      one.send(message);
      if ('subscribe' in message) one.send({ unsubscribe: message.subscribe });
    }
    await one.until(() => one.status !== null);
    expect(one.status!.code).toBe(8);
    expect(one.status!.message).toMatch(words);
  });

  it('and not better off when it begins anew', async () => {
    const clock = new ManualClock(systemClock.wallTimeMs());
    const { port } = await bench.replica(objects, { clock });
    const ends: unknown[] = [];
    for (let round = 0; round < 12; round += 1) {
      const one = bench.sidecar(port);
      const names = Array.from({ length: 8000 }, (_, i) => `10.${round}.0.${i & 255}:80`);
      one.send(helloAs({}, ['127.0.0.1'], names));
      await one.until(() => one.held.size > 0 || one.status !== null);
      ends.push(one.status?.message);
      one.close();
      await one.until(() => one.closed);
    }
    expect(ends.at(0)).toBeUndefined();
    expect(ends.at(-1)).toMatch(/names per second/);
  });
});
