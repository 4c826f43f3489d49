// Callers that are to stay with an endpoint, as clients of the caller's sidecar see it. Real sockets.
import http from 'node:http';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Balancing, EndpointsResource } from '../../proxy/api/resources.ts';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, startSidecar, workload, type TestSidecar } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** An app that answers with its own number and shows the cookies that it got. */
async function startApp(number: number): Promise<AddressInfo> {
  const server = http.createServer((request, response) => {
    response.writeHead(200, { 'x-cookies': request.headers.cookie ?? '' }).end(String(number));
  });
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return await listenOn(server);
}

/** Apps 0 to 3: the first behind a sidecar over mutual TLS, the others in plaintext. */
async function meshOf(balancing: Balancing): Promise<{ pair: MeshPair; set: EndpointsResource }> {
  const apps = await Promise.all([0, 1, 2, 3].map(startApp));
  const pair = await startPair(apps[0]!);
  closers.push(() => pair.close());
  const behind = {
    address: pair.callee.inbound.address.address,
    port: pair.callee.inbound.address.port,
  };
  const set = endpoints(apps, null) as EndpointsResource;
  set.endpoints[0] = { ...set.endpoints[0]!, ...behind, identity: idOf(pair) };
  pair.route({ balancing }, set);
  return { pair, set };
}

function idOf({ callee }: MeshPair): string {
  return callee.identity.current()!.spiffeId;
}

interface Seen {
  app: string;
  cookie: string;
}

async function ask(pair: MeshPair, headers: http.OutgoingHttpHeaders, path = '/'): Promise<Seen> {
  const answer = await call({ port: pair.caller.outbound.address.port, headers, path });
  expect(answer.status).toBe(200);
  return { app: answer.body.toString(), cookie: answer.headers['set-cookie']?.[0] ?? '' };
}

async function appsFor(pair: MeshPair, headers: http.OutgoingHttpHeaders): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let i = 0; i < 10; i += 1) seen.add((await ask(pair, headers)).app);
  return seen;
}

describe('consistent hash', () => {
  it('by a header brings each value to one endpoint, and the same one from another sidecar', async () => {
    const by = [{ header: 'x-user' }];
    const { pair, set } = await meshOf({
      method: 'consistent-hash',
      hash: { by, loadPercent: 125 },
    });
    const found: string[] = [];
    for (let user = 0; user < 20; user += 1) {
      const apps = await appsFor(pair, { 'x-user': `user-${user}` });
      expect(apps.size).toBe(1);
      found.push([...apps][0]!);
    }
    expect(new Set(found).size).toBeGreaterThan(1);
    const other = await startSidecar('other');
    closers.push(() => other.close());
    other.identity.swap(pair.issue('other'));
    other.target.outbound = pair.caller.target.outbound;
    other.apply(
      workload(),
      ...pair.caller.store
        .resources()
        .flatMap(({ resource }) => (resource.type === 'Destination' ? [resource] : [])),
      set,
    );
    for (let user = 0; user < 20; user += 1)
      expect((await askAt(other, { 'x-user': `user-${user}` })).app).toBe(found[user]);
  });

  it('by a cookie gives one to a caller that has none, and keeps to it', async () => {
    const by = [{ cookie: 'sid', path: '/', ttlMs: 60_000 }];
    const { pair } = await meshOf({ method: 'consistent-hash', hash: { by, loadPercent: 125 } });
    for (let i = 0; i < 5; i += 1) {
      const first = await ask(pair, {});
      expect(first.cookie).toMatch(/^sid=[0-9a-f]{16}; Path=\/; Max-Age=60; HttpOnly/);
      const cookie = first.cookie.split(';')[0]!;
      expect(await appsFor(pair, { cookie })).toEqual(new Set([first.app]));
      expect((await ask(pair, { cookie })).cookie).toBe('');
    }
  });
});

