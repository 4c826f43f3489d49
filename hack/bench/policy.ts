// From `kubectl apply` to effect: how long after the API server took a policy a request obeys it. On the
// embedded cluster with the mesh.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { kubectlFor } from '../lib/kubectl.ts';
import { ensureCluster } from '../cluster/cluster.ts';
import { installMesh, loadMeshImages } from '../mesh.ts';
import { median, row } from './process-figures.ts';

const namespace = 'bench-policy';
const rounds = 20;

export async function benchPolicy(): Promise<string[]> {
  const cluster = await ensureCluster();
  const kubectl = kubectlFor(cluster.kubectl, cluster.kubeconfig);
  const references = await loadMeshImages(cluster);
  await installMesh(kubectl, references);
  const image = references.get('apps') ?? '';
  await kubectl(['delete', 'namespace', namespace, '--ignore-not-found']);
  await kubectl(['create', 'namespace', namespace]);
  await kubectl(['annotate', 'namespace', namespace, 'tsmesh.dev/inject=enabled']);
  await kubectl(['apply', '-f', '-'], JSON.stringify(application(image)));
  await kubectl([
    '-n',
    namespace,
    'wait',
    '--for=condition=Available',
    'deploy',
    '--all',
    '--timeout=120s',
  ]);
  try {
    const times = await applyTimes(cluster, kubectl);
    return [
      row('apply to effect, median of 20', `${median(times).toFixed(0)} ms`),
      row('slowest of 20', `${Math.max(...times).toFixed(0)} ms`),
    ];
  } finally {
    await kubectl(['delete', 'namespace', namespace, '--wait=false']);
  }
}

type Cluster = Awaited<ReturnType<typeof ensureCluster>>;

/** A client in a meshed pod asks every few milliseconds and prints each change of the answer with its time. */
async function applyTimes(
  cluster: Cluster,
  kubectl: ReturnType<typeof kubectlFor>,
): Promise<number[]> {
  const exec = ['exec', '-n', namespace, 'deploy/client', '-c', 'app', '--'];
  const watch = ['node', '/app/main.mjs', 'watch', 'http://server/', '--header', 'x-watch: 1'];
  const args = ['--kubeconfig', cluster.kubeconfig, ...exec, ...watch];
  const watcher = spawn(cluster.kubectl, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const changes: { status: number; atMs: number }[] = [];
  const lines = createInterface({ input: watcher.stdout });
  lines.on('line', (line) => changes.push(JSON.parse(line) as { status: number; atMs: number }));
  await once(lines, 'line');
  const times: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const status = round % 2 === 0 ? 307 : 308;
      const redirect = { host: 'elsewhere', status };
      await kubectl(['apply', '-f', '-'], JSON.stringify(policy(redirect)));
      const appliedAtMs = Date.now();
      const seen = await changed(changes, status);
      times.push(Math.max(0, seen - appliedAtMs));
    }
  } finally {
    watcher.kill();
  }
  return times;
}

async function changed(
  changes: { status: number; atMs: number }[],
  status: number,
): Promise<number> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const last = changes.at(-1);
    if (last?.status === status) return last.atMs;
    if (Date.now() > deadline) throw new Error(`no request was answered ${status} within 30 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function policy(redirect: object): object {
  return {
    apiVersion: 'tsmesh.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'server', namespace },
    spec: { service: { name: 'server' }, routes: [{ redirect }] },
  };
}

function application(image: string): object {
  const items = ['client', 'server'].flatMap((name) => [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace },
      spec: {
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: { containers: [{ name: 'app', image, args: ['echo'] }] },
        },
      },
    },
  ]);
  return { apiVersion: 'v1', kind: 'List', items };
}
