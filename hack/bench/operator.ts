// Memory and CPU of the operator, idle and with many sidecars connected; and how long sidecars take
// from the start of their process until the operator knows them.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { step } from '../lib/steps.ts';
import { memoryRow } from './load.ts';
import { podProcesses } from './pod-processes.ts';
import { cpuSecondsOf, median, memoryOf, row } from './process-figures.ts';
import { deploy, freshNamespace, MESHED, setUp, type Bench } from './setup.ts';

const OPERATOR_USER = 65532;
const PROXY_USER = 15086;

/** All of them are real: a pod with its sidecar each. */
const SIDECARS = 100;

export async function benchOperator(): Promise<string[]> {
  const bench = await setUp();
  await freshNamespace(bench, MESHED, true);
  const rows = await observe(bench, 0);
  const image = bench.fortioImage;
  const workload = { namespace: MESHED, name: 'many', image, args: ['server'], replicas: SIDECARS };
  await deploy(bench, workload);
  rows.push(...(await observe(bench, SIDECARS)));
  const pods = await podsOf(bench, MESHED, 'app=many');
  const starts = await step('sidecar start to connected', () => startTimes(bench, pods));
  const words = `median ${median(starts).toFixed(0)} ms, worst ${Math.max(...starts).toFixed(0)} ms`;
  rows.push(
    row(
      `sidecar start to connected with the operator, of ${starts.length} in a rollout of ${SIDECARS}`,
      words,
    ),
  );
  await bench.kubectl(['delete', 'namespace', MESHED, '--wait=false']);
  return rows;
}

async function observe(bench: Bench, sidecars: number): Promise<string[]> {
  const pid = await operatorPid(bench);
  return await step(`operator with ${sidecars} sidecars, 30 s`, async () => {
    // What the rollout caused is over.
    await sleep(5_000);
    const before = cpuSecondsOf(pid);
    await sleep(30_000);
    const percent = ((cpuSecondsOf(pid) - before) / 30) * 100;
    const what = `operator, ${sidecars} sidecars`;
    return [
      row(`${what}: CPU`, `${percent.toFixed(1)} % of a core`),
      memoryRow(what, memoryOf(pid)),
    ];
  });
}

async function operatorPid(bench: Bench): Promise<number> {
  const [pod] = await podsOf(bench, 'tsmesh-system', 'app.kubernetes.io/name=tsmesh-operator');
  const [pid] = pod === undefined ? [] : podProcesses(pod.uid, OPERATOR_USER);
  if (pid === undefined) throw new Error('the operator does not run');
  return pid;
}

interface PodRef {
  readonly name: string;
  readonly uid: string;
}

async function podsOf({ kubectl }: Bench, namespace: string, selector: string): Promise<PodRef[]> {
  const list = ['-n', namespace, 'get', 'pods', '-l', selector, '-o', 'json'];
  const { items } = JSON.parse(await kubectl(list)) as {
    items: { metadata: PodRef & { deletionTimestamp?: string } }[];
  };
  return items
    .map(({ metadata }) => metadata)
    .filter(({ deletionTimestamp }) => deletionTimestamp === undefined);
}

/** From the start of the process, as the kernel knows it, to the log line that says connected. */
async function startTimes({ kubectl }: Bench, pods: readonly PodRef[]): Promise<number[]> {
  const bootMs = Number(/^btime (\d+)/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]) * 1000;
  const times: number[] = [];
  for (const { name, uid } of pods.slice(0, 20)) {
    const [pid] = podProcesses(uid, PROXY_USER);
    if (pid === undefined) continue;
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
    const log = await kubectl(['-n', MESHED, 'logs', name, '-c', 'tsmesh-proxy']);
    const line = log.split('\n').find((text) => text.includes('"discovery connected"'));
    if (line === undefined) continue;
    const { time } = JSON.parse(line) as { time: string };
    times.push(Date.parse(time) - (bootMs + ticks * 10));
  }
  return times.toSorted((a, b) => a - b);
}
