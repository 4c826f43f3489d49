// What `kubectl tsmesh` asks of the operator itself, on a real cluster with real rights. `explain` has a file of its own.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Finding } from '../../operator/cli/check/finding.ts';
import { waitFor } from '../../hack/lib/wait.ts';
import { buildCommandLine, kubeconfigOf, tsmesh } from '../support/command-line.ts';
import { kubectl } from '../support/kubectl.ts';
import {
  createNamespace,
  deleteNamespace,
  deployEcho,
  eventMessage,
  podsOf,
} from '../support/namespaces.ts';

const namespace = 't-command-line';
const binding = ['rolebinding', 't-command-line', '-n', 'tsmesh-system'];
let folder: string;

interface Secrets {
  items: { data?: Record<string, string> }[];
}

function isPublic(value: string): boolean {
  return value.startsWith('-----BEGIN CERTIFICATE-----');
}

async function callFromWeb(host: string, path: string): Promise<void> {
  const client = ['/usr/bin/node', '/app/main.mjs', 'http', `http://${host}${path}`];
  await kubectl('exec', '-n', namespace, 'deploy/web', '-c', 'app', '--', ...client);
}

describe('kubectl tsmesh', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tsmesh-cli-'));
    await kubectl('delete', ...binding, '--ignore-not-found');
    await Promise.all([buildCommandLine(), createNamespace(namespace, true)]);
    await Promise.all([
      deployEcho(namespace, { name: 'web' }),
      deployEcho(namespace, { name: 'back' }),
      deployEcho(namespace, { name: 'bare', annotations: { 'tsmesh.dev/inject': 'disabled' } }),
    ]);
  }, 240_000);
  afterAll(async () => {
    await kubectl('delete', ...binding, '--ignore-not-found');
    await deleteNamespace(namespace);
    rmSync(folder, { recursive: true });
  }, 240_000);

  it('status tells every sidecar and how it stands, and pods without one', async () => {
    // A pod that the operator just learnt of is in sync again a moment later.
    let told = await tsmesh(['status', '-n', namespace]);
    await waitFor('the sidecars to be in sync', 30_000, async () => {
      told = await tsmesh(['status', '-n', namespace]);
      return told.stdout.includes('2 synced');
    });
    const { code, stdout, stderr } = told;
    expect(stderr).toBe('');
    expect(stdout).toMatch(/web-\S+ +synced +0\.1\.0 +\d\dh/);
    expect(stdout).toMatch(/bare-\S+ +NO SIDECAR/);
    expect(stdout).toContain('2 synced, 1 NO SIDECAR; asked operator tsmesh-operator-');
    expect(code).toBe(1);
    const problems = await tsmesh(['status', '-n', namespace, '--problems']);
    expect(problems.stdout).not.toMatch(/web-\S+ +synced/);
    expect(problems.stdout).toMatch(/bare-\S+ +NO SIDECAR/);
  });

  it('status answers those only who may reach the operator, and says which rights they miss', async () => {
    const kubeconfig = await kubeconfigOf(namespace, 'asker', folder);
    const missing = await tsmesh(['status'], kubeconfig);
    expect([missing.code, missing.stdout]).toEqual([4, '']);
    expect(missing.stderr).toContain(
      'the right is missing to get Lease tsmesh-system/tsmesh-operator',
    );
    const account = `--serviceaccount=${namespace}:asker`;
    await kubectl('create', ...binding, '--clusterrole=tsmesh-console', account);
    const enough = await tsmesh(['status'], kubeconfig);
    expect(enough.stderr).toBe('');
    expect(enough.stdout).toContain('web-');
  });

  it('checks what an installation needs and how it is', async () => {
    const { stdout, stderr } = await tsmesh(['check', '-o', 'json']);
    expect(stderr).toBe('');
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    // Of sidecars and the Mesh it speaks as other tests leave them at that moment.
    const own = new Set(['kubernetes', 'clocks', 'resources', 'operator', 'rights', 'webhooks']);
    const found = findings.filter(({ check }) => own.has(check));
    expect(found.map(({ check, level }) => `${check} ${level}`)).toEqual([
      'kubernetes ok',
      'clocks ok',
      'resources ok',
      'operator ok',
      'rights ok',
      'webhooks ok',
      'webhooks ok',
    ]);
    const bare = findings.find(({ text }) => text.includes('without a sidecar'));
    expect(bare?.level).toBe('warning');
    const ended = 'jsonpath={.items[0].status.initContainerStatuses[0].state.terminated.message}';
    const said = await kubectl('get', 'pods', '-n', namespace, '-l', 'app=web', '-o', ended);
    expect(said).toMatch(/^ipv4 captured with iptables \((nft|legacy)\); /);
  });

  it('collects a report without Secrets, and names what it could not read', async () => {
    const report = join(folder, 'report');
    const { code, stdout } = await tsmesh(['bug-report', '-d', report]);
    expect([code, stdout]).toEqual([0, `written: ${report} (read it before you share it)\n`]);
    const names = readdirSync(report);
    expect(names).toEqual(expect.arrayContaining(['check.json', 'meshes.json', 'events.json']));
    const log = names.find((name) =>
      /^log-tsmesh-system-tsmesh-operator-.*-operator.txt$/.test(name),
    );
    expect(readFileSync(join(report, log!), 'utf8')).toContain('"message":"ready"');
    const all = names.map((name) => readFileSync(join(report, name), 'utf8')).join('');
    expect(all).not.toMatch(/PRIVATE KEY|last-applied-configuration|managedFields/);
    const secrets = JSON.parse(await kubectl('get', 'secrets', '-A', '-o', 'json')) as Secrets;
    const values = secrets.items.flatMap(({ data = {} }) => Object.values(data));
    const plain = values.map((value) => Buffer.from(value, 'base64').toString());
    // Certificates and roots are public: webhooks show them too.
    const kept = [...values, ...plain].filter(
      (one, i) => one !== '' && !isPublic(plain[i % plain.length]!),
    );
    expect(kept.length).toBeGreaterThan(0);
    expect(
      kept.filter((one) => all.includes(one) || all.includes(JSON.stringify(one).slice(1, -1))),
    ).toEqual([]);
    const viewer = await tsmesh(['bug-report', '-d', report], join(folder, 'asker'));
    expect(viewer.code).toBe(0);
    expect(viewer.stderr).toContain(
      'not in it: trafficpolicies.json: the right to read it is missing',
    );
  });

  it('diff tells what a file would change and whom it touches, and changes nothing', async () => {
    const file = join(folder, 'policy.json');
    const metadata = { name: 'web', namespace };
    const spec = { service: { name: 'web' }, routes: [{ name: 'all', timeout: '2s' }] };
    const kind = { apiVersion: 'tsmesh.dev/v1alpha1', kind: 'TrafficPolicy' };
    writeFileSync(file, JSON.stringify({ ...kind, metadata, spec }));
    await callFromWeb('web', '/before-diff');
    const fresh = await tsmesh(['diff', '-f', file]);
    expect([fresh.code, fresh.stderr]).toEqual([1, '']);
    expect(fresh.stdout).toMatch(new RegExp(`TrafficPolicy ${namespace}/web +new`));
    expect(fresh.stdout).toContain('to its own endpoints; at most 2 s');
    expect(fresh.stdout).toContain(
      `Deployment ${namespace}/web, 1 pod: how it calls web.${namespace}:80`,
    );
    const there = await tsmesh(['describe', 'service', `${namespace}/web`]);
    expect(there.stdout).not.toContain('at most 2 s');
    await kubectl('apply', '-f', file);
    const applied = await tsmesh(['diff', '-f', file, '-o', 'json']);
    expect(applied.code).toBe(0);
    expect(JSON.parse(applied.stdout)).toMatchObject({ effects: [], sidecars: { touched: [] } });
    await kubectl('delete', '-f', file);
    const wrong = { ...kind, metadata, spec: { ...spec, port: 80 } };
    writeFileSync(file, JSON.stringify(wrong));
    const refused = await tsmesh(['diff', '-f', file]);
    expect([refused.code, refused.stdout]).toEqual([2, '']);
    expect(refused.stderr).toContain('TrafficPolicy web: spec.port: there is no such field');
  });

  it('tap shows requests as they happen to those who may exec, and tells others what they lack', async () => {
    const watching = tsmesh([
      'tap',
      '-n',
      namespace,
      '--path',
      '/tapped',
      '--max',
      '8',
      '--for',
      '60s',
    ]);
    let ended = false;
    void watching.finally(() => (ended = true));
    await waitFor('both sides of a request to be shown', 60_000, async () => {
      await callFromWeb('back', '/tapped?token=secret');
      return ended;
    });
    const { code, stdout } = await watching;
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`web-\\S+ +→ back.${namespace}:80 +GET /tapped +200`));
    expect(stdout).toMatch(new RegExp(`back-\\S+ +← ${namespace}/web +GET /tapped +200`));
    expect(stdout).not.toContain('secret');
    const viewer = join(folder, 'asker');
    const account = `--serviceaccount=${namespace}:asker`;
    const bind = ['create', 'rolebinding', '-n', namespace, account];
    await kubectl(...bind, 'views', '--clusterrole=view');
    const missing = await tsmesh(['tap', '-n', namespace, '--for', '1s'], viewer);
    expect([missing.code, missing.stdout]).toEqual([4, '']);
    expect(missing.stderr).toContain(
      `the right is missing to create pods/exec in namespace ${namespace}`,
    );
    await kubectl(...bind, 'taps', '--clusterrole=tsmesh-tap');
    const enough = await tsmesh(['tap', 'deploy/web', '-n', namespace, '--for', '1s'], viewer);
    expect(enough.code).toBe(0);
  });

  it.each<[topic: string[], says: RegExp]>([
    [['status'], /^version +0\.1\.0/m],
    [['endpoints'], /back:80 +\S+:8080 +back-\S+ .*mTLS +in /],
    [['config'], /Workload +self +\S+ +Mesh default@\d+/],
    [['certificates'], /spiffe:\/\/cluster\.local\/ns\/t-command-line\/sa\/web/],
    [['connections'], /^KIND +FROM|no connections open/],
    [['event-loop'], /thread 0 +\{"p50Ms":/],
    [['log-level', 'debug'], /level +debug/],
    [['log-level', 'info'], /level +info/],
  ])('proxy shows %j of a sidecar', async (topic, says) => {
    await callFromWeb('back', '/proxy');
    const answer = await tsmesh(['proxy', `${namespace}/web`, ...topic]);
    expect([answer.stderr, answer.code]).toEqual(['', 0]);
    expect(answer.stdout).toMatch(says);
  });

  it('proxy takes profiles of the CPU and of what is allocated', async () => {
    const asked = (topic: string[]) => tsmesh(['proxy', `${namespace}/web`, ...topic]);
    const cpu = await asked(['profile', '--seconds', '1']);
    expect(JSON.parse(cpu.stdout)).toMatchObject({ nodes: expect.any(Array) });
    const allocations = await asked(['allocations', '--seconds', '1']);
    expect(JSON.parse(allocations.stdout)).toMatchObject({ head: expect.any(Object) });
  }, 60_000);

  it('access logs follow the annotations of namespace and pod, without a restart', async () => {
    const annotation = 'tsmesh.dev/access-log';
    const name = (await podsOf(namespace, 'app=web'))[0]!.name;
    const logged = async (path: string): Promise<boolean> => {
      await callFromWeb('back', path);
      const log = await kubectl('logs', '-n', namespace, name, '-c', 'tsmesh-proxy', '--tail=200');
      return log.includes(`"path":"${path}"`);
    };
    expect(await logged('/unlogged')).toBe(false);
    await kubectl('annotate', 'namespace', namespace, `${annotation}=all`);
    await waitFor('a line, as the namespace says', 30_000, () => logged('/by-namespace'));
    await kubectl('annotate', 'pod', '-n', namespace, name, `${annotation}=none`);
    await waitFor('no line, as the pod says', 30_000, async () => {
      const path = `/by-pod-${Date.now()}`;
      return !(await logged(path));
    });
    await kubectl('annotate', 'pod', '-n', namespace, name, `${annotation}-`);
    await kubectl('annotate', '--overwrite', 'namespace', namespace, `${annotation}=sometimes`);
    expect(await eventMessage('default', 'InvalidAnnotation')).toContain(
      `annotation ${annotation}: "sometimes" is not valid; valid: none, errors or all`,
    );
    await kubectl('annotate', 'namespace', namespace, `${annotation}-`);
  }, 120_000);

  it('describes a Service as sidecars get it, and its pods', async () => {
    const { code, stdout, stderr } = await tsmesh(['describe', 'service', `${namespace}/web`]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('→ to its own endpoints');
    expect(stdout).toContain(`1 endpoint of Deployment ${namespace}/web, by mutual TLS`);
    expect(stdout).toContain(`spiffe://cluster.local/ns/${namespace}/sa/web`);
    const missing = await tsmesh(['describe', 'pod', `${namespace}/none`]);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain('there are: ');
  });
});
