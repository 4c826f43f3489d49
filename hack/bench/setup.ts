// The cluster, the mesh and the pods of the benchmarks.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureCluster, type Cluster } from '../cluster/cluster.ts';
import { contentTag, layer, type Image } from '../images/archive.ts';
import { build, loadIntoCluster, localReferences } from '../images/build.ts';
import { imageNames } from '../images/definitions.ts';
import { kubectlFor, type Kubectl } from '../lib/kubectl.ts';
import { step } from '../lib/steps.ts';
import { waitFor } from '../lib/wait.ts';
import { installMesh } from '../mesh.ts';

export const PLAIN = 'bench-plain';
export const MESHED = 'bench-mesh';

export interface Bench {
  readonly cluster: Cluster;
  readonly kubectl: Kubectl;
  readonly fortioImage: string;
}

export interface Pod {
  readonly name: string;
  readonly uid: string;
}

/** Brings up everything that the benchmarks share. */
export async function setUp(): Promise<Bench> {
  const cluster = await ensureCluster();
  const kubectl = kubectlFor(cluster.kubectl, cluster.kubeconfig);
  const images = [...(await build(imageNames)), fortioImage(cluster.fortio)];
  await loadIntoCluster(cluster, images);
  const references = localReferences(images);
  await installMesh(kubectl, references);
  return { cluster, kubectl, fortioImage: references.get('fortio') ?? '' };
}

function fortioImage(folder: string): Image {
  const content = readFileSync(join(folder, 'fortio'));
  const layers = [layer([{ path: 'fortio', mode: 0o755, content }])];
  const config = { user: '1000:1000', entrypoint: ['/fortio'] };
  return { reference: `tsmesh/fortio:${contentTag(layers, config)}`, layers, config };
}

/** A fresh namespace. */
export async function freshNamespace(
  { kubectl }: Bench,
  name: string,
  meshed: boolean,
): Promise<void> {
  await kubectl(['delete', 'namespace', name, '--ignore-not-found', '--timeout=180s']);
  const annotations = meshed ? { 'tsmesh.dev/inject': 'enabled' } : {};
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } };
  await kubectl(['create', '-f', '-'], JSON.stringify(namespace));
}

export interface Workload {
  readonly namespace: string;
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly replicas?: number;
  readonly ports?: readonly { readonly name: string; readonly port: number }[];
}

/** A Deployment with its Service and ServiceAccount, rolled out. */
export async function deploy({ kubectl }: Bench, workload: Workload): Promise<void> {
  const { namespace, name, image, args, replicas = 1, ports = [] } = workload;
  const labels = { app: name, version: 'v1' };
  const metadata = { name, namespace };
  const container = {
    name: 'app',
    image,
    args,
    resources: { requests: { cpu: '1m', memory: '8Mi' } },
  };
  const spec = { serviceAccountName: name, containers: [container] };
  const items: object[] = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec },
      },
    },
  ];
  if (ports.length > 0) {
    items.push({
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: { app: name }, ports },
    });
  }
  await step(`${namespace}: ${replicas} × ${name}`, async () => {
    await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    const rollout = ['rollout', 'status', `deployment/${name}`, '--timeout=600s'];
    await kubectl(['-n', namespace, ...rollout]);
  });
}

/** The one pod of a workload. */
export async function podOf({ kubectl }: Bench, namespace: string, name: string): Promise<Pod> {
  const list = ['-n', namespace, 'get', 'pods', '-l', `app=${name}`, '-o', 'json'];
  return await waitFor(`one pod of ${name}`, 60_000, async () => {
    const { items } = JSON.parse(await kubectl(list)) as {
      items: { metadata: { name: string; uid: string; deletionTimestamp?: string } }[];
    };
    const alive = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    return alive.length === 1 ? alive[0]?.metadata : undefined;
  });
}
