// What `tsmesh explain` says is what sidecars do: a table of calls, asked from manifests and then made, through
// two real sidecars with the configuration that the operator makes of the same manifests.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Answer } from '../../operator/cli/explain/answer.ts';
import { refusalsOf } from '../../operator/cli/explain/judge.ts';
import { checkObjects } from '../../operator/cli/files/check.ts';
import { readDocuments } from '../../operator/cli/files/documents.ts';
import { run } from '../../operator/cli/test-world.ts';
import { clusterOf } from '../../operator/cli/world-view.ts';
import type { View } from '../../operator/model/view.ts';
import { ManualClock } from '../../operator/runtime/test-clock.ts';
import { translateDestination } from '../../operator/translate/destination.ts';
import { translateEndpoints } from '../../operator/translate/endpoints.ts';
import { translateWorkload } from '../../operator/translate/workload.ts';
import type { Endpoint } from '../../proxy/api/resources.ts';
import { denialOf } from '../../proxy/exchange/denial.ts';
import { testAuthority } from '../support/identities.ts';
import { call, listenOn } from '../support/mesh-pair.ts';
import { loopback, startSidecar, type TestSidecar } from '../support/sidecar.ts';

const webId = 'spiffe://cluster.local/ns/shop/sa/web';
const joeId = 'spiffe://cluster.local/ns/shop/sa/joe';

function manifests(mode: string, ports: { http: number; tcp: number }): string {
  const deployment = (name: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: shop }
spec:
  template:
    metadata: { labels: { app: ${name} } }
    spec: { serviceAccountName: ${name}, containers: [{ name: app }] }
---`;
  const policy = (name: string, spec: string) => `
apiVersion: tsmesh.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
---`;
  return `${deployment('web')}${deployment('joe')}${deployment('cart')}
apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec:
  selector: { app: cart }
  ports:
    - { name: http, port: 80, targetPort: ${ports.http} }
    - { name: tcp-line, port: 7000, targetPort: ${ports.tcp} }
---
apiVersion: tsmesh.dev/v1alpha1
kind: PeerAuthentication
metadata: { name: mode, namespace: shop }
spec: { mtls: { mode: ${mode} } }
---
apiVersion: tsmesh.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: cart, namespace: shop }
spec:
  service: { name: cart, port: 80 }
  routes:
    - name: beta
      matches: [{ path: { prefix: /beta } }]
      rewrite: { path: { prefix: /items } }
      requestHeaders: { set: [{ name: x-team, value: beta }] }
