// Kinds of destinations through two real sidecars: over IPv6, a pod by its own address, two Services over one pod.
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, loopback, route } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** An app that says who calls it, behind two sidecars. */
async function pairFor(): Promise<MeshPair> {
  const app = http.createServer((request, response) => {
    response.end(String(request.headers['tsmesh-client-identity']));
  });
  const pair = await startPair(await listenOn(app));
  closers.push(() => {
    pair.close();
    app.close();
  });
  return pair;
}

async function callerSeen(pair: MeshPair): Promise<string> {
  const answer = await call({ port: pair.caller.outbound.address.port, agent: false });
  return `${answer.status} ${answer.body.toString()}`;
}

const expected = '200 spiffe://cluster.local/ns/shop/sa/caller';

describe('a destination', () => {
  it('of a dual-stack Service is reached over IPv6, with mutual TLS', async () => {
    const pair = await pairFor();
    let arrived = 0;
    // The wire between the pods: what comes to the IPv6 address of the pod is its sidecar's.
    const wire = net.createServer((socket) => {
      arrived += 1;
      const { port } = pair.callee.inbound.address;
      const inner = net.connect(port, loopback);
      for (const one of [socket, inner]) one.on('error', () => undefined);
      socket.pipe(inner).pipe(socket);
    });
    await new Promise<void>((resolve) => wire.listen(0, '::1', resolve));
    closers.push(() => wire.close());
    const { port } = wire.address() as net.AddressInfo;
    const name = 'shop/app:80@ipv6';
    const backends = [{ endpoints: name, weight: 1 }];
    const identity = pair.callee.identity.current()!.spiffeId;
    pair.route(
      { name: '[fd00:96::7]:80', routes: [route({ backends })], tcp: backends },
      endpoints({ address: '::1', port, family: 'IPv6' }, identity, name),
    );
    pair.caller.target.outbound = { address: 'fd00:96::7', port: 80 };
    expect(await callerSeen(pair)).toBe(expected);
    expect(arrived).toBe(1);
    expect(pair.caller.log[0]).toMatchObject({ endpoint: `[::1]:${port}`, mtls: true });
    expect(pair.caller.counters.totals('outbound')).toMatchObject({ mtlsRequests: 1 });
  });

  it('that is a pod goes to that pod, whatever else its Service has', async () => {
    const pair = await pairFor();
    const { address } = pair.callee.inbound;
    const name = `pod/${address.address}:${address.port}`;
    const backends = [{ endpoints: name, weight: 1 }];
    const { spiffeId } = pair.callee.identity.current()!;
    pair.route(
      {
        name: `${address.address}:${address.port}`,
        kind: 'pod',
        host: 'db-0.shop:5432',
        routes: [route({ backends })],
        tcp: backends,
      },
      endpoints(address, spiffeId, name),
    );
    pair.caller.target.outbound = address;
    for (let i = 0; i < 3; i += 1) expect(await callerSeen(pair)).toBe(expected);
    const [series] = pair.caller.counters.snapshot('outbound');
    expect([series!.name, series!.totals.mtlsRequests]).toEqual(['db-0.shop:5432', 3]);
  });

  it('of two Services over one pod is counted by the one that was called', async () => {
    const pair = await pairFor();
    pair.route({ name: '10.96.0.8:90', host: 'other.shop:90' });
    await callerSeen(pair);
    pair.caller.target.outbound = { address: '10.96.0.8', port: 90 };
    expect(await callerSeen(pair)).toBe(expected);
    await until('both are counted', () => pair.caller.counters.totals('outbound').requests === 2);
    const names = pair.caller.counters.snapshot('outbound').map(({ name }) => name);
    expect(names).toEqual(['app.shop:80', 'other.shop:90']);
  });
});
