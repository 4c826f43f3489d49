// TrafficPolicy: a split, a timeout, a retry; and that `Programmed` is never early.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { echo, grpc, http, runLoad } from '../support/calls.ts';
import { apply, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho, serving } from '../support/namespaces.ts';
import { condition, program, resource } from '../support/policies.ts';

const namespace = 't-policy';
const client = { namespace, app: 'client' };
const subsets = [
  { name: 'v1', labels: { version: 'v1' } },
  { name: 'v2', labels: { version: 'v2' } },
];

function split(v1: number, v2: number): object {
  const backends = [
    { subset: 'v1', weight: v1 },
    { subset: 'v2', weight: v2 },
  ];
  return { service: { name: 'server' }, subsets, routes: [{ backends }] };
}

describe('TrafficPolicy', () => {
  beforeAll(async () => {
    await createNamespace(namespace, true);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server-v1', service: 'server', version: 'v1' }),
      deployEcho(namespace, { name: 'server-v2', service: 'server', version: 'v2' }),
    ]);
    await serving(namespace, 'server', 2);
  }, 240_000);
  afterAll(() => deleteNamespace(namespace), 240_000);

  it('splits 90 to 10', async () => {
    await program('TrafficPolicy', namespace, 'server', split(90, 10));
    const load = await runLoad(client, 'http://server/healthz', '--requests', '2000');
    expect(load).toMatchObject({ requests: 2000, failed: 0 });
    // Binomial(2000, 0.1): 200 expected, standard deviation 13.4; the bounds are five of them away.
    expect(load.byVersion['v2']).toBeGreaterThan(133);
    expect(load.byVersion['v2']).toBeLessThan(267);
  });

  it('is obeyed by the very request after Programmed, every time', async () => {
    for (const version of ['v1', 'v2', 'v1', 'v2', 'v1', 'v2']) {
      const spec = version === 'v1' ? split(1, 0) : split(0, 1);
      await program('TrafficPolicy', namespace, 'server', spec);
      expect((await echo(client, 'http://server/')).version).toBe(version);
    }
  });

  it('ends a request that takes longer than its timeout, and names the policy', async () => {
    const spec = { service: { name: 'server' }, timeout: '300ms' };
    await program('TrafficPolicy', namespace, 'server', spec);
    const late = await http(client, 'http://server/delay?ms=3000');
    expect(late.status).toBe(504);
    expect(late.ms).toBeLessThan(2500);
    expect(late.body).toContain(`TrafficPolicy ${namespace}/server`);
    expect((await http(client, 'http://server/delay?ms=10')).status).toBe(200);
  });

  it('retries what the policy says, and nothing without one', async () => {
    await program('TrafficPolicy', namespace, 'server', {
      ...split(1, 0),
      retries: { attempts: 2, retryOn: ['5xx'] },
      routes: [{ backends: [{ subset: 'v1' }], retries: { attempts: 2, retryOn: ['5xx'] } }],
    });
    const retried = await http(client, 'http://server/flaky?key=a&fail=2');
    expect(retried.status).toBe(200);
    expect(JSON.parse(retried.body)).toMatchObject({ attempt: 3 });
    await program('TrafficPolicy', namespace, 'server', split(1, 0));
    expect((await http(client, 'http://server/flaky?key=b&fail=1')).status).toBe(503);
  });

  it('routes by path and header, rewrites and redirects', async () => {
    await program('TrafficPolicy', namespace, 'server', {
      service: { name: 'server' },
      subsets,
      routes: [
        {
          name: 'old',
          matches: [{ path: { prefix: '/old' } }],
          redirect: { path: { prefix: '/new' }, status: 308 },
        },
        {
          name: 'canary',
          matches: [{ path: { prefix: '/api' }, headers: [{ name: 'x-canary', exact: 'yes' }] }],
          rewrite: { path: { prefix: '/v2' } },
          requestHeaders: { set: [{ name: 'x-route', value: 'canary' }] },
          backends: [{ subset: 'v2' }],
        },
        { backends: [{ subset: 'v1' }] },
      ],
    });
    const moved = await http(client, 'http://server/old/a?b=1');
    expect([moved.status, moved.headers['location']]).toEqual([308, 'http://server/new/a?b=1']);
    const canary = await echo(client, 'http://server/api/x', '--header', 'x-canary: yes');
    expect(canary).toMatchObject({ version: 'v2', path: '/v2/x' });
    expect(canary.headers).toContain('x-route');
    expect(await echo(client, 'http://server/api/x')).toMatchObject({
      version: 'v1',
      path: '/api/x',
    });
  });

  it('routes by its caller, by gRPC method, and answers or fails by itself', async () => {
    const ours = { source: { labels: { app: 'client' }, namespaces: [namespace] } };
    await program('TrafficPolicy', namespace, 'server', {
      service: { name: 'server' },
      subsets,
      routes: [
        { matches: [{ path: { prefix: '/gone' } }], directResponse: { status: 410, body: 'gone' } },
        { matches: [{ path: { exact: '/fail' } }], fault: { abort: { status: 418 } } },
        {
          matches: [{ grpc: { method: 'Unary' } }],
          fault: { abort: { grpcCode: 'RESOURCE_EXHAUSTED' } },
        },
        {
          matches: [
            { source: { namespaces: ['elsewhere'] } },
            { source: { labels: { app: 'x' } } },
          ],
          directResponse: { status: 500 },
        },
        { matches: [{ ...ours, path: { prefix: '/ours' } }], backends: [{ subset: 'v2' }] },
        { backends: [{ subset: 'v1' }] },
      ],
    });
    expect(await http(client, 'http://server/gone/1')).toMatchObject({ status: 410, body: 'gone' });
    const failed = await http(client, 'http://server/fail');
    expect(failed.status).toBe(418);
    expect(failed.body).toContain(`TrafficPolicy ${namespace}/server, route 1`);
    expect((await grpc(client, 'server:9090', 'Unary', 'hello')).grpcStatus).toBe('8');
    expect((await grpc(client, 'server:9090', 'ServerStream', 'hello')).grpcStatus).toBe('0');
    expect((await echo(client, 'http://server/ours')).version).toBe('v2');
    expect((await echo(client, 'http://server/theirs')).version).toBe('v1');
  });

  it('keeps requests of one value at one pod', async () => {
    await program('TrafficPolicy', namespace, 'server', {
      service: { name: 'server' },
      loadBalancing: {
        method: 'ConsistentHash',
        consistentHash: { by: [{ header: 'x-user' }] },
      },
    });
    for (const user of ['a', 'b', 'c']) {
      const one = ['--requests', '50', '--concurrency', '1', '--header', `x-user: ${user}`];
      const load = await runLoad(client, 'http://server/healthz', ...one);
      expect(load).toMatchObject({ requests: 50, failed: 0 });
      expect(Object.keys(load.byVersion)).toHaveLength(1);
    }
  });

  it('limits rates at the pods of the Service, from the very request after Programmed', async () => {
    await program('TrafficPolicy', namespace, 'server', {
      ...split(1, 0),
      rateLimits: [
        {
          name: 'few',
          requests: 1,
          interval: '1h',
          burst: 2,
          matches: [{ path: { exact: '/few' } }],
        },
      ],
    });
    const few = [];
    for (let i = 0; i < 3; i += 1) few.push(await http(client, 'http://server/few'));
    expect(few.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(Number(few[2]!.headers['retry-after'])).toBeGreaterThan(1000);
    expect(few[2]!.body).toContain(`TrafficPolicy ${namespace}/server, rate limit few`);
    expect((await http(client, 'http://server/many')).status).toBe(200);
    await program('TrafficPolicy', namespace, 'server', split(1, 0));
    expect((await http(client, 'http://server/few')).status).toBe(200);
  });

  it('tells of references that lead nowhere, and is mended when they appear', async () => {
    const spec = { service: { name: 'server' }, routes: [{ backends: [{ service: 'absent' }] }] };
    await apply(resource('TrafficPolicy', namespace, 'server', spec));
    const args = ['wait', '-n', namespace, '--for=condition=ResolvedRefs=False', 'tp/server'];
    await kubectl(...args, '--timeout=30s');
    const where = { kind: 'TrafficPolicy', namespace, name: 'server' };
    const refs = await condition(where, 'ResolvedRefs');
    expect(refs?.message).toContain('absent');
    await deployEcho(namespace, { name: 'absent' });
    await kubectl('wait', '-n', namespace, '--for=condition=ResolvedRefs', 'tp/server');
    await kubectl('wait', '-n', namespace, '--for=condition=Programmed', 'tp/server');
    expect((await echo(client, 'http://server/')).service).toBe('absent');
  });
});
