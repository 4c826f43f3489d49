// Rate limits of the called pod's sidecar: what callers of every kind get, and what both logs and the counts say. Real sockets;
// the clock of the callee runs as it does, so that rates are so low that nothing comes back within a test.

import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { RateLimit } from '../api/resources.ts';
import { callerIdentity, guarded, policy } from '../../test/support/authorization.ts';
import { call, listenOn, startPair, type MeshPair } from '../../test/support/mesh-pair.ts';
import { workload, type TestSidecar } from '../../test/support/sidecar.ts';
import { readDecisionKey } from '../telemetry/recorder.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Pair = MeshPair & { seen: number };

async function pairFor(): Promise<Pair> {
  const app = http.createServer((_, response) => {
    world.seen += 1;
    response.end('ok');
  });
  const pair = await startPair(await listenOn(app));
  closers.push(() => {
    pair.close();
    app.close();
    app.closeAllConnections();
  });
  const world: Pair = Object.assign(pair, { seen: 0 });
  return world;
}

/** A token a thousand seconds: what is there at first is all there is. */
function limit(given: Partial<RateLimit> = {}): RateLimit {
  return {
    name: 'TrafficPolicy shop/app, rate limit few',
    ports: [],
    unit: 'requests',
    perSecond: 0.001,
    burst: 2,
    matches: [],
    per: [],
    maxBuckets: 100,
    ...given,
  };
}

function limited(pair: Pair, ...rateLimits: RateLimit[]): void {
  pair.callee.apply({ ...workload(), rateLimits });
}

const viaMesh = (pair: Pair) => pair.caller.outbound.address.port;
const direct = (pair: Pair) => pair.callee.inbound.address.port;

async function statuses(pair: Pair, count: number, given: object = {}): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i += 1)
    found.push((await call({ port: viaMesh(pair), ...given })).status);
  return found;
}

function denied(sidecar: TestSidecar, direction: 'inbound' | 'outbound'): object[] {
  return sidecar.counters
    .snapshot(direction)
    .flatMap((one) => [...one.decisions])
    .map(([key, count]) => ({ ...readDecisionKey(key), count }));
}

