import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Operator } from './app.ts';
import type { OperatorConfig } from './config.ts';
// Loaded first: the library behind the adapter asks for client-node by require(), which Jest cannot give
// while client-node is still being imported.
import './kube/transport.ts';
import { TestApiServer } from './kube/test-api-server.ts';
import { pause, systemClock } from './runtime/clock.ts';

const mesh = '/apis/tsmesh.dev/v1alpha1';
const webhooks = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
let logged: string[] = [];
const note = (message: string, fields?: object) =>
  void logged.push(`${message} ${JSON.stringify(fields ?? {})}`);
const logger = { debug: note, info: note, warn: note, error: note };

let server: TestApiServer;
let folder: string;
let config: OperatorConfig;
let running: Operator[] = [];

async function start(more: Partial<OperatorConfig> = {}): Promise<Operator> {
  const { startOperator } = await import('./app.ts');
  const platform = { clock: systemClock, logger, random: () => 0.5, drainPauseMs: 0 };
  const operator = await startOperator({ ...config, ...more }, platform);
  running.push(operator);
  return operator;
}

async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  for (const deadline = systemClock.nowMs() + 15_000; systemClock.nowMs() < deadline;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    await pause(systemClock, 20);
  }
  throw new Error(`not within 15 s: ${what}`);
}

interface Answer {
  status: number;
  body: string;
}

