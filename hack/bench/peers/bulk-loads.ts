// Loads of one large transfer: CPU time per GiB of each proxy, throughput, and what it does to requests beside.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { mustRun } from '../../lib/command.ts';
import { cpuSeconds } from './accounting.ts';
import { fortio } from './clients.ts';
import type { Sample, Target } from './harness.ts';
import { withParent } from './launch.ts';
import { goal, type Column, type Goal, type Load, type Round } from './load.ts';
import type { Lane } from './plan.ts';

type Mode = 'http-download' | 'http-upload' | 'tcp-download' | 'tcp-upload';

const laneOf = (mode: Mode): Lane => (mode.startsWith('http') ? 'bulk' : 'tcp');

function clientCommand(mode: Mode, port: number, mib: number): [string, string[]] {
  const script = fileURLToPath(new URL('bulk-client.ts', import.meta.url));
  return withParent(process.execPath, [script, mode, String(port), String(mib)]);
}

async function transfer(target: Target, mode: Mode, mib: number): Promise<Sample> {
  const pids = [target.client?.pid, target.server?.pid].filter((pid) => pid !== undefined);
  const before = pids.map(cpuSeconds);
  const [program, args] = clientCommand(mode, target.port(laneOf(mode)), mib);
  const output = await mustRun(program, args, { timeoutMs: 120_000 });
  const { bytes, seconds } = JSON.parse(output) as { bytes: number; seconds: number };
  const gib = bytes / 2 ** 30;
  const [client = 0, server = 0] = pids.map((pid, at) => (cpuSeconds(pid) - before[at]!) / gib);
  const mbPerSecond = bytes / 1e6 / seconds;
  if (target.client === null) return { mbPerSecond };
  return { cpu: (client + server) / 2, client, server, mbPerSecond };
}

const bulkColumns: readonly Column[] = [
  { metrics: ['client', 'server'], title: 'CPU per GiB, client side / server side, s' },
  { metrics: ['mbPerSecond'], title: 'MB/s' },
];

const bulkGoals: readonly Goal[] = [
  goal('cpu', 'CPU per GiB', 'envoy', 1),
  {
    metric: 'mbPerSecond',
    title: 'MB/s',
    against: 'envoy',
    bound: 0.9,
    sense: 'at least',
  },
];

function bulk(mode: Mode, title: string): Load {
  return {
    name: mode,
    title,
    lanes: [laneOf(mode)],
    direct: true,
    seconds: 2,
    warm: async ({ target }) => {
      await transfer(target, mode, 256);
    },
    measure: ({ target }) => transfer(target, mode, 1024),
    columns: bulkColumns,
    goals: bulkGoals,
    chart: { metric: 'cpu', unit: 's per GiB' },
  };
}

const stream = { connections: 4, perSecond: 100, even: true };

/** The stream of requests alone, then beside a transfer that does not end before it. */
async function beside({ stage, target, seconds }: Round, mode: Mode): Promise<Sample> {
  const requests = () => fortio(stage.tools, target.port('bulk'), { ...stream, seconds });
  const alone = await requests();
  const [program, args] = clientCommand(mode, target.port(laneOf(mode)), 2 ** 20);
  const client = spawn(program, args, { stdio: 'ignore' });
  const gone = once(client, 'exit');
  try {
    const busy = await requests();
    if (client.exitCode !== null) throw new Error(`${target.name}: the ${mode} beside it ended`);
    const failed = alone.failed + busy.failed;
    if (failed > 0) throw new Error(`${target.name}: ${failed} requests failed`);
    return { alone: alone.p99Ms, beside: busy.p99Ms, growth: busy.p99Ms / alone.p99Ms };
  } finally {
    client.kill('SIGKILL');
    await gone;
  }
}

function besideLoad(mode: Mode, title: string): Load {
  return {
    name: `beside-${mode}`,
    title,
    lanes: ['bulk'],
    without: ['envoy-h1', 'nginx'],
    direct: true,
    seconds: 2,
    warm: ({ target }) => transfer(target, mode, 256).then(() => undefined),
    measure: (round) => beside(round, mode),
    columns: [
      { metrics: ['alone'], title: 'p99 of 100 requests/s alone, ms' },
      { metrics: ['beside'], title: 'p99 beside the transfer, ms' },
      { metrics: ['growth'], title: 'ratio' },
    ],
    goals: [goal('growth', 'p99 beside it by p99 without', null, 2)],
  };
}

export const bulkLoads: readonly Load[] = [
  bulk('http-download', '1 GiB download, HTTP/1.1'),
  bulk('http-upload', '1 GiB upload, HTTP/1.1'),
  bulk('tcp-download', '1 GiB to the client, opaque TCP'),
  bulk('tcp-upload', '1 GiB to the server, opaque TCP'),
  besideLoad('http-download', '100 requests/s beside a download to the same service'),
  besideLoad('http-upload', '100 requests/s beside an upload to the same service'),
];
