// What MeshStatus costs with 200 namespaces and 1,000 sidecars: writes, sizes of rows, how late they are, the operator's CPU.
// The operator is the real one, against the API server of the embedded cluster; pods have no containers, their sidecars are
// simulated (statuses-sidecars.ts).
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TlsMaterial } from '../../operator/ca/types.ts';
import { Informer } from '../../operator/kube/informer.ts';
import { apiVersionOf, collectionPath, objectPath } from '../../operator/kube/kinds.ts';
import { createTransport, type KubeTransport } from '../../operator/kube/transport.ts';
import type { Kind } from '../../operator/resources/api-client.ts';
import type { KubeObject } from '../../operator/resources/kubernetes.ts';
import type { MeshStatus } from '../../operator/resources/tsmesh.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { ensureCluster } from '../cluster/cluster.ts';
import { bundle } from '../images/bundle.ts';
import { freePort } from '../lib/free-ports.ts';
import { kubectlFor, type Kubectl } from '../lib/kubectl.ts';
import { repository } from '../lib/paths.ts';
import { step } from '../lib/steps.ts';
import { waitFor } from '../lib/wait.ts';
import { cpuSecondsOf, median, memoryOf, row } from './process-figures.ts';
import { startSidecars, type SimulatedPod, type Traffic } from './statuses-sidecars.ts';

const namespaces = 200;
const podsEach = 5;
/** Each pod of the first namespace: its row is full. */
const manyCallers = 200;
/** Requests to the API server at once. */
const together = 20;
/** The window of the figures has nothing of the traffic before. */
const settleMs = 65_000;
const measureMs = 60_000;
const withTraffic = { none: 0, half: namespaces / 2, all: namespaces };
const label = 'tsmesh.dev/bench=statuses';
/** As in its Deployment. */
const heap = ['--max-old-space-size=384', '--disable-warning=DEP0040'];
const silent = { debug() {}, info() {}, warn: console.error, error: console.error };

export async function benchStatuses(): Promise<string[]> {
  const cluster = await ensureCluster();
  const kubectl = kubectlFor(cluster.kubectl, cluster.kubeconfig);
  const { kubeconfig } = cluster;
  const transport = createTransport({ kubeconfig, nowMs: () => performance.now() });
  await prepare(kubectl);
  await bundle('operator/main.ts', 'operator');
  const port = await freePort();
  const operator = startOperator(kubeconfig, port);
  try {
    const pods = await step(`${namespaces} namespaces`, () => createAll(transport));
    const materials = await step('certificates', () => readMaterials(transport));
    const sidecars = await step(`${pods.length} sidecars`, () =>
      startSidecars({ port, pods, materials }),
    );
    const watch = await watchRows(transport);
    const rows = [
      row(
        'namespaces with traffic',
        'writes/s',
        'most in a second',
        'shortest pause, s',
        'late, s',
        'operator CPU',
      ),
      row('---', '--:', '--:', '--:', '--:', '--:'),
    ];
    for (const traffic of ['none', 'half', 'all'] as const) {
      sidecars.setTraffic(traffic);
      rows.push(await step(`traffic: ${traffic}`, () => measure(traffic, watch, operator.pid!)));
    }
    sidecars.end();
    await watch.stop();
    return [...rows, ...sizes(watch, operator.pid!)];
  } finally {
    operator.kill();
    transport.close();
    await sleep(1_000);
    await kubectl(['delete', 'namespaces', '-l', label, '--wait=false']);
    await kubectl(['delete', 'meshstatuses', '--all']);
  }
}

/** The CRDs and nothing of an operator inside: it would lead, or have to admit pods. */
async function prepare(kubectl: Kubectl): Promise<void> {
  await kubectl(['apply', '-k', `${repository}/crds`]);
  const manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'tsmesh-system' } };
  await kubectl(['apply', '-f', '-'], JSON.stringify(manifest));
  const gone = ['--ignore-not-found', '--wait=true'];
  await kubectl(['-n', 'tsmesh-system', 'delete', 'deployment', 'tsmesh-operator', ...gone]);
  const kinds = 'mutatingwebhookconfigurations,validatingwebhookconfigurations';
  await kubectl(['delete', kinds, '-l', 'app.kubernetes.io/part-of=tsmesh', ...gone]);
  await kubectl(['delete', 'namespaces', '-l', label, ...gone]);
}

