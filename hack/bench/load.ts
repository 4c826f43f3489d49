// Added latency, CPU time per request and memory of sidecars: fortio to fortio, with and without the
// mesh, two sidecars in the path.
import { step } from '../lib/steps.ts';
import { podProcesses } from './pod-processes.ts';
import { cpuSecondsOf, memoryOf, row, type Memory } from './process-figures.ts';
import {
  deploy,
  freshNamespace,
  MESHED,
  PLAIN,
  podOf,
  setUp,
  type Bench,
  type Pod,
} from './setup.ts';

const PROXY_USER = 15086;

interface LoadFigures {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
  /** Of each sidecar, in the path's order; empty without the mesh. */
  readonly cpuMicrosecondsPerRequest: readonly number[];
}

const SECONDS = 15;

const SERVICES = 1000;
const SERVICES_NAMESPACE = 'bench-services';

/** Deploys both pairs and measures them, at a fixed rate first, then as fast as it goes. */
export async function benchLoad(): Promise<string[]> {
  const bench = await setUp();
  for (const namespace of [PLAIN, MESHED]) {
    await freshNamespace(bench, namespace, namespace === MESHED);
    for (const name of ['server', 'client']) {
      const ports = name === 'server' ? [{ name: 'http', port: 8080 }] : [];
      await deploy(bench, { namespace, name, image: bench.fortioImage, args: ['server'], ports });
    }
  }
  const rows = [memoryRow('sidecar idle', memoryOf(await sidecarOf(bench, 'client')))];
  for (const pace of ['bursts', 'even', 'full speed'] as const) {
    for (const connections of [4, 16, 64]) {
      const options = { connections, pace, seconds: SECONDS };
      rows.push(figuresRow(PLAIN, options, await load(bench, { namespace: PLAIN, ...options })));
      rows.push(figuresRow(MESHED, options, await load(bench, { namespace: MESHED, ...options })));
    }
  }
  rows.push(memoryRow('sidecar after load', memoryOf(await sidecarOf(bench, 'client'))));
  rows.push(...(await besideManyServices(bench)));
  for (const namespace of [PLAIN, MESHED]) {
    await bench.kubectl(['delete', 'namespace', namespace, '--wait=false']);
  }
  return rows;
}

/** A sidecar holds what its pod talks to: other Services cost it nothing. */
async function besideManyServices(bench: Bench): Promise<string[]> {
  await freshNamespace(bench, SERVICES_NAMESPACE, false);
  const items = Array.from({ length: SERVICES }, (_, index) => serviceWithEndpoints(index)).flat();
  await step(`${SERVICES} Services with two endpoints each`, async () => {
    const list = { apiVersion: 'v1', kind: 'List', items };
    await bench.kubectl(['create', '-f', '-'], JSON.stringify(list));
  });
  const client = await podOf(bench, MESHED, 'client');
  const options = { namespace: MESHED, connections: 16, pace: 'bursts', seconds: SECONDS } as const;
  await fortio(bench, client, options);
  const memory = memoryOf(await sidecarOf(bench, 'client'));
  await bench.kubectl(['delete', 'namespace', SERVICES_NAMESPACE, '--wait=false']);
  return [memoryRow(`sidecar after load, ${SERVICES} Services in the cluster`, memory)];
}

function serviceWithEndpoints(index: number): object[] {
  const metadata = { name: `service-${index}`, namespace: SERVICES_NAMESPACE };
  const address = (host: number) => `10.200.${index >> 7}.${((index & 127) << 1) + host}`;
  const labels = { 'kubernetes.io/service-name': metadata.name };
  const ports = [{ name: 'http', port: 80 }];
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels },
      addressType: 'IPv4',
      endpoints: [0, 1].map((host) => ({ addresses: [address(host)] })),
      ports,
    },
  ];
}

export function memoryRow(what: string, { rssMb, pssMb, privateMb }: Memory): string {
  const figures = [rssMb, pssMb, privateMb].map((value) => value.toFixed(0)).join(', ');
  return row(`${what}: RSS, PSS, private`, `${figures} MB`);
}

