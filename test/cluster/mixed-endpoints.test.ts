// A Service whose pods are not all in the mesh: each endpoint gets what it can take, mutual TLS or plaintext, also while
// a pod leaves the mesh under load.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { echo, runLoad, startLoad, tcp, type EchoBody } from '../support/calls.ts';
import { kubectl } from '../support/kubectl.ts';
import { metric, metricsOf } from '../support/metrics.ts';
import {
  createNamespace,
  deleteNamespace,
  deployEcho,
  podsOf,
  rolledOut,
} from '../support/namespaces.ts';

const namespace = 't-mixed';
const client = { namespace, app: 'client' };
const outside = { 'tsmesh.dev/inject': 'disabled' };
const callerId = `spiffe://cluster.local/ns/${namespace}/sa/client`;

/** Answers of both versions of a Service: who the app was told is calling. */
async function callersSeen(url: string): Promise<Record<string, EchoBody['caller']>> {
  const seen: Record<string, EchoBody['caller']> = {};
  for (let i = 0; i < 100 && Object.keys(seen).length < 2; i += 1) {
    const { version, caller } = await echo(client, url);
    seen[version] = caller;
  }
  return seen;
}

describe('a Service with pods in the mesh and pods that are not', () => {
  beforeAll(async () => {
    await createNamespace(namespace, true);
    const mixed = { service: 'mixed' };
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'mixed', ...mixed, version: 'meshed' }),
      deployEcho(namespace, { name: 'bare', ...mixed, version: 'bare', annotations: outside }),
      deployEcho(namespace, { name: 'leaver' }),
    ]);
  }, 240_000);
  afterAll(() => deleteNamespace(namespace), 240_000);

  it('is answered by both, over mutual TLS by the one and in plaintext by the other', async () => {
    expect(await callersSeen('http://mixed/')).toEqual({ meshed: callerId, bare: null });
    const load = await runLoad(client, 'http://mixed/healthz', '--requests', '200');
    expect(load.errors).toEqual([]);
    // Whichever is faster at the moment may get them all.
    expect(load.requests).toBe(200);
  }, 60_000);

  it('is reached over TCP too, the server speaking first', async () => {
    const pods = new Set<string>();
    for (let i = 0; i < 100 && pods.size < 2; i += 1) {
      const { received, error } = await tcp(client, 'mixed:7000');
      expect(error).toBeUndefined();
      pods.add(received);
    }
    expect(pods.size).toBe(2);
  }, 60_000);

  it('loses no request while a pod leaves the mesh, and goes on in plaintext', async () => {
    expect((await echo(client, 'http://leaver/')).caller).toBe(callerId);
    const args = ['--seconds', '20', '--rate', '50'];
    const load = await startLoad(client, 'http://leaver/healthz', ...args);
    const template = { metadata: { annotations: outside } };
    const patch = JSON.stringify({ spec: { template } });
    await kubectl('-n', namespace, 'patch', 'deployment', 'leaver', '-p', patch);
    await rolledOut(namespace, 'leaver');
    expect((await echo(client, 'http://leaver/')).caller).toBeNull();
    const { errors, requests } = await load.result;
    expect(errors).toEqual([]);
    expect(requests).toBeGreaterThan(500);
    expect(await podsOf(namespace, 'app=leaver')).toHaveLength(1);
    // Nobody was taken for somebody else on the way.
    const text = await metricsOf(client, client);
    expect(metric(text, 'tsmesh_errors_total', 'flag="UID"')).toBe(0);
    expect(metric(text, 'tsmesh_errors_total', 'flag="UTLS"')).toBe(0);
  }, 120_000);
});
