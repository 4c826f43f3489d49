// What manifests become: pods, Services and endpoints as a cluster would make them, and settings of the mesh
// that change answers.

import { describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';
import type { Answer } from './explain/answer.ts';
import { run, type Ran } from './test-world.ts';

type Manifest = Record<string, unknown>;

function workload(kind: string, name: string, over: Manifest = {}, metadata: Manifest = {}) {
  const spec = { serviceAccountName: name, containers: [{ name: 'app' }], ...over };
  const template = { metadata: { labels: { app: name }, ...metadata }, spec };
  const apiVersion = kind.includes('Job') ? 'batch/v1' : 'apps/v1';
  const inner = kind === 'CronJob' ? { jobTemplate: { spec: { template } } } : { template };
  return { apiVersion, kind, metadata: { name, namespace: 'shop' }, spec: inner };
}

function service(name: string, ports: Manifest[], over: Manifest = {}) {
  const spec = { selector: { app: name }, ports, ...over };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec };
}

function mesh(kind: string, name: string, spec: Manifest, over: Manifest = {}) {
  const metadata = kind === 'Mesh' ? { name } : { name, namespace: 'shop', ...over };
  return { apiVersion: 'tsmesh.dev/v1alpha1', kind, metadata, spec };
}

const namespace = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'shop', annotations: { 'tsmesh.dev/inject': 'enabled' } },
};
const web = workload('Deployment', 'web');
const cart = workload('Deployment', 'cart');
const cartService = service('cart', [{ port: 80, targetPort: 8080 }]);
const base: Manifest[] = [namespace, web, cart, cartService];

function explain(manifests: Manifest[], ...args: string[]): Promise<Ran> {
  const text = manifests.map((one) => stringify(one)).join('---\n');
  return run(['explain', '-f', '-', ...args], { readStdin: async () => text });
}

async function answer(manifests: Manifest[], ...args: string[]): Promise<Answer> {
  const { out, err } = await explain(manifests, ...args, '-o', 'json');
  if (out === '') throw new Error(err);
  return JSON.parse(out) as Answer;
}

const call = ['--from', 'shop/web', '--to', 'shop/cart:80'];

describe('manifests of workloads', () => {
  it.each(['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob'])(
    'a %s becomes a pod with its service account',
    async (kind) => {
      const { from } = await answer([...base, workload(kind, 'other')], ...callFrom('shop/other'));
      expect(from.identity).toBe('spiffe://cluster.local/ns/shop/sa/other');
    },
  );

  it('take the old name of the service account, and default without any', async () => {
    const old = workload('Deployment', 'old', {
      serviceAccountName: undefined,
      serviceAccount: 'aged',
    });
    const none = workload('Deployment', 'none', { serviceAccountName: undefined });
    const identity = async (name: string) =>
      (await answer([...base, old, none], ...callFrom(`shop/${name}`))).from.identity;
    expect(await identity('old')).toBe('spiffe://cluster.local/ns/shop/sa/aged');
    expect(await identity('none')).toBe('spiffe://cluster.local/ns/shop/sa/default');
  });

  it('are injected as the operator would: not when they opt out, not on the network of the node', async () => {
    const out = workload(
      'Deployment',
      'out',
      {},
      { annotations: { 'tsmesh.dev/inject': 'disabled' } },
    );
    const host = workload('DaemonSet', 'host', { hostNetwork: true });
    for (const name of ['out', 'host']) {
      const { from } = await answer([...base, out, host], ...callFrom(`shop/${name}`));
      expect([name, from.identity]).toEqual([name, null]);
    }
  });

  it('may leave fields empty, as Kubernetes takes it', async () => {
    const empty = workload('Deployment', 'empty', { initContainers: null }, { annotations: null });
    const { from } = await answer([...base, empty], ...callFrom('shop/empty'));
    expect(from.identity).toContain('/sa/empty');
  });

  it('of which the operator would refuse the pod are said to be so', async () => {
    const wrong = workload(
      'Deployment',
      'wrong',
      {},
      { annotations: { 'tsmesh.dev/inject': 'on' } },
    );
    const { notes } = await answer([...base, wrong], ...callFrom('shop/wrong'));
    expect(notes.join()).toContain('"on" is not valid');
  });
});

