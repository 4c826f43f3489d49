// `kubectl get meshstatus` against what the load generator counted itself.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { runLoad } from '../support/calls.ts';
import { getJson, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';

const namespace = 't-status';
const outside = 't-status-outside';

interface Row {
  status: {
    readyProxies: number;
    wantedProxies: number;
    inSync: number;
    mtlsPercent: string;
    requests: number;
    failures: number;
    nearestExpiry: string;
    requestRate: string;
    successRate: string;
    p99: string;
  };
}

async function row(): Promise<Row['status']> {
  return (await getJson<Row>('meshstatus', `namespace.${namespace}`)).status;
}

describe('MeshStatus', () => {
  beforeAll(async () => {
    await Promise.all([createNamespace(namespace, true), createNamespace(outside, false)]);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server', replicas: 2 }),
      deployEcho(outside, { name: 'client' }),
    ]);
  }, 240_000);
  afterAll(() => Promise.all([deleteNamespace(namespace), deleteNamespace(outside)]), 240_000);

  it('counts sidecars and tells the nearest expiry', async () => {
    const status = await waitFor('three sidecars in sync', 60_000, async () => {
      const now = await row();
      return now.inSync === 3 && now.readyProxies === 3 && now;
    });
    expect(status.wantedProxies).toBe(3);
    const hours = (Date.parse(status.nearestExpiry) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(20);
    expect(hours).toBeLessThanOrEqual(24);
  });

  it('shows the requests, failures and mTLS share that the load generators saw', async () => {
    const before = await row();
    const client = { namespace, app: 'client' };
    const stranger = { namespace: outside, app: 'client' };
    const good = await runLoad(client, 'http://server/healthz', '--requests', '300');
    const bad = await runLoad(client, 'http://server/status/500', '--requests', '50');
    const plain = await runLoad(stranger, `http://server.${namespace}/`, '--requests', '150');
    expect([good.failed, bad.failed, plain.failed]).toEqual([0, 50, 0]);
    const after = await waitFor('all 500 requests in the row', 60_000, async () => {
      const now = await row();
      return now.requests - before.requests >= 500 && now;
    });
    expect(after.requests - before.requests).toBe(500);
    expect(after.failures - before.failures).toBe(50);
    // 350 of 500 came over mTLS; nothing else was sent in this namespace.
    expect(after.mtlsPercent).toMatch(/^70(\.0)?%?$/);
    expect(Number.parseFloat(after.successRate)).toBeCloseTo(90, 0);
    expect(Number.parseFloat(after.requestRate)).toBeGreaterThan(0);
    expect(after.p99).toMatch(/ms$/);
  });

  it('prints a table for people', async () => {
    const table = await kubectl('get', 'meshstatus');
    const [head, ...rows] = table.trim().split('\n');
    expect(head).toMatch(/^NAME +PROXIES +SYNCED +MTLS % +CERTS +RPS +SUCCESS % +P99 +AGE$/);
    expect(Math.max(...table.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
    expect(rows.some((line) => line.startsWith('mesh.default'))).toBe(true);
    expect(rows.some((line) => line.startsWith(`namespace.${namespace} `))).toBe(true);
  });

  it('can be waited for', async () => {
    const healthy = ['wait', '--for=condition=Healthy', '--timeout=60s'];
    await kubectl(...healthy, `meshstatus/namespace.${namespace}`);
    const wide = await kubectl('get', 'meshstatus', `namespace.${namespace}`, '-o', 'wide');
    expect(wide).toMatch(/HEALTHY +VERSIONS +REJECTING +NO SIDECAR/);
    expect(wide).toMatch(/ True +0\.1\.0 +0 +0 /);
  });
});
