// Bad endpoints under constant load on the cluster: one of five answers 500, hangs, is slow or loses its packets; then all of
// them at once. Every answer is counted, and late is counted from when a request was meant to be sent.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { shareOf, type OpenLoadResult, type Share } from '../../test/apps/open-load.ts';
import { ensureCluster } from '../cluster/cluster.ts';
import { mustRun } from '../lib/command.ts';
import { kubectlFor } from '../lib/kubectl.ts';
import { repository } from '../lib/paths.ts';
import { step } from '../lib/steps.ts';
import { installMesh, loadMeshImages } from '../mesh.ts';
import { podProcesses } from './pod-processes.ts';
import { row } from './process-figures.ts';
import { deploy, freshNamespace, type Bench, type Pod } from './setup.ts';

const namespace = 'bench-faults';
const sample = 'config/samples/traffic-policy-resilience.yaml';
const proxyUser = 15086;
const ratePerSecond = 500;
const normalSeconds = 10;
const graceSeconds = 3;
const faultSeconds = 60;
const outageSeconds = 20;
const timeoutMs = 5_000;
const callers = ['caller-0', 'caller-1', 'caller-2'] as const;

const faults = ['fails', 'hangs', 'slow', 'drops'] as const;
type Fault = (typeof faults)[number];

/** About 14 minutes. */
export async function benchFaults(): Promise<string[]> {
  const cluster = await ensureCluster();
  const kubectl = kubectlFor(cluster.kubectl, cluster.kubeconfig);
  const references = await loadMeshImages(cluster);
  await installMesh(kubectl, references);
  const bench: Bench = { cluster, kubectl, fortioImage: '' };
  await freshNamespace(bench, namespace, true);
  const image = references.get('apps') ?? '';
  const ports = [{ name: 'http', port: 8080 }];
  try {
    await deploy(bench, { namespace, name: 'catalog', image, args: ['echo'], replicas: 5, ports });
    for (const name of callers) await deploy(bench, { namespace, name, image, args: ['idle'] });
    const pods = await podsOf(bench, 'catalog');
    const without = await oneBad(bench, pods, 'no policy');
    await applySample(bench);
    return [
      row(
        'one endpoint of five',
        'policy',
        'success',
        'p50 ms',
        'p99 ms',
        'p99 / normal',
        'it saw',
      ),
      row('---', '---', '---', '---', '---', '---', '---'),
      ...(await oneBad(bench, pods, 'sample')),
      ...without,
      row('all five', 'policy', 'load / offered', 'well again after ms', '', '', ''),
      ...(await allBad(bench, pods)),
    ];
  } finally {
    await kubectl(['delete', 'namespace', namespace, '--wait=false']);
  }
}

/** The sample that ships, in this namespace. */
async function applySample({ kubectl }: Bench): Promise<void> {
  const policy = parse(readFileSync(join(repository, sample), 'utf8')) as {
    metadata: { name: string; namespace: string };
  };
  policy.metadata.namespace = namespace;
  await kubectl(['apply', '-f', '-'], JSON.stringify(policy));
  const wait = ['wait', '--for=condition=Programmed', '--timeout=60s'];
  await kubectl(['-n', namespace, ...wait, `trafficpolicy/${policy.metadata.name}`]);
}

async function podsOf({ kubectl }: Bench, app: string): Promise<Pod[]> {
  const list = await kubectl(['-n', namespace, 'get', 'pods', '-l', `app=${app}`, '-o', 'json']);
  const { items } = JSON.parse(list) as { items: { metadata: Pod }[] };
  return items.map(({ metadata }) => metadata);
}

async function inApp({ kubectl }: Bench, pod: string, ...args: string[]): Promise<string> {
  const exec = ['-n', namespace, 'exec', pod, '-c', 'app', '--', 'node', '/app/main.mjs'];
  return await kubectl([...exec, ...args]);
}

/** Tells a pod's app how to do its work; returns what it received so far. */
async function become(bench: Bench, pod: Pod, behaviour: string): Promise<number> {
  const url = `http://127.0.0.1:8080/become/${behaviour}`;
  const { body } = JSON.parse(await inApp(bench, pod.name, 'http', url)) as { body: string };
  return (JSON.parse(body) as { received: number }).received;
}

/** Begins or ends a fault; returns what the app received so far. Packets are lost in the pod's own network alone. */
async function spoil(bench: Bench, pod: Pod, fault: Fault | 'well'): Promise<number> {
  if (fault !== 'drops') return await become(bench, pod, fault);
  const received = await become(bench, pod, 'well');
  await packets(pod, '-I');
  return received;
}

async function mend(bench: Bench, pod: Pod, fault: Fault): Promise<number> {
  if (fault === 'drops') await packets(pod, '-D');
  return await become(bench, pod, 'well');
}