function callFrom(from: string): string[] {
  return ['--from', from, '--to', 'shop/cart:80'];
}

describe('manifests of Services', () => {
  it('lead to the port of that name in each pod', async () => {
    const ports = (containerPort: number) => ({
      containers: [{ name: 'app', ports: [{ name: 'web', containerPort }] }],
    });
    const first = workload('Deployment', 'a', ports(8080), { labels: { app: 'cart' } });
    const second = workload('Deployment', 'b', ports(9090), { labels: { app: 'cart' } });
    const named = service('cart', [{ port: 80, targetPort: 'web' }]);
    const { route } = await answer([namespace, web, first, second, named], ...call);
    expect(route!.backends[0]!.places.map(({ port }) => port)).toEqual([8080, 9090]);
  });

  it('with no pod behind them fail the call, in words', async () => {
    const { code, out } = await explain([namespace, web, cartService], ...call);
    expect(code).toBe(3);
    expect(out).toContain('no-endpoints');
    const outside = await explain(
      [namespace, cartService],
      '--from',
      'outside',
      '--to',
      'shop/cart',
    );
    expect(outside.code).toBe(3);
  });

  it('that only name something outside are refused', async () => {
    const external = service('out', [], { type: 'ExternalName', externalName: 'example.com' });
    const args = ['--from', 'shop/web', '--to', 'shop/out:80'];
    expect((await explain([...base, external], ...args)).err).toContain('outside of the cluster');
  });

  it('declared as TCP do not look into requests, which is said', async () => {
    const tcp = service('cart', [{ port: 80, appProtocol: 'tcp' }]);
    const policy = mesh('AuthorizationPolicy', 'get', { rules: [{ to: [{ methods: ['GET'] }] }] });
    const found = await answer([namespace, web, cart, tcp, policy], ...call);
    expect(found.verdict).toBe('denied');
    expect(found.notes.join()).toContain('declared as TCP');
    const ruled = found.route!.backends[0]!.places[0]!.authorization!.policies[0]!.rules[0]!;
    expect(ruled.why).toContain('opaque TCP');
  });
});

describe('what the caller keeps out of its sidecar', () => {
  const excluding = (annotations: Record<string, string>) => [
    ...base.filter((one) => one !== web),
    workload('Deployment', 'web', {}, { annotations }),
  ];

  it.each([
    [{ 'tsmesh.dev/exclude-outbound-ports': '80' }, null, 'exclude-outbound-ports keeps this call'],
    [{ 'tsmesh.dev/exclude-outbound-ports': '81' }, 'spiffe', ''],
    [{ 'tsmesh.dev/exclude-outbound-cidrs': '10.0.0.0/8' }, 'spiffe', 'which files do not have'],
    [{ 'tsmesh.dev/exclude-outbound-ports': 'x' }, 'spiffe', 'exclude-outbound-ports'],
  ])('%j', async (annotations, identity, words) => {
    const found = await answer(excluding(annotations), ...call);
    if (identity === null) expect(found.from.identity).toBeNull();
    else expect(found.from.identity).toContain(identity);
    expect(found.notes.join()).toContain(words);
  });

  it('is seen by addresses where they are known', async () => {
    const annotations = { 'tsmesh.dev/exclude-outbound-cidrs': '10.96.0.0/12,fd00::/8' };
    const at = (clusterIP: string) =>
      excluding(annotations).map((one) =>
        one === cartService ? service('cart', [{ port: 80 }], { clusterIP }) : one,
      );
    expect((await answer(at('10.100.0.1'), ...call)).from.identity).toBeNull();
    expect((await answer(at('10.80.0.1'), ...call)).from.identity).not.toBeNull();
    expect((await answer(at('fd00::5'), ...call)).from.identity).toBeNull();
  });
});