function startOperator(kubeconfig: string, port: number): ChildProcess {
  const env = {
    PATH: process.env['PATH'],
    POD_NAME: 'bench',
    POD_IP: '127.0.0.1',
    TSMESH_PROXY_IMAGE: 'tsmesh/proxy:bench',
    TSMESH_INIT_IMAGE: 'tsmesh/init:bench',
    TSMESH_KUBECONFIG: kubeconfig,
    TSMESH_LOG_LEVEL: 'warn',
    TSMESH_DISCOVERY_PORT: String(port),
    TSMESH_WEBHOOK_PORT: '0',
    TSMESH_HEALTH_PORT: '0',
    TSMESH_CONSOLE_PORT: '0',
  };
  return spawn(process.execPath, [...heap, join(repository, 'dist/operator/main.mjs')], {
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

async function createAll(transport: KubeTransport): Promise<SimulatedPod[]> {
  const [key = '', value = ''] = label.split('=');
  const pods: SimulatedPod[] = [];
  const indices = Array.from({ length: namespaces }, (_, index) => index);
  await inParallel(indices, async (index) => {
    const name = nameOf(index);
    const annotations = { 'tsmesh.dev/inject': 'enabled' };
    await create(transport, 'Namespace', {
      metadata: { name, labels: { [key]: value }, annotations },
    });
    await waitFor(`the service account of ${name}`, 60_000, async () => {
      const path = `/api/v1/namespaces/${name}/serviceaccounts/default`;
      return (await transport.send({ method: 'GET', path })).status === 200;
    });
    for (let i = 0; i < podsEach; i += 1) pods.push(await createPod(transport, index, i));
  });
  return pods;
}

function nameOf(index: number): string {
  return `bench-statuses-${index}`;
}

async function createPod(
  transport: KubeTransport,
  index: number,
  i: number,
): Promise<SimulatedPod> {
  const namespace = nameOf(index);
  const name = `cart-${i}`;
  const image = 'registry.k8s.io/pause:3.10';
  const made = await create(transport, 'Pod', {
    metadata: { namespace, name, labels: { 'tsmesh.dev/injected': 'true' } },
    spec: {
      // Nobody's: it stays without a node, and is what its status says.
      schedulerName: 'nobody',
      initContainers: [{ name: 'tsmesh-proxy', image, restartPolicy: 'Always' }],
      containers: [{ name: 'app', image, ports: [{ containerPort: 8080 }] }],
    },
  });
  const ip = `127.${1 + i}.${index >> 8}.${(index & 255) + 1}`;
  const container = (of: string) => ({
    name: of,
    ready: true,
    image,
    imageID: image,
    restartCount: 0,
  });
  const status = {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [{ type: 'Ready', status: 'True' }],
    initContainerStatuses: [container('tsmesh-proxy')],
    containerStatuses: [container('app')],
  };
  await send(transport, {
    method: 'PATCH',
    path: `${objectPath('Pod', namespace, name)}/status`,
    body: { status },
    contentType: 'application/merge-patch+json',
  });
  const callers = Array.from({ length: index === 0 ? manyCallers : 1 }, (_, caller) => {
    const account = `a-service-account-with-a-long-name-as-charts-make-them-${caller}`;
    return `spiffe://cluster.local/ns/${nameOf((index + 2) % namespaces)}/sa/${account}`;
  });
  return { namespace, name, uid: made.metadata.uid!, ip, callers, even: index % 2 === 0 };
}

async function readMaterials(transport: KubeTransport): Promise<Record<string, TlsMaterial>> {
  const found: Record<string, TlsMaterial> = {};
  for (let index = 0; index < namespaces; index += 1) {
    const namespace = nameOf(index);
    const path = objectPath('Secret', namespace, 'tsmesh-identity-default');
    found[namespace] = await waitFor(`the identity of ${namespace}`, 120_000, async () => {
      const { status, body } = await transport.send({ method: 'GET', path });
      return status === 200 && materialOf(JSON.parse(body) as { data: Record<string, string> });
    });
  }
  return found;
}

function materialOf({ data }: { data: Record<string, string> }): TlsMaterial {
  const text = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString();
  return {
    chainPem: text('tls.crt'),
    keyPem: text('tls.key'),
    rootsPem: text('ca.crt'),
  } as TlsMaterial;
}

interface Write {
  name: string;
  atMs: number;
  /** From the end of what the row spoke of until it was replaced. */
  lateMs: number;
  bytes: number;
  edges: number;
}

interface RowsWatch {
  readonly writes: Write[];
  stop(): Promise<void>;
}

async function watchRows(transport: KubeTransport): Promise<RowsWatch> {
  const writes: Write[] = [];
  const deps = { transport, clock: systemClock, logger: silent, random: Math.random };
  const informer = new Informer<MeshStatus>({ kind: 'MeshStatus' }, deps, {
    upsert(object, previous) {
      const atMs = Date.now();
      const end = previous?.status?.window.end;
      const lateMs = end === undefined ? 0 : atMs - Date.parse(end);
      const bytes = Buffer.byteLength(JSON.stringify(object));
      const edges = object.status?.edges?.length ?? 0;
      writes.push({ name: object.metadata.name, atMs, lateMs, bytes, edges });
    },
    remove: () => undefined,
  });
  informer.start();
  await informer.synced;
  return { writes, stop: () => informer.stop() };
}

async function measure(traffic: Traffic, { writes }: RowsWatch, pid: number): Promise<string> {
  await sleep(settleMs);
  const fromMs = Date.now();
  const before = cpuSecondsOf(pid);
  await sleep(measureMs);
  const cpu = ((cpuSecondsOf(pid) - before) / (measureMs / 1000)) * 100;
  const own = writes.filter(({ atMs }) => atMs >= fromMs);
  const times = own.map(({ atMs }) => atMs);
  const most = Math.max(
    0,
    ...times.map((at) => times.filter((b) => b >= at && b < at + 1000).length),
  );
  const pauses = [...Map.groupBy(writes, ({ name }) => name).values()].flatMap((list) =>
    list.slice(1).flatMap(({ atMs }, i) => (atMs < fromMs ? [] : [atMs - list[i]!.atMs])),
  );
  const late = own.map(({ lateMs }) => lateMs / 1000).toSorted((a, b) => a - b);
  const lateText =
    traffic === 'none'
      ? '–'
      : `median ${median(late).toFixed(1)}, 95 % ${late[Math.floor(late.length * 0.95)]?.toFixed(1)}`;
  return row(
    String(withTraffic[traffic]),
    own.length / (measureMs / 1000),
    String(most),
    pauses.length === 0 ? '–' : (Math.min(...pauses) / 1000).toFixed(1),
    lateText,
    `${cpu.toFixed(1)} %`,
  );
}

function sizes({ writes }: RowsWatch, pid: number): string[] {
  const last = [...new Map(writes.map((write) => [write.name, write])).values()];
  const bytes = last.map((one) => one.bytes).toSorted((a, b) => a - b);
  const full = last.find((one) => one.bytes === bytes.at(-1))!;
  const kib = (size: number) => `${(size / 1024).toFixed(1)} KiB`;
  const memory = memoryOf(pid);
  return [
    '',
    `Rows: median ${kib(median(bytes))}; largest ${kib(full.bytes)} (${full.name}, ${full.edges} edges listed).`,
    `Operator: RSS ${memory.rssMb.toFixed(0)}, private ${memory.privateMb.toFixed(0)} MB.`,
  ];
}

async function create(transport: KubeTransport, kind: Kind, object: object): Promise<KubeObject> {
  const { metadata } = object as KubeObject;
  const path = collectionPath(kind, metadata.namespace ?? '');
  const body = { apiVersion: apiVersionOf(kind), kind, ...object };
  return (await send(transport, { method: 'POST', path, body })) as KubeObject;
}

async function send(
  transport: KubeTransport,
  request: Parameters<KubeTransport['send']>[0],
): Promise<unknown> {
  const { status, body } = await transport.send(request);
  if (status >= 300) throw new Error(`${request.method} ${request.path}: ${status} ${body}`);
  return JSON.parse(body);
}

async function inParallel<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await run(next);
  };
  await Promise.all(Array.from({ length: together }, worker));
}
