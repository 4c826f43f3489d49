// The soak: mixed load through two sidecars for some time, with certificates renewed meanwhile. Nothing may
// be lost, doubled or mixed up; memory and open files must not grow. It judges nothing itself but counts.

import {
  startProcessPair,
  type ProcessPair,
  type SidecarProcess,
} from '../support/process-pair.ts';
import { memoryOf } from '../../hack/bench/process-figures.ts';
import { startApps } from './apps.ts';
import {
  getter,
  poster,
  quitter,
  slowReader,
  streamer,
  upgrader,
  type Target,
} from './http-load.ts';
import { Ledger } from './ledger.ts';
import { echoer, greeted, resetter, talker } from './tcp-load.ts';

export interface SoakOptions {
  durationMs: number;
  /** 1: about 150 requests and connections per second. */
  rate: number;
  renewEveryMs: number;
  sampleEveryMs: number;
  /** Instead of the sources. */
  program?: string;
  onSample?: (sample: Sample, ledger: Ledger) => void;
}

export interface Use {
  rssMb: number;
  privateMb: number;
  heapMb: number;
  openFiles: number;
}

export interface Sample {
  atMs: number;
  caller: Use;
  callee: Use;
}

export interface SoakResult {
  ledger: Ledger;
  samples: Sample[];
  /** Before any load, and some time after the last. */
  before: Sample;
  after: Sample;
  cpuSeconds: { caller: number; callee: number };
}

/** A client, and how many times a second it asks at rate 1. */
interface Actor {
  ask: () => Promise<void>;
  perSecond: number;
}

export async function soak(options: SoakOptions): Promise<SoakResult> {
  const ledger = new Ledger();
  const apps = await startApps(ledger);
  const { program } = options;
  const pair = await startProcessPair({ apps: apps.list, ...(program && { program }) });
  try {
    return await run(pair, ledger, options);
  } finally {
    await pair.close();
    apps.close();
  }
}

async function run(pair: ProcessPair, ledger: Ledger, options: SoakOptions): Promise<SoakResult> {
  const startedMs = performance.now();
  const before = await sample(pair, 0);
  const samples: Sample[] = [];
  const endMs = startedMs + options.durationMs;
  const background = [
    every(options.renewEveryMs, endMs, () => {
      pair.caller.renew();
      pair.callee.renew();
      return Promise.resolve();
    }),
    every(options.sampleEveryMs, endMs, async () => {
      const one = await sample(pair, performance.now() - startedMs);
      samples.push(one);
      options.onSample?.(one, ledger);
    }),
  ];
  const closers: (() => void)[] = [];
  const actors = actorsOf(pair, ledger, closers);
  await Promise.all([...actors.map((actor) => act(actor, options.rate, endMs)), ...background]);
  for (const close of closers) close();
  await quiet(pair, before);
  const after = await sample(pair, performance.now() - startedMs);
  const cpu = 'process_cpu_seconds_total';
  const cpuSeconds = {
    caller: await pair.caller.metric(cpu),
    callee: await pair.callee.metric(cpu),
  };
  return { ledger, samples, before, after, cpuSeconds };
}

function actorsOf(pair: ProcessPair, ledger: Ledger, closers: Target['closers']): Actor[] {
  const to = (name: string): Target => ({ ledger, port: pair.entry[name]!, closers });
  const http = to('http');
  const several = (count: number, make: () => () => Promise<void>, perSecond: number): Actor[] =>
    Array.from({ length: count }, () => ({ ask: make(), perSecond }));
  return [
    ...several(8, () => getter(http, 1024), 6),
    ...several(2, () => getter(http, 300_000), 1),
    ...several(4, () => poster(http, 10_000), 3),
    ...several(1, () => poster(http, 1_000_000), 0.5),
    ...several(2, () => quitter(http, 2_000_000), 1),
    ...several(2, () => slowReader(http, 2_000_000, 500), 0.5),
    ...several(2, () => upgrader(http, 20), 2),
    ...several(4, () => streamer(to('h2'), 2_000, 200), 6),
    ...several(1, () => streamer(to('h2'), 200_000, 50), 1),
    ...several(4, () => echoer(to('tcp'), 1_000), 2),
    ...several(1, () => echoer(to('tcp'), 2_000_000), 0.5),
    ...several(2, () => echoer(to('tcp'), 3_000_000, 500), 0.3),
    ...several(4, () => talker(to('tcp'), 100), 3),
    ...several(2, () => resetter(to('tcp'), 100_000), 1),
    ...several(2, () => greeted(to('greeting')), 1),
  ];
}

/** One after the other, spread around its rate; a slow answer does not make it ask faster later. */
async function act({ ask, perSecond }: Actor, rate: number, endMs: number): Promise<void> {
  const meanMs = 1000 / (perSecond * rate);
  while (performance.now() < endMs) {
    await pause(Math.min(meanMs * 2 * Math.random(), endMs - performance.now()));
    await ask();
  }
}

async function every(periodMs: number, endMs: number, run: () => Promise<void>): Promise<void> {
  while (performance.now() + periodMs < endMs) {
    await pause(periodMs);
    await run();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

/** What the sidecars keep open for their peers and apps on purpose; the rest must close by itself. */
const keptFiles = 12;
const quietMs = 15_000;

async function quiet(pair: ProcessPair, before: Sample): Promise<void> {
  const endMs = performance.now() + quietMs;
  const closed = (): boolean =>
    pair.caller.openFiles() <= before.caller.openFiles + keptFiles &&
    pair.callee.openFiles() <= before.callee.openFiles + keptFiles;
  while (!closed() && performance.now() < endMs) await pause(100);
}

async function sample(pair: ProcessPair, atMs: number): Promise<Sample> {
  return { atMs, caller: await useOf(pair.caller), callee: await useOf(pair.callee) };
}

async function useOf(sidecar: SidecarProcess): Promise<Use> {
  const { rssMb, privateMb } = memoryOf(sidecar.pid);
  const heap = await sidecar.metric('nodejs_heap_size_used_bytes');
  return { rssMb, privateMb, heapMb: heap / 2 ** 20, openFiles: sidecar.openFiles() };
}

/** Of a figure, the medians of the second and the last quarter of a run. */
export function quarters(samples: Sample[], of: (sample: Sample) => number): [number, number] {
  const quarter = Math.floor(samples.length / 4);
  const middle = (part: Sample[]): number => {
    const sorted = part.map(of).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  };
  return [middle(samples.slice(quarter, 2 * quarter)), middle(samples.slice(-quarter))];
}