function ask(url: string, options: https.RequestOptions = {}, body = ''): Promise<Answer> {
  const { request } = url.startsWith('https:') ? https : http;
  return new Promise((resolve, reject) => {
    const outgoing = request(url, options, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function statusOf(path: string): Record<string, string> {
  const status = server.find(path)?.status as
    { conditions?: { type: string; status: string }[] } | undefined;
  return Object.fromEntries((status?.conditions ?? []).map((one) => [one.type, one.status]));
}

function leaseHolder(): unknown {
  const path = '/apis/coordination.k8s.io/v1/namespaces/tsmesh-system/leases/tsmesh-operator';
  return (server.find(path)?.spec as { holderIdentity?: string } | undefined)?.holderIdentity;
}

function caBundle(): string | undefined {
  const list = server.find(`${webhooks}/tsmesh`)?.webhooks as
    { clientConfig: { caBundle?: string } }[] | undefined;
  return list?.[0]?.clientConfig.caBundle;
}

beforeEach(async () => {
  logged = [];
  server = new TestApiServer();
  await server.listen();
  server.put(webhooks, {
    metadata: { name: 'tsmesh' },
    webhooks: [{ name: 'namespace.tsmesh.dev', clientConfig: {} }],
  });
  folder = await mkdtemp(join(tmpdir(), 'tsmesh-app-'));
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, server.kubeconfig());
  config = {
    podName: 'operator-1',
    podIp: '127.0.0.1',
    namespace: 'tsmesh-system',
    proxyImage: 'tsmesh/proxy:test',
    initImage: 'tsmesh/init:test',
    logLevel: 'error',
    kubeconfig,
    discoveryHost: null,
    webhookClientCa: null,
    ports: { webhook: 0, discovery: 0, health: 0, console: 0 },
  };
});

afterEach(async () => {
  await Promise.all(running.map((operator) => operator.drain()));
  running = [];
  await server.goAway();
  await rm(folder, { recursive: true });
}, 30_000);

describe('the operator', () => {
  it('makes CA, default Mesh and caBundle in an empty cluster, and serves with that CA', async () => {
    const operator = await start();
    await operator.ready;
    const bundle = await until('a caBundle', caBundle);
    await until(
      'the status of the Mesh',
      () => statusOf(`${mesh}/meshes/default`).CAReady === 'True',
    );
    await until('a row', () => server.find(`${mesh}/meshstatuses/mesh.default`)?.status);
    expect(leaseHolder()).toBe('operator-1_127.0.0.1');
    const health = await ask(`http://127.0.0.1:${operator.ports.health}/readyz`);
    expect(health).toEqual({ status: 200, body: 'ok\n' });

    const namespace = {
      metadata: { name: 'shop', annotations: { 'tsmesh.dev/inject': 'enabled' } },
    };
    const request = {
      uid: '1',
      kind: { group: '', version: 'v1', kind: 'Namespace' },
      resource: { group: '', version: 'v1', resource: 'namespaces' },
      operation: 'CREATE',
      object: namespace,
      oldObject: null,
    };
    const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request };
    const answer = await ask(
      `https://127.0.0.1:${operator.ports.webhook}/mutate/namespaces`,
      {
        method: 'POST',
        ca: Buffer.from(bundle, 'base64'),
        servername: 'tsmesh-operator.tsmesh-system.svc',
      },
      JSON.stringify(review),
    );
    const { response } = JSON.parse(answer.body) as {
      response: { allowed: boolean; patch: string };
    };
    expect(response.allowed).toBe(true);
    expect(Buffer.from(response.patch, 'base64').toString()).toContain('/metadata/labels');
  }, 30_000);

  it('shows no key in its log, its metrics, or any object but the Secret that holds it', async () => {
    const operator = await start();
    await operator.ready;
    const secret = await until('the CA', () => {
      const found = [...server.objects].find(([key]) => key.endsWith('tsmesh-ca'));
      return found?.[1] as { data: Record<string, string> } | undefined;
    });
    const keyPem = Buffer.from(secret.data['tls.key']!, 'base64').toString();
    expect(keyPem).toContain('PRIVATE KEY');
    // Spoilt in the way that a person would: the key where the certificate belongs.
    server.put('/api/v1/secrets', {
      metadata: { namespace: 'tsmesh-system', name: 'tsmesh-ca' },
      data: { ...secret.data, 'tls.crt': secret.data['tls.key'] },
    });
    await until('the complaint', () => statusOf(`${mesh}/meshes/default`).CAReady === 'False');
    const metrics = await ask(`http://127.0.0.1:${operator.ports.health}/metrics`);
    const others = [...server.objects].filter(([key]) => !key.endsWith('tsmesh-ca'));
    const said = `${logged.join('\n')}${metrics.body}${JSON.stringify(others)}`;
    expect(logged.length).toBeGreaterThan(3);
    const secretLines = keyPem
      .split('\n')
      .filter((line) => line.length > 20 && !line.startsWith('--'));
    const forms = secretLines.flatMap((line) => [line, Buffer.from(line).toString('base64')]);
    expect(forms.length).toBeGreaterThan(3);
    expect(forms.filter((form) => said.includes(form))).toEqual([]);
    expect(said).not.toContain('PRIVATE KEY');
  }, 30_000);

  it('keeps statuses true while it leads and cannot serve sidecars, for want of a CA', async () => {
    server.put('/api/v1/secrets', {
      metadata: { namespace: 'tsmesh-system', name: 'tsmesh-ca' },
      data: { 'tls.crt': 'bm9uZQ==' },
    });
    const annotations = { 'tsmesh.dev/inject': 'enabled' };
    server.put('/api/v1/namespaces', { metadata: { name: 'shop', annotations } });
    const row = `${mesh}/meshstatuses/namespace.shop`;
    const { uid } = server.put(`${mesh}/meshstatuses`, {
      metadata: { name: 'namespace.shop' },
    }).metadata;
    const operator = await start();
    await until('a leader', () => operator.leading());
    // Made by this leader, so its view comes later than its event.
    const path = `${mesh}/meshes/default`;
    await until('what is wrong with the CA', () => statusOf(path).CAReady === 'False');
    await until('a row', () => server.find(row)?.status);
    expect(server.find(row)?.metadata.uid).toBe(uid);
    expect(operator.ports.discovery).toBe(0);
  }, 30_000);

  it('is not ready while the CRDs are missing, says so, and becomes it when they come', async () => {
    server.missing = [mesh];
    const operator = await start();
    const url = `http://127.0.0.1:${operator.ports.health}`;
    const early = await ask(`${url}/readyz`);
    expect(early).toMatchObject({ status: 503, body: expect.stringContaining('caches') });
    expect((await ask(`${url}/healthz`)).status).toBe(200);
    server.missing = [];
    await operator.ready;
    expect((await ask(`${url}/readyz`)).status).toBe(200);
  }, 30_000);

  it('outlives an API server that goes away and forgets, and misses nothing that happened', async () => {
    const cart = { service: { name: 'cart' } };
    const policies = `${mesh}/trafficpolicies`;
    const path = (name: string) => `${mesh}/namespaces/shop/trafficpolicies/${name}`;
    server.put(policies, { metadata: { namespace: 'shop', name: 'a-old' }, spec: cart });
    server.put('/api/v1/services', {
      metadata: { namespace: 'shop', name: 'cart' },
      spec: { ports: [{ port: 80 }] },
    });
    const operator = await start();
    await operator.ready;
    await until('a status', () => statusOf(path('a-old')).Accepted === 'True');
    await server.goAway();
    server.remove(path('a-old'));
    server.remove(`${mesh}/meshes/default`);
    server.put(policies, { metadata: { namespace: 'shop', name: 'b-new' }, spec: cart });
    server.forgetHistory();
    await server.listen();
    // It would be Conflicted if the deletion of the older one had been missed.
    await until('a status after the gap', () => statusOf(path('b-new')).Accepted === 'True');
    await until('the Mesh again', () => server.find(`${mesh}/meshes/default`));
  }, 30_000);

  it('hands over when it drains: the next replica leads at once, with the same CA', async () => {
    const first = await start();
    await first.ready;
    const bundle = await until('a caBundle', caBundle);
    const second = await start({ podName: 'operator-2' });
    await second.ready;
    expect([first.leading(), second.leading()]).toEqual([true, false]);
    await first.drain();
    running = [second];
    await until('a new leader', () => second.leading());
    expect(leaseHolder()).toBe('operator-2_127.0.0.1');
    expect(caBundle()).toBe(bundle);
    await expect(ask(`http://127.0.0.1:${first.ports.health}/healthz`)).rejects.toThrow();
  }, 30_000);

  it('is trusted by the API server as soon as it is ready, although another holds the lease', async () => {
    const holder = { holderIdentity: 'gone_10.0.0.1', leaseDurationSeconds: 15 };
    server.put('/apis/coordination.k8s.io/v1/leases', {
      metadata: { namespace: 'tsmesh-system', name: 'tsmesh-operator' },
      spec: holder,
    });
    const operator = await start();
    await operator.ready;
    expect(operator.leading()).toBe(false);
    expect(caBundle()).toBeDefined();
  }, 30_000);

  it('says which setting to look at when a port is taken', async () => {
    const taken = http.createServer();
    await new Promise<void>((resolve) => taken.listen(0, resolve));
    const { port } = taken.address() as { port: number };
    const ports = { ...config.ports, health: port };
    const failure = start({ ports });
    await expect(failure).rejects.toMatchObject({
      code: 'PortInUse',
      message: expect.stringContaining(String(port)),
      hint: expect.stringContaining('TSMESH_'),
    });
    await new Promise((resolve) => taken.close(resolve));
  });

  it('says which setting to look at when the CA of callers of webhooks is not there', async () => {
    const operator = await start({ webhookClientCa: '/nowhere/ca.crt' });
    await expect(operator.ready).rejects.toMatchObject({
      code: 'NoClientCa',
      hint: expect.stringContaining('TSMESH_WEBHOOK_CLIENT_CA'),
    });
  });

  it('says what to do when there is no cluster', async () => {
    await expect(start({ kubeconfig: join(folder, 'none') })).rejects.toMatchObject({
      code: 'NoCluster',
      hint: expect.stringContaining('TSMESH_KUBECONFIG'),
    });
  });
});
