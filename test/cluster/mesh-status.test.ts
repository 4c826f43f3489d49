// `kubectl get meshstatus` against what the load generators counted themselves.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import type { MeshFigures, MeshStatusStatus } from '../../operator/resources/tsmesh.ts';
import { runLoad } from '../support/calls.ts';
import { apply, getJson, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';

const namespace = 't-status';
const outside = 't-status-outside';

async function row(): Promise<MeshStatusStatus> {
  const name = `namespace.${namespace}`;
  return (await getJson<{ status: MeshStatusStatus }>('meshstatus', name)).status;
}

/** How many requests a rate stands for. */
function counted(status: MeshStatusStatus, figures: MeshFigures): number {
  return Number(figures.requestRate) * status.window.seconds;
}

function expectWithin(share: number, shown: number, own: number): void {
  expect(shown).toBeGreaterThanOrEqual(own * (1 - share));
  expect(shown).toBeLessThanOrEqual(own * (1 + share));
}

/** What the app takes, in milliseconds. */
const appMs = 1040;

/**
 * Sidecars report every 3 s, and what they counted is spread over that time: of loads that end at once, what lies in the
 * last report is told in full by a minute that ends after it.
 */
const lastReportMs = 4_000;

/** A sidecar stands between: what it measured is not below the app's own time, nor above what the caller waited. */
function expectTime(shown: string, callerMs: number): void {
  expect(seconds(shown)).toBeGreaterThanOrEqual((appMs / 1000) * 0.95);
  expect(seconds(shown)).toBeLessThanOrEqual((callerMs / 1000) * 1.05);
}

const seconds = (time: string) => Number.parseFloat(time) * (time.endsWith('ms') ? 1 / 1000 : 1);

describe('MeshStatus', () => {
  beforeAll(async () => {
    await Promise.all([createNamespace(namespace, true), createNamespace(outside, false)]);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server', replicas: 2 }),
      deployEcho(namespace, { name: 'slow' }),
      deployEcho(outside, { name: 'client' }),
    ]);
  }, 240_000);
  afterAll(() => Promise.all([deleteNamespace(namespace), deleteNamespace(outside)]), 240_000);

  it('counts sidecars and tells the nearest expiry', async () => {
    const status = await waitFor('four sidecars in sync', 60_000, async () => {
      const now = await row();
      return now.inSync === 4 && now.readyProxies === 4 && now;
    });
    expect(status.wantedProxies).toBe(4);
    const hours = (Date.parse(status.nearestExpiry!) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(20);
    expect(hours).toBeLessThanOrEqual(24);
  });

  it('agrees with the load generators: totals, 1 % in rates and success, 5 % in times', async () => {
    const before = await row();
    const client = { namespace, app: 'client' };
    const stranger = { namespace: outside, app: 'client' };
    const load = (caller: typeof client, url: string, requests: number, rate: number) => {
      const all = { requests, rate, concurrency: 64 };
      const options = Object.entries(all).flatMap(([name, value]) => [`--${name}`, `${value}`]);
      return runLoad(caller, url, ...options);
    };
    // Times are long, so that what the machine does besides counts little.
    const loads = await Promise.all([
      load(client, `http://slow/delay?ms=${appMs}`, 600, 40),
      load(client, 'http://server/healthz', 1000, 80),
      load(client, 'http://server/status/500', 200, 20),
      load(stranger, `http://server.${namespace}/`, 600, 50),
    ]);
    const [slow] = loads;
    expect(loads.map(({ failed }) => failed)).toEqual([0, 0, 200, 0]);
    const endedMs = Date.now();
    const after = await waitFor('a row of a minute with all 2400 requests', 60_000, async () => {
      const now = await row();
      const whole = Date.parse(now.window.end) >= endedMs + lastReportMs;
      return whole && now.requests - before.requests >= 2400 && now;
    });
    expect(after.requests - before.requests).toBe(2400);
    expect(after.failures - before.failures).toBe(200);
    expectWithin(0.01, counted(after, after), 2400);
    expectWithin(0.01, Number(after.successRate), 100 - 200 / 24);
    expectWithin(0.01, Number(after.mtlsPercent), 100 * (1800 / 2400));
    expectTime(after.p99, slow.p99Ms);

    const workload = (name: string) =>
      after.workloads!.find((one) => one.workload === `Deployment/${name}`)!;
    expect(workload('server')).toMatchObject({ pods: 2, ready: 2 });
    expectWithin(0.01, counted(after, workload('server').traffic!), 1800);
    expectTime(workload('slow').traffic!.p50, slow.p50Ms);

    const edge = (from: string, to: string) =>
      after.edges!.find(
        (one) =>
          one.from === `${from}/Deployment/client` && one.to === `${namespace}/Deployment/${to}`,
      )!;
    expect(edge(namespace, 'slow')).toMatchObject({
      identity: `spiffe://cluster.local/ns/${namespace}/sa/client`,
      service: `${namespace}/slow`,
      protocol: 'http',
      successRate: '100',
      mtlsPercent: '100',
    });
    expectWithin(0.01, counted(after, edge(namespace, 'slow')), 600);
    expectTime(edge(namespace, 'slow').p99, slow.p99Ms);
    expectWithin(0.01, counted(after, edge(namespace, 'server')), 1200);
    expect(edge(outside, 'server')).toMatchObject({ successRate: '100', mtlsPercent: '0' });
    expect(edge(outside, 'server').identity).toBeUndefined();
    expectWithin(0.01, counted(after, edge(outside, 'server')), 600);
  });

  it('prints a table for people', async () => {
    const table = await kubectl('get', 'meshstatus');
    const [head, ...rows] = table.trim().split('\n');
    expect(head).toMatch(/^NAME +PROXIES +SYNCED +MTLS % +CERTS +RPS +SUCCESS % +P99 +AGE$/);
    expect(Math.max(...table.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
    expect(rows.some((line) => line.startsWith('mesh.default'))).toBe(true);
    expect(rows.some((line) => line.startsWith(`namespace.${namespace} `))).toBe(true);
  });

  it('can be waited for, and names policies with problems', async () => {
    const healthy = ['wait', '--for=condition=Healthy', '--timeout=60s'];
    await kubectl(...healthy, `meshstatus/namespace.${namespace}`);
    const spec = { service: { name: 'nobody' } };
    const metadata = { name: 'lost', namespace };
    const policy = { apiVersion: 'tsmesh.dev/v1alpha1', kind: 'TrafficPolicy', metadata, spec };
    await apply(JSON.stringify(policy));
    const { policyProblems } = await waitFor('the problem in the row', 30_000, async () => {
      const now = await row();
      return now.policyProblems !== undefined && now;
    });
    expect(policyProblems).toMatchObject([
      {
        kind: 'TrafficPolicy',
        policy: `${namespace}/lost`,
        message: expect.stringContaining('nobody'),
      },
    ]);
    const wide = await kubectl('get', 'meshstatus', `namespace.${namespace}`, '-o', 'wide');
    expect(wide).toMatch(/HEALTHY +VERSIONS +REJECTING +BAD POLICIES +NO SIDECAR +DENIED/);
    expect(wide).toMatch(/ True +0\.1\.0 +0 +1 +0 +0 /);
  });
});
