// Figures of the sidecar: start to ready, memory, and what two of them add to a request at a fixed rate.
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { bundle } from '../images/bundle.ts';
import { ensureBinaries } from '../cluster/binaries.ts';
import { mustRun } from '../lib/command.ts';
import { waitFor } from '../lib/wait.ts';
import { cpuSecondsOf, median, memoryOf, row, type Memory } from './process-figures.ts';
import { portPlan, startPair, timeToReady, type SidecarPair } from './sidecar-pair.ts';

const rounds = 5;
const requestsPerSecond = 1000;

interface Latency {
  p50Ms: number;
  p99Ms: number;
}

export async function benchSidecar(): Promise<string[]> {
  await bundle('proxy/main.ts', 'proxy');
  const fortio = join((await ensureBinaries()).fortio, 'fortio');
  const starts: number[] = [];
  for (let round = 0; round < 10; round++) starts.push(await timeToReady());
  const app = startApp(fortio);
  const pair = await startPair();
  try {
    return await figures(fortio, pair, starts);
  } finally {
    await pair.close();
    app.kill();
  }
}

async function figures(fortio: string, pair: SidecarPair, starts: number[]): Promise<string[]> {
  const [client, server] = [pair.client.pid ?? 0, pair.server.pid ?? 0];
  await waitFor('the app', 10_000, () => fetch(appUrl).then((answer) => answer.ok));
  const idle = memoryOf(server);
  const direct: Latency[] = [];
  const meshed: Latency[] = [];
  const cpu = { client: [] as number[], server: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    direct.push(await loadRound(fortio, appUrl));
    const before = [cpuSecondsOf(client), cpuSecondsOf(server)] as const;
    meshed.push(await loadRound(fortio, `http://127.0.0.1:${portPlan.entry}/`));
    const perRequest = (after: number, start: number): number =>
      ((after - start) * 1e6) / (requestsPerSecond * roundSeconds);
    cpu.client.push(perRequest(cpuSecondsOf(client), before[0]));
    cpu.server.push(perRequest(cpuSecondsOf(server), before[1]));
  }
  const busy = memoryOf(server);
  return [
    row('start to ready, median of 10', `${median(starts).toFixed(0)} ms`),
    row('memory idle: RSS, PSS, private', memoryWords(idle)),
    row('memory at 1000 requests/s: RSS, PSS, private', memoryWords(busy)),
    row('without mesh at 1000 requests/s: p50, p99', latencyWords(direct)),
    row('through two sidecars at 1000 requests/s: p50, p99', latencyWords(meshed)),
    row('added: p50, p99', addedWords(direct, meshed)),
    row('CPU per request: client side, server side', cpuWords(cpu.client, cpu.server)),
  ];
}

const appUrl = `http://127.0.0.1:${portPlan.app}/`;
const roundSeconds = 6;

function startApp(fortio: string): ChildProcess {
  const http = ['-http-port', `127.0.0.1:${portPlan.app}`];
  const off = ['-grpc-port', 'disabled', '-redirect-port', 'disabled', '-tcp-port', 'disabled'];
  const args = ['server', ...http, ...off, '-udp-port', 'disabled', '-config-dir', ''];
  return spawn(fortio, args, { stdio: 'ignore' });
}

/** 16 connections, 1 KB answers. */
async function loadRound(fortio: string, url: string): Promise<Latency> {
  const load = [
    '-qps',
    String(requestsPerSecond),
    // Spread evenly, where fortio sends in bursts by default; in steps of 10 µs, not 1 ms.
    '-uniform',
    '-r',
    '0.00001',
    '-c',
    '16',
    '-t',
    `${roundSeconds}s`,
  ];
  const args = ['load', ...load, '-quiet', '-json', '-', `${url}?size=1024`];
  const result = JSON.parse(await mustRun(fortio, args)) as {
    DurationHistogram: { Percentiles: { Percentile: number; Value: number }[] };
    RetCodes: Record<string, number>;
  };
  const codes = Object.keys(result.RetCodes);
  if (codes.length !== 1 || codes[0] !== '200') {
    throw new Error(`answers other than 200: ${JSON.stringify(result.RetCodes)}`);
  }
  const at = (percentile: number): number =>
    1000 *
    (result.DurationHistogram.Percentiles.find((one) => one.Percentile === percentile)?.Value ?? 0);
  return { p50Ms: at(50), p99Ms: at(99) };
}

function memoryWords({ rssMb, pssMb, privateMb }: Memory): string {
  return `${rssMb.toFixed(0)}, ${pssMb.toFixed(0)}, ${privateMb.toFixed(0)} MB`;
}

function p50(all: Latency[]): number {
  return median(all.map((one) => one.p50Ms));
}

function p99(all: Latency[]): number {
  return median(all.map((one) => one.p99Ms));
}

function latencyWords(all: Latency[]): string {
  return `${p50(all).toFixed(2)}, ${p99(all).toFixed(2)} ms`;
}

function addedWords(direct: Latency[], meshed: Latency[]): string {
  return `${(p50(meshed) - p50(direct)).toFixed(2)}, ${(p99(meshed) - p99(direct)).toFixed(2)} ms`;
}

function cpuWords(client: number[], server: number[]): string {
  return `${median(client).toFixed(0)}, ${median(server).toFixed(0)} µs`;
}
