// Commands that read objects of a live cluster: an API server on loopback that shows objects of files and refuses what it
// is told to. What a real cluster answers is in test/cluster/explain.test.ts.

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collectionPath } from '../kube/kinds.ts';
import { pod, service, slice } from '../model/test-objects.ts';
import type { Kind } from '../resources/api-client.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { systemClock } from '../runtime/clock.ts';
import { run } from './test-world.ts';

const live: [Kind, KubeObject][] = [
  ['Namespace', { metadata: { name: 'shop', annotations: { 'tsmesh.dev/inject': 'enabled' } } }],
  ['Pod', pod('shop/web-5f7-1', replica('web', '10.1.0.1'))],
  ['Pod', pod('shop/web-5f7-2', { ...replica('web', '10.1.0.2'), meshed: false })],
  ['Pod', pod('shop/cart-5f7-1', replica('cart', '10.1.0.3'))],
  ['Pod', pod('shop/cart-5f7-2', replica('cart', '10.1.0.4'))],
  ['Service', service('shop/cart', '10.96.0.7', [{ name: 'http', port: 80, targetPort: 8080 }])],
  [
    'EndpointSlice',
    slice(
      'shop/cart',
      [
        { address: '10.1.0.3', pod: 'cart-5f7-1' },
        { address: '10.1.0.4', pod: 'cart-5f7-2' },
      ],
      [{ name: 'http', port: 8080 }],
    ),
  ],
  [
    'AuthorizationPolicy',
    policy('cart', { rules: [{ from: [{ serviceAccounts: ['web'] }] }] }, '2026-01-01T00:00:00Z'),
  ],
];

function replica(name: string, ip: string) {
  const labels = { app: name, 'pod-template-hash': '5f7' };
  const owner = { kind: 'ReplicaSet', name: `${name}-5f7` };
  return { ip, labels, owner, serviceAccount: name };
}

function policy(name: string, spec: object, creationTimestamp?: string) {
  const metadata = { name, namespace: 'shop', ...(creationTimestamp && { creationTimestamp }) };
  return { apiVersion: 'tsmesh.dev/v1alpha1', kind: 'AuthorizationPolicy', metadata, spec };
}

/** By path of the collection. */
function collections(): Map<string, KubeObject[]> {
  const found = new Map<string, KubeObject[]>();
  for (const [kind, object] of live) {
    const path = collectionPath(kind, object.metadata.namespace ?? '');
    found.set(path, [...(found.get(path) ?? []), object]);
  }
  return found;
}

let server: http.Server;
let folder: string;
let kubeconfig: string;
const asked = new Set<string>();
const refused = new Map<string, number>();

beforeAll(async () => {
  const known = collections();
  server = http.createServer((request, response) => {
    const path = request.url!.split('?')[0]!;
    asked.add(path);
    const status = refused.get(path);
    const single = known.get(path.slice(0, path.lastIndexOf('/')));
    const object = single?.find((one) => path.endsWith(`/${one.metadata.name}`));
    const isOne = /\/(namespaces|meshes)\/[^/]+$/.test(path);
    const body =
      status !== undefined || (isOne && object === undefined)
        ? { kind: 'Status', message: `"${path}" is forbidden to User "joe"` }
        : (object ?? { items: known.get(path) ?? [], metadata: {} });
    response.writeHead(status ?? (isOne && object === undefined ? 404 : 200));
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  folder = mkdtempSync(join(tmpdir(), 'tsmesh-live-'));
  kubeconfig = join(folder, 'config');
  const cluster = { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
  const context = { cluster: 'here', user: 'joe', namespace: 'shop' };
  const config = {
    clusters: [
      { name: 'here', cluster },
      { name: 'away', cluster: { ...cluster, server: 'http://127.0.0.1:1' } },
    ],
    users: [{ name: 'joe', user: {} }],
    contexts: [
      { name: 'here', context },
      { name: 'away', context: { ...context, cluster: 'away' } },
    ],
    'current-context': 'here',
  };
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...config }));
});