describe('the mesh of the manifests', () => {
  it('gives the trust domain and the mode where nothing else does', async () => {
    const spec = { trustDomain: 'corp.example', mtls: { mode: 'STRICT' } };
    const manifests = [...base, mesh('Mesh', 'default', spec)];
    const { from, route } = await answer(manifests, ...call);
    expect(from.identity).toBe('spiffe://corp.example/ns/shop/sa/web');
    expect(route!.backends[0]!.places[0]!.mtls).toEqual({
      mode: 'STRICT',
      decidedBy: 'Mesh default',
    });
    expect((await explain(manifests, '--from', 'outside', '--to', 'shop/cart')).code).toBe(3);
  });

  it('can refuse paths that apps may read differently', async () => {
    const refuse = mesh('Mesh', 'default', { authorization: { ambiguousPaths: 'Refuse' } });
    const policy = mesh('AuthorizationPolicy', 'all', { rules: [{}] });
    const odd = [...call, '--path', '/a/%2e%2e/b'];
    expect((await explain([...base, policy], ...odd)).code).toBe(0);
    const { code, out } = await explain([...base, policy, refuse], ...odd);
    expect(code).toBe(3);
    expect(out).toContain('ambiguous-path');
    expect(out).toContain('400 tsmesh');
  });

  it('has policies for everybody in tsmesh-system', async () => {
    const deny = mesh(
      'AuthorizationPolicy',
      'freeze',
      { action: 'DENY', rules: [{ name: 'all' }] },
      { namespace: 'tsmesh-system' },
    );
    const { out } = await explain([...base, deny], ...call);
    expect(out).toContain('denied by AuthorizationPolicy tsmesh-system/freeze, all');
  });
});

describe('addresses', () => {
  const near = mesh('AuthorizationPolicy', 'near', {
    rules: [{ name: 'near', from: [{ ipBlocks: ['10.0.0.0/8'] }] }],
  });

  it('that rules look at and files do not have are asked for', async () => {
    const unknown = await answer([...base, near], ...call);
    expect(unknown.notes.join()).toContain('is made up, as files have none: say it with --ip');
    const stranger = ['--from', 'outside', '--to', 'shop/cart'];
    expect((await answer([...base, near], ...stranger)).notes.join()).toContain('is not known');
    const known = await answer([...base, near], ...call, '--ip', '10.1.2.3');
    expect([known.verdict, known.notes]).toEqual(['allowed', []]);
  });

  it('of the pod itself pass no sidecar; a copy of a workload calls another one', async () => {
    const deny = mesh('AuthorizationPolicy', 'nothing', {});
    const { template } = cart.spec as { template: { metadata: Manifest; spec: Manifest } };
    const metadata = { ...template.metadata, name: 'alone', namespace: 'shop' };
    const alone = { apiVersion: 'v1', kind: 'Pod', metadata, spec: template.spec };
    const toItself = (from: string) => ['--from', from, '--to', `${from}:8080`];
    const own = await answer([...base, deny, alone], ...toItself('shop/alone'));
    expect(own.verdict).toBe('allowed');
    expect(own.route!.backends[0]!.places[0]!.unguarded).toContain('calls itself');
    expect((await explain([...base, deny], ...toItself('shop/deployment/cart'))).code).toBe(3);
  });
});

describe('standard input', () => {
  it('is read once, and checked for what YAML can hide', async () => {
    const twice = await run(['explain', ...call, '-f', '-', '-f', '-']);
    expect([twice.code, twice.err]).toEqual([2, expect.stringContaining('once only')]);
    const bomb = `a: &a [${'1,'.repeat(9)}1]\n`;
    const lines = Array.from('bcdefghi', (name, i) => {
      const before = 'abcdefghi'[i]!;
      return `${name}: &${name} [${`*${before},`.repeat(9)}*${before}]\n`;
    });
    const readStdin = async () => bomb + lines.join('');
    const { code, err } = await run(['explain', ...call, '-f', '-'], { readStdin });
    expect(code).toBe(2);
    expect(err).toContain('stdin:1: is no YAML: Excessive alias count');
  });

  it.each([
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec: &x\n  a: *x\n',
    '&x\napiVersion: v1\nkind: List\nitems:\n- *x\n',
  ])('refuses aliases that stand for what holds them', async (text) => {
    const readStdin = async () => text;
    const { code, err } = await run(['explain', ...call, '-f', '-'], { readStdin });
    expect(code).toBe(2);
    expect(err).toContain('stdin:1: is no object of Kubernetes: an alias stands for what holds it');
  });
});