async function packets({ uid, name }: Pod, action: '-I' | '-D'): Promise<void> {
  const [pid] = podProcesses(uid, proxyUser);
  if (pid === undefined) throw new Error(`${name} has no sidecar`);
  const rule = ['INPUT', '!', '-i', 'lo', '-j', 'DROP'];
  await mustRun('nsenter', ['-t', String(pid), '-n', 'iptables', action, ...rule]);
}

async function openLoad(
  bench: Bench,
  caller: string,
  rate: number,
  seconds: number,
): Promise<OpenLoadResult> {
  const [pod] = await podsOf(bench, caller);
  if (pod === undefined) throw new Error(`no pod of ${caller}`);
  const size = ['--rate', String(rate), '--seconds', String(seconds)];
  const args = ['open-load', 'http://catalog:8080/work', ...size, '--timeout', String(timeoutMs)];
  return JSON.parse(await inApp(bench, pod.name, ...args)) as OpenLoadResult;
}

async function oneBad(bench: Bench, pods: readonly Pod[], policy: string): Promise<string[]> {
  const rows: string[] = [];
  for (const fault of faults) {
    const seconds = normalSeconds + graceSeconds + faultSeconds + 5;
    const what = `${fault}, ${policy}, ${seconds} s at ${ratePerSecond}/s`;
    rows.push(await step(what, () => oneFault(bench, pods[0]!, { fault, policy, seconds })));
  }
  return rows;
}

async function oneFault(
  bench: Bench,
  bad: Pod,
  { fault, policy, seconds }: { fault: Fault; policy: string; seconds: number },
): Promise<string> {
  await openLoad(bench, callers[0], ratePerSecond, 3);
  const load = openLoad(bench, callers[0], ratePerSecond, seconds);
  // Awaited below; a failure before that must not count as unhandled.
  load.catch(() => undefined);
  await sleep(normalSeconds * 1000);
  const before = await spoil(bench, bad, fault);
  const faultMs = Date.now();
  let result: OpenLoadResult;
  let after = before;
  try {
    result = await load;
  } finally {
    after = await mend(bench, bad, fault);
  }
  const fromMs = faultMs + graceSeconds * 1000;
  const share = shareOf(result, fromMs, fromMs + faultSeconds * 1000);
  const normal = shareOf(result, result.startedMs + 3_000, result.startedMs + 9_000);
  const { requests, p50Ms, p99Ms } = share;
  const success = `${percent(share)} of ${requests}`;
  return row(fault, policy, success, p50Ms, p99Ms, p99Ms / normal.p99Ms, `${after - before}`);
}

function percent({ requests, succeeded }: Share): string {
  return `${((succeeded * 100) / requests).toFixed(3)} %`;
}

async function allBad(bench: Bench, pods: readonly Pod[]): Promise<string[]> {
  const rows: string[] = [];
  for (const fault of ['fails', 'hangs', 'drops'] as const)
    rows.push(await step(`all ${fault}`, () => outage(bench, pods, fault)));
  return rows;
}

/** Three callers share the load. */
async function outage(bench: Bench, pods: readonly Pod[], fault: Fault): Promise<string> {
  const rate = Math.round(ratePerSecond / callers.length);
  const seconds = normalSeconds + outageSeconds + 20;
  const receivedBy = () => Promise.all(pods.map((pod) => become(bench, pod, 'well')));
  const before = sum(await receivedBy());
  const loads = callers.map((caller) => openLoad(bench, caller, rate, seconds));
  const results = Promise.all(loads);
  results.catch(() => undefined);
  await sleep(normalSeconds * 1000);
  await Promise.all(pods.map((pod) => spoil(bench, pod, fault)));
  const fromMs = Date.now();
  await sleep(outageSeconds * 1000);
  const untilMs = Date.now();
  await Promise.all(pods.map((pod) => mend(bench, pod, fault)));
  const backMs = Date.now();
  const all = await results;
  // Over the whole run, as nobody can read five counts at one instant: what is more than was sent came in the outage.
  const more = sum(await receivedBy()) - before - rate * callers.length * seconds;
  const offered = (rate * callers.length * (untilMs - fromMs)) / 1000;
  return row(fault, 'sample', 1 + more / offered, wellAfterMs(all, backMs), '', '', '');
}

function sum(values: readonly number[]): number {
  return values.reduce((all, one) => all + one, 0);
}

/** From then on each quarter of a second has 99.9 % success for two seconds; NaN: never. */
function wellAfterMs(results: readonly OpenLoadResult[], backMs: number): number {
  for (let afterMs = 0; afterMs <= 10_000; afterMs += 250) {
    const shares = results.map((one) => shareOf(one, backMs + afterMs, backMs + afterMs + 2_000));
    const requests = sum(shares.map((one) => one.requests));
    if (sum(shares.map((one) => one.succeeded)) >= requests * 0.999) return afterMs;
  }
  return Number.NaN;
}
