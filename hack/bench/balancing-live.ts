// The default balancer beside a real Envoy with LEAST_REQUEST, each as one proxy before the same backends on loopback, in
// alternating rounds of one run. A few hundred requests a second: what is measured is the choice, not the proxies' speed.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { say } from '../lib/steps.ts';
import { ensureEnvoy } from '../tools/peers.ts';
import type { Behaviour } from './balancing-backends.ts';
import { ownName, table, writeSection, type Measured } from './balancing-document.ts';
import { quantile, seeded } from './balancing-model.ts';
import { envoy, sidecar, type StartProxy } from './balancing-proxies.ts';
import { makeBundle } from './peers/tools.ts';

const backendCount = 5;

interface LiveScenario {
  readonly title: string;
  readonly perSecond: number;
  /** So many more at one instant, twice a second. */
  readonly burst: number;
  readonly last: Partial<Behaviour>;
  /** Means of the first ones, where they differ. */
  readonly meansMs?: readonly number[];
  /** The fault of the last one is there from the beginning. */
  readonly fresh: boolean;
}

/** Two workers and 20 ms each: five backends do 500 a second at most. */
const calm: Behaviour = { workers: 2, meanMs: 20, delayMs: 0, fails: false, cold: false };
const base = { perSecond: 300, burst: 0, last: {}, fresh: false };

const live: readonly LiveScenario[] = [
  { ...base, title: 'equal', perSecond: 350 },
  { ...base, title: 'one slow', perSecond: 250, last: { delayMs: 200 } },
  { ...base, title: 'one failing fast', perSecond: 250, last: { fails: true } },
  { ...base, title: 'different speeds', meansMs: [10, 10, 40, 40, 40] },
  { ...base, title: 'cold start', perSecond: 250, last: { cold: true }, fresh: true },
  { ...base, title: 'bursts', perSecond: 200, burst: 25 },
];

export interface LiveOptions {
  readonly rounds: number;
  readonly seconds: number;
}

/** Whole: 6 scenarios × 3 proxies × 3 rounds × 12 s, some 11 minutes. */
export async function benchBalancingLive(
  options: LiveOptions = { rounds: 3, seconds: 10 },
): Promise<string[]> {
  const program = await ensureEnvoy();
  await makeBundle();
  const proxies: Readonly<Record<string, StartProxy>> = {
    [ownName]: sidecar(null),
    'tsmesh, round robin': sidecar({ method: 'round-robin' }),
    'Envoy, least request': envoy(program, 'LEAST_REQUEST'),
  };
  const folder = mkdtempSync(join(tmpdir(), 'tsmesh-balancing-'));
  const backends = fork(join(import.meta.dirname, 'balancing-backends.ts'), { stdio: 'inherit' });
  try {
    const { ports } = await told(backends, { start: backendCount });
    const measured: Measured[] = [];
    for (const scenario of live) {
      const stage = { backends, ports, folder, scenario, options };
      measured.push(await measureAll(stage, proxies));
    }
    const words = `\`npm run bench -- balancing-live\`: medians of ${options.rounds} rounds of ${options.seconds} s each.`;
    writeSection('live', words, 'The slowest of a hundred answers, measured', measured);
    return table(measured);
  } finally {
    backends.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface LiveStage {
  readonly backends: ChildProcess;
  readonly ports: readonly number[];
  readonly folder: string;
  readonly scenario: LiveScenario;
  readonly options: LiveOptions;
}

async function measureAll(
  stage: LiveStage,
  proxies: Readonly<Record<string, StartProxy>>,
): Promise<Measured> {
  const { scenario, options } = stage;
  const names = Object.keys(proxies);
  const runs = Object.fromEntries(names.map((name) => [name, [] as Run[]]));
  for (let round = 0; round < options.rounds; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(turn + round) % names.length]!;
      const run = await measure(stage, proxies[name]!, round);
      runs[name]!.push(run);
      const { p99Ms, failedPercent } = run;
      say(
        `  ${scenario.title}, ${name}: p99 ${p99Ms.toFixed(1)} ms, ${failedPercent.toFixed(2)} %`,
      );
    }
  }
  return { title: scenario.title, runs };
}

interface Run {
  readonly p99Ms: number;
  readonly failedPercent: number;
}

async function measure(stage: LiveStage, start: StartProxy, round: number): Promise<Run> {
  const { backends, scenario, folder, ports, options } = stage;
  const { fresh, last, meansMs } = scenario;
  const means = (index: number) => ({ ...calm, meanMs: meansMs?.[index] ?? calm.meanMs });
  const before = ports.map((_, index) => means(index));
  const after = before.map((one, i) => (i === before.length - 1 ? { ...one, ...last } : one));
  const proxy = await start(folder, ports);
  try {
    // Connections are open and code is compiled before anything counts.
    await told(backends, { behave: before });
    const seed = 1000 * (round + 1);
    await load(proxy.port, scenario, fresh ? 0.3 : 2, seed);
    await told(backends, { behave: after });
    const latencies = await load(proxy.port, scenario, options.seconds, seed + 1);
    const failed = latencies.filter((one) => one === Infinity).length;
    const sorted = Float64Array.from(latencies).sort();
    return { p99Ms: quantile(sorted, 0.99), failedPercent: (100 * failed) / sorted.length };
  } finally {
    await proxy.running.close();
  }
}

async function told(backends: ChildProcess, message: object): Promise<{ ports: number[] }> {
  const answered = once(backends, 'message');
  backends.send(message);
  const [answer] = (await answered) as [{ ports: number[] }];
  return answer;
}

/** Requests at times of their own, however long others take; the same times for the same seed. */
async function load(
  port: number,
  { perSecond, burst }: LiveScenario,
  seconds: number,
  seed: number,
): Promise<number[]> {
  const random = seeded(seed);
  const agent = new http.Agent({ keepAlive: true });
  const open: Promise<number>[] = [];
  const startedMs = performance.now();
  let atMs = 0;
  let burstMs = 500;
  while (atMs < seconds * 1000) {
    atMs += (-Math.log(1 - random()) * 1000) / perSecond;
    const waitMs = atMs - (performance.now() - startedMs);
    if (waitMs > 0.5) await new Promise((resolve) => setTimeout(resolve, waitMs));
    open.push(request(agent, port));
    if (burst === 0 || atMs < burstMs) continue;
    burstMs += 500;
    for (let i = 0; i < burst; i += 1) open.push(request(agent, port));
  }
  const latencies = await Promise.all(open);
  agent.destroy();
  return latencies;
}

function request(agent: http.Agent, port: number): Promise<number> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const sent = http.get({ agent, port, host: '127.0.0.1', path: '/' }, (response) => {
      response.resume();
      response.on('error', () => resolve(Infinity));
      response.on('end', () =>
        resolve(response.statusCode === 200 ? performance.now() - startedMs : Infinity),
      );
    });
    sent.on('error', () => resolve(Infinity));
  });
}
