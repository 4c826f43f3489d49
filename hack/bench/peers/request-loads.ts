// Loads of many small requests: CPU time per request of each proxy, latency, requests per second.
import { setTimeout as sleep } from 'node:timers/promises';
import { connectionsOf, cpuSeconds, endedLately } from './accounting.ts';
import { fortio, wrk, type ClosedLoop, type FixedRate } from './clients.ts';
import type { Seen } from './generators.ts';
import { portsOf, type Sample, type Target } from './harness.ts';
import { goal, warmSeconds, type Column, type Goal, type Load } from './load.ts';
import type { Lane } from './plan.ts';

/** Runs a generator; answers with what it saw and what each proxy of the pair paid for it. */
export async function requests(
  target: Target,
  lane: Lane,
  seconds: number,
  generate: (port: number) => Promise<Seen>,
): Promise<Sample> {
  const pids = [target.client?.pid, target.server?.pid].filter((pid) => pid !== undefined);
  const { mesh, app } = portsOf(target.plan, lane);
  const endedBefore = endedLately(mesh) + endedLately(app);
  const before = pids.map(cpuSeconds);
  // In the middle: at its end the generator takes connections with it.
  const between = sleep(seconds * 500).then(() => connectionsBetween(target, mesh));
  const seen = await generate(target.port(lane));
  const [client = 0, server = 0] = pids.map(
    (pid, index) => ((cpuSeconds(pid) - before[index]!) * 1e6) / seen.requests,
  );
  if (seen.failed > 0) {
    throw new Error(`${target.name}: ${seen.failed} of ${seen.requests} requests failed`);
  }
  const { requestsPerSecond: perSecond, p50Ms: p50, p99Ms: p99 } = seen;
  if (target.client === null) return { perSecond, p50, p99 };
  const cpu = (client + server) / 2;
  checkPools(target, seen.requests, endedLately(mesh) + endedLately(app) - endedBefore);
  return { cpu, client, server, perSecond, perCore: 1e6 / cpu, p50, p99, between: await between };
}

function connectionsBetween({ client }: Target, mesh: number): number {
  return client === null ? 0 : connectionsOf(client.pid, mesh);
}

/**
 * A proxy that makes a connection per request, to the other or to the app, does another job. When the
 * generator goes, the requests that are in flight take their connections to the app with them.
 */
function checkPools({ name }: Target, count: number, ended: number): void {
  if (ended > 600 + count / 20) {
    throw new Error(`${name}: ${ended} connections ended for ${count} requests: nothing is kept`);
  }
}

export const requestColumns: readonly Column[] = [
  { metrics: ['client', 'server'], title: 'CPU per request, client side / server side, µs' },
  { metrics: ['perCore'], title: 'requests/s per core of a proxy' },
  { metrics: ['perSecond'], title: 'requests/s here' },
  { metrics: ['p50', 'p99'], title: 'p50 / p99, ms' },
  { metrics: ['between'], title: 'mTLS connections' },
];

const chart = { metric: 'cpu', unit: 'µs' };

function full(name: string, title: string, load: Omit<ClosedLoop, 'seconds'>, goals: Goal[]): Load {
  const lane: Lane = load.bodyBytes === undefined ? 'get' : 'echo';
  return {
    name,
    title,
    lanes: [lane],
    seconds: 3,
    warm: async ({ stage, target }) => {
      await wrk(stage.tools, target.port(lane), { ...load, seconds: warmSeconds(target) });
    },
    measure: ({ stage, target, seconds }) =>
      requests(target, lane, seconds, (port) => wrk(stage.tools, port, { ...load, seconds })),
    columns: requestColumns,
    goals,
    chart,
  };
}

function paced(name: string, title: string, load: Omit<FixedRate, 'seconds'>, goals: Goal[]): Load {
  return {
    name,
    title,
    lanes: ['get'],
    direct: true,
    seconds: load.even ? 5 : 3,
    warm: async ({ stage, target }) => {
      // As fast as it goes first: what has to be compiled is compiled by it.
      const { connections } = load;
      await wrk(stage.tools, target.port('get'), { connections, seconds: warmSeconds(target) });
    },
    measure: ({ stage, target, seconds }) =>
      requests(target, 'get', seconds, (port) => fortio(stage.tools, port, { ...load, seconds })),
    columns: requestColumns.filter(({ metrics }) => metrics[0] !== 'perCore'),
    goals,
    chart,
  };
}

const cpu = 'CPU per request';
const perSecond = 1000;
const pacedGoals: Goal[] = [
  goal('cpu', cpu, 'envoy', 0.5),
  goal('cpu', cpu, 'haproxy', 1),
  goal('addedP99', 'added p99', 'envoy', 1),
  goal('addedP99', 'added p99', 'haproxy', 1),
];

export const requestLoads: readonly Load[] = [
  full('get-32', 'HTTP/1.1 GET, 1 KB answer, 32 connections', { connections: 32 }, [
    goal('cpu', cpu, 'envoy', 0.5),
    goal('cpu', cpu, 'haproxy', 0.8),
  ]),
  full('get-4', 'HTTP/1.1 GET, 1 KB answer, 4 connections', { connections: 4 }, [
    goal('cpu', cpu, 'envoy', 0.5),
    goal('cpu', cpu, 'haproxy', 1),
  ]),
  paced(
    'rate-4',
    '1,000 requests/s, 4 connections, evenly spread',
    { connections: 4, perSecond, even: true },
    pacedGoals,
  ),
  paced(
    'rate-16',
    '1,000 requests/s, 16 connections, evenly spread',
    { connections: 16, perSecond, even: true },
    pacedGoals,
  ),
  paced(
    'burst-4',
    '1,000 requests/s, 4 connections, all at one instant',
    { connections: 4, perSecond, even: false },
    pacedGoals,
  ),
  paced(
    'burst-16',
    '1,000 requests/s, 16 connections, all at one instant',
    { connections: 16, perSecond, even: false },
    pacedGoals,
  ),
  full('get-256', 'HTTP/1.1 GET, 1 KB answer, 256 connections', { connections: 256 }, [
    goal('cpu', cpu, 'envoy', 0.5),
    goal('cpu', cpu, 'haproxy', 0.8),
  ]),
  full(
    'post-10k',
    'HTTP/1.1 POST of 10 KB, echoed, 32 connections',
    { connections: 32, bodyBytes: 10_240 },
    [goal('cpu', cpu, 'envoy', 0.6)],
  ),
];
