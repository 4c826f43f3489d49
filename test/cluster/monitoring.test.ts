// config/overlays/monitoring against a real Prometheus on a real cluster: it finds the sidecars and the operator, and every rule
// and every panel asks for metrics that there are.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { mustRun } from '../../hack/lib/command.ts';
import { freePorts } from '../../hack/lib/free-ports.ts';
import { repository } from '../../hack/lib/paths.ts';
import { waitFor } from '../../hack/lib/wait.ts';
import { ensureDebianPackages } from '../../hack/tools/debian-packages.ts';
import { execIn, startLoad } from '../support/calls.ts';
import { cluster, getJson, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';

const namespace = 't-monitoring';
const caller = { namespace, app: 'caller' };
const overlay = join(repository, 'config/overlays/monitoring');
let folder: string;
let prometheus: ChildProcess;
let address: string;

interface Vector {
  metric: Record<string, string>;
  value: [time: number, value: string];
}

interface Panel {
  title: string;
  targets: { expr: string }[];
}

describe('what comes with the mesh for Prometheus and Grafana', () => {
  beforeAll(async () => {
    await ensureDebianPackages([['/usr/bin/promtool', 'prometheus']]);
    folder = mkdtempSync(join(tmpdir(), 'tsmesh-prometheus-'));
    await createNamespace(namespace, true);
    await Promise.all([
      deployEcho(namespace, { name: 'web' }),
      deployEcho(namespace, { name: 'caller' }),
    ]);
    await startLoad(caller, 'http://web', '--rate', '20', '--seconds', '300');
    await startPrometheus();
  }, 240_000);
  afterAll(async () => {
    prometheus?.kill();
    await execIn(caller, ['end-loads']);
    await deleteNamespace(namespace);
    rmSync(folder, { recursive: true });
  }, 240_000);

  it('alerts as its rules say', async () => {
    const rules = join(overlay, 'prometheus');
    await mustRun('promtool', ['check', 'rules', join(rules, 'rules.yaml')]);
    await mustRun('promtool', ['test', 'rules', join(rules, 'rules.test.yaml')]);
  });

  it('finds each sidecar once, by its workload, and the operator', async () => {
    await waitFor('all to be scraped', 60_000, async () => (await ask('up == 1')).length >= 3);
    const found = await ask(`count by (workload) (up{namespace="${namespace}"})`);
    const each = found.map(({ metric, value }) => [metric['workload'], value[1]]);
    expect(Object.fromEntries(each)).toEqual({ 'Deployment/caller': '1', 'Deployment/web': '1' });
    expect(await ask('up{namespace="tsmesh-system"} == 1')).not.toEqual([]);
  });

  it('measures what goes on', async () => {
    const requests = 'tsmesh:requests:rate5m{namespace="t-monitoring",workload="Deployment/web"}';
    await waitFor('the rate', 90_000, async () => (await ask(`${requests} > 1`)).length > 0);
    const mtls = 'tsmesh:mtls:ratio_rate5m{namespace="t-monitoring",direction="inbound"}';
    expect((await ask(mtls)).map(({ value }) => value[1])).toEqual(['1']);
    const failed = 'tsmesh:failures:ratio_rate5m{workload="Deployment/web"}';
    expect((await ask(failed)).map(({ value }) => value[1])).toEqual(['0']);
    const p99 = await ask(
      'tsmesh:request_duration_seconds:p99_rate5m{workload="Deployment/web",direction="inbound"}',
    );
    expect(Number(p99[0]?.value[1])).toBeGreaterThan(0);
    const callers = await ask(
      `count by (source_workload) (tsmesh_requests_total{namespace="${namespace}",direction="inbound"})`,
    );
    expect(callers.map(({ metric }) => metric['source_workload'])).toEqual(['caller']);
    const alerts = await ask(`ALERTS{alertstate="firing",namespace="${namespace}"}`);
    expect(alerts).toEqual([]);
  });

  it('asks in rules and panels for metrics that there are', async () => {
    const known = new Set(Object.keys(await api<Record<string, unknown>>('metadata')));
    const asked = [...expressionsOfRules(), ...expressionsOfPanels()];
    expect(asked.length).toBeGreaterThan(30);
    for (const { where, expr } of asked) {
      expect(Array.isArray(await ask(expr))).toBe(true);
      for (const [name] of expr.matchAll(/\b(?:tsmesh|process|nodejs)_\w+/g)) {
        // OpenMetrics, which Prometheus asks for, names a counter's family without its end.
        const family = name.replace(/_(?:bucket|sum|count|total)$/, '');
        expect([where, known.has(name) || known.has(family) ? '' : name]).toEqual([where, '']);
      }
    }
  });

  it('is what kubectl takes', async () => {
    await kubectl('apply', '--dry-run=client', '-k', overlay);
    const text = await kubectl('kustomize', join(overlay, 'prometheus-operator'));
    expect(text.match(/^kind: .*/gm)).toEqual([
      'kind: PodMonitor',
      'kind: PodMonitor',
      'kind: PrometheusRule',
    ]);
  });
});

/** In the node's network, where pods can be reached, with the shipped files as they are but for who finds the pods. */
async function startPrometheus(): Promise<void> {
  const { nodeAddress, nodeSpawn } = await cluster();
  const scrape = parse(readFileSync(join(overlay, 'prometheus/scrape.yaml'), 'utf8')) as {
    scrape_configs: { kubernetes_sd_configs?: object[]; static_configs?: object[] }[];
  };
  const pods = (await Promise.all([namespace, 'tsmesh-system'].map(discovered))).flat();
  for (const job of scrape.scrape_configs) {
    expect(job.kubernetes_sd_configs).toEqual([{ role: 'pod' }]);
    delete job.kubernetes_sd_configs;
    job.static_configs = pods;
  }
  const config = join(folder, 'prometheus.yaml');
  const often = { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' };
  const rules = { rule_files: [join(overlay, 'prometheus/rules.yaml')] };
  writeFileSync(config, stringify({ global: often, ...rules, ...scrape }));
  const [port] = await freePorts(1);
  address = `${nodeAddress}:${port}`;
  const data = `--storage.tsdb.path=${join(folder, 'data')}`;
  const args = [`--config.file=${config}`, data, `--web.listen-address=${address}`];
  prometheus = nodeSpawn(['/usr/bin/prometheus', '--log.level=error', ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  await waitFor('Prometheus', 30_000, async () => (await fetch(`http://${address}/-/ready`)).ok);
}

interface PodFacts {
  metadata: {
    name: string;
    labels: Record<string, string>;
    ownerReferences: { kind: string; name: string }[];
  };
  spec: { containers: Container[]; initContainers?: Container[] };
  status: { podIP: string; phase: string };
}

interface Container {
  ports?: { name?: string; containerPort: number }[];
}

/**
 * What `kubernetes_sd_configs` with role pod finds, as Prometheus documents it: a target for each port of each container. Debian's
 * Prometheus is built without it.
 */
async function discovered(of: string): Promise<object[]> {
  const { items } = await getJson<{ items: PodFacts[] }>('-n', of, 'pods');
  return items.flatMap(({ metadata, spec, status }) => {
    const meta = '__meta_kubernetes_pod';
    const labels = Object.entries(metadata.labels).map(([key, value]) => [
      `${meta}_label_${key.replaceAll(/\W/g, '_')}`,
      value,
    ]);
    const owner = metadata.ownerReferences[0]!;
    return [...(spec.initContainers ?? []), ...spec.containers]
      .flatMap(({ ports = [] }) => ports)
      .map(({ name = '', containerPort }) => ({
        targets: [`${status.podIP}:${containerPort}`],
        labels: {
          ...(Object.fromEntries(labels) as Record<string, string>),
          __meta_kubernetes_namespace: of,
          [`${meta}_name`]: metadata.name,
          [`${meta}_phase`]: status.phase,
          [`${meta}_container_port_name`]: name,
          [`${meta}_controller_kind`]: owner.kind,
          [`${meta}_controller_name`]: owner.name,
        },
      }));
  });
}

async function api<T>(path: string): Promise<T> {
  const response = await fetch(`http://${address}/api/v1/${path}`);
  const { data, error } = (await response.json()) as { data: T; error?: string };
  if (error !== undefined) throw new Error(`${path}: ${error}`);
  return data;
}

async function ask(expr: string): Promise<Vector[]> {
  const query = expr
    .replaceAll('$__rate_interval', '10s')
    .replaceAll(/\$(?:namespace|workload)/g, '.*');
  const path = `query?query=${encodeURIComponent(query)}`;
  return (await api<{ result: Vector[] }>(path)).result;
}

function expressionsOfRules(): { where: string; expr: string }[] {
  const text = readFileSync(join(overlay, 'prometheus/rules.yaml'), 'utf8');
  const { groups } = parse(text) as {
    groups: { rules: { record?: string; alert?: string; expr: string }[] }[];
  };
  return groups
    .flatMap(({ rules }) => rules)
    .map(({ record, alert, expr }) => ({ where: record ?? alert ?? '', expr }));
}

function expressionsOfPanels(): { where: string; expr: string }[] {
  const files = readdirSync(join(overlay, 'grafana'));
  const boards = files.map((file) => readFileSync(join(overlay, 'grafana', file), 'utf8'));
  return boards
    .flatMap((text) => (JSON.parse(text) as { panels: Panel[] }).panels)
    .flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr })));
}
