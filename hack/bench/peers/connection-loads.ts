// Loads of connections instead of requests: handshakes, new connections, memory, and start to ready.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { mustRun } from '../../lib/command.ts';
import { memoryOf, type Memory } from '../process-figures.ts';
import { cpuSeconds } from './accounting.ts';
import { wrk } from './clients.ts';
import { portsOf, type Sample, type Target } from './harness.ts';
import { withParent } from './launch.ts';
import { goal, type Goal, type Load, type Round } from './load.ts';
import { alpnOf, handshake } from './verify.ts';

const script = fileURLToPath(new URL('connection-client.ts', import.meta.url));

function pairOf({ client, server, name }: Target): { client: number; server: number } {
  if (client === null || server === null) throw new Error(`${name} is no pair`);
  return { client: client.pid, server: server.pid };
}

/** Direct to the server side's mesh port; every handshake is whole, with certificates of both sides. */
async function handshakes({ target, seconds }: Round, group: string): Promise<Sample> {
  const { server } = pairOf(target);
  const { chain, key, roots } = target.plan.identities.client;
  const [protocol = ''] = alpnOf(target, 'tcp');
  const { mesh } = portsOf(target.plan, 'tcp');
  const made = await handshake(target, 'tcp', { certificate: true, groups: group });
  if (made.refused !== null) throw new Error(`${target.name}: ${group}: ${made.refused}`);
  const before = cpuSeconds(server);
  const args = ['handshake', String(mesh), String(seconds), group, protocol, chain, key, roots];
  const count = await connections(args);
  return { cpu: ((cpuSeconds(server) - before) * 1e6) / count, perSecond: count / seconds };
}

async function connections(args: readonly string[]): Promise<number> {
  const [program, rest] = withParent(process.execPath, [script, ...args]);
  const output = await mustRun(program, rest, { timeoutMs: 60_000 });
  return (JSON.parse(output) as { connections: number }).connections;
}

/** Through both, on the opaque path: each connection of the app is one of mTLS between the proxies. */
async function newConnections({ target, seconds }: Round): Promise<Sample> {
  const pids = pairOf(target);
  const before = [cpuSeconds(pids.client), cpuSeconds(pids.server)] as const;
  const args = ['connect', String(target.port('tcp')), String(seconds)];
  const count = await connections(args);
  const client = ((cpuSeconds(pids.client) - before[0]) * 1e6) / count;
  const server = ((cpuSeconds(pids.server) - before[1]) * 1e6) / count;
  return { cpu: (client + server) / 2, client, server, perSecond: count / seconds };
}

async function hold(port: number, count: number): Promise<ChildProcess> {
  const [program, args] = withParent(process.execPath, [script, 'hold', String(port), `${count}`]);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let problem = '';
  child.stderr.on('data', (data: Buffer) => (problem += data.toString()));
  const gone = once(child, 'exit');
  const held = await Promise.race([once(child.stdout, 'data'), gone.then(() => null)]);
  if (held === null) throw new Error(`${count} idle connections: ${problem}`);
  return child;
}

const settleMs = 1500;

/** The mean of both sides. `both` is what the goal bounds: private and PSS, added. */
function pairMemory(target: Target): Record<'rss' | 'pss' | 'private' | 'both', number> {
  const { client, server } = pairOf(target);
  const [mine, other] = [memoryOf(client), memoryOf(server)];
  const mean = (of: (memory: Memory) => number): number => (of(mine) + of(other)) / 2;
  return {
    rss: mean(({ rssMb }) => rssMb),
    pss: mean(({ pssMb }) => pssMb),
    private: mean(({ privateMb }) => privateMb),
    both: mean(({ pssMb, privateMb }) => pssMb + privateMb),
  };
}

/** With idle connections: of the client's proxy, which is where apps leave them. */
async function idleMemory({ target }: Round): Promise<Sample> {
  const { client } = pairOf(target);
  await sleep(settleMs);
  const idle = pairMemory(target);
  const holders: ChildProcess[] = [];
  const withMore = async (count: number): Promise<Memory> => {
    holders.push(await hold(target.port('get'), count));
    await sleep(settleMs);
    return memoryOf(client);
  };
  try {
    const few = await withMore(1000);
    const many = await withMore(9000);
    return {
      ...idle,
      pss1k: few.pssMb,
      private1k: few.privateMb,
      both1k: few.pssMb + few.privateMb,
      pss10k: many.pssMb,
      private10k: many.privateMb,
      both10k: many.pssMb + many.privateMb,
      each: ((many.privateMb - few.privateMb) * 1024) / 9000,
    };
  } finally {
    for (const holder of holders) {
      const gone = once(holder, 'exit');
      holder.kill('SIGKILL');
      await gone;
    }
  }
}

