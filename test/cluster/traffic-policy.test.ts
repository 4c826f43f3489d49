// TrafficPolicy: a split, a timeout, a retry; and that `Programmed` is never early.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { echo, http, runLoad } from '../support/calls.ts';
import { apply, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';
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
