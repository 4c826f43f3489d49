// What a cluster of 1,000 Services with ten endpoints each costs operator and sidecars while 50 endpoints a second
// change: CPU, memory, and failed requests of a pod under load whose sidecar knows all of them. On the embedded cluster.
import { setTimeout as sleep } from 'node:timers/promises';
import { apiVersionOf, collectionPath, objectPath } from '../../operator/kube/kinds.ts';
import { createTransport, type KubeTransport } from '../../operator/kube/transport.ts';
import type { Kind } from '../../operator/resources/api-client.ts';
import { execIn, startLoad } from '../../test/support/calls.ts';
import { getJson } from '../../test/support/kubectl.ts';
import {
  createNamespace,
  deleteNamespace,
  deployEcho,
  podsOf,
} from '../../test/support/namespaces.ts';
import { ensureCluster } from '../cluster/cluster.ts';
import { kubectlFor } from '../lib/kubectl.ts';
import { step } from '../lib/steps.ts';
import { installMesh, loadMeshImages } from '../mesh.ts';
import { podProcesses } from './pod-processes.ts';
import { cpuSecondsOf, memoryOf, row } from './process-figures.ts';

const namespace = 'bench-churn';
const services = 1_000;
const endpointsEach = 10;
const changesPerSecond = 50;
/** Of these, of the Service that is called. */
const ofCalledPerSecond = 5;
/** Changes that the API server has not answered. */
const mostUnderway = 50;
const calmSeconds = 60;
const churnSeconds = 180;
const requestsPerSecond = 200;
/** A pod that talks to some of them only. */
const few = 20;

const operatorUser = 65532;
const proxyUser = 15086;
/** kube-proxy leaves these alone: its own cost is not the question. */
const proxyLabel = { 'service.kubernetes.io/service-proxy-name': 'nobody' };

interface Process {
  readonly title: string;
  readonly pid: number;
}

interface Figures {
  readonly cpuPercent: number;
  readonly privateMb: number[];
}

export async function benchChurn(): Promise<string[]> {
  const cluster = await ensureCluster();
  const references = await loadMeshImages(cluster);
  await installMesh(kubectlFor(cluster.kubectl, cluster.kubeconfig), references);
  const { kubeconfig } = cluster;
  const transport = createTransport({ kubeconfig, nowMs: () => performance.now() });
  try {
    await createNamespace(namespace, true);
    return await measure(transport);
  } finally {
    await deleteNamespace(namespace);
    transport.close();
  }
}

async function measure(transport: KubeTransport): Promise<string[]> {
  await Promise.all([
    ...['all', 'few'].map((name) => deployEcho(namespace, { name })),
    deployEcho(namespace, { name: 'server', replicas: 4 }),
  ]);
  const pods = (await podsOf(namespace, 'app=server')).map(({ ip }) => ip);
  const churn = new Churn(transport, pods);
  const addresses = await step(`${services} Services`, () => churn.createAll());
  const touch = (app: string, count: number) =>
    execIn({ namespace, app }, ['touch', addresses.slice(0, count).join(',')]);
  await step('sidecars get to know them', async () => {
    await touch('all', services);
    await touch('few', few);
  });
  const processes = await allProcesses();
  const seconds = String(calmSeconds + churnSeconds + 15);
  const options = ['--seconds', seconds, '--rate', String(requestsPerSecond)];
  const load = await startLoad({ namespace, app: 'all' }, 'http://churned/healthz', ...options);
  await sleep(5_000);
  const calm = await step('load without churn', () => observe(processes, calmSeconds));
  churn.begin();
  const busy = await step('load with churn', () => observe(processes, churnSeconds));
  const changes = await churn.end();
  const { requests, failed, errors } = await load.result;
  for (const error of errors) console.error(error);
  return [
    row('process', 'CPU, calm', 'CPU with churn', 'of which configuration', 'private MB'),
    row('---', '---', '---', '---', '---'),
    ...processes.map(({ title }, index) => figuresRow(title, calm[index]!, busy[index]!)),
    row('requests', requests, 'failed', failed, ''),
    row('changes of endpoints', changes, 'per second', (changes / churnSeconds).toFixed(0), ''),
  ];
}

function figuresRow(title: string, calm: Figures, busy: Figures): string {
  const percent = (value: number): string => `${value.toFixed(1)} % of a core`;
  const memory = [calm.privateMb[0]!, ...busy.privateMb].map((mb) => mb.toFixed(0)).join(' → ');
  const { cpuPercent } = busy;
  const own = cpuPercent - calm.cpuPercent;
  return row(title, percent(calm.cpuPercent), percent(cpuPercent), percent(own), memory);
}

async function allProcesses(): Promise<Process[]> {
  const label = 'app.kubernetes.io/name=tsmesh-operator';
  return [
    { title: 'operator', pid: await processOf('tsmesh-system', label, operatorUser) },
    {
      title: `sidecar that knows ${services}`,
      pid: await processOf(namespace, 'app=all', proxyUser),
    },
    { title: `sidecar that knows ${few}`, pid: await processOf(namespace, 'app=few', proxyUser) },
  ];
}

async function processOf(inside: string, selector: string, user: number): Promise<number> {
  interface Pods {
    items: { metadata: { uid: string; deletionTimestamp?: string } }[];
  }
  const { items } = await getJson<Pods>('pods', '-n', inside, '-l', selector);
  const alive = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const [pid] = alive.flatMap(({ metadata }) => podProcesses(metadata.uid, user));
  if (pid === undefined) throw new Error(`no process of ${selector}`);
  return pid;
}