describe('a rate limit', () => {
  it('answers 429 with the time to wait, and names the policy everywhere', async () => {
    const pair = await pairFor();
    limited(pair, limit());
    expect(await statuses(pair, 2)).toEqual([200, 200]);
    const { status, headers, body } = await call({ port: viaMesh(pair) });
    expect(status).toBe(429);
    expect(Number(headers['retry-after'])).toBeGreaterThan(900);
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(1000);
    expect(headers['tsmesh-error']).toBe('rate-limited');
    const by = 'TrafficPolicy shop/app; rule=rate limit few; reason=rate-limited';
    expect(headers['tsmesh-denied-by']).toBe(by);
    expect(body.toString()).toContain('TrafficPolicy shop/app, rate limit few');
    expect(pair.seen).toBe(2);
    expect(pair.callee.log.at(-1)).toMatchObject({ flag: 'RL', rule: 'rate limit few' });
    expect(pair.caller.log.at(-1)).toMatchObject({ flag: 'PP', policy: 'TrafficPolicy shop/app' });
    for (const [sidecar, direction] of [
      [pair.callee, 'inbound'],
      [pair.caller, 'outbound'],
    ] as const)
      expect(denied(sidecar, direction)).toMatchObject([
        { kind: 'denied', rule: 'rate limit few', reason: 'rate-limited', count: 1 },
      ]);
  });

  it('gives tokens back with time', async () => {
    const pair = await pairFor();
    limited(pair, limit({ perSecond: 20, burst: 1 }));
    expect(await statuses(pair, 1)).toEqual([200]);
    let later = 429;
    while (later === 429) [later = 0] = await statuses(pair, 1);
    expect(later).toBe(200);
  });

  it('tells gRPC by its status', async () => {
    const pair = await pairFor();
    limited(pair, limit({ burst: 1 }));
    const headers = { 'content-type': 'application/grpc', te: 'trailers' };
    await statuses(pair, 1);
    const answer = await call({ port: viaMesh(pair), method: 'POST', headers });
    expect([answer.status, answer.headers['grpc-status']]).toEqual([200, '8']);
    expect(answer.headers['tsmesh-denied-by']).toContain('rate-limited');
  });

  it('counts what it matches only, at its ports only', async () => {
    const pair = await pairFor();
    const matches = [{ path: { prefix: '/slow' }, methods: ['GET'] }];
    limited(pair, limit({ burst: 1, matches }), limit({ burst: 1, ports: [1] }));
    expect(await statuses(pair, 3)).toEqual([200, 200, 200]);
    expect(await statuses(pair, 2, { path: '/slow/a?b' })).toEqual([200, 429]);
    expect(await statuses(pair, 1, { path: '/slow', method: 'POST' })).toEqual([200]);
  });

  it('is not got round by another spelling of the path', async () => {
    const pair = await pairFor();
    limited(pair, limit({ burst: 1, matches: [{ path: { prefix: '/slow' } }] }));
    const spelled = ['/slow', '/%73low', '//slow/a', '/x/../slow', '/slow;a=1', '/slow%2Fa?b'];
    for (const path of [...spelled, `/${'%2F;'.repeat(2000)}`])
      expect([path, await statuses(pair, 1, { path })]).toEqual([
        path,
        [path === '/slow' ? 200 : 429],
      ]);
    expect(await statuses(pair, 2, { path: '/%78/slow' })).toEqual([200, 200]);
  });

  it('counts each value of a header for itself, and requests without it together', async () => {
    const pair = await pairFor();
    limited(pair, limit({ burst: 1, per: [{ header: 'x-tenant' }] }));
    const of = (tenant: string) => ({ headers: { 'x-tenant': tenant } });
    const long = 'y'.repeat(2000);
    expect(await statuses(pair, 2, of('a'))).toEqual([200, 429]);
    expect(await statuses(pair, 2, of('b'))).toEqual([200, 429]);
    expect(await statuses(pair, 2, of(`${long}1`))).toEqual([200, 429]);
    expect(await statuses(pair, 1, of(`${long}2`))).toEqual([200]);
    expect(await statuses(pair, 2)).toEqual([200, 429]);
  });

  it('counts each identity and each address for itself', async () => {
    const pair = await pairFor();
    limited(pair, limit({ burst: 1, per: [{ identity: true }] }));
    expect(await statuses(pair, 2)).toEqual([200, 429]);
    // Without a sidecar: another identity, none.
    expect((await call({ port: direct(pair) })).status).toBe(200);
    expect((await call({ port: direct(pair) })).status).toBe(429);
    limited(pair, limit({ burst: 1, per: [{ sourceAddress: true }] }));
    expect(await statuses(pair, 1)).toEqual([200]);
    expect((await call({ port: direct(pair) })).status).toBe(429);
  });

  it('takes tokens of none where one of several has none', async () => {
    const pair = await pairFor();
    const posts = limit({ name: 'TrafficPolicy shop/app, rate limit posts', burst: 1 });
    limited(pair, limit({ burst: 3 }), { ...posts, matches: [{ methods: ['POST'] }] });
    expect(await statuses(pair, 3, { method: 'POST' })).toEqual([200, 429, 429]);
    expect(await statuses(pair, 3)).toEqual([200, 200, 429]);
  });

  it('is used up by nobody whom policies refuse', async () => {
    const pair = await pairFor();
    const mesh = policy('ALLOW', [{ name: 'mesh', from: [{ identities: [callerIdentity] }] }]);
    pair.callee.apply({ ...guarded([mesh]), rateLimits: [limit()] });
    for (let i = 0; i < 5; i += 1) expect((await call({ port: direct(pair) })).status).toBe(403);
    expect(await statuses(pair, 3)).toEqual([200, 200, 429]);
  });

  it('keeps its buckets when something else of the pod changes', async () => {
    const pair = await pairFor();
    limited(pair, limit());
    expect(await statuses(pair, 3)).toEqual([200, 200, 429]);
    pair.callee.apply({ ...workload(), rateLimits: [limit()], labels: { app: 'cart' } });
    expect(await statuses(pair, 1)).toEqual([429]);
    pair.callee.apply({ ...workload(), rateLimits: [limit({ burst: 3 })] });
    expect(await statuses(pair, 1)).toEqual([200]);
    pair.callee.apply(workload());
    expect(await statuses(pair, 4)).toEqual([200, 200, 200, 200]);
  });

  it('lets a flood of values reset nobody, and hold no more than its buckets', async () => {
    const pair = await pairFor();
    limited(pair, limit({ burst: 1, per: [{ header: 'x-tenant' }], maxBuckets: 5 }));
    expect(await statuses(pair, 2, { headers: { 'x-tenant': 'a' } })).toEqual([200, 429]);
    for (let i = 0; i < 30; i += 1)
      await statuses(pair, 1, { headers: { 'x-tenant': `flood-${i}` } });
    expect(await statuses(pair, 1, { headers: { 'x-tenant': 'a' } })).toEqual([429]);
    const { rateLimits } = pair.callee.store.snapshot().workload!;
    expect(rateLimits.requests![0]!.limiter.size).toBe(5);
  });
});

describe('a rate limit of connections', () => {
  const connections = (given: Partial<RateLimit> = {}) => limit({ unit: 'connections', ...given });

  /** True: it was reset or closed without an answer. */
  function refused(port: number): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.once('data', () => {
        resolve(false);
        socket.destroy();
      });
      socket.once('close', () => resolve(true));
      socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    });
  }

  it('resets those beyond it before anything is read, and logs and counts them', async () => {
    const pair = await pairFor();
    limited(pair, connections());
    const found = [];
    for (let i = 0; i < 4; i += 1) found.push(await refused(direct(pair)));
    expect(found).toEqual([false, false, true, true]);
    expect(pair.callee.log.at(-1)).toMatchObject({ flag: 'RL', policy: 'TrafficPolicy shop/app' });
    expect(denied(pair.callee, 'inbound')).toMatchObject([{ reason: 'rate-limited', count: 2 }]);
  });

  it('by identity is asked once that is proven; others have theirs', async () => {
    const pair = await pairFor();
    limited(pair, connections({ burst: 1, per: [{ identity: true }] }));
    // One connection between the sidecars carries all of them.
    expect(await statuses(pair, 3)).toEqual([200, 200, 200]);
    expect([await refused(direct(pair)), await refused(direct(pair))]).toEqual([false, true]);
  });
});