function figuresRow(
  namespace: string,
  options: { readonly connections: number; readonly pace: Pace },
  figures: LoadFigures,
): string {
  const rate = paceWords(options.pace);
  const where = namespace === MESHED ? 'mesh' : 'no mesh';
  const cpu = figures.cpuMicrosecondsPerRequest.map((value) => `${value} µs`).join(' and ');
  const { requestsPerSecond, p50Ms, p99Ms, failed } = figures;
  const latency = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`;
  const words = [`${requestsPerSecond}/s`, latency, `${failed} failed`, cpu && `CPU ${cpu}`];
  return row(
    `${where}, ${rate}, ${options.connections} connections`,
    words.filter((word) => word !== '').join('; '),
  );
}

/** All connections at one instant (fortio's default), or spread over time: 1,000/s both; or all it takes. */
type Pace = 'bursts' | 'even' | 'full speed';

/** In steps of 10 µs, where fortio's default is 1 ms. */
const paceFlags: Readonly<Record<Pace, readonly string[]>> = {
  bursts: ['-qps', '1000', '-r', '0.00001'],
  even: ['-qps', '1000', '-uniform', '-r', '0.00001'],
  'full speed': ['-qps', '0', '-r', '0.00001'],
};

interface LoadOptions {
  readonly namespace: string;
  readonly connections: number;
  readonly pace: Pace;
  readonly seconds: number;
}

function paceWords(pace: Pace): string {
  return pace === 'full speed' ? pace : `1,000/s ${pace}`;
}

interface FortioResult {
  readonly ActualQPS: number;
  readonly RetCodes: Readonly<Record<string, number>>;
  readonly DurationHistogram: {
    readonly Count: number;
    readonly Percentiles: readonly { readonly Percentile: number; readonly Value: number }[];
  };
}

async function load(bench: Bench, options: LoadOptions): Promise<LoadFigures> {
  const { namespace, connections, pace, seconds } = options;
  const pids =
    namespace === MESHED
      ? [await sidecarOf(bench, 'client'), await sidecarOf(bench, 'server')]
      : [];
  const name = `${namespace}: ${paceWords(pace)}, ${connections} connections`;
  const client = await podOf(bench, namespace, 'client');
  // Warm: compiled code and open connections are what lasts.
  await fortio(bench, client, { ...options, seconds: 3 });
  const before = pids.map(cpuSecondsOf);
  const result = await step(`${name}, ${seconds} s`, () => fortio(bench, client, options));
  const { Count: count, Percentiles: percentiles } = result.DurationHistogram;
  const percentile = (wanted: number) =>
    (percentiles.find(({ Percentile }) => Percentile === wanted)?.Value ?? 0) * 1000;
  return {
    requestsPerSecond: Math.round(result.ActualQPS),
    p50Ms: percentile(50),
    p99Ms: percentile(99),
    failed: count - (result.RetCodes['200'] ?? 0),
    cpuMicrosecondsPerRequest: pids.map((pid, index) =>
      Math.round(((cpuSecondsOf(pid) - (before[index] ?? 0)) * 1e6) / count),
    ),
  };
}

async function fortio(bench: Bench, client: Pod, options: LoadOptions): Promise<FortioResult> {
  const { namespace, connections, pace, seconds } = options;
  const flags = [...paceFlags[pace], '-json', '-', '-quiet', '-p', '50,99'];
  const size = ['-c', String(connections), '-t', `${seconds}s`];
  const target = 'http://server:8080/echo?size=1024';
  const exec = ['-n', namespace, 'exec', client.name, '-c', 'app', '--', '/fortio', 'load'];
  const output = await bench.kubectl([...exec, ...flags, ...size, target]);
  return JSON.parse(output.slice(output.indexOf('{'))) as FortioResult;
}

async function sidecarOf(bench: Bench, name: string): Promise<number> {
  const pod = await podOf(bench, MESHED, name);
  const [pid] = podProcesses(pod.uid, PROXY_USER);
  if (pid === undefined) throw new Error(`${pod.name} has no sidecar`);
  return pid;
}