async function askAt(sidecar: TestSidecar, headers: http.OutgoingHttpHeaders): Promise<Seen> {
  const answer = await call({ port: sidecar.outbound.address.port, headers });
  return { app: answer.body.toString(), cookie: '' };
}

describe('affinity', () => {
  const affinity = { cookie: 'at', path: '/', ttlMs: null };

  it('keeps each caller at the endpoint that answered it first, with or without a sidecar', async () => {
    const { pair } = await meshOf({ method: 'round-robin', affinity });
    const seen = new Set<string>();
    for (let i = 0; i < 8; i += 1) {
      const first = await ask(pair, {});
      const cookie = first.cookie.split(';')[0]!;
      expect(first.cookie).toMatch(/^at=[\w-]{16}; Path=\/; HttpOnly; SameSite=Lax$/);
      expect(await appsFor(pair, { cookie })).toEqual(new Set([first.app]));
      expect((await ask(pair, { cookie })).cookie).toBe('');
      seen.add(first.app);
    }
    expect(seen).toEqual(new Set(['0', '1', '2', '3']));
  });

  it('gives another endpoint, and its cookie, when the endpoint is gone', async () => {
    const { pair, set } = await meshOf({ method: 'least-request', affinity });
    const first = await ask(pair, {});
    const cookie = first.cookie.split(';')[0]!;
    const left = set.endpoints.filter((_, index) => String(index) !== first.app);
    pair.caller.apply({ ...set, endpoints: left });
    const second = await ask(pair, { cookie });
    expect(second.app).not.toBe(first.app);
    const next = second.cookie.split(';')[0]!;
    expect(next).toMatch(/^at=/);
    expect(await appsFor(pair, { cookie: next })).toEqual(new Set([second.app]));
    pair.caller.apply(set);
    expect(await appsFor(pair, { cookie })).toEqual(new Set([first.app]));
  });
});

describe('zones', () => {
  it('keep requests near, and let them go elsewhere when nobody is there, which is counted', async () => {
    const { pair, set } = await meshOf({ method: 'least-request', zones: 'prefer-same-zone' });
    pair.caller.apply({ ...workload(), zone: 'a' });
    const hinted = set.endpoints.map((one, i) => ({ ...one, forZones: [i < 2 ? 'a' : 'b'] }));
    pair.caller.apply({ ...set, endpoints: hinted });
    expect(await appsFor(pair, {})).toEqual(new Set(['0', '1']));
    const closed = { address: '127.0.0.1', port: await closedPort() };
    const gone = hinted.map((one, i) =>
      i < 2 ? { ...one, ...closed, identity: null, podName: `x-${i}` } : one,
    );
    pair.caller.apply({ ...set, endpoints: gone });
    const seen = await appsFor(pair, {});
    expect(seen.has('0') || seen.has('1')).toBe(false);
    const [series] = pair.caller.counters.snapshot('outbound');
    expect(series!.spillovers).toBeGreaterThanOrEqual(10);
  });
});

async function closedPort(): Promise<number> {
  const server = net.createServer();
  const { port } = await listenOn(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('connections that are not HTTP', () => {
  it('go round, and count as in use while they are open', async () => {
    const { pair } = await meshOf({ method: 'round-robin' });
    pair.route({ balancing: { method: 'round-robin' }, protocol: 'tcp', routes: [] });
    const set = () => pair.caller.store.snapshot().endpoints.get('shop/app:80')!.endpoints;
    const inUse = () => set().map(({ load }) => load.inFlight);
    const sockets = Array.from({ length: 8 }, () =>
      net.connect(pair.caller.outbound.address.port, '127.0.0.1').on('error', () => undefined),
    );
    closers.push(() => sockets.forEach((socket) => socket.destroy()));
    await until('two at each', () => inUse().every((count) => count === 2));
    for (const socket of sockets) socket.destroy();
    await until('none is in use', () => inUse().every((count) => count === 0));
  });
});