---${policy(
    'cart',
    `
  selector: { matchLabels: { app: cart } }
  rules:
    - name: readers
      from: [{ serviceAccounts: [web] }]
      to: [{ methods: [GET], paths: [{ prefix: /items }, { template: '/users/{*}/orders' }] }]
    - name: team
      from: [{ identities: ['*'] }]
      when: [{ key: 'request.headers[x-team]', values: [blue, 'red*'] }]
    - name: neighbours
      from: [{ ipBlocks: [127.0.0.0/8], notNamespaces: ['*'] }]
      to: [{ paths: [{ exact: /open }] }]
    - name: line
      from: [{ serviceAccounts: [joe] }]
      to: [{ ports: [${ports.tcp}] }]`,
  )}${policy(
    'secrets',
    `
  action: DENY
  rules:
    - to: [{ paths: [{ prefix: /items/secret }, { suffix: .key }] }]
    - name: no-team-red-writes
      to: [{ notMethods: [GET] }]
      when: [{ key: 'request.headers[x-team]', values: [red] }]`,
  )}`;
}

interface Ask {
  from: 'web' | 'joe' | 'outside';
  method?: string;
  path?: string;
  headers?: Record<string, string>;
}

const asks: readonly Ask[] = [
  { from: 'web', path: '/items' },
  { from: 'web', path: '/items/1?x=/secret' },
  { from: 'web', path: '/itemsX' },
  { from: 'web', path: '/' },
  { from: 'web', method: 'POST', path: '/items' },
  { from: 'web', method: 'HEAD', path: '/items' },
  { from: 'web', path: '/items/secret' },
  { from: 'web', path: '/items/%73ecret' },
  { from: 'web', path: '/items//secret' },
  { from: 'web', path: '/items/x/../secret' },
  { from: 'web', path: '/items/%2e%2e/admin' },
  { from: 'web', path: '/items/a%2Fb' },
  { from: 'web', path: '/items/tls.key' },
  { from: 'web', path: '/users/7/orders' },
  { from: 'web', path: '/users/7/8/orders' },
  { from: 'web', path: '/users//orders' },
  { from: 'web', path: '/beta/1' },
  { from: 'web', path: '/beta/secret' },
  { from: 'joe', path: '/items' },
  { from: 'joe', path: '/beta/1' },
  { from: 'joe', path: '/any', headers: { 'x-team': 'blue' } },
  { from: 'joe', path: '/any', headers: { 'X-Team': 'redish' } },
  { from: 'joe', path: '/any', headers: { 'x-team': 'green' } },
  { from: 'joe', method: 'PUT', path: '/any', headers: { 'x-team': 'red' } },
  { from: 'joe', path: '/open' },
  { from: 'outside', path: '/open' },
  { from: 'outside', path: '/items' },
  { from: 'outside', path: '/any', headers: { 'x-team': 'blue' } },
  { from: 'outside', path: '/open', headers: { 'tsmesh-client-identity': webId } },
];

let app: http.Server;
let line: net.Server;
let ports: { http: number; tcp: number };
let folder: string;

beforeAll(async () => {
  app = http.createServer((_request, response) => response.end('served'));
  line = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('served');
  });
  ports = { http: (await listenOn(app)).port, tcp: (await listenOn(line)).port };
  folder = mkdtempSync(join(tmpdir(), 'tsmesh-explain-'));
});

afterAll(() => {
  app.closeAllConnections();
  app.close();
  line.close();
  rmSync(folder, { recursive: true });
});

describe.each(['STRICT', 'PERMISSIVE', 'DISABLE'])('with PeerAuthentication %s', (mode) => {
  let file: string;
  let caller: TestSidecar;
  let callee: TestSidecar;
  let view: View;
  const issue = testAuthority();

  beforeAll(async () => {
    file = join(folder, `${mode}.yaml`);
    const text = manifests(mode, ports);
    writeFileSync(file, text);
    const { objects } = checkObjects(readDocuments([{ name: file, text }], 'default').objects);
    ({ view } = clusterOf(objects, null, new ManualClock()));
    caller = await startSidecar('caller');
    callee = await startSidecar('callee');
    callee.identity.swap(issue('cart'));
    callee.apply(translateWorkload(view, 'shop/Deployment:cart')!.resource);
  });

  afterAll(() => {
    caller.close();
    callee.close();
  });

  /** The port of a sidecar where the call goes in. */
  function entry(from: Ask['from'], port: 80 | 7000): number {
    const target = port === 80 ? ports.http : ports.tcp;
    callee.target.inbound = { address: loopback, port: target };
    if (from === 'outside') return callee.inbound.address.port;
    caller.identity.swap(issue(from));
    caller.apply(translateWorkload(view, `shop/Deployment:${from}`)!.resource);
    const { clusterIP = '' } = view.services.get('shop/cart')!.spec;
    caller.target.outbound = { address: clusterIP, port };
    const { resource } = translateDestination(view, 'shop', clusterIP, port);
    const names = [...resource.routes.flatMap((one) => one.backends), ...resource.tcp];
    const sets = names.map(({ endpoints }) => translateEndpoints(view, endpoints).resource);
    const listening = callee.inbound.address;
    const here = (one: Endpoint) => ({ ...one, address: loopback, port: listening.port });
    const moved = sets.map((set) => ({ ...set, endpoints: set.endpoints.map(here) }));
    caller.apply(resource, ...moved);
    return caller.outbound.address.port;
  }

  async function explained(to: string, ask: Ask, ...more: string[]): Promise<Answer> {
    const from = ask.from === 'outside' ? 'outside' : `shop/${ask.from}`;
    const headers = Object.entries(ask.headers ?? {}).flatMap(([name, value]) => [
      '-H',
      `${name}=${value}`,
    ]);
    const asked = ['--from', from, '--ip', loopback, '--to', to, ...headers, ...more];
    const { out, err } = await run(['explain', ...asked, '-f', file, '-o', 'json']);
    if (out === '') throw new Error(err);
    return JSON.parse(out) as Answer;
  }

  it.each(asks)('a request %j', async (ask) => {
    const { from, method = 'GET', path = '/', headers = {} } = ask;
    const answer = await explained('shop/cart:80', ask, '-X', method, '--path', path);
    const [refusal] = refusalsOf(answer);
    const got = await call({ port: entry(from, 80), method, path, headers });
    expect([answer.verdict, got.status]).toEqual(
      refusal === undefined ? ['allowed', 200] : ['denied', refusal.status],
    );
    // What is not from a verified peer cannot speak for the mesh: the caller's sidecar takes the field out.
    const unverified = mode === 'DISABLE' && from !== 'outside';
    const fields = Object.entries(got.headers).flatMap(([name, value]) => [name, String(value)]);
    const denied = denialOf(fields);
    const by = [denied?.policy, denied?.rule].filter(Boolean).join(', ');
    expect(by).toBe(unverified ? '' : (refusal?.by ?? ''));
    if (refusal !== undefined && method !== 'HEAD')
      expect(got.body.toString()).toBe(`${refusal.message}\n`);
  });

  it.each(['web', 'joe', 'outside'] as const)('a TCP connection from %s', async (from) => {
    const answer = await explained('shop/cart:7000', { from }, '--tcp');
    const received = await new Promise<string>((resolve) => {
      let text = '';
      const socket = net.connect({ host: loopback, port: entry(from, 7000) });
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(text));
      socket.write('hello');
    });
    expect([answer.verdict, received]).toEqual(
      answer.verdict === 'allowed' ? ['allowed', 'served'] : ['denied', ''],
    );
  });

  it('asks of identities only what mutual TLS proves', async () => {
    const { from } = await explained('shop/cart:80', { from: 'joe' });
    expect(from.identity).toBe(joeId);
  });
});
