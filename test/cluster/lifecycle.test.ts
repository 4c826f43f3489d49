// Pods as they come and go: jobs, init containers, probes, and endings under load.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { startLoad } from '../support/calls.ts';
import { testImage } from '../support/image.ts';
import { apply, getJson, kubectl } from '../support/kubectl.ts';
import {
  applyEcho,
  createNamespace,
  deleteNamespace,
  deployEcho,
  podsOf,
  rolledOut,
} from '../support/namespaces.ts';
import { program } from '../support/policies.ts';

const namespace = 't-lifecycle';
const client = { namespace, app: 'client' };

interface PodView {
  status: {
    containerStatuses?: { name: string; restartCount: number; ready: boolean }[];
  };
}

describe('the life of meshed pods', () => {
  beforeAll(async () => {
    await createNamespace(namespace, true);
    await program('PeerAuthentication', namespace, 'strict', { mtls: { mode: 'STRICT' } });
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server', replicas: 2 }),
    ]);
  }, 240_000);
  afterAll(() => deleteNamespace(namespace), 240_000);

  it('lets a Job complete, the sidecar ending after it', async () => {
    const template = {
      spec: {
        restartPolicy: 'Never',
        containers: [
          {
            name: 'app',
            image: testImage(),
            args: ['load', 'http://server/', '--requests', '20'],
          },
        ],
      },
    };
    await apply(
      JSON.stringify({
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'job', namespace },
        spec: { backoffLimit: 0, template },
      }),
    );
    await kubectl('wait', '-n', namespace, '--for=condition=complete', 'job/job', '--timeout=90s');
    const logs = await kubectl('logs', '-n', namespace, 'job/job', '-c', 'app');
    expect(JSON.parse(logs)).toMatchObject({ requests: 20, failed: 0 });
  });

  it('gives init containers the mesh', async () => {
    const init = {
      name: 'fetch',
      image: testImage(),
      args: ['load', 'http://server/', '--requests', '5'],
    };
    await deployEcho(namespace, { name: 'eager', pod: { initContainers: [init] } });
    const logs = await kubectl('logs', '-n', namespace, 'deployment/eager', '-c', 'fetch');
    expect(JSON.parse(logs)).toMatchObject({ requests: 5, failed: 0, statuses: { '200': 5 } });
  });

  it.each([
    ['http', { httpGet: { path: '/healthz', port: 8080 } }],
    ['tcp', { tcpSocket: { port: 7000 } }],
    ['grpc', { grpc: { port: 9090 } }],
  ])('answers %s probes under STRICT as the app would', async (kind, probe) => {
    const name = `probed-${kind}`;
    const periodic = { ...probe, periodSeconds: 1, failureThreshold: 2 };
    const container = { readinessProbe: periodic, livenessProbe: periodic };
    await deployEcho(namespace, { name, container });
    const [pod] = await podsOf(namespace, `app=${name}`);
    const view = await getJson<PodView>('pod', pod?.name ?? '', '-n', namespace);
    const app = view.status.containerStatuses?.find((status) => status.name === 'app');
    expect(app).toMatchObject({ ready: true, restartCount: 0 });
  });

  it.each([
    ['http', { httpGet: { path: '/status/500', port: 8080 } }],
    ['tcp', { tcpSocket: { port: 7999 } }],
    ['grpc', { grpc: { port: 7999 } }],
  ])('fails %s probes that the app fails', async (kind, probe) => {
    const name = `failing-${kind}`;
    const container = { readinessProbe: { ...probe, periodSeconds: 1 } };
    await applyEcho(namespace, { name, container });
    await waitFor('an Unhealthy event', 60_000, async () => {
      const events = await kubectl('get', 'events', '-n', namespace, '-o', 'json');
      const { items } = JSON.parse(events) as {
        items: { reason: string; involvedObject: { name: string } }[];
      };
      return items.some(
        (event) => event.reason === 'Unhealthy' && event.involvedObject.name.startsWith(name),
      );
    });
    const [pod] = await podsOf(namespace, `app=${name}`);
    const view = await getJson<PodView>('pod', pod?.name ?? '', '-n', namespace);
    const app = view.status.containerStatuses?.find((status) => status.name === 'app');
    expect(app?.ready).toBe(false);
    await kubectl('delete', 'deployment', name, '-n', namespace, '--wait=false');
  });

  it('loses no request when a pod is deleted under load', async () => {
    const args = ['--seconds', '20', '--rate', '200', '--concurrency', '8'];
    const load = await startLoad(client, 'http://server/healthz', ...args);
    for (let round = 0; round < 2; round++) {
      const [victim] = await podsOf(namespace, 'app=server');
      await kubectl('delete', 'pod', victim?.name ?? '', '-n', namespace);
      await rolledOut(namespace, 'server');
    }
    const result = await load.result;
    expect(result.errors).toEqual([]);
    expect(result.failed).toBe(0);
    expect(result.requests).toBeGreaterThan(500);
  });

  it('loses no request in a rolling restart', async () => {
    const args = ['--seconds', '25', '--rate', '200', '--concurrency', '8'];
    const load = await startLoad(client, 'http://server/healthz', ...args);
    await kubectl('rollout', 'restart', '-n', namespace, 'deployment/server');
    await rolledOut(namespace, 'server');
    const result = await load.result;
    expect(result.errors).toEqual([]);
    expect(Object.keys(result.byPod).length).toBeGreaterThanOrEqual(3);
  });
});