/** Memory is looked at every 30 s. */
async function observe(processes: readonly Process[], seconds: number): Promise<Figures[]> {
  const before = processes.map(({ pid }) => cpuSecondsOf(pid));
  const memory: number[][] = processes.map(() => []);
  const startedAtMs = performance.now();
  for (let slept = 0; slept < seconds; slept += 30) {
    await sleep(30_000);
    for (const [index, { pid }] of processes.entries())
      memory[index]!.push(memoryOf(pid).privateMb);
  }
  const elapsed = (performance.now() - startedAtMs) / 1000;
  return processes.map(({ pid }, index) => ({
    cpuPercent: ((cpuSecondsOf(pid) - before[index]!) / elapsed) * 100,
    privateMb: memory[index]!,
  }));
}

/** The Services, and what changes of their endpoints. */
class Churn {
  readonly #transport: KubeTransport;
  readonly #pods: readonly string[];
  readonly #addresses: string[][] = [];
  #timer: NodeJS.Timeout | null = null;
  readonly #underway = new Set<Promise<void>>();
  #changes = 0;
  #failure: unknown = null;

  constructor(transport: KubeTransport, pods: readonly string[]) {
    this.#transport = transport;
    this.#pods = pods;
  }

  /** Their ClusterIPs. */
  async createAll(): Promise<string[]> {
    await this.#createOne('churned', this.#pods, {});
    const addresses: string[] = [];
    for (let index = 0; index < services; index += 1) {
      const own = Array.from({ length: endpointsEach }, (_, at) => addressOf(index, at));
      this.#addresses.push(own);
      addresses.push(await this.#createOne(`s-${index}`, own, proxyLabel));
    }
    return addresses;
  }

  /** By the time that has passed: a busy machine makes up for what it missed. */
  begin(): void {
    const startedAtMs = performance.now();
    let turn = 0;
    this.#timer = setInterval(() => {
      const due = ((performance.now() - startedAtMs) * changesPerSecond) / 1000;
      while (turn < due && this.#underway.size < mostUnderway) this.#begin((turn += 1));
    }, 1000 / changesPerSecond);
  }

  #begin(turn: number): void {
    const ofCalled = turn % (changesPerSecond / ofCalledPerSecond) === 0;
    const change = ofCalled ? this.#changeCalled(turn) : this.#changeOne(turn);
    const settled = change.catch((error: unknown) => void (this.#failure = error));
    this.#underway.add(settled);
    void settled.then(() => this.#underway.delete(settled));
  }

  /** How many there were. */
  async end(): Promise<number> {
    clearInterval(this.#timer ?? undefined);
    await Promise.all(this.#underway);
    if (this.#failure !== null) throw this.#failure;
    return this.#changes;
  }

  /** One of its ten endpoints becomes another. */
  async #changeOne(turn: number): Promise<void> {
    const index = (turn * 7) % services;
    const own = this.#addresses[index]!;
    own[turn % endpointsEach] = addressOf(index, (turn % 240) + endpointsEach);
    await this.#put(`s-${index}`, own);
  }

  /** One of the real pods leaves, and the one that was out returns. */
  async #changeCalled(turn: number): Promise<void> {
    const out = turn % this.#pods.length;
    await this.#put(
      'churned',
      this.#pods.filter((_, index) => index !== out),
    );
  }

  async #put(name: string, addresses: readonly string[]): Promise<void> {
    const path = objectPath('EndpointSlice', namespace, name);
    const contentType = 'application/merge-patch+json';
    const body = { endpoints: endpointsOf(addresses) };
    await this.#send({ method: 'PATCH', path, body, contentType });
    this.#changes += 1;
  }

  async #createOne(name: string, addresses: readonly string[], labels: object): Promise<string> {
    const port = { name: 'http', protocol: 'TCP' };
    const service = await this.#create('Service', name, labels, {
      spec: { ports: [{ ...port, port: 80, targetPort: 8080 }] },
    });
    await this.#create(
      'EndpointSlice',
      name,
      { ...labels, 'kubernetes.io/service-name': name },
      {
        addressType: 'IPv4',
        ports: [{ ...port, port: 8080 }],
        endpoints: endpointsOf(addresses),
      },
    );
    return service.spec.clusterIP;
  }

  async #create(kind: Kind, name: string, labels: object, rest: object) {
    const metadata = { name, namespace, labels };
    const body = { apiVersion: apiVersionOf(kind), kind, metadata, ...rest };
    const path = collectionPath(kind, namespace);
    return (await this.#send({ method: 'POST', path, body })) as { spec: { clusterIP: string } };
  }

  async #send(request: Parameters<KubeTransport['send']>[0]): Promise<unknown> {
    const { status, body } = await this.#transport.send(request);
    if (status >= 300) throw new Error(`${request.method} ${request.path}: ${status} ${body}`);
    return JSON.parse(body);
  }
}

/** Of no pod: nobody calls them. */
function addressOf(index: number, at: number): string {
  return `10.${200 + (index >> 8)}.${index & 255}.${at + 1}`;
}

function endpointsOf(addresses: readonly string[]): object[] {
  return addresses.map((address) => ({ addresses: [address], conditions: { ready: true } }));
}