afterEach(() => {
  asked.clear();
  refused.clear();
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

function explain(...args: string[]) {
  return run(['explain', '--kubeconfig', kubeconfig, ...args], { clock: systemClock });
}

function ask(...args: string[]) {
  return run([...args, '--kubeconfig', kubeconfig], { clock: systemClock });
}

describe('describe on a cluster', () => {
  it('takes names as kubectl does, with options before or behind them', async () => {
    for (const args of [
      ['svc/cart'],
      ['service', 'cart'],
      ['-n', 'shop', 'services', 'cart'],
      ['svc', 'shop/cart'],
    ]) {
      const { code, out } = await ask('describe', ...args);
      expect([code, out.split('\n')[0]]).toEqual([0, 'Service shop/cart  10.96.0.7']);
    }
  });

  it('answers whoever may read the namespace only, and says what is not in the answer', async () => {
    refused.set('/apis/tsmesh.dev/v1alpha1/meshes/default', 403);
    refused.set('/apis/tsmesh.dev/v1alpha1/namespaces/tsmesh-system/authorizationpolicies', 403);
    const { code, out } = await ask('describe', 'service', 'cart', '-o', 'json');
    expect(code).toBe(0);
    expect((JSON.parse(out) as { notes: string[] }).notes).toEqual([
      'the right is missing to get Mesh default: what it says is not in this',
      'the right is missing to list AuthorizationPolicy in namespace tsmesh-system: what it says is not in this',
    ]);
    refused.set('/api/v1/namespaces/shop/pods', 403);
    const pods = await ask('describe', 'service', 'cart');
    expect([pods.code, pods.out]).toEqual([4, '']);
  });
});

describe('diff on a cluster', () => {
  const foreign = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' } };
  const fileOf = (...objects: object[]): string => {
    const file = join(folder, 'diff.yaml');
    writeFileSync(file, objects.map((one) => JSON.stringify(one)).join('\n---\n'));
    return file;
  };

  it('says what it did not look at', async () => {
    const freeze = policy('freeze', { action: 'DENY', rules: [{}] });
    const { code, out } = await ask('diff', '-f', fileOf(foreign, freeze, foreign));
    expect(code).toBe(1);
    const note = 'note: not looked at, as the mesh does not decide by them: 2 ConfigMap';
    expect(out.split('\n')).toContain(note);
    const nothing = await ask('diff', '-f', fileOf(foreign));
    expect(nothing.code).toBe(2);
    expect(nothing.err).toContain('nothing that the mesh decides by: 1 ConfigMap');
  });

  it('refuses a kind that the mesh does not have', async () => {
    const wrong = { ...policy('cart', {}), kind: 'TraficPolicy' };
    const { code, err } = await ask('diff', '-f', fileOf(wrong));
    expect(code).toBe(2);
    expect(err).toContain('TraficPolicy cart: kind: tsmesh.dev has no such kind; it has: ');
  });
});

describe('a cluster without an operator', () => {
  it.each([['status'], ['top'], ['graph'], ['dashboard']])('%s says so, and 4', async (command) => {
    refused.set(
      '/apis/coordination.k8s.io/v1/namespaces/tsmesh-system/leases/tsmesh-operator',
      404,
    );
    const { code, out, err } = await ask(command);
    expect([code, out]).toEqual([4, '']);
    expect(err).toContain('no operator leads in tsmesh-system of http://127.0.0.1:');
    expect(err).toContain('tsmesh check says what is wrong');
  });

  it.each([['status'], ['check'], ['bug-report'], ['tap'], ['describe', 'service', 'cart']])(
    '%s says that the cluster cannot be reached, and 4',
    async (...args) => {
      const { code, out, err } = await ask(...args, '--context', 'away');
      expect([code, out]).toEqual([4, '']);
      expect(err).toContain('ECONNREFUSED');
    },
  );
});

describe('explain on a cluster', () => {
  it("answers in the context's namespace, and says which pods differ", async () => {
    const { code, out, err } = await explain('--from', 'web', '--to', 'cart:80');
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out).toContain('ALLOWED  Deployment shop/web may call Service shop/cart:80');
    expect(out).toContain('spiffe://cluster.local/ns/shop/sa/web at 10.1.0.1');
    expect(out).toContain('Deployment shop/cart, port 8080, 2 pods');
    expect(out).toContain('1 of 2 pods of Deployment shop/web have no sidecar');
    expect(out).toContain('there is no Mesh default');
  });

  it('names single pods too', async () => {
    const bare = await explain('--from', 'pod/web-5f7-2', '--to', 'cart-5f7-1:8080');
    expect(bare.code).toBe(3);
    expect(bare.out).toContain('no sidecar, so plaintext without an identity at 10.1.0.2');
  });

  it('reads the namespaces of the question only, and the policies that hold everywhere', async () => {
    await explain('--from', 'web', '--to', 'shop/cart:80');
    const collectionsAsked = [...asked].filter((path) => path.includes('/namespaces/'));
    const others = collectionsAsked.filter((path) => !path.includes('/namespaces/shop'));
    expect(others).toEqual([
      '/apis/tsmesh.dev/v1alpha1/namespaces/tsmesh-system/authorizationpolicies',
    ]);
  });

  it('lays files over the cluster: what would this change do', async () => {
    const file = join(folder, 'change.yaml');
    const deny = policy('freeze', { action: 'DENY', rules: [{ to: [{ methods: ['POST'] }] }] });
    writeFileSync(file, JSON.stringify(deny));
    const post = ['--from', 'web', '--to', 'cart:80', '-X', 'POST', '--live', '-f', file];
    const after = await explain(...post);
    expect(after.code).toBe(3);
    expect(after.out).toContain('AuthorizationPolicy shop/freeze, rule 0');
    writeFileSync(file, JSON.stringify(policy('cart', { rules: [] })));
    const none = await explain(...post);
    expect(none.code).toBe(3);
    expect(none.out).toContain('no rule of an ALLOW policy allows it');
  });

  it('puts the pods of a file in place of those of the same Deployment', async () => {
    const file = join(folder, 'cart.yaml');
    const template = {
      metadata: { labels: { app: 'cart' } },
      spec: { serviceAccountName: 'cart2', containers: [{ name: 'app' }] },
    };
    const metadata = { name: 'cart', namespace: 'shop' };
    const spec = { template };
    writeFileSync(
      file,
      JSON.stringify({ apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec }),
    );
    const asCaller = await explain('--from', 'cart', '--to', 'cart:80', '--live', '-f', file);
    expect(asCaller.out).toContain('spiffe://cluster.local/ns/shop/sa/cart2');
    const asTarget = await explain('--from', 'web', '--to', 'cart:80', '--live', '-f', file);
    expect(asTarget.code).toBe(0);
    expect(asTarget.out).toContain('Deployment shop/cart, port 8080\n');
  });

  it('says which right is missing, and 4', async () => {
    refused.set('/api/v1/namespaces/shop/pods', 403);
    const { code, err } = await explain('--from', 'web', '--to', 'cart:80');
    expect(code).toBe(4);
    expect(err).toContain('the right is missing to list Pod in namespace shop');
    expect(err).toContain('User "joe"');
    expect(err).toContain('or ask from files with -f');
    refused.set('/apis/tsmesh.dev/v1alpha1/meshes/default', 401);
    const unknown = await explain('--from', 'web', '--to', 'cart:80');
    expect([unknown.code, unknown.err]).toEqual([
      4,
      expect.stringContaining('does not know this user'),
    ]);
  });

  it('does without kinds that the cluster does not know, and says so', async () => {
    refused.set('/apis/tsmesh.dev/v1alpha1/namespaces/shop/trafficpolicies', 404);
    const { code, out } = await explain('--from', 'web', '--to', 'cart:80');
    expect(code).toBe(0);
    expect(out).toContain('the cluster does not know the kind TrafficPolicy');
  });

  it('says which cluster it cannot reach, and 4', async () => {
    const away = await explain('--context', 'away', '--from', 'web', '--to', 'cart:80');
    expect(away.code).toBe(4);
    expect(away.err).toContain('http://127.0.0.1:1');
    const none = await explain('--context', 'nowhere', '--from', 'web', '--to', 'cart:80');
    expect(none.code).toBe(4);
    expect(none.err).toContain('no context nowhere; it has: here, away');
    const args = ['--kubeconfig', join(folder, 'none'), '--from', 'web', '--to', 'cart:80'];
    const missing = await run(['explain', ...args]);
    expect(missing.code).toBe(4);
    expect(missing.err).toContain('the kubeconfig cannot be read');
    const before = process.env;
    process.env = { ...before, HOME: folder, KUBECONFIG: '' };
    const nothing = await run(['explain', '--from', 'web', '--to', 'cart:80']);
    process.env = before;
    expect([nothing.code, nothing.err]).toEqual([
      4,
      expect.stringContaining('there is no kubeconfig'),
    ]);
  });
});