/** While the load runs, just before its end. */
async function loadedMemory({ stage, target, seconds }: Round): Promise<Sample> {
  const load = wrk(stage.tools, target.port('get'), { connections: 32, seconds });
  await sleep(seconds * 1000 - 500);
  const memory = pairMemory(target);
  const { failed } = await load;
  if (failed > 0) throw new Error(`${target.name}: ${failed} requests failed`);
  return memory;
}

function memoryGoal(suffix: string, words: string): Goal {
  return goal(`both${suffix}`, `private + PSS ${words}, MB`, 'envoy', 1);
}

const memoryColumn = { metrics: ['rss', 'pss', 'private'], title: 'RSS / PSS / private, MB' };

function handshakeLoad(name: string, group: string, without: readonly string[]): Load {
  return {
    name,
    title: `new mTLS connections, ${group}, at the server side`,
    lanes: ['tcp'],
    without,
    seconds: 2,
    warm: (round) => handshakes({ ...round, seconds: 1 }, group).then(() => undefined),
    measure: (round) => handshakes(round, group),
    columns: [
      { metrics: ['cpu'], title: 'CPU per handshake, µs' },
      { metrics: ['perSecond'], title: 'handshakes/s here' },
    ],
    goals: [goal('cpu', 'CPU per handshake', 'envoy', 1.2)],
    chart: { metric: 'cpu', unit: 'µs per handshake' },
  };
}

export const connectionLoads: readonly Load[] = [
  {
    name: 'memory-idle',
    title: 'memory without load',
    lanes: ['get'],
    seconds: 10,
    rounds: 3,
    fresh: true,
    measure: idleMemory,
    columns: [
      { ...memoryColumn, title: 'idle: RSS / PSS / private, MB' },
      { metrics: ['pss1k', 'private1k'], title: '1,000 idle connections: PSS / private, MB' },
      { metrics: ['pss10k', 'private10k'], title: '10,000: PSS / private, MB' },
      { metrics: ['each'], title: 'private per idle connection, KB' },
    ],
    goals: [
      memoryGoal('', 'idle'),
      memoryGoal('1k', 'with 1,000 idle connections'),
      memoryGoal('10k', 'with 10,000 idle connections'),
      goal('each', 'private per idle connection, KB', null, 12),
    ],
  },
  {
    name: 'memory-load',
    title: 'memory at full load, 32 connections',
    lanes: ['get'],
    seconds: 6,
    rounds: 3,
    fresh: true,
    measure: loadedMemory,
    columns: [memoryColumn],
    goals: [memoryGoal('', 'at full load')],
    chart: { metric: 'private', unit: 'MB private' },
  },
  handshakeLoad('handshake-x25519', 'X25519', []),
  // OpenSSL 3.0, with which Debian builds HAProxy and nginx, does not have it.
  handshakeLoad('handshake-hybrid', 'X25519MLKEM768', ['haproxy', 'nginx']),
  {
    name: 'connect-tcp',
    title:
      'new connections through both, opaque TCP, as each resumes and exchanges keys by default',
    lanes: ['tcp'],
    seconds: 2,
    warm: (round) => newConnections({ ...round, seconds: 1 }).then(() => undefined),
    measure: newConnections,
    columns: [
      { metrics: ['client', 'server'], title: 'CPU per connection, client side / server side, µs' },
      { metrics: ['perSecond'], title: 'connections/s here' },
    ],
    goals: [],
  },
  {
    name: 'ready',
    title: 'start of the process to ready',
    lanes: ['get'],
    seconds: 1,
    fresh: true,
    measure: ({ target }) => {
      const ready = ((target.client?.readyMs ?? 0) + (target.server?.readyMs ?? 0)) / 2;
      return Promise.resolve({ ready });
    },
    columns: [{ metrics: ['ready'], title: 'ms' }],
    goals: [goal('ready', 'start to ready, ms', null, 150)],
  },
];
